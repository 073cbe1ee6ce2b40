"""What callers see of a ticket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from pydantic import Field

from shared.connections.model import Connection, Portal, TicketKind
from shared.errors import Failure
from shared.tickets.kinds import table_of
from shared.tickets.model import (
    Delivery,
    Phase,
    Priority,
    Recommendation,
    Requester,
    Ticket,
    TimelineEvent,
    time_of,
)
from shared.tickets.outcome_views import VerificationView, verification_view
from shared.tickets.outcomes import Outcome
from shared.tickets.resend import Resent, ResentTicket
from shared.tickets.summary import Summary
from shared.tickets.updates.model import Update
from shared.tickets.updates.views import UpdateView, update_view
from shared.tickets.warnings import TicketWarning, WarningCode
from shared.views import View
from shared.words.error_words import words_of
from shared.words.language import Language


class DeliveryView(View):
    """The state of the delivery to ServiceNow."""

    status: Delivery
    attempts: int
    delivered_at: datetime | None
    next_attempt_at: datetime | None
    error_code: str | None
    error: str | None = Field(description="Why the last attempt did not succeed.")
    next_step: str | None = Field(description="What to do about it.")


class ServiceNowView(View):
    """The record in ServiceNow, as last seen."""

    sys_id: str
    number: str
    link: str = Field(description="Opens the record in ServiceNow.")
    table: str
    state: str = Field(description="Raw state value.")
    state_name: str = Field(description="The name chosen on the connection, else ServiceNow's label.")
    active: bool
    assigned_to: str | None
    assignment_group: str | None
    updated_at: datetime | None = Field(description="ServiceNow's sys_updated_on; null when it gave no time.")


class ReferenceView(View):
    """A recommendation that a ticket is for."""

    tenant_id: str
    id: str = Field(description="As in `/api/recommendations/{id}`.")
    source: str
    source_id: str = Field(description="The source's own id.")


class TicketView(View):
    """A ticket."""

    ticket_id: str
    connection_id: str
    kind: TicketKind
    portal: Portal
    name: str
    description: str
    priority: Priority
    due_at: datetime | None = Field(description="ServiceNow's due date once delivered, the requested one before.")
    overdue: bool
    recommendation: Recommendation
    recommendations: tuple[ReferenceView, ...] = Field(
        description="The recommendations read from Microsoft, or from a file, that it is for; usually one or none."
    )
    company: str | None = Field(description="sys_id of the ServiceNow company that it belongs to.")
    assignment_group: str | None = Field(description="sys_id of the group that somebody chose for it.")
    assigned_to: str | None = Field(description="sys_id of the user whom somebody chose for it.")
    configuration_item: str | None = Field(description="sys_id of the configuration item that somebody chose for it.")
    requester: Requester
    created_at: datetime
    phase: Phase | None = Field(description="Null until the ticket is in ServiceNow.")
    dormant: bool = Field(description="Its connection was removed or points to another instance; it is kept as it is.")
    verification: VerificationView | None = Field(
        description="Whether it helped, by Microsoft's measurements; null for a ticket that is for no recommendation "
        "read by the connector."
    )
    delivery: DeliveryView
    servicenow: ServiceNowView | None


class WarningView(View):
    """A possible mistake in a new ticket."""

    code: WarningCode = Field(
        description="due_date_past: the due date had passed when the ticket was created. "
        "recommendation_has_open_ticket: another ticket of the connection with the same recommendation id, link or "
        "name is open."
    )
    message: str
    next_step: str
    ticket_ids: tuple[str, ...] = Field(description="The other tickets concerned, newest first.")


class CreatedTicketView(TicketView):
    """A ticket that was created, and possible mistakes in it."""

    warnings: tuple[WarningView, ...] = Field(description="Usually empty. The ticket was created despite them.")


class TicketDetailView(TicketView):
    """A ticket with everything that happened to it."""

    timeline: tuple[TimelineEvent, ...]
    updates: tuple[UpdateView, ...] = Field(
        description="Changes of the record in ServiceNow that wait or were refused, oldest first."
    )


class TicketListView(View):
    """One page of tickets, newest first."""

    tickets: tuple[TicketView, ...]
    next_cursor: str | None = Field(description="Pass as cursor to get the next page; null on the last one.")


class RetriedTicketView(View):
    """The result of sending one ticket again."""

    ticket_id: str
    outcome: Resent = Field(
        description="delivered: it is in ServiceNow. waiting: it is sent later, automatically. refused: ServiceNow "
        "refused it again. not_sent: it was left as it is."
    )
    code: str | None = Field(description="Why it is not delivered.")
    message: str | None
    next_step: str | None


class RetryView(View):
    """The result of sending tickets again."""

    delivered: int
    waiting: int
    refused: int
    not_sent: int
    more: bool = Field(description="The filter names more failed tickets: send the request again.")
    tickets: tuple[RetriedTicketView, ...]


class KindSummaryView(View):
    """Counts of one kind."""

    open: int
    overdue: int
    pending: int
    failed: int
    phases: Mapping[Phase, int]
    outcomes: Mapping[Outcome, int] = Field(
        description="Tickets for recommendations read by the connector, by what became of them."
    )


class SummaryView(View):
    """Counts per kind, over the requested connections."""

    kinds: Mapping[TicketKind, KindSummaryView]


def record_link(ticket: Ticket, connection: Connection | None) -> str | None:
    """Return the URL that opens the record in ServiceNow, or None while it has no record."""
    if ticket.record is None:
        return None
    return record_address(ticket.instance, ticket.record.table, ticket.record.sys_id, connection)


def record_address(instance: str, table: str, sys_id: str, connection: Connection | None) -> str:
    """Return the URL that opens a record.

    Args:
        instance: Base URL, as the ticket knows it; the connection's spelling of it wins.
    """
    if connection is not None and connection.is_at(instance):
        instance = connection.instance
    return f"{instance}/nav_to.do?uri={quote(f'{table}.do?sys_id={sys_id}', safe='')}"


def state_names(ticket: Ticket, connection: Connection | None) -> Mapping[str, str]:
    """Return the connection's own names for the states of the ticket's record, by raw value."""
    return {} if ticket.record is None else own_state_names(ticket.content.kind, ticket.record.table, connection)


def own_state_names(kind: TicketKind, table: str, connection: Connection | None) -> Mapping[str, str]:
    """Return the connection's own names for the states of a kind's records in a table, by raw value."""
    settings = connection.kinds.get(kind) if connection is not None else None
    return {} if settings is None or table != table_of(kind) else settings.state_names


def state_name(ticket: Ticket, connection: Connection | None) -> str | None:
    """Return the state's name for people: the connection's name, else ServiceNow's label, else the raw value."""
    if ticket.record is None:
        return None
    names = state_names(ticket, connection)
    return names.get(ticket.record.state) or ticket.record.state_label or ticket.record.state


