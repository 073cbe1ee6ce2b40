"""The tickets that an address of the list asks for: for the page, for what it exports, and for what it sends again."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final

import azure.functions as func

from shared.connections.lookup import counted_ids
from shared.connections.model import Connection, Portal, TicketKind
from shared.errors import FixRequest
from shared.tickets.identity import is_ticket_id
from shared.tickets.listed import ListedTicket
from shared.tickets.lists import (
    Order,
    Reader,
    Show,
    SortColumn,
    filtered,
    first_order,
    is_about_current,
    is_in,
    ordered,
    usual_sort,
)
from shared.tickets.model import Phase, Priority
from shared.tickets.outcomes import Outcome
from shared.tickets.ports import TicketFilter
from shared.tickets.ranges import Range, times_of_age
from shared.tickets.requests import MAX_RETRIED
from shared.tickets.resend import Resent
from shared.tickets.waiting import WaitsFor
from shared.triggers.cookies import cookie_value, set_cookie
from shared.triggers.front_door import Call, redirect
from shared.triggers.links import CONNECTION, LIST_FILTERS, LIST_PARAMETERS, ListLink, list_address
from shared.value_object import value_object
from shared.words.sentences import sentences

TABS: Final = (
    Show.OPEN,
    Show.MINE,
    Show.OVERDUE,
    Show.DUE_SOON,
    Show.NOT_DELIVERED,
    Show.WAITING_FOR_PROOF,
    Show.NOT_FIXED,
    Show.REGRESSED,
    None,
)
"""The parts of the list that the page offers; None stands for the whole list."""
SELECTED: Final = "ticket"
"""The field of a row's checkbox."""
NOT_FAILED: Final = "not_failed"
RESULTS_OF_SENDING: Final = (
    Resent.DELIVERED.value,
    *(f"{Resent.WAITING}_{each}" for each in WaitsFor),
    Resent.REFUSED.value,
    Resent.NOT_SENT.value,
    NOT_FAILED,
)
"""What can become of a ticket that was to be sent again; for a waiting one, with what it waits for."""
DONE: Final = "done"
"""What an address of the list says about a form that was sent from it: its name, and nothing that can be wrong.

After tickets were sent again it is the random name of what the browser keeps about them."""
NOTHING_SELECTED: Final = "nothing_selected"
_SENDING_COOKIE: Final = "tickets-sent"
_SENDING_IS_KEPT_S: Final = 600
_TICKET_COUNT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_SUMMARIZED: Final = frozenset({"show", "kind", CONNECTION})
"""Parameters beside which the summaries know how many tickets the whole list has."""


@value_object
class FoundTickets:
    """The tickets that an address asks for.

    Attributes:
        tickets: In the list's order.
        column, order: That order.
        counts: How many tickets each of TABS has with the same filters; None if only reading all of them would show it.
        is_complete: False while a new release is still collecting the tickets for its lists.
        people, groups: Whom the tickets have, whoever and whichever group is chosen.
        total, open_total: How many tickets the chosen connections have, whatever the filters; exact even then. Open
            ones of removed connections do not count, as in the parts.
    """

    tickets: Sequence[ListedTicket]
    column: SortColumn
    order: Order
    counts: Mapping[Show | None, int | None]
    is_complete: bool
    people: Collection[str]
    groups: Collection[str]
    total: int
    open_total: int


async def find_tickets(call: Call, chosen: Mapping[str, str], connections: Mapping[str, Connection]) -> FoundTickets:
    """Return the tickets that a list shows.

    Args:
        chosen: Parameters that are understood (:func:`shared.triggers.links.read_list_link`).
        connections: All of them, by id.
    """
    now = call.application.clock()
    reader = Reader(call.principal.object_id, call.principal.name)
    show = Show(chosen["show"]) if chosen["show"] else None
    wanted = ticket_filter(chosen, now)
    ids = [chosen[CONNECTION]] if chosen[CONNECTION] else counted_ids(connections)
    reads_all = not is_about_current(wanted, show)
    current, every = await asyncio.gather(
        call.application.tickets.list_current(ids), _every(call, ids) if reads_all else _nothing()
    )
    # The choices of a name are those beside it, so that somebody who has chosen one can choose another.
    named = TicketFilter(assigned_to=wanted.assigned_to, assignment_group=wanted.assignment_group)
    unnamed = replace(wanted, assigned_to=None, assignment_group=None)
    present = filtered((ticket for each in current for ticket in each.tickets), unnamed)
    active_ids = set(ids if chosen[CONNECTION] else active(ids, connections))
    in_parts = [ticket for ticket in present if ticket.connection_id in active_ids]
    candidates = filtered(in_parts, named)
    counts: dict[Show | None, int | None] = {
        tab: sum(is_in(ticket, tab, now, reader) for ticket in candidates) for tab in TABS if tab is not None
    }
    summaries = [each.summary for each in current]
    kinds = [TicketKind(chosen["kind"])] if chosen["kind"] else list(TicketKind)
    is_summarized = not any(chosen[name] for name in LIST_FILTERS if name not in _SUMMARIZED)
    if show is not None:
        beside = [ticket for ticket in in_parts if is_in(ticket, show, now, reader)]
        counts[None] = (
            sum(summary.ticket_count(kind) for summary in summaries for kind in kinds) if is_summarized else None
        )
    else:
        beside = filtered(every, unnamed) if reads_all else present
        counts[None] = len(filtered(beside, named))
    column, order = _sort(chosen, show)
    customers = {each.connection_id: each.display_name for each in connections.values()}
    return FoundTickets(
        tickets=ordered(filtered(beside, named), column, order, customers),
        column=column,
        order=order,
        counts=counts,
        is_complete=all(each.is_complete for each in current),
        people={each.assigned_to for each in beside if each.assigned_to},
        groups={each.assignment_group for each in beside if each.assignment_group},
        total=sum(summary.ticket_count(kind) for summary in summaries for kind in TicketKind),
        open_total=sum(
            each.summary.open_count(kind) for each in current if each.connection_id in active_ids for kind in TicketKind
        ),
    )


