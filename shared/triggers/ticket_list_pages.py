"""Pages: the list of tickets, and the same list for a spreadsheet."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import azure.functions as func

from shared.connections.lookup import connections_by_id, counted_ids
from shared.connections.model import Connection
from shared.tickets.identity import decode_cursor
from shared.tickets.lists import Show, SortColumn, first_order, page_of, plain
from shared.tickets.model import Delivery
from shared.tickets.ports import NO_NAME
from shared.tickets.requests import MAX_RETRIED
from shared.tickets.views import ticket_view
from shared.triggers.addresses import from_query
from shared.triggers.file_language import file_language
from shared.triggers.freshness import freshness_of
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.links import (
    CONNECTION,
    FILTER_LABELS,
    GROUPS_OF_WORDS,
    LIST_CHOICES,
    LIST_COUNTS,
    LIST_DAYS,
    LIST_FILTERS,
    LIST_NAMES,
    LIST_PARAMETERS,
    NotUnderstood,
    link_words,
    list_address,
    read_list_link,
)
from shared.triggers.principal import READERS, Role
from shared.triggers.ticket_lists import (
    DONE,
    NOTHING_SELECTED,
    SELECTED,
    TABS,
    FoundTickets,
    find_tickets,
    list_after,
    result_words,
    selected_tickets,
    understood,
)
from shared.value_object import value_object
from shared.web.csv_export import tickets_csv
from shared.web.lists import Chip, Heading, next_order, page_numbers
from shared.web.ticket_rows import ticket_rows
from shared.words.language import Language

blueprint = func.Blueprint()

_TAB_NAMES: Final = frozenset(tab.value for tab in TABS if tab is not None)
_WITHIN: Final = {
    Show.NOT_OVERDUE.value: Show.OPEN.value,
    Show.PENDING.value: Show.NOT_DELIVERED.value,
    Show.FAILED.value: Show.NOT_DELIVERED.value,
}
"""Parts of the list without a tab of their own, by the tab that they are in."""
PAGE_TICKETS: Final = 25
EXPORT_TICKETS: Final = 10_000
EXPORT_PART: Final = 1000
OTHER_PARAMETERS: Final = frozenset({"cursor", DONE})
"""What the list's address contains besides its own parameters. ``cursor`` is in addresses of earlier releases."""
RETRIED_SHOWS: Final = frozenset({Show.FAILED.value, Show.NOT_DELIVERED.value})
"""The parts of the list on which a button sends all failed tickets again."""


@value_object
class Tab:
    """A part of the list that one can open.

    Attributes:
        show: Its value in the address; empty for the whole list.
        count: How many tickets it has; None if that is not known.
        current: Whether it is shown (``page``) or only a part of it (``true``), for assistive technology; empty if not.
    """

    show: str
    name: str
    count: int | None
    address: str
    current: str


@page(blueprint, "GET", "tickets", roles=READERS, kept=(*LIST_PARAMETERS, "cursor"))
async def ticket_list_page(call: Call) -> func.HttpResponse:
    """Show one page of tickets; if the address is not understood, the page lists nothing and says so."""
    app, t = call.application, call.language
    connections = await connections_by_id(app.connection_store)
    link = read_list_link(call.query, connections, OTHER_PARAMETERS)
    cursor = call.query.get("cursor", "")
    after = decode_cursor(cursor) if cursor else None
    not_understood = [*link.not_understood, *([NotUnderstood("cursor", cursor)] if cursor and after is None else [])]
    if not_understood:
        return call.page("tickets.html", status=400, not_understood=[link_words(each, t) for each in not_understood])
    chosen = link.chosen
    shown_ids = {chosen[CONNECTION]} if chosen[CONNECTION] else set(counted_ids(connections))
    watched = [each for each in connections.values() if each.connection_id in shown_ids and not each.is_removed]
    found, freshness = await asyncio.gather(find_tickets(call, chosen, connections), freshness_of(call, watched))
    shown = page_of(found.tickets, _page_number(chosen, found, after), PAGE_TICKETS)
    here = list_address(**{**chosen, "page": str(shown.number) if shown.number > 1 else ""})
    # Only the whole list has tickets of removed connections.
    has_customers = sum(not (chosen["show"] and each.is_removed) for each in connections.values()) > 1
    tenants = await app.tenants.list_tenants() if has_customers else ()
    failed_count = 0
    if chosen["show"] in RETRIED_SHOWS and call.may(Role.TICKETS_CREATE):
        failed_count = sum(ticket.delivery is Delivery.FAILED for ticket in found.tickets)
    return call.page(
        "tickets.html",
        not_understood=(),
        freshness=freshness,
        rows=ticket_rows(shown.items, connections, t, tenants),
        found=found,
        excluded=0 if chosen[CONNECTION] else sum(each.is_excluded for each in connections.values()),
        shown=shown,
        page_numbers=page_numbers(shown.number, shown.pages),
        page_address=lambda number: list_address(**{**chosen, "page": str(number) if number > 1 else ""}),
        chosen=chosen,
        from_here=from_query(here),
        tabs=[_tab(tab, chosen, found.counts[tab], t) for tab in TABS],
        chips=_chips(chosen, connections, t),
        cleared_address=list_address(show=chosen["show"] if chosen["show"] in _TAB_NAMES else ""),
        headings={column.value: _heading(column, chosen, found, t) for column in SortColumn},
        sorts=[each for each in _choices("sort", t) if has_customers or each[0] != SortColumn.CUSTOMER],
        has_customers=has_customers,
        has_outcomes=any(ticket.outcome is not None for ticket in shown.items),
        notice=result_words(call),
        failed_count=failed_count,
        most_retried=MAX_RETRIED,
        export_address=list_address("/tickets.csv", **{**chosen, "page": ""}),
        most_exported=EXPORT_TICKETS,
        day_filters=LIST_DAYS,
        hidden_filters=list(LIST_COUNTS),
        choices={name: _choices(name, t) for name in LIST_CHOICES},
        connections=[(each.connection_id, each.display_name) for each in connections.values()],
        people=_names("assigned_to", chosen, found.people, t),
        groups=_names("assignment_group", chosen, found.groups, t),
    )


