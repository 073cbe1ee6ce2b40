"""The test ticket: a real ticket of a kind with the connection's settings, except that it says what it is. Pure."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Final

from shared.connections.model import Connection, KindSettings, Portal, TicketKind
from shared.tickets.model import (
    Delivery,
    DeliveryProgress,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Requester,
    Ticket,
    TicketContent,
)
from shared.words.language import language_of

DUE_IN: Final = timedelta(days=30)
NOBODY: Final = Requester(id="00000000-0000-0000-0000-000000000000", name="Connection check")
"""The requester of a test ticket that no person asked for."""


def example_ticket(
    connection: Connection,
    kind: TicketKind,
    requester: Requester,
    sys_id: str,
    now: datetime,
    *,
    company: str | None,
) -> Ticket:
    """Return the test ticket. It is never stored, so it is never synchronised."""
    t = language_of(connection.language)
    return Ticket(
        ticket_id=sys_id,
        connection_id=connection.connection_id,
        instance=connection.instance,
        content=TicketContent(
            kind=kind,
            portal=next(iter(connection.portals), Portal.SECURITY),
            name=t.plain("record.trial.name"),
            description=t.plain("record.trial.description"),
            priority=Priority.PLANNING,
            due_at=now.replace(microsecond=0) + DUE_IN,
            recommendation=Recommendation(RecommendedBy.USER, RecommendationCategory.APPS),
            requester=requester,
            company=company,
            shares_requester=connection.shares_requester,
            language=connection.language,
        ),
        created_at=now,
        delivery=DeliveryProgress(Delivery.PENDING),
    )


def settings_of(connection: Connection, kind: TicketKind) -> str:
    """Return a fingerprint of the settings that decide whether ServiceNow accepts tickets of a kind."""
    settings: KindSettings = connection.kinds[kind]
    deciding = [
        connection.instance,
        connection.integration_user,
        connection.shares_requester,
        settings.assignment_group,
        settings.category,
        settings.default_caller,
        sorted((each.column, each.value) for each in settings.fixed_fields),
    ]
    return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:32]
