"""Tickets for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.connections.model import Connection, ConnectionStatus, Portal, TicketKind
from shared.tickets.deliver import begin_attempt
from shared.tickets.identity import new_ticket_id
from shared.tickets.kinds import KINDS
from shared.tickets.model import (
    DeliveryProgress,
    EventKind,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Record,
    Requester,
    Ticket,
    TicketContent,
)
from shared.tickets.record_effects import delivered
from shared.tickets.timeline import with_event
from tests.memory.clock import START
from tests.memory.servicenow import as_shown

CONNECTION_ID = "contoso"
INSTANCE = "https://contoso.service-now.com"
REQUESTER = Requester(id="7d1f2c9e-0000-4000-8000-000000000001", name="Aiko Tanaka", email="aiko@contoso.com")


def a_connection(**changes: Any) -> Connection:
    """A connection that works."""
    connection = Connection(
        connection_id=CONNECTION_ID,
        display_name="Contoso",
        instance=INSTANCE,
        client_id="client",
        integration_user="m365.integration",
        status=ConnectionStatus.CONNECTED,
        consented_at=START - timedelta(days=1),
    )
    return replace(connection, **changes)


def content(**changes: Any) -> TicketContent:
    """A person's request."""
    asked = TicketContent(
        kind=TicketKind.INCIDENT,
        portal=Portal.SECURITY,
        name="Require multifactor authentication for administrative roles",
        description="Three administrators sign in with a password only.",
        priority=Priority.HIGH,
        due_at=None,
        recommendation=Recommendation(RecommendedBy.MICROSOFT, RecommendationCategory.IDENTITY),
        requester=REQUESTER,
    )
    return replace(asked, **changes)


def new_ticket(
    now: datetime, *, connection_id: str = CONNECTION_ID, ticket_id: str | None = None, **asked: Any
) -> Ticket:
    """A ticket that waits for its delivery."""
    ticket = Ticket(
        ticket_id=ticket_id or new_ticket_id(now, connection_id),
        connection_id=connection_id,
        instance=INSTANCE,
        content=content(**asked),
        created_at=now,
        delivery=DeliveryProgress(),
    )
    return with_event(ticket, EventKind.CREATED, now)


def record_for(ticket: Ticket, **changes: Any) -> Record:
    """The record of a ticket."""
    record = Record(
        sys_id=ticket.ticket_id,
        table=KINDS[ticket.content.kind].table,
        number=f"INC{int(ticket.ticket_id[-6:], 16):08}",
        state="1",
        active=True,
        updated_at_text="2026-03-02 09:30:15",
        mod_count=0,
        state_label="New",
        due_at=ticket.content.due_at,
        correlation_id=ticket.correlation_id,
    )
    return as_shown(replace(record, **changes))


def delivered_ticket(
    now: datetime, *, connection_id: str = CONNECTION_ID, record: dict[str, Any] | None = None, **asked: Any
) -> Ticket:
    """A ticket that is in ServiceNow."""
    ticket = begin_attempt(new_ticket(now, connection_id=connection_id, **asked), now)
    return delivered(ticket, record_for(ticket, **(record or {})), now)
