"""Events as tickets and readings record them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.evidence.items import EvidenceItem
from shared.evidence.model import EvidenceEvent
from shared.evidence.population import Chosen, Collected
from shared.evidence.requests import Basis, EvidenceQuestion
from shared.evidence.views import EvidenceView

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
OTHER_TENANT = "11111111-aaaa-4bbb-8ccc-000000000002"
CONNECTION = "contoso"
MARCH = EvidenceQuestion(date(2026, 3, 1), date(2026, 3, 31))
CLOSED_IN_MARCH = EvidenceQuestion(date(2026, 3, 1), date(2026, 3, 31), Basis.CLOSED)


def day(number: int, month: int = 3) -> datetime:
    """Noon of a day."""
    return datetime(2026, month, number, 12, tzinfo=UTC)


def key_of(number: int) -> str:
    """The key of a recommendation."""
    return f"{number:032x}"


def of_ticket(
    ticket: int,
    kind: str,
    at: datetime,
    /,
    *,
    keys: Sequence[int] = (1,),
    tenant_id: str | None = TENANT,
    **details: str,
) -> EvidenceEvent:
    """An event of a ticket."""
    return EvidenceEvent(
        kind,
        at,
        CONNECTION,
        f"{ticket:032x}",
        tenant_id,
        tuple(map(key_of, keys)),
        details,
    )


def created(ticket: int, at: datetime, *, keys: Sequence[int] = (1,), tenant_id: str = TENANT) -> list[EvidenceEvent]:
    """A ticket that somebody asked for, with what its recommendations had then."""
    asked = {
        "requester_id": "megan",
        "requester_name": "Megan Bowen",
        "kind": "incident",
        "name": "Turn on MFA",
        "text_sha256": "ab" * 32,
    }
    return [
        of_ticket(ticket, "created", at, keys=keys, tenant_id=tenant_id, **asked),
        *(linked(ticket, at, key, tenant_id=tenant_id) for key in keys),
        of_ticket(
            ticket, "delivered", at + timedelta(seconds=2), keys=keys, tenant_id=tenant_id, number=f"INC{ticket}",
            phase="new",
        ),
    ]  # fmt: skip


def linked(ticket: int, at: datetime, key: int, *, tenant_id: str = TENANT) -> EvidenceEvent:
    """A recommendation that a ticket is for, with its points then."""
    measured = {"points": "3", "max_points": "10", "measured_at": day(28, 2).isoformat()}
    return of_ticket(
        ticket, "recommendation_linked", at, keys=[key], tenant_id=tenant_id,
        source="secure_score", source_id=f"Control{key}", **measured,
    )  # fmt: skip


def moved(ticket: int, at: datetime, phase: str, **about: Any) -> EvidenceEvent:
    """A change of state."""
    return of_ticket(ticket, "state_changed", at, phase=phase, to_label=phase.title(), **about)


def decided(ticket: int, at: datetime, outcome: str, /, *, key: int = 1, **details: str) -> EvidenceEvent:
    """What a reading found out about a ticket's recommendation."""
    about = {"outcome": outcome, "key": key_of(key), "source_id": f"Control{key}", **details}
    return replace(of_ticket(ticket, "outcome", at), details=about)


def read(at: datetime, kind: str, key: int = 1, *, tenant_id: str = TENANT, **details: str) -> EvidenceEvent:
    """A change that a reading found."""
    return EvidenceEvent(kind, at, tenant_id=tenant_id, keys=(key_of(key),), details=details)


def story() -> list[EvidenceEvent]:
    """Four tickets around March: verified, closed on paper, still open, and one from February."""
    return [
        *created(1, day(2)),
        moved(1, day(5), "in_progress"),
        moved(1, day(10), "resolved"),
        decided(1, day(10), "waiting"),
        moved(1, day(17), "closed"),
        decided(1, day(12), "verified", points="10", max_points="10", measured_at=day(11).isoformat()),
        read(day(12), "points_up", points="10", points_before="3", max_points="10", measured_at=day(11).isoformat()),
        *created(2, day(3), keys=(2, 3)),
        moved(2, day(9), "closed", keys=(2, 3)),
        decided(2, day(14), "not_fixed", key=2, points="3", max_points="10", measured_at=day(13).isoformat()),
        decided(2, day(1, 4), "verified", key=2, points="10"),
        *created(3, day(30)),
        moved(3, day(2, 4), "closed"),
        *created(4, day(20, 2)),
        of_ticket(4, "update_sent", day(1), update="work_note", update_id="u" * 32),
        moved(4, day(8), "canceled"),
    ]


def items_of(events: Iterable[EvidenceEvent], question: EvidenceQuestion) -> Sequence[EvidenceItem]:
    """What the evidence says, from events of any time and in any order."""
    known = list(events)
    chosen = Chosen(question)
    chosen.add(known)
    collected = Collected(chosen.tickets, chosen.recommendations)
    collected.add(known)
    return collected.items(question)


def view_of(question: EvidenceQuestion, items: Sequence[EvidenceItem]) -> EvidenceView:
    """The answer to a question."""
    return EvidenceView(
        since=question.first_day,
        until=question.last_day,
        basis=question.basis,
        tenant_id=question.tenant_id,
        final=True,
        retention_days=1095,
        population=len(items),
        other_tickets=0,
        excluded_connections=len(question.excluded_ids),
        sample=question.sample,
        seed=question.seed or None,
        items=tuple(items),
    )
