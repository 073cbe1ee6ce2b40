"""Pages: tickets for several recommendations at once, before they are created and while they are delivered."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import azure.functions as func

from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection, TicketKind
from shared.errors import FixRequest, IdempotencyKeyReused
from shared.recommendations.model import ImprovementAction
from shared.recommendations.requests import (
    MOST_AT_ONCE,
    RecommendedTicketRequest,
    read_batch_request,
)
from shared.recommendations.statuses import points_to_gain
from shared.recommendations.ticketing.suggestions import Suggestion, suggestion_for
from shared.recommendations.ticketing.tickets_beside import TicketsBeside
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.tickets.model import MOST_REFERENCES, Delivery, Priority, Ticket
from shared.tickets.views import TicketView, ticket_view
from shared.tickets.waiting import WaitsFor, waits_for
from shared.triggers.bulk_forms import batch_body, batch_faults, sent_values
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.named_fields import with_sys_ids
from shared.triggers.principal import CREATORS, READERS
from shared.triggers.recommended_tickets import recommendation_address, usual_kind
from shared.triggers.routes import Keeps
from shared.triggers.ticket_forms import NAMED
from shared.triggers.ticket_hints import ticket_hint
from shared.value_object import value_object
from shared.words.error_words import ErrorWords, words_of

if TYPE_CHECKING:
    from shared.recommendations.ticketing.bulk import BatchItem, BatchProgress

blueprint = func.Blueprint()

POLL_S: Final = 3.0
"""How long an answer may take to deliver tickets; the page asks again."""
_TEXTS: Final = ("short_description", "description")
_PROGRESS: Final = "/recommendations/tickets/batches/{batch_id}"


@value_object
class ChosenRow:
    """A recommendation that somebody has chosen.

    Attributes:
        gain: Points that it would add; None if nobody knows.
        open_ticket: Its open ticket; it is left out unless somebody wants another.
        refusal: Why it can get no ticket, or None.
    """

    action: ImprovementAction
    title: str
    address: str
    gain: Decimal | None
    suggestion: Suggestion
    open_ticket: TicketView | None
    refusal: str | None


@value_object
class Texts:
    """What one ticket for all says, as it will be sent."""

    name: str
    description: str
    is_shortened: bool


@value_object
class ProgressRow:
    """A ticket of a batch.

    Attributes:
        waiting: What it waits for; None if it does not wait.
        trouble: Why the last attempt did not succeed; None if there was no problem.
    """

    ticket: TicketView
    waiting: WaitsFor | None
    trouble: ErrorWords | None
    may_retry: bool


@value_object
class ItemRow:
    """A recommendation of a batch.

    Attributes:
        title: Its key if the connector no longer has it.
        address: Its page; None if the connector no longer has it.
        gain: Points that it would still add; None if nobody knows.
        refusal: Why it got no ticket; None if it has one.
        ticket_id: The open ticket that it has already; empty if there is none.
    """

    title: str
    address: str | None
    gain: Decimal | None
    refusal: ErrorWords | None
    ticket_id: str


@page(
    blueprint,
    "POST",
    "recommendations/tickets",
    roles=CREATORS,
    belongs_to="/recommendations",
    keeps=Keeps.ANSWER,
)
async def bulk_tickets_page(call: Call) -> func.HttpResponse:
    """Show what the chosen recommendations would become, or create it; looking stores nothing."""
    app, values = call.application, sent_values(call.form)
    tenant = await get_known_tenant(app.tenants, call.form.get("tenant_id", ""))
    keys = call.content.values_of("key")
    idempotency_key = call.form.get("idempotency_key") or secrets.token_hex(16)
    if call.form.get("step") != "create":
        return await _form(call, tenant, keys, values, {}, idempotency_key)
    try:
        sent = values
        if any(values[pointer.strip("/")] for pointer in NAMED):
            connection = await app.creation.usable_connection(tenant.connection_id or values["connection_id"] or None)
            sent = (await with_sys_ids(app, connection, "invalid_batch", dict(values), NAMED)).body
        progress = await app.batches.create(
            read_batch_request(batch_body(tenant.tenant_id, keys, sent)),
            call.principal.requester,
            caller=call.principal.object_id,
            idempotency_key=f"form:{idempotency_key}",
        )
    except IdempotencyKeyReused as error:
        faults = {"": call.language("new.sent_before")}
        return await _form(call, tenant, keys, values, faults, secrets.token_hex(16), status=error.status)
    except FixRequest as error:
        # Nothing was stored, but the key may belong to this request by now.
        wrong = batch_faults(call.language, error)
        return await _form(call, tenant, keys, values, wrong, secrets.token_hex(16), status=error.status)
    return redirect(_PROGRESS.format(batch_id=progress.batch.batch_id))


@page(blueprint, "GET", "recommendations/tickets/batches/{batch_id}", roles=READERS)
async def bulk_progress_page(call: Call) -> func.HttpResponse:
    """Show how far the tickets have come."""
    progress = await call.application.batches.progress(call.path_parameter("batch_id").lower())
    app, now = call.application, call.application.clock()
    tickets, statuses = progress.tickets, [each.delivery.status for each in progress.tickets]
    rows = [_progress_row(call, progress, each, now) for each in tickets]
    tenant = await app.tenants.get_tenant(progress.batch.tenant_id)
    items = await asyncio.gather(
        *(_item_row(call, progress, each) for each in progress.items if _is_named(each, tickets))
    )
    return call.page(
        "bulk_progress.html",
        batch=progress.batch,
        connection_name=progress.connection.display_name,
        done=progress.is_done,
        total=len(tickets),
        delivered=statuses.count(Delivery.DELIVERED),
        waiting=statuses.count(Delivery.PENDING),
        failed=statuses.count(Delivery.FAILED),
        rows=rows,
        together=[each for each in items if each.refusal is None],
        refused=[each for each in items if each.refusal is not None],
        tenant=tenant,
    )


@page(blueprint, "POST", "recommendations/tickets/batches/{batch_id}/deliver", roles=CREATORS, belongs_to=_PROGRESS)
async def bulk_deliver(call: Call) -> func.HttpResponse:
    """Deliver some of the tickets that wait, and show how far they have come."""
    progress = await call.application.batches.deliver_some(call.path_parameter("batch_id").lower(), within_s=POLL_S)
    return redirect(_PROGRESS.format(batch_id=progress.batch.batch_id))


@page(blueprint, "POST", "recommendations/tickets/batches/{batch_id}/retry", roles=CREATORS, belongs_to=_PROGRESS)
async def bulk_retry(call: Call) -> func.HttpResponse:
    """Deliver a failed ticket now, and show how far they have come."""
    app = call.application
    progress = await app.batches.progress(call.path_parameter("batch_id").lower())
    wanted = call.form.get("ticket_id")
    ticket = next((each for each in progress.tickets if each.ticket_id == wanted), None)
    if ticket is None:
        raise FixRequest("ticket_not_found", status=404)
    await app.resending.retry(progress.connection, ticket)
    return redirect(_PROGRESS.format(batch_id=progress.batch.batch_id))


async def _form(
    call: Call,
    tenant: Tenant,
    keys: Sequence[str],
    values: Mapping[str, str],
    faults: Mapping[str, str],
    idempotency_key: str,
    *,
    status: int = 200,
) -> func.HttpResponse:
    """Return the page that shows what will be created."""
    app, t, now = call.application, call.language, call.application.clock()
    actions, beside, present = await asyncio.gather(
        app.recommendations.list_actions(tenant.tenant_id),
        app.recommendation_tickets.of_tenant(tenant.tenant_id),
        list_present_connections(app.connection_store),
    )
    known = {each.key: each for each in actions}
    connections = [each for each in present if each.ever_consented]
    if tenant.connection_id is not None:
        connections = [each for each in connections if each.connection_id == tenant.connection_id]
    chosen = {each.connection_id: each for each in connections}.get(values["connection_id"])
    connection = chosen or (connections[0] if connections else None)
    rows = [_chosen_row(call, known[key], beside, connection, now) for key in keys if key in known]
    usable = [each for each in rows if each.refusal is None]
    free = [each for each in usable if each.open_ticket is None or values["create_another"]]
    values = dict(values) | {"kind": values["kind"] or usual_kind(connection).value}
    response = call.page(
        "bulk_tickets.html",
        status=status,
        tenant=tenant,
        connections=[(each.connection_id, each.display_name) for each in connections],
        connection=connection,
        keys=keys,
        rows=rows,
        unknown=len(keys) - len(rows),
        free=free,
        busy=[each for each in usable if each.open_ticket is not None],
        usable=usable,
        gain=sum((each.gain for each in free if each.gain is not None), Decimal(0)),
        most=MOST_AT_ONCE,
        most_together=MOST_REFERENCES,
        texts=await _texts_for_all(call, tenant, usable, connection, values),
        values=values,
        hint=await ticket_hint(call, connection, values["kind"]),
        faults=faults,
        idempotency_key=idempotency_key,
        kinds=[
            (kind.value, t(f"kind.{kind}"))
            for kind in TicketKind
            if connection is None or connection.kinds[kind].enabled
        ],
        priorities=[(each.value, t(f"priority.{each}")) for each in Priority],
    )
    # Without its own copy of the answer to a POST, a browser shows an error when somebody goes back to it.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _chosen_row(
    call: Call, action: ImprovementAction, beside: TicketsBeside, connection: Connection | None, now: datetime
) -> ChosenRow:
    from shared.recommendations.ticketing.filling_in import portal_of  # It loads what reads HTML.

    t = call.language
    refusal: str | None = None
    if action.gone_at is not None:
        refusal = t("action_status.gone")
    elif connection is not None and (portal := portal_of([action])) not in connection.portals:
        refusal = words_of(FixRequest("portal_not_enabled", portal=portal), t).message
    ticket = beside.ticket(action.key)
    view = None
    if ticket is not None and beside.is_open(ticket):
        view = ticket_view(ticket, beside.connections.get(ticket.connection_id), now, t)
    return ChosenRow(
        action=action,
        title=action.shown_title,
        address=recommendation_address(action.tenant_id, action.key),
        gain=points_to_gain(action),
        suggestion=suggestion_for(action, now),
        open_ticket=view,
        refusal=refusal,
    )


async def _texts_for_all(
    call: Call,
    tenant: Tenant,
    usable: Sequence[ChosenRow],
    connection: Connection | None,
    values: Mapping[str, str],
) -> Texts | None:
    """Return what one ticket for all would say; None if there can be none."""
    from shared.recommendations.ticketing.descriptions import is_shortened  # It loads what reads HTML.

    free = [each for each in usable if each.open_ticket is None or values["create_another"]] or usable
    if not 1 < len(free) <= MOST_REFERENCES or connection is None:
        return None
    asked = RecommendedTicketRequest(
        tenant_id=tenant.tenant_id,
        connection_id=connection.connection_id,
        recommendation_ids=tuple(each.action.key for each in free),
        kind=usual_kind(connection),
        create_another=True,
    )
    requester = call.principal.requester
    ready = await call.application.recommendation_ticketing.prepared(asked, requester)
    sent = dict((await call.application.preview.show(ready.request, requester)).fields)
    name, description = (sent[field] for field in _TEXTS)
    return Texts(name, description, is_shortened(description))


def _progress_row(call: Call, progress: BatchProgress, ticket: Ticket, now: datetime) -> ProgressRow:
    is_waiting = ticket.delivery.status is Delivery.PENDING
    failure = ticket.delivery.failure
    return ProgressRow(
        ticket=ticket_view(ticket, progress.connection, now, call.language),
        waiting=waits_for(ticket, progress.connection) if is_waiting else None,
        trouble=None if failure is None else words_of(failure, call.language),
        may_retry=ticket.delivery.status is Delivery.FAILED and not progress.connection.is_removed,
    )


def _is_named(item: BatchItem, tickets: Sequence[Ticket]) -> bool:
    """Whether the page names a recommendation: beside a ticket of its own, the ticket's name is enough."""
    return item.ticket is None or len(item.ticket.content.references) > 1


async def _item_row(call: Call, progress: BatchProgress, item: BatchItem) -> ItemRow:
    tenant_id = progress.batch.tenant_id
    action = await call.application.recommendations.get_action(tenant_id, item.key)
    return ItemRow(
        title=item.key if action is None else action.shown_title,
        address=None if action is None else recommendation_address(tenant_id, item.key),
        gain=None if action is None else points_to_gain(action),
        refusal=None if item.failure is None else words_of(item.failure, call.language),
        ticket_id=str(item.failure.values.get("ticket_id", "")) if item.failure is not None else "",
    )
