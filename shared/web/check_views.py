"""What callers of the API see of a connection check."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field

from shared.check.findings import CheckName, Outcome
from shared.check.run import CheckReport
from shared.views import View
from shared.web.findings import finding_words
from shared.words.language import Language


class FindingView(View):
    """What one check found."""

    name: CheckName = Field(description="Stable name of the check.")
    title: str
    outcome: Outcome = Field(description="unknown: it could not be found out.")
    reason: str = Field(description="Stable name of what was found.")
    seen: str = Field(description="What was seen.")
    meaning: str | None = Field(description="What it means.")
    fix: str | None = Field(description="How to fix it.")


class CheckView(View):
    """What a connection check found."""

    connection_id: str
    checked_at: datetime
    dry_run: bool
    passed: int
    failed: int
    unknown: int
    findings: tuple[FindingView, ...]
    left_open: tuple[str, ...] = Field(description="Numbers of records that the dry run made and could not close.")

    @classmethod
    def of(cls, report: CheckReport, t: Language) -> Self:
        """Return a report in the words of a language."""
        words = [finding_words(each, t) for each in report.findings]
        counts = {outcome: sum(each.outcome is outcome for each in words) for outcome in Outcome}
        return cls(
            connection_id=report.connection.connection_id,
            checked_at=report.checked_at,
            dry_run=report.dry_run,
            passed=counts[Outcome.PASSED],
            failed=counts[Outcome.FAILED],
            unknown=counts[Outcome.UNKNOWN],
            findings=tuple(
                FindingView(
                    name=each.check,
                    title=each.title,
                    outcome=each.outcome,
                    reason=each.reason,
                    seen=each.seen,
                    meaning=each.meaning or None,
                    fix=each.fix or None,
                )
                for each in words
            ),
            left_open=tuple(report.left_open),
        )