def is_dormant(ticket: Ticket, connection: Connection | None) -> bool:
    """Whether nothing happens to the ticket: its connection was removed, or points to another instance."""
    return connection is None or connection.is_removed or not ticket.is_of(connection)


def ticket_view(ticket: Ticket, connection: Connection | None, now: datetime, t: Language) -> TicketView:
    """Return what callers see of a ticket in a list, in the given language."""
    return TicketView(**_members(ticket, connection, now, t))


def created_ticket_view(
    ticket: Ticket, connection: Connection | None, now: datetime, t: Language, warnings: Sequence[TicketWarning]
) -> CreatedTicketView:
    """Return what callers see of a ticket that they created."""
    views = tuple(
        WarningView(
            code=each.code,
            message=t(f"warning.{each.code}.message"),
            next_step=t(f"warning.{each.code}.next_step"),
            ticket_ids=tuple(other.ticket_id for other in each.tickets),
        )
        for each in warnings
    )
    return CreatedTicketView(**_members(ticket, connection, now, t), warnings=views)


def ticket_detail_view(
    ticket: Ticket, connection: Connection | None, now: datetime, t: Language, updates: Sequence[Update] = ()
) -> TicketDetailView:
    """Return what callers see of one ticket, in the given language.

    Args:
        updates: The changes of its record that wait or were refused.
    """
    timeline = tuple(replace(event, details=_event_details(event, t)) for event in ticket.timeline)
    return TicketDetailView(
        **_members(ticket, connection, now, t),
        timeline=timeline,
        updates=tuple(update_view(each, t) for each in updates),
    )


