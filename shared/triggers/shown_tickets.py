"""The page of one ticket, as it is opened and as the answer to one of its forms that was not understood."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

import azure.functions as func

from shared.connections.model import Connection, TicketKind
from shared.errors import FixRequest
from shared.tickets.model import Delivery, Phase, Ticket
from shared.tickets.updates.ask import raise_unless_possible
from shared.tickets.updates.live import has_live_record
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus
from shared.tickets.updates.progress import STATE_CHANGES
from shared.tickets.updates.record_details import RecordDetails
from shared.tickets.updates.requests import NOTES_MAX_LENGTH
from shared.tickets.updates.views import update_view
from shared.tickets.views import TicketView, state_name, state_names, ticket_view
from shared.tickets.waiting import WaitsFor, waits_for
from shared.triggers.addresses import FROM, from_query
from shared.triggers.freshness import freshness_of
from shared.triggers.front_door import Call, authorize_place
from shared.triggers.principal import Role
from shared.triggers.recommended_tickets import actions_of, reference_rows
from shared.triggers.routes import own_address
from shared.value_object import value_object
from shared.web.html import last_day
from shared.web.outcomes import NextStep, outcome_card
from shared.web.stepper import steps
from shared.web.timeline import event_words, what_is_asked, who_asked
from shared.words.error_words import ErrorWords, words_of
from shared.words.language import Language

CHANGES: Final = (UpdateKind.COMMENT, UpdateKind.DUE_DATE, UpdateKind.RESOLVE, UpdateKind.CANCEL)
"""What people can ask for, in the order in which the page offers it."""
_VALUES_REFUSED: Final = frozenset({"mandatory_fields_missing", "data_policy_refused", "servicenow_values_refused"})
"""Codes of tickets that ServiceNow refused for their values; no value of a field satisfies a business rule for sure."""
_NOTICES: Final = frozenset({"sent", "waiting", "refused", "uncertain", "discarded", "over"})


@value_object
class TypedChange:
    """A form of the page as somebody sent it.

    Attributes:
        change: What was asked for; empty if it is nothing that the page offers.
        values: The form's fields.
        faults: One text for each field; texts that concern no field are under the empty name.
        status: HTTP status of the answer.
    """

    change: str
    values: Mapping[str, str]
    faults: Mapping[str, str]
    status: int


@value_object
class Assigned:
    """A group, an assignee or a configuration item.

    Attributes:
        name: Of the ticket's member.
        shown: What ServiceNow calls the one that the record has; None if there is none or nobody knows.
        asked: ``sys_id`` of the one that somebody chose, if the record may have another.
    """

    name: str
    shown: str | None
    asked: str | None


NOTHING_TYPED: Final = TypedChange("", {}, {}, 200)


async def shown_ticket(
    call: Call, ticket: Ticket, connection: Connection, typed: TypedChange = NOTHING_TYPED
) -> func.HttpResponse:
    """Return the page; what is read from ServiceNow and from storage is read at the same time."""
    app, t, now = call.application, call.language, call.application.clock()
    asks = has_live_record(connection, ticket)
    actions, updates, record, fresh = await asyncio.gather(
        actions_of(call, ticket),
        _updates_of(call, ticket),
        _record_of(call, connection, ticket, asks=asks),
        freshness_of(call, [connection]),
    )
    view = ticket_view(ticket, connection, now, t)
    came_from = _way_back(call)
    back = came_from or "/tickets"
    done = call.query.get("done")
    waiting = waits_for(ticket, connection) if ticket.delivery.status is Delivery.PENDING else None
    outcome = outcome_card(
        ticket,
        actions,
        now,
        app.waiting_times,
        t,
        creates=call.may(Role.TICKETS_CREATE),
        manages=call.may(Role.CONNECTIONS_MANAGE),
    )
    reasons = {} if not call.may(Role.TICKETS_CREATE) else _reasons_against(ticket, connection, updates, t)
    names = state_names(ticket, connection)
    rows = reference_rows(ticket, actions)
    titles = {each.source_id: row.title for each, row in zip(ticket.content.references, rows, strict=True)}
    suggests_resolving = outcome is not None and outcome.next_step is NextStep.RESOLVE
    return call.page(
        "ticket.html",
        status=typed.status,
        # After a form, a change of language leads back to the page.
        **({} if call.is_safe else {"here": ticket_place(call, ticket.ticket_id)}),
        steps=steps(ticket, state_name(ticket, connection), _phases_of(call, ticket), t),
        back_address=back,
        back_name=t(_back_label(back)),
        from_query=from_query(came_from),
        ticket=view,
        freshness=fresh,
        connection_name=connection.display_name,
        waiting=waiting,
        trouble=_trouble(ticket, connection, waiting, t),
        authorize_at=authorize_place(connection.connection_id)
        if waiting is WaitsFor.AUTHORIZATION and call.may(Role.CONNECTIONS_MANAGE)
        else None,
        fields_at=_fields_at(ticket, connection) if call.may(Role.CONNECTIONS_MANAGE) else None,
        # A ticket waiting for a previous instance can go to the current one.
        may_retry=not connection.is_removed and ticket.is_sendable and waiting is not WaitsFor.AUTHORIZATION,
        outcome_unknown_elsewhere=not ticket.is_of(connection) and ticket.delivery.attempt_started_at is not None,
        zones={connection.connection_id: connection.time_zone},
        recommendations=rows,
        outcome=outcome,
        asks_servicenow=asks,
        record=record,
        assigned=assigned_rows(view, record),
        updates=[
            (update_view(each, t), who_asked(each.asked_by_id, each.asked_by_name, t), _what(each, connection, t))
            for each in updates
        ],
        offered=[change for change in CHANGES if change not in reasons],
        not_offered=[
            (
                t("list.separator").join(
                    t(f"ticket.change.{each}.title") for each in CHANGES if reasons.get(each) == why
                ),
                why,
            )
            for why in dict.fromkeys(reasons.values())
        ],
        typed=typed,
        values=_values(ticket, connection, typed, t("ticket.nothing_left") if suggests_resolving else ""),
        opened=typed.change or (UpdateKind.RESOLVE.value if suggests_resolving else ""),
        notes_limit=NOTES_MAX_LENGTH,
        idempotency_key=secrets.token_hex(16),
        notice=t.get(f"ticket.done.{done}.{view.delivery.status}")
        if done in {"created", "retried"}
        else t(f"ticket.change.done.{done}")
        if done in _NOTICES
        else None,
        timeline=[
            (event.at, event_words(event, t, state_names=names, time_zone=connection.time_zone, titles=titles))
            for event in reversed(ticket.timeline)
        ],
    )


_BACK: Final = {
    "/": "nav.home",
    "/attention": "nav.attention",
    "/evidence": "nav.evidence",
    "/recommendations": "nav.recommendations",
    "/tickets": "nav.tickets",
}
"""The pages to which a ticket's page leads back, with their names."""


