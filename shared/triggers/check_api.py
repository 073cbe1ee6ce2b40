"""HTTP API: check a connection."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.check.findings import CheckName, Outcome
from shared.check.run import CheckReport
from shared.request_faults import invalid_body
from shared.triggers.answers import Answer
from shared.triggers.operations import Call, operation
from shared.triggers.principal import Role
from shared.web.findings import finding_words
from shared.web.language import FALLBACK, languages

blueprint = func.Blueprint()


class CheckRequest(BaseModel):
    """How to check a connection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dry_run: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="true: create one marked record of each enabled kind in ServiceNow, and cancel it."
    )


class FindingView(BaseModel):
    """What one check found."""

    model_config = ConfigDict(frozen=True)

    name: CheckName = Field(description="Stable name of the check.")
    title: str
    outcome: Outcome = Field(description="unknown: it could not be found out.")
    reason: str = Field(description="Stable name of what was found.")
    seen: str = Field(description="What was seen.")
    meaning: str | None = Field(description="What it means.")
    fix: str | None = Field(description="How to fix it.")


class CheckView(BaseModel):
    """What a connection check found."""

    model_config = ConfigDict(frozen=True)

    connection_id: str
    checked_at: datetime
    dry_run: bool
    passed: int
    failed: int
    unknown: int
    findings: tuple[FindingView, ...]
    left_open: tuple[str, ...] = Field(description="Numbers of records that the dry run made and could not close.")

    @classmethod
    def of(cls, report: CheckReport) -> Self:
        """Return a report in English words."""
        words = [finding_words(each, languages()[FALLBACK]) for each in report.findings]
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


@operation(
    blueprint,
    "POST",
    "api/connections/{connection_id}/check",
    summary="Check everything that a connection needs, and say how to fix what is missing",
    roles=frozenset({Role.CONNECTIONS_MANAGE}),
    body=CheckRequest,
    body_required=False,
    answers={200: CheckView},
    problems={
        400: ("invalid_json", "invalid_connection_id"),
        404: ("connection_not_found",),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_check",),
    },
)
async def check_connection(call: Call) -> Answer:
    """Answer with every finding; problems of the connection are findings, too."""
    call.known_query()
    report = await call.application.check.run(call.path_parameter("connection_id"), dry_run=_request(call).dry_run)
    return Answer(CheckView.of(report))


def _request(call: Call) -> CheckRequest:
    """Return what the body asks for; no body asks for the plain check."""
    if not call.request.get_body() and not call.request.headers.get("Transfer-Encoding"):
        return CheckRequest()
    try:
        return CheckRequest.model_validate(call.json())
    except ValidationError as error:
        raise invalid_body("invalid_check", error) from None
