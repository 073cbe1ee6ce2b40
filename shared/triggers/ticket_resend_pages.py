"""Pages: sending failed tickets of the list again, all of a filter or those that a person has selected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import azure.functions as func

from shared.connections.lookup import connections_by_id
from shared.connections.model import Connection
from shared.tickets.model import Delivery, Ticket
from shared.tickets.requests import MAX_RETRIED
from shared.tickets.resend import Resent, ResentTicket
from shared.tickets.waiting import waits_for
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.links import read_list_link
from shared.triggers.principal import CREATORS
from shared.triggers.ticket_lists import (
    NOT_FAILED,
    NOTHING_SELECTED,
    SELECTED,
    find_tickets,
    list_after,
    list_after_sending,
    selected_tickets,
    understood,
)

blueprint = func.Blueprint()


@page(blueprint, "POST", "tickets/retry", roles=CREATORS, belongs_to="/tickets")
async def retry_tickets_page(call: Call) -> func.HttpResponse:
    """Send the newest failed tickets of a filter again, and say on the list what became of them."""
    connections = await connections_by_id(call.application.connection_store)
    chosen = understood(read_list_link(call.form, connections, ()))
    # The part of the list that people come from has the tickets that wait, too.
    found = await find_tickets(call, {**chosen, "show": Delivery.FAILED.value}, connections)
    newest = sorted(ticket.ticket_id for ticket in found.tickets)[:MAX_RETRIED]
    # A form that names no part of the list comes from elsewhere.
    return await _resend(call, connections, newest, {**chosen, "show": chosen["show"] or Delivery.FAILED.value})


@page(blueprint, "POST", "tickets/retry-selected", roles=CREATORS, belongs_to="/tickets")
async def retry_selected_tickets(call: Call) -> func.HttpResponse:
    """Send those of the selected tickets again that failed, and say on the list what became of all of them."""
    connections = await connections_by_id(call.application.connection_store)
    chosen = understood(read_list_link(call.form, connections, {SELECTED}))
    selected = selected_tickets(call)
    if not selected:
        return redirect(list_after(chosen, NOTHING_SELECTED))
    return await _resend(call, connections, selected, chosen)


async def _resend(
    call: Call, connections: Mapping[str, Connection], ticket_ids: Sequence[str], chosen: Mapping[str, str]
) -> func.HttpResponse:
    """Send the tickets again that failed, and lead to the list, which says what became of how many."""
    app = call.application
    tickets = await app.search.find_all(connections, ticket_ids)
    failed = [ticket for ticket in tickets.values() if ticket.delivery.status is Delivery.FAILED]
    resent = await app.resending.resend(connections, failed)
    present = await connections_by_id(app.connection_store)  # Sending shows whether a connection works.
    counts = Counter(_result(each, tickets[each.ticket_id], present) for each in resent)
    counts[NOT_FAILED] = len(tickets) - len(failed)
    reasons = Counter(
        each.failure.code for each in resent if each.outcome in {Resent.REFUSED, Resent.NOT_SENT} and each.failure
    )
    return list_after_sending(call, chosen, counts, reasons.most_common(1)[0][0] if reasons else None)


def _result(resent: ResentTicket, ticket: Ticket, connections: Mapping[str, Connection]) -> str:
    """Return what became of a ticket that was sent again: one of the results that the list has words for."""
    if resent.outcome is not Resent.WAITING:
        return resent.outcome.value
    return f"{resent.outcome}_{waits_for(ticket, connections[ticket.connection_id])}"