def ticket_place(call: Call, ticket_id: str, done: str = "") -> str:
    """Return a ticket's address with the way back that this one has.

    Args:
        done: What the page says was done.
    """
    given = {"done": done, FROM: _way_back(call)}
    query = urlencode({name: value for name, value in given.items() if value}, quote_via=quote)
    return f"/tickets/{ticket_id}?{query}" if query else f"/tickets/{ticket_id}"


def _way_back(call: Call) -> str:
    """Return the page that leads here, if it is one of ours; empty for anything else."""
    asked = call.query.get(FROM, "")
    address = own_address(asked)
    if address == "/" and asked != "/":
        return ""
    return address if _page_of(address) in _BACK else ""


def _back_label(address: str) -> str:
    return _BACK[_page_of(address)]


def _page_of(address: str) -> str:
    """Return the page of an address; one recommendation belongs to their list."""
    path = address.partition("?")[0]
    return "/recommendations" if path.startswith("/recommendations/") else path


def _phases_of(call: Call, ticket: Ticket) -> Collection[Phase]:
    """Return the phases through which records of the ticket's kind go, in an unchanged instance."""
    kind, states = ticket.content.kind, call.application.states
    if kind not in set(TicketKind):
        return set(Phase)
    return {states.phase(kind, state) for state in states.usual(kind)}


