"""Pages: the list of tickets, and the same list for a spreadsheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlencode

import azure.functions as func

from shared.connections.lookup import connections_by_id
from shared.connections.model import Connection, Portal, TicketKind
from shared.errors import FixRequest
from shared.tickets.identity import decode_cursor, encode_cursor
from shared.tickets.lists import Order, SortColumn
from shared.tickets.model import Delivery, Phase, Ticket
from shared.tickets.outcomes import Outcome
from shared.tickets.ports import TicketFilter
from shared.tickets.resend import Resent, ResentTicket
from shared.tickets.views import TicketView, ticket_view
from shared.tickets.waiting import WaitsFor, waits_for
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.links import LIST_FILTERS, ListLink, NotUnderstood, link_words, read_list_link
from shared.triggers.principal import CREATORS, READERS, Role
from shared.triggers.ticket_filters import read_ticket_filter
from shared.web.csv_export import tickets_csv

blueprint = func.Blueprint()

PAGE_TICKETS: Final = 25
EXPORT_TICKETS: Final = 10_000
EXPORT_PAGE: Final = 1000
_SHOWS: Final[Mapping[str, Mapping[str, str]]] = {
    "open": {"open": "true"},
    "overdue": {"overdue": "true"},
    **{each.value: {"delivery": each.value} for each in (Delivery.PENDING, Delivery.FAILED)},
}
BECAME: Final = (
    Resent.DELIVERED.value,
    *(f"{Resent.WAITING}_{each}" for each in WaitsFor),
    Resent.REFUSED.value,
    Resent.NOT_SENT.value,
)
"""What can become of a ticket that was sent again; for a waiting one, with what it waits for."""
OTHER_PARAMETERS: Final = frozenset({"cursor", "done", "reason", *BECAME})
"""What the list's address contains besides the filters."""


@page(blueprint, "GET", "tickets", roles=READERS, kept=(*LIST_FILTERS, "cursor"))
async def ticket_list_page(call: Call) -> func.HttpResponse:
    """Show one page of tickets, newest first; if the address is not understood, the page lists nothing and says so."""
    connections = await connections_by_id(call.application.connection_store)
    link = read_list_link(call.query, connections, OTHER_PARAMETERS)
    chosen, cursor = link.chosen, call.query.get("cursor", "")
    after = decode_cursor(cursor) if cursor else None
    not_understood = [*link.not_understood, *([NotUnderstood("cursor", cursor)] if cursor and after is None else [])]
    found = (
        []
        if not_understood
        else await call.application.tickets.list_tickets(
            _chosen_connections(chosen, connections), _filter(call, chosen), limit=PAGE_TICKETS + 1, after=after
        )
    )
    now = call.application.clock()
    shown = found[:PAGE_TICKETS]
    filters = {name: value for name, value in chosen.items() if value}
    failed, more_failed = ((), False) if not_understood else await _failed(call, chosen, connections)
    older = {**filters, "cursor": encode_cursor(shown[-1].ticket_id)} if len(found) > PAGE_TICKETS else None
    t = call.language
    return call.page(
        "tickets.html",
        status=400 if not_understood else 200,
        not_understood=[link_words(each, t) for each in not_understood],
        tickets=[ticket_view(ticket, connections.get(ticket.connection_id), now, call.language) for ticket in shown],
        chosen=chosen,
        cursor=cursor,
        zones={each.connection_id: each.time_zone for each in connections.values()},
        filter_query=_query(filters),
        filters=filters,
        failed_count=len(failed),
        more_failed=more_failed,
        notice=_notice(call),
        next_query=_query(older) if older else None,
        kinds=[(kind, t(f"kind.{kind}")) for kind in TicketKind],
        phases=[(phase, t(f"phase.{phase}")) for phase in Phase],
        outcomes=[(outcome, t(f"ticket_outcome.{outcome}")) for outcome in Outcome],
        portals=[(portal, t(f"portal.{portal}")) for portal in Portal],
        sorts=[(column, t(f"ticket_column.{column}")) for column in SortColumn],
        orders=[(order, t(f"order.{order}")) for order in Order],
        shows=[(show, t(f"filter.show.{show}")) for show in _SHOWS],
        connections=[(each.connection_id, each.display_name) for each in connections.values()],
    )


