"""Pages: a new ticket, and one ticket."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

import azure.functions as func

from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection, TicketKind
from shared.errors import ConfirmationNeeded, ConnectionNotAuthorized, FixRequest, IdempotencyKeyReused
from shared.tenants.lookup import find_tenant
from shared.texts import utf16_length
from shared.tickets.create import Creation
from shared.tickets.model import DESCRIPTION_MAX_LENGTH, NAME_MAX_LENGTH, USUAL_LANGUAGE
from shared.tickets.preview import Preview
from shared.tickets.record_texts import SEPARATOR, description_with_block
from shared.tickets.requests import read_ticket_request, ticket_content
from shared.triggers.addresses import FROM
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.links import (
    CONNECTION,
    TICKET_CHOICES,
    TICKET_DEFAULTS,
    TICKET_FIELDS,
    NotUnderstood,
    TicketLink,
    link_words,
    misunderstood,
    read_ticket_link,
    unknown_connection,
)
from shared.triggers.named_fields import with_sys_ids
from shared.triggers.principal import CREATORS, READERS, Role
from shared.triggers.recommended_tickets import (
    TicketFor,
    asked_of_nothing_else,
    filled_values,
    recommended_request,
    ticket_for,
    usual_kind,
)
from shared.triggers.routes import Keeps
from shared.triggers.shown_tickets import shown_ticket, ticket_place
from shared.triggers.ticket_forms import FIELD_OF_PARAMETER, FIELDS, NAMED, ticket_body, ticket_faults
from shared.triggers.ticket_hints import ticket_hint
from shared.words.error_words import words_of

blueprint = func.Blueprint()


@page(blueprint, "GET", "tickets/new", roles=CREATORS, kept=TICKET_FIELDS)
async def new_ticket_form(call: Call) -> func.HttpResponse:
    """Show the form, prefilled from the address: that is how a portal's Share button hands over a recommendation.

    If the address names a recommendation that the connector has read, it fills in what the address leaves out.
    If it names only a tenant, the form has the tenant's connection.
    """
    link = read_ticket_link(call.query)
    if link.values["recommendation"]:
        return await _recommended_form(call, link)
    not_understood = list(link.not_understood)
    asked_tenant = link.values["tenant_id"].strip()
    tenant = await find_tenant(call.application.tenants, asked_tenant)
    if asked_tenant and tenant is None:
        not_understood.append(misunderstood("tenant_id", asked_tenant, "tenant"))
    connection_id = link.connection or (None if tenant is None else tenant.connection_id)
    present = {each.connection_id for each in await _consented_connections(call)}
    if connection_id is None and len(present) == 1:
        [connection_id] = present
    if connection_id is not None and connection_id not in present:
        exists = await call.application.connection_store.get_connection(connection_id) is not None
        not_understood.append(unknown_connection(CONNECTION, connection_id, exists=exists))
        connection_id = None
    if tenant is not None and connection_id is not None and not tenant.sends_to(connection_id):
        not_understood.append(misunderstood("tenant_id", asked_tenant, "tenant_elsewhere"))
    values = {
        **dict.fromkeys(FIELDS, ""),
        **link.values,
        "connection_id": connection_id or "",
        "tenant_id": "" if tenant is None else tenant.tenant_id,
    }
    return await _form(call, values, {}, secrets.token_hex(16), not_understood=not_understood)


@page(blueprint, "POST", "tickets/new", roles=CREATORS, keeps=Keeps.FORM)
async def new_ticket_send(call: Call) -> func.HttpResponse:
    """Show what will be sent, or send it; the key in the form makes a double submit create only one ticket."""
    values = {name: call.form.get(name, "").replace("\r\n", "\n") for name in FIELDS}
    key = call.form.get("idempotency_key") or secrets.token_hex(16)
    found = await ticket_for(call, values["tenant_id"], values["recommendation"]) if values["recommendation"] else None
    try:
        if call.form.get("step") != "send":
            return await _form(call, values, {}, key, await _preview(call, values, found), found=found)
        creation = await _create(call, values, found, f"form:{key}")
    except ConfirmationNeeded as error:
        faults = dict.fromkeys(("", "accepted"), call.language("error.confirmation_needed.message"))
        # From now on the key belongs to this request, and the person may change the form.
        preview = await _preview(call, values, found)
        return await _form(call, values, faults, secrets.token_hex(16), preview, found=found, status=error.status)
    except IdempotencyKeyReused as error:
        faults = {"": call.language("new.sent_before")}
        return await _form(call, values, faults, secrets.token_hex(16), found=found, status=error.status)
    except FixRequest as error:
        # Nothing was stored, but the key may belong to this request by now.
        wrong = ticket_faults(call.language, error)
        return await _form(call, values, wrong, secrets.token_hex(16), found=found, status=error.status)
    return redirect(f"/tickets/{creation.ticket.ticket_id}?done=created")


@page(blueprint, "POST", "tickets/{ticket_id}/retry", roles=CREATORS, belongs_to="/tickets/{ticket_id}")
async def retry_ticket_page(call: Call) -> func.HttpResponse:
    """Deliver a failed or waiting ticket now, and show it."""
    ticket, connection = await call.application.search.get_known(call.path_parameter("ticket_id"))
    await call.application.resending.retry(
        connection, ticket, although_outcome_unknown=call.form.get("although_outcome_unknown") == "true"
    )
    return redirect(ticket_place(call, ticket.ticket_id, "retried"))


@page(blueprint, "GET", "tickets/{ticket_id}", roles=READERS, kept=(FROM,))
async def ticket_page(call: Call) -> func.HttpResponse:
    """Show a ticket and everything that happened to it."""
    ticket, connection = await call.application.search.get_known(call.path_parameter("ticket_id"))
    return await shown_ticket(call, ticket, connection)


async def _recommended_form(call: Call, link: TicketLink) -> func.HttpResponse:
    """Show the form filled in from a stored recommendation, or say why it cannot become a ticket."""
    app = call.application
    tenant_id, key = link.values["tenant_id"], link.values["recommendation"]
    try:
        found = await ticket_for(call, tenant_id, key)
        consented = {each.connection_id: each for each in await _consented_connections(call)}
        connection = consented.get(found.tenant.connection_id or link.connection or "")
        if found.tenant.connection_id is not None and connection is None:
            raise ConnectionNotAuthorized()
        if connection is None and len(consented) == 1:
            [connection] = consented.values()
        kind = TicketKind(link.values["kind"]) if "kind" in link.given else usual_kind(connection)
        asked = asked_of_nothing_else(found, kind)
        request = (await app.recommendation_ticketing.prepared(asked, call.principal.requester)).request
    except FixRequest as error:
        return _refusal(call, tenant_id, error)
    values = dict.fromkeys(FIELDS, "") | filled_values(request)
    values["connection_id"] = "" if connection is None else connection.connection_id
    values |= {name: link.values[name] for name in link.given}
    return await _form(call, values, {}, secrets.token_hex(16), found=found, not_understood=link.not_understood)


def _refusal(call: Call, tenant_id: str, error: FixRequest) -> func.HttpResponse:
    """Return the page that says why a recommendation cannot become a ticket, and where to go on."""
    return call.page(
        "recommendation_refused.html",
        status=error.status,
        words=words_of(error, call.language),
        recommendations="/recommendations"
        if error.code in {"tenant_not_found", "invalid_tenant_id"}
        else f"/recommendations?tenant_id={tenant_id}",
        manage="/ticketProvisioning"
        if isinstance(error, ConnectionNotAuthorized) and call.may(Role.CONNECTIONS_MANAGE)
        else None,
    )


async def _create(call: Call, values: Mapping[str, str], found: TicketFor | None, key: str) -> Creation:
    """Create the ticket that the form asks for. Raises FixRequest."""
    app, requester, caller = call.application, call.principal.requester, call.principal.object_id
    values = await _with_sys_ids(call, values)
    accepted = call.form.get("accepted", "").split()
    if found is None:
        request = read_ticket_request(ticket_body(values))
        return await app.creation.create(request, requester, caller=caller, idempotency_key=key, accepted=accepted)
    accepted += found.accepted
    return await app.recommendation_ticketing.create(
        recommended_request(values), requester, caller=caller, idempotency_key=key, accepted=accepted
    )


async def _preview(call: Call, values: Mapping[str, str], found: TicketFor | None) -> Preview:
    """Return what the form would send. Raises FixRequest."""
    app, requester = call.application, call.principal.requester
    values = await _with_sys_ids(call, values)
    if found is None:
        return await app.preview.show(read_ticket_request(ticket_body(values)), requester)
    ready = await app.recommendation_ticketing.prepared(recommended_request(values), requester)
    preview = await app.preview.show(ready.request, requester)
    return replace(preview, warnings=[each for each in preview.warnings if not each.keys <= set(found.accepted)])


async def _with_sys_ids(call: Call, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the form's fields with a ``sys_id`` wherever somebody typed a name. Raises FixRequest."""
    app = call.application
    if not any(values[pointer.strip("/")].strip() for pointer in NAMED):
        return values
    connection = await app.creation.usable_connection(values["connection_id"] or None)
    return (await with_sys_ids(app, connection, "invalid_ticket", dict(values), NAMED)).body


