"""Pages: the forms of a ticket's page that change its record in ServiceNow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import azure.functions as func

from shared.errors import FixRequest, IdempotencyKeyReused
from shared.tickets.updates.model import UpdateKind
from shared.tickets.updates.requests import read_update_request
from shared.tickets.updates.views import result_of
from shared.triggers.form_faults import Shown, fault_texts
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import CREATORS
from shared.triggers.routes import Keeps
from shared.triggers.shown_tickets import TypedChange, shown_ticket, ticket_place
from shared.words.language import Language

blueprint = func.Blueprint()

FIELDS: Final = ("comment", "due_date", "resolve_notes", "cancel_notes", "confirmed")
_PAGE: Final = "/tickets/{ticket_id}"


@page(blueprint, "POST", "tickets/{ticket_id}/updates", roles=CREATORS, belongs_to=_PAGE, keeps=Keeps.FORM)
async def ticket_change_page(call: Call) -> func.HttpResponse:
    """Ask for a change, and show the ticket; the key in the form makes a double submit ask only once."""
    app, t = call.application, call.language
    ticket, connection = await app.search.get_known(call.path_parameter("ticket_id"))
    change = call.form.get("change", "")
    values = {name: call.form.get(name, "").replace("\r\n", "\n") for name in FIELDS}
    faults = _unconfirmed(change, values, t)
    status = 422
    if not faults:
        try:
            asked = await app.updates.ask(
                connection,
                ticket,
                read_update_request(_body(change, values)),
                call.principal.requester,
                caller=call.principal.object_id,
                idempotency_key=f"form:{call.form.get('idempotency_key', '')}",
            )
        except IdempotencyKeyReused as error:
            faults, status = {"": t("new.sent_before")}, error.status
        except FixRequest as error:
            faults, status = fault_texts(t, error, field_of_code={}, shown=_shown), error.status
        else:
            return redirect(ticket_place(call, ticket.ticket_id, result_of(asked)))
    return await shown_ticket(call, ticket, connection, TypedChange(change, values, faults, status))


@page(blueprint, "POST", "tickets/{ticket_id}/updates/{update_id}/retry", roles=CREATORS, belongs_to=_PAGE)
async def retry_ticket_change_page(call: Call) -> func.HttpResponse:
    """Send a refused or waiting change now, and show the ticket."""
    ticket, connection = await call.application.search.get_known(call.path_parameter("ticket_id"))
    asked = await call.application.updates.retry(connection, ticket, call.path_parameter("update_id"))
    return redirect(ticket_place(call, ticket.ticket_id, result_of(asked)))


@page(blueprint, "POST", "tickets/{ticket_id}/updates/{update_id}/discard", roles=CREATORS, belongs_to=_PAGE)
async def discard_ticket_change_page(call: Call) -> func.HttpResponse:
    """Discard a refused or waiting change, and show the ticket."""
    ticket, _ = await call.application.search.get_known(call.path_parameter("ticket_id"))
    await call.application.updates.discard(ticket, call.path_parameter("update_id"), call.principal.requester)
    return redirect(ticket_place(call, ticket.ticket_id, "discarded"))


def _body(change: str, values: dict[str, str]) -> object:
    """Return the request that a form means; one that the page does not have asks for nothing."""
    match change:
        case UpdateKind.COMMENT:
            return {"comment": values["comment"]}
        case UpdateKind.DUE_DATE:
            return {"due_date": values["due_date"] or None}
        case UpdateKind.RESOLVE | UpdateKind.CANCEL:
            return {change: {"notes": values[f"{change}_notes"]}}
        case _:
            return {}


def _unconfirmed(change: str, values: dict[str, str], t: Language) -> dict[str, str]:
    """Return what is missing for a cancellation: a person has to confirm it and to say why."""
    if change != UpdateKind.CANCEL:
        return {}
    faults: dict[str, str] = {}
    if not values["cancel_notes"].strip():
        faults["cancel_notes"] = t("ticket.change.cancel.reason_missing")
    if values["confirmed"] != "true":
        faults["confirmed"] = t("ticket.change.cancel.not_confirmed")
    return faults


def _shown(pointer: Sequence[str]) -> Shown:
    match pointer:
        case [("comment" | "due_date") as name]:
            return Shown(name, f"fault.{name}")
        case [("resolve" | "cancel") as change, "notes"]:
            return Shown(f"{change}_notes", "")
        case _:
            return Shown("", "")