def assigned_rows(ticket: TicketView, record: RecordDetails | None) -> Sequence[Assigned]:
    """Return group, assignee and configuration item, as asked for and as ServiceNow has them."""
    seen = ticket.servicenow
    rows = []
    for name, column, asked, followed in (
        ("assignment_group", "assignment_group", ticket.assignment_group, seen and seen.assignment_group),
        ("assigned_to", "assigned_to", ticket.assigned_to, seen and seen.assigned_to),
        ("configuration_item", "cmdb_ci", ticket.configuration_item, None),
    ):
        live = None if record is None else record.assigned.get(column)
        shown = followed if live is None else live.label
        differs = asked if live is None or live.value != asked else None
        if shown or differs:
            rows.append(Assigned(name, shown or None, differs))
    return rows


async def _updates_of(call: Call, ticket: Ticket) -> Sequence[Update]:
    return [] if ticket.record is None else await call.application.updates.present(ticket)


async def _record_of(call: Call, connection: Connection, ticket: Ticket, *, asks: bool) -> RecordDetails | None:
    return await call.application.live_records.read(connection, ticket) if asks else None


def _reasons_against(
    ticket: Ticket, connection: Connection, updates: Sequence[Update], t: Language
) -> Mapping[UpdateKind, str]:
    """Return why the page does not offer a change, in words; one that it offers is missing."""
    waits = any(each.kind in STATE_CHANGES and each.status is UpdateStatus.WAITING for each in updates)
    reasons: dict[UpdateKind, str] = {}
    for change in CHANGES:
        try:
            raise_unless_possible(ticket, connection, change)
        except FixRequest as error:
            reasons[change] = t(f"ticket.change.impossible.{error.code}")
            continue
        if change is UpdateKind.DUE_DATE and not ticket.is_open:
            reasons[change] = t("ticket.change.impossible.record_already_closed")
        elif change in STATE_CHANGES and waits:
            reasons[change] = t("ticket.change.impossible.state_change_waiting")
    return reasons


def _values(ticket: Ticket, connection: Connection, typed: TypedChange, resolve_notes: str) -> Mapping[str, str]:
    """Return what the forms' fields show."""
    due_at = ticket.due_at
    day = "" if due_at is None else last_day(due_at, connection.time_zone) or _day(due_at)
    shown = {"comment": "", "due_date": day, "resolve_notes": resolve_notes, "cancel_notes": ""}
    return {**shown, **{name: value for name, value in typed.values.items() if name in shown}}


def _day(at: datetime) -> str:
    return at.date().isoformat()


def _what(update: Update, connection: Connection, t: Language) -> str:
    due_at = None if update.due_at is None else update.due_at.isoformat()
    return what_is_asked(update.kind, due_at, t, connection.time_zone)


def _fields_at(ticket: Ticket, connection: Connection) -> str | None:
    """Return the page that says what to do about the values that ServiceNow refuses; None if it refuses none."""
    failure = ticket.delivery.failure
    if failure is None or failure.code not in _VALUES_REFUSED or connection.is_removed:
        return None
    return f"/configuration/{connection.connection_id}/preflight#kind-{ticket.content.kind}"


def _trouble(ticket: Ticket, connection: Connection, waiting: WaitsFor | None, t: Language) -> ErrorWords | None:
    """Return why a ticket is not delivered: the last attempt's error, or what is wrong with the connection now."""
    failure = ticket.delivery.failure
    if waiting is WaitsFor.AUTHORIZATION:
        failure = None if connection.last_error is None else connection.last_error.failure
    return None if failure is None else words_of(failure, t)