async def _consented_connections(call: Call) -> Sequence[Connection]:
    present = await list_present_connections(call.application.connection_store)
    return [each for each in present if each.ever_consented]


async def _form(
    call: Call,
    values: Mapping[str, str],
    faults: Mapping[str, str],
    idempotency_key: str,
    preview: Preview | None = None,
    *,
    found: TicketFor | None = None,
    not_understood: Sequence[NotUnderstood] = (),
    status: int = 200,
) -> func.HttpResponse:
    t = call.language
    fixed = None if found is None else found.tenant.connection_id
    usable = [each for each in await _consented_connections(call) if fixed in {None, each.connection_id}]
    connections = [(each.connection_id, each.display_name) for each in usable]
    chosen = next((each for each in usable if each.connection_id == values["connection_id"]), None)
    choices = {
        name: [(choice.value, t(f"{name}.{choice}")) for choice in choices] for name, choices in TICKET_CHOICES.items()
    }
    response = call.page(
        "new_ticket.html",
        status=status,
        values=values,
        found=found,
        faults=faults,
        preview=preview,
        hint=await ticket_hint(call, chosen, values["kind"]),
        idempotency_key=idempotency_key,
        is_answer=not call.is_safe,
        connections=connections,
        shares_requester=chosen is None or chosen.shares_requester,
        tenants=[] if found is not None else await _tenants(call, chosen, values["tenant_id"]),
        connection_name=dict(connections).get(values["connection_id"]),
        # A single connection needs no choice, unless another one was asked for.
        chooses_connection=[each for each, _ in connections] != [values["connection_id"]],
        not_understood=[
            (FIELD_OF_PARAMETER.get(each.parameter), link_words(each, t, _instead(each, values, choices)))
            for each in not_understood
        ],
        name_limit=NAME_MAX_LENGTH,
        description_limit=_description_limit(call, values, USUAL_LANGUAGE if chosen is None else chosen.language),
        choices=choices,
    )
    # Without its own copy of the answer to a POST, a browser shows an error when somebody goes back to it.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


