"""The data that the tests send."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.connections.model import KindSettings, Portal, TicketKind
from shared.tickets.identity import new_ticket_id
from shared.tickets.model import (
    DeliveryProgress,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Requester,
    Ticket,
    TicketContent,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KIND_SETTINGS = KindSettings()


def new_ticket(kind: TicketKind = TicketKind.INCIDENT, priority: Priority = Priority.HIGH) -> Ticket:
    return Ticket(
        ticket_id=new_ticket_id(NOW, "contoso"),
        connection_id="main",
        instance="",
        content=TicketContent(
            kind=kind,
            portal=Portal.SECURITY,
            name="Require multi-factor authentication – 多要素認証",
            description="Turn it on for all administrators.\nThen for everybody ✓",
            priority=priority,
            due_at=datetime(2026, 3, 31, 21, 59, 59, tzinfo=UTC),
            recommendation=Recommendation(
                RecommendedBy.MICROSOFT,
                RecommendationCategory.IDENTITY,
                "AdminMFAV2",
                "https://security.microsoft.com/securescore?viewid=actions",
            ),
            requester=Requester("object-id", "Ada Lovelace", "ada@contoso.example"),
        ),
        created_at=NOW,
        delivery=DeliveryProgress(),
    )