@page(blueprint, "POST", "tickets/retry", roles=CREATORS, belongs_to="/tickets")
async def retry_tickets_page(call: Call) -> func.HttpResponse:
    """Send the failed tickets of a filter again, and say on the list what became of them."""
    connections = await connections_by_id(call.application.connection_store)
    chosen = {**_understood(read_list_link(call.form, connections, ())), "show": Delivery.FAILED.value}
    failed, _ = await _failed(call, chosen, connections)
    resent = await call.application.resending.resend(connections, failed)
    by_id = {ticket.ticket_id: ticket for ticket in failed}
    present = await connections_by_id(call.application.connection_store)  # Sending shows whether a connection works.
    counts = Counter(_became(each, by_id[each.ticket_id], present) for each in resent)
    reasons = Counter(
        each.failure.code for each in resent if each.outcome in {Resent.REFUSED, Resent.NOT_SENT} and each.failure
    )
    result = {became: str(count) for became, count in counts.items()}
    if reasons:
        result["reason"] = reasons.most_common(1)[0][0]
    filters = {name: value for name, value in chosen.items() if value}
    return redirect(f"/tickets{_query({**filters, 'done': 'retried', **result})}")


@page(blueprint, "GET", "tickets.csv", roles=READERS, kept=LIST_FILTERS)
async def export_tickets(call: Call) -> func.HttpResponse:
    """Answer with the newest tickets of the same filter as a file."""
    connections = await connections_by_id(call.application.connection_store)
    chosen = _understood(read_list_link(call.query, connections, ()))
    now = call.application.clock()
    views: list[TicketView] = []
    after: str | None = None
    while len(views) < EXPORT_TICKETS:
        tickets = await call.application.tickets.list_tickets(
            _chosen_connections(chosen, connections), _filter(call, chosen), limit=EXPORT_PAGE, after=after
        )
        views += [ticket_view(ticket, connections.get(ticket.connection_id), now, call.language) for ticket in tickets]
        if len(tickets) < EXPORT_PAGE:
            break
        after = tickets[-1].ticket_id
    return func.HttpResponse(
        tickets_csv(views),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="tickets.csv"',
            "Cache-Control": "no-store",
        },
    )


def _became(resent: ResentTicket, ticket: Ticket, connections: Mapping[str, Connection]) -> str:
    """Return what became of a ticket that was sent again: one of BECAME."""
    if resent.outcome is not Resent.WAITING:
        return resent.outcome.value
    return f"{resent.outcome}_{waits_for(ticket, connections[ticket.connection_id])}"


def _understood(link: ListLink) -> Mapping[str, str]:
    """Return the filters. Raises FixRequest if one is not understood: it must not mean all tickets."""
    if link.not_understood:
        raise FixRequest("invalid_parameter", variant="filter", parameter=link.not_understood[0].parameter)
    return link.chosen


async def _failed(
    call: Call, chosen: Mapping[str, str], connections: Mapping[str, Connection]
) -> tuple[Sequence[Ticket], bool]:
    """Return the failed tickets that this list can send again, and whether there are more; none on other lists."""
    if chosen["show"] != Delivery.FAILED or not call.may(Role.TICKETS_CREATE):
        return (), False
    return await call.application.resending.failed_tickets(
        _chosen_connections(chosen, connections), _filter(call, chosen)
    )


def _notice(call: Call) -> str | None:
    """Return what became of the tickets that were sent again, as the address says."""
    if call.query.get("done") != "retried":
        return None
    t = call.language
    counts = {became: call.query.get(became, "") for became in BECAME}
    said = [
        t(f"tickets.retried.{became}", count=count)
        for became, count in counts.items()
        if count.isascii() and count.isdigit() and len(count) < 4
    ]
    reason = t.filled(f"error.{call.query.get('reason', '')}.message", {})
    return " ".join([*said, *([reason] if said and reason else [])]) or t("tickets.retried.none")


def _chosen_connections(chosen: Mapping[str, str], connections: Mapping[str, Connection]) -> Sequence[str]:
    wanted = chosen["connection"]
    return [wanted] if wanted else list(connections)


def _filter(call: Call, chosen: Mapping[str, str]) -> TicketFilter:
    filters = {name: chosen[name] for name in ("kind", "phase", "outcome", "portal") if chosen[name]}
    asked = {**filters, **_SHOWS.get(chosen["show"], {})}
    # The API refuses a text that is longer than any name; the page just lists nothing.
    return replace(read_ticket_filter(asked, call.application.clock()), text=chosen["text"] or None)


def _query(parameters: Mapping[str, str]) -> str:
    return f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