async def _tenants(call: Call, connection: Connection | None, tenant_id: str) -> Sequence[tuple[str, str]]:
    """Return the tenants of which a person chooses one, so that the ticket has its company.

    Args:
        connection: The chosen one.
        tenant_id: The tenant that the form or a link names: it is among them if its tickets can go to the connection.
    """
    app = call.application
    found = [] if connection is None else await app.companies.to_choose_from(connection.connection_id)
    names = {each.tenant_id: each.name for each in found}
    named = await find_tenant(app.tenants, tenant_id)
    if named is not None and (connection is None or named.sends_to(connection.connection_id)):
        names[named.tenant_id] = named.name
    return sorted(names.items(), key=lambda each: each[1].casefold())


def _instead(each: NotUnderstood, values: Mapping[str, str], choices: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Return what a field shows instead of the value that the link asked for."""
    return dict(choices.get(each.parameter, ())).get(values.get(each.parameter, ""), "")


def _description_limit(call: Call, values: Mapping[str, str], language: str) -> int:
    """Return how long the description may be, given the block made from the form."""
    try:
        request = read_ticket_request(ticket_body({**values, "name": "x", "description": "", "due_date": ""}))
    except FixRequest:
        request = read_ticket_request(ticket_body({**dict.fromkeys(FIELDS, ""), **TICKET_DEFAULTS, "name": "x"}))
    unbound = Connection(connection_id="", display_name="", instance="", client_id="", integration_user="")
    content = ticket_content(request, call.principal.requester, replace(unbound, language=language))
    return DESCRIPTION_MAX_LENGTH - utf16_length(description_with_block(content) + SEPARATOR)