def active(connection_ids: Iterable[str], connections: Mapping[str, Connection]) -> Sequence[str]:
    """Return those of which open tickets count: nobody works on a removed connection's unless that one is chosen."""
    return [each for each in connection_ids if not connections[each].is_removed]


def understood(link: ListLink) -> Mapping[str, str]:
    """Return the parameters. Raises FixRequest if one is not understood: it must not mean all tickets."""
    if link.not_understood:
        raise FixRequest("invalid_parameter", variant="filter", parameter=link.not_understood[0].parameter)
    return link.chosen


def selected_tickets(call: Call) -> Sequence[str]:
    """Return the ids of the tickets that a person selected on the list, in its order.

    Raises:
        FixRequest: 400 ``invalid_parameter``.
    """
    selected = [each.strip().lower() for each in call.content.values_of(SELECTED)]
    if len(selected) > MAX_RETRIED:
        raise FixRequest("invalid_parameter", variant="selection", parameter=SELECTED, limit=MAX_RETRIED)
    return [each for each in selected if is_ticket_id(each)]


def list_after(chosen: Mapping[str, str], done: str) -> str:
    """Return the address of the list after a form was sent from it."""
    address = list_address(**{name: chosen[name] for name in LIST_PARAMETERS})
    return f"{address}{'&' if '?' in address else '?'}{DONE}={done}"


def list_after_sending(
    call: Call, chosen: Mapping[str, str], counts: Mapping[str, int], reason: str | None
) -> func.HttpResponse:
    """Lead to the list after tickets were sent again, and let the browser keep what became of them for a while.

    It is in a cookie and not in the address, because anybody can write an address. Both have the same random name: no
    other list, tab or person is shown it.

    Args:
        counts: How many tickets had each of RESULTS_OF_SENDING.
        reason: The most frequent code of those that were not delivered.
    """
    done = secrets.token_hex(8)
    response = redirect(list_after(chosen, done))
    results = {result: str(count) for result, count in counts.items() if count} | ({"reason": reason} if reason else {})
    value = "~".join([done, *(f"{name}.{result}" for name, result in results.items())])
    name = _sending_cookie(call)
    secure = name.startswith("__Host-")
    set_cookie(response, name, value, max_age_s=_SENDING_IS_KEPT_S, secure=secure)
    return response


def result_words(call: Call) -> str | None:
    """Return what became of a form that was sent from the list."""
    t, asked = call.language, call.query.get(DONE)
    if asked == NOTHING_SELECTED:
        return t("tickets.nothing_selected")
    done, *sent = (cookie_value(call.request.headers, _sending_cookie(call)) or "").split("~")
    if not done or done != asked:
        return None
    results = dict(part.split(".", 1) for part in sent if "." in part)
    said = [
        t(f"tickets.retried.{result}", count=results[result])
        for result in RESULTS_OF_SENDING
        if _TICKET_COUNT.fullmatch(results.get(result, ""))
    ]
    reason = t.filled(f"error.{results.get('reason', '')}.message", {})
    return sentences(*said, reason if said else None) or t("tickets.retried.none")


def _sending_cookie(call: Call) -> str:
    """Return the cookie's name; over https only this host can set it."""
    is_secure = call.application.settings.public_base_url.startswith("https:")
    return f"{'__Host-' if is_secure else ''}{_SENDING_COOKIE}"


def ticket_filter(chosen: Mapping[str, str], now: datetime) -> TicketFilter:
    """Return which tickets parameters that are understood ask for, apart from the part of the list."""
    return TicketFilter(
        text=chosen["text"] or None,
        kind=TicketKind(chosen["kind"]) if chosen["kind"] else None,
        phase=Phase(chosen["phase"]) if chosen["phase"] else None,
        outcome=Outcome(chosen["outcome"]) if chosen["outcome"] else None,
        portal=Portal(chosen["portal"]) if chosen["portal"] else None,
        priority=Priority(chosen["priority"]) if chosen["priority"] else None,
        assigned_to=chosen["assigned_to"] or None,
        assignment_group=chosen["assignment_group"] or None,
        opened_on=_range(chosen, "opened", date.fromisoformat),
        closed_on=_range(chosen, "closed", date.fromisoformat),
        created_at=times_of_age(_range(chosen, "age", int), now),
        proof_days=_range(chosen, "proof_days", int),
    )


def _range[Value: (int, date)](chosen: Mapping[str, str], name: str, read: Callable[[str], Value]) -> Range[Value]:
    lowest, highest = chosen[f"{name}_from"], chosen[f"{name}_to"]
    return Range(read(lowest) if lowest else None, read(highest) if highest else None)


def _sort(chosen: Mapping[str, str], show: Show | None) -> tuple[SortColumn, Order]:
    column, order = usual_sort(show)
    if chosen["sort"]:
        column = SortColumn(chosen["sort"])
        order = first_order(column)
    return column, Order(chosen["order"]) if chosen["order"] else order


async def _every(call: Call, connection_ids: Sequence[str]) -> Sequence[ListedTicket]:
    return await call.application.tickets.list_every(connection_ids)


async def _nothing() -> Sequence[ListedTicket]:
    return ()