def retry_view(resent: Sequence[ResentTicket], t: Language, *, more: bool) -> RetryView:
    """Return what callers see of tickets that were sent again, in the given language."""
    counts = Counter(each.outcome for each in resent)
    return RetryView(
        **{outcome.value: counts[outcome] for outcome in Resent},
        more=more,
        tickets=tuple(
            RetriedTicketView(
                ticket_id=each.ticket_id,
                outcome=each.outcome,
                code=code,
                message=message,
                next_step=next_step,
            )
            for each in resent
            for code, message, next_step in [error_members(each.failure, t)]
        ),
    )


def summary_view(summaries: Sequence[Summary], now: datetime) -> SummaryView:
    """Return the total counts of several connections."""
    total = Summary.together(summaries)

    def kind_view(kind: TicketKind) -> KindSummaryView:
        return KindSummaryView(
            open=total.open_count(kind),
            overdue=total.overdue_count(kind, now),
            pending=total.delivery_count(kind, Delivery.PENDING),
            failed=total.delivery_count(kind, Delivery.FAILED),
            phases=total.phase_counts(kind),
            outcomes=total.outcome_counts(kind),
        )

    return SummaryView(kinds={kind: kind_view(kind) for kind in TicketKind})


def error_members(failure: Failure | None, t: Language) -> tuple[str | None, str | None, str | None]:
    """Return the code, message and next step of a failure in a language; None for each that is missing."""
    if failure is None:
        return None, None, None
    words = words_of(failure, t)
    return failure.code, words.message, words.next_step or None


def _event_details(event: TimelineEvent, t: Language) -> Mapping[str, str]:
    return event.details if event.failure is None else {**event.details, "message": words_of(event.failure, t).message}


def _members(ticket: Ticket, connection: Connection | None, now: datetime, t: Language) -> dict[str, object]:
    content, progress, record = ticket.content, ticket.delivery, ticket.record
    link, name = record_link(ticket, connection), state_name(ticket, connection)
    code, message, next_step = error_members(progress.failure, t)
    return {
        "ticket_id": ticket.ticket_id,
        "connection_id": ticket.connection_id,
        "kind": content.kind,
        "portal": content.portal,
        "name": content.name,
        "description": content.description,
        "priority": content.priority,
        "due_at": ticket.due_at,
        "overdue": ticket.is_overdue(now),
        "recommendation": content.recommendation,
        "recommendations": tuple(
            ReferenceView(tenant_id=each.tenant_id, id=each.key, source=each.source, source_id=each.source_id)
            for each in content.references
        ),
        "company": content.company,
        "assignment_group": content.assignment_group,
        "assigned_to": content.assigned_to,
        "configuration_item": content.configuration_item,
        "requester": content.requester,
        "created_at": ticket.created_at,
        "phase": ticket.phase,
        "dormant": is_dormant(ticket, connection),
        "verification": verification_view(ticket),
        "delivery": DeliveryView(
            status=progress.status,
            attempts=progress.attempts,
            delivered_at=progress.delivered_at,
            next_attempt_at=progress.next_attempt_at,
            error_code=code,
            error=message,
            next_step=next_step,
        ),
        "servicenow": None
        if record is None or link is None or name is None
        else ServiceNowView(
            sys_id=record.sys_id,
            number=record.number,
            link=link,
            table=record.table,
            state=record.state,
            state_name=name,
            active=record.active,
            assigned_to=record.assigned_to,
            assignment_group=record.assignment_group,
            updated_at=time_of(record.updated_at_text),
        ),
    }
