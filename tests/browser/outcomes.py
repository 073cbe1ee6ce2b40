"""Outcomes of the tickets of the browser tests, written to storage: measurements of days would take too long."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import httpx

from sandbox.azurite import StorageAccount
from sandbox.certificates import Certificates
from sandbox.world import table_service_headers
from shared.storage.ticket_rows import ticket_row
from shared.tickets.model import RecommendationReference
from shared.tickets.outcomes import Closing, Measurement, Outcome, OutcomeReason, RecommendationOutcome, Verification
from tests.unit.tickets.examples import delivered_ticket

type End = tuple[Outcome, OutcomeReason | None]

ENDS: Final[Mapping[str, Sequence[End]]] = {
    "Block legacy authentication": ((Outcome.REGRESSED, None), (Outcome.VERIFIED, None)),
    "Turn on Safe Links for Office applications": ((Outcome.VERIFIED, None),),
    "Review mailboxes that forward outside the company": ((Outcome.OPEN, None),),
    "Onboard unmanaged devices": ((Outcome.WAITING, None),),
    "Turn on audit log retention for one year": ((Outcome.DISPOSED, OutcomeReason.THIRD_PARTY),),
    "Roll out attack surface reduction rules": ((Outcome.PARTLY, None), (Outcome.DILUTED, None)),
    "Restrict inbound RDP on jump servers": ((Outcome.UNKNOWN, OutcomeReason.GONE),),
    "Require multifactor authentication for administrators": ((Outcome.NOT_FIXED, None),),
    "Remove standing access of guest accounts": ((Outcome.NOT_DONE, None), (Outcome.MAXIMUM_CHANGED, None)),
}
"""What became of the tickets of :data:`sandbox.demonstration.STORIES`, by name."""
_CLOSED: Final = frozenset({Outcome.WAITING, Outcome.PARTLY, Outcome.NOT_FIXED, Outcome.NOT_DONE})


def write_outcomes(
    account: StorageAccount,
    certificates: Certificates,
    tickets: Iterable[Mapping[str, Any]],
    recommendations: Sequence[Mapping[str, Any]],
) -> None:
    """Give the tickets the outcomes of :data:`ENDS`, one for each of the first recommendations.

    Args:
        tickets, recommendations: As the API shows them.
    """
    trusted = ssl.create_default_context(cafile=certificates.authority)
    headers = table_service_headers(certificates) | {"If-Match": "*"}
    with httpx.Client(base_url=account.tables_url, headers=headers, verify=trusted) as client:
        for ticket in tickets:
            if ticket["name"] in ENDS:
                key = f"PartitionKey='{quote(ticket['connection_id'])}',RowKey='{ticket['ticket_id']}'"
                columns = _columns(ENDS[ticket["name"]], recommendations)
                client.request("MERGE", f"/tickets({key})", json=columns).raise_for_status()


def _columns(ends: Sequence[End], recommendations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the columns of a ticket's row that say what it is for and what became of it."""
    now = datetime.now(UTC)
    chosen = list(zip(ends, recommendations, strict=False))
    before, after = (Measurement(Decimal(points), Decimal(9), measured_at=now) for points in (0, 4))
    items = tuple(
        RecommendationOutcome(each["tenant_id"], each["id"], before, outcome, reason, after, decided_at=now)
        for (outcome, reason), each in chosen
    )
    closing = Closing(now) if any(outcome in _CLOSED for outcome, _ in ends) else None
    references = tuple(
        RecommendationReference(each["tenant_id"], each["source"], each["source_id"]) for _, each in chosen
    )
    ticket = delivered_ticket(now)
    row = ticket_row(
        replace(
            ticket,
            content=replace(ticket.content, references=references),
            verification=Verification(now - timedelta(days=9), items, closing),
        )
    )
    return {name: row[name] for name in ("references", "verification", "outcome")}
