"""The truth table: what the rules say about tickets in simulated tenant-years, beside what is really in place.

``python -m benchmarks.verification`` prints it alone. An outcome is counted when the rules come to it, and compared
with two truths: that of the measurement that decided, and that of the moment. Microsoft measures some controls once a
month, so what was fixed when it was measured can be broken when it is said. Such a saying is not false, and the table
shows it in a column of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from benchmarks.report import Figure, at_most
from benchmarks.tenant_years import Saying, TenantYear
from shared.tickets.outcomes import Outcome

TENANT_YEARS: Final = 100


class Column(StrEnum):
    """What was true."""

    FIXED = "fixed"
    """When it was measured, and still."""
    BROKEN_SINCE = "broken since"
    """Fixed when it was measured, but no longer."""
    FIXED_SINCE = "fixed since"
    """Not fixed when it was measured, but now."""
    NOT_FIXED = "not fixed"
    """Neither when it was measured nor now."""
    GONE = "gone"
    """The control exists no longer."""


@dataclass(slots=True)
class TruthTable:
    """The confusion matrix.

    Attributes:
        tickets: How many tickets there were.
        cells: How often something was said while something was true.
        false_verified: How often "verified" was said though less than everything was in place when it was measured.
        false_not_fixed: How often "not fixed" or "partly" was said though everything was in place when it was measured.
        false_regressed: How often "regressed" was said though no fewer objects complied than before.
    """

    tickets: int = 0
    cells: Counter[tuple[Outcome, Column]] = field(default_factory=Counter)
    false_verified: int = 0
    false_not_fixed: int = 0
    false_regressed: int = 0

    def add(self, saying: Saying) -> None:
        """Count one more outcome."""
        outcome, measured = saying.item.outcome, saying.measured
        self.cells[outcome, _column(saying)] += 1
        if measured is None:
            return
        self.false_verified += outcome is Outcome.VERIFIED and not measured.is_fixed
        self.false_not_fixed += outcome in (Outcome.NOT_FIXED, Outcome.PARTLY) and measured.is_fixed
        if outcome is Outcome.REGRESSED:
            assert saying.reference is not None
            self.false_regressed += measured.count >= saying.reference.count

    def total(self, outcome: Outcome) -> int:
        """Return how often an outcome was said."""
        return sum(self.cells[outcome, column] for column in Column)

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown."""
        yield f"| said | {' | '.join(Column)} |"
        yield "|---|" + "---:|" * len(Column)
        for outcome in Outcome:
            counts = " | ".join(f"{self.cells[outcome, column]:,}" for column in Column)
            yield f"| {outcome.replace('_', ' ')} | {counts} |"

    def figures(self) -> Sequence[Figure]:
        """Return what the design promises of it."""
        return [
            Figure("tickets in simulated tenant-years", self.tickets),
            Figure("  said to be verified", self.total(Outcome.VERIFIED)),
            Figure("  falsely", self.false_verified, goal=at_most(0)),
            Figure("  falsely said to be not fixed, or partly", self.false_not_fixed, goal=at_most(0)),
            Figure("  falsely said to have regressed", self.false_regressed, goal=at_most(0)),
        ]


def measure(seeds: Iterable[int]) -> TruthTable:
    """Let a year pass for one tenant after another."""
    table = TruthTable()
    for seed in seeds:
        year = TenantYear(seed)
        for saying in year.sayings():
            table.add(saying)
        table.tickets += year.tickets_made
    return table


def _column(saying: Saying) -> Column:
    if saying.now is None:
        return Column.GONE
    was_fixed = saying.now.is_fixed if saying.measured is None else saying.measured.is_fixed
    if was_fixed:
        return Column.FIXED if saying.now.is_fixed else Column.BROKEN_SINCE
    return Column.FIXED_SINCE if saying.now.is_fixed else Column.NOT_FIXED


def main() -> None:
    """Print the table and its figures."""
    table = measure(range(TENANT_YEARS))
    for line in table.lines():
        print(line)
    for figure in table.figures():
        print(figure.line())


if __name__ == "__main__":
    main()