@page(blueprint, "GET", "tickets.csv", roles=READERS, kept=LIST_PARAMETERS)
async def export_tickets(call: Call) -> func.HttpResponse:
    """Answer with the first tickets of the same list as a file."""
    connections = await connections_by_id(call.application.connection_store)
    chosen = understood(read_list_link(call.query, connections, ()))
    found = await find_tickets(call, chosen, connections)
    ticket_ids = [each.ticket_id for each in found.tickets[:EXPORT_TICKETS]]
    return await _csv(call, chosen, connections, ticket_ids)


@page(blueprint, "POST", "tickets/export-selected", roles=READERS, belongs_to="/tickets")
async def export_selected_tickets(call: Call) -> func.HttpResponse:
    """Answer with the selected tickets as a file, in the order of the list."""
    connections = await connections_by_id(call.application.connection_store)
    chosen = understood(read_list_link(call.form, connections, {SELECTED}))
    selected = selected_tickets(call)
    if not selected:
        return redirect(list_after(chosen, NOTHING_SELECTED))
    return await _csv(call, chosen, connections, selected)


async def _csv(
    call: Call, chosen: Mapping[str, str], connections: Mapping[str, Connection], ticket_ids: Sequence[str]
) -> func.HttpResponse:
    t = file_language(connections.get(chosen["connection"]), call.language)
    now = call.application.clock()
    views = []
    for part in itertools.batched(ticket_ids, EXPORT_PART, strict=False):
        tickets = await call.application.search.find_all(connections, part)
        views += [
            ticket_view(tickets[each], connections.get(tickets[each].connection_id), now, call.language)
            for each in part
            if each in tickets
        ]
    return func.HttpResponse(
        tickets_csv(views, {each.connection_id: each.display_name for each in connections.values()}, t),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="tickets.csv"',
            "Cache-Control": "no-store",
        },
    )


def _page_number(chosen: Mapping[str, str], found: FoundTickets, after: str | None) -> int:
    """Return the page that an address asks for.

    Args:
        after: The ticket after which an earlier release's page began, when lists could only be the newest first.
    """
    if chosen["page"] or after is None:
        return int(chosen["page"] or 1)
    return sum(ticket.ticket_id <= after for ticket in found.tickets) // PAGE_TICKETS + 1


def _tab(tab: Show | None, chosen: Mapping[str, str], count: int | None, t: Language) -> Tab:
    show = "" if tab is None else tab.value
    # Each part has its usual order until somebody chooses one there.
    address = list_address(**{**chosen, "show": show, "sort": "", "order": "", "page": ""})
    current = "page" if chosen["show"] == show else "true" if _WITHIN.get(chosen["show"]) == show else ""
    return Tab(show, t(f"filter.show.{show or 'all'}"), count, address, current)


def _chips(chosen: Mapping[str, str], connections: Mapping[str, Connection], t: Language) -> Sequence[Chip]:
    """Return a chip for each filter that no tab shows."""
    return [
        Chip(
            label=t(FILTER_LABELS[name]),
            value=_value_words(name, chosen[name], connections, t),
            address=list_address(**{**chosen, name: "", "page": ""}),
        )
        for name in LIST_FILTERS
        if chosen[name] and not (name == "show" and chosen[name] in _TAB_NAMES)
    ]


def _value_words(name: str, value: str, connections: Mapping[str, Connection], t: Language) -> str:
    if name == CONNECTION:
        return connections[value].display_name
    if name in LIST_NAMES and plain(value) == NO_NAME:
        return t(f"filter.{name}.none")
    return t(f"{GROUPS_OF_WORDS.get(name, name)}.{value}") if name in LIST_CHOICES else value


def _heading(column: SortColumn, chosen: Mapping[str, str], found: FoundTickets, t: Language) -> Heading:
    present = found.order if column is found.column else None
    sorts = {"sort": column.value, "order": next_order(present, first_order(column)).value, "page": ""}
    return Heading(
        name=t(f"ticket_column.{column}"),
        sorted=None if present is None else present.value,
        address=list_address(**{**chosen, **sorts}),
    )


def _choices(name: str, t: Language) -> Sequence[tuple[str, str]]:
    group = GROUPS_OF_WORDS.get(name, name)
    return [(each.value, t(f"{group}.{each}")) for each in LIST_CHOICES[name]]


def _names(parameter: str, chosen: Mapping[str, str], names: Iterable[str], t: Language) -> Sequence[tuple[str, str]]:
    """Return the names that a filter offers: none at all, those in the list, and the one that is chosen."""
    by_plain = {plain(name): name for name in (NO_NAME, *sorted(names), chosen[parameter]) if plain(name)}
    if len(by_plain) == 1 and not chosen[parameter]:
        return ()
    none = by_plain.pop(NO_NAME)
    return [(none, t(f"filter.{parameter}.none")), *((by_plain[key], by_plain[key]) for key in sorted(by_plain))]
