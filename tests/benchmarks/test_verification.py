"""A slice of the truth table: what the rules say agrees with the hidden truth."""

from __future__ import annotations

from benchmarks.verification import measure
from shared.tickets.outcomes import Outcome


def test_nothing_false_is_said_in_a_few_tenant_years() -> None:
    table = measure(range(4))
    assert table.tickets > 40
    for outcome in (Outcome.VERIFIED, Outcome.NOT_FIXED, Outcome.PARTLY, Outcome.REGRESSED, Outcome.DILUTED):
        assert table.total(outcome) > 0, "otherwise it shows nothing"
    assert [figure.value for figure in table.figures() if figure.goal is not None] == [0, 0, 0]
