"""Pages: provisioning, the installation checklist of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import azure.functions as func

from shared.check.findings import Outcome
from shared.connections.instance_address import normalise_instance
from shared.connections.lookup import get_known_connection, list_present_connections
from shared.connections.model import Connection, ConnectionStatus, consent_days_left
from shared.connections.new_id import connection_id_for
from shared.connections.requests import read_connection_request
from shared.errors import FixRequest
from shared.triggers.addresses import authorize_path
from shared.triggers.connection_forms import account_body, account_values, connection_faults
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.web.checklist import PROVEN, PROVEN_BY, checklist
from shared.web.findings import FindingWords, finding_words

blueprint = func.Blueprint()

PATH: Final = "ticketProvisioning"
NEW: Final = "new"


@page(blueprint, "GET", PATH, roles=MANAGERS, kept=("connection_id", NEW))
async def provisioning_page(call: Call) -> func.HttpResponse:
    """Show the checklist of one connection, or let the person choose one of several."""
    present = await list_present_connections(call.application.connection_store)
    connection_id = call.query.get("connection_id")
    if connection_id:
        return await _checklist(call, present, await _known(call, connection_id))
    if len(present) > 1 and NEW not in call.query:
        return call.page("connections.html", connections=present)
    return await _checklist(call, present, present[0] if present and NEW not in call.query else None)


@page(blueprint, "POST", PATH, roles=MANAGERS)
async def provisioning_save(call: Call) -> func.HttpResponse:
    """Save what was entered and go on to the authorization."""
    connection_id = call.form.get("connection_id", "")
    connection = await _known(call, connection_id) if connection_id else None
    try:
        saved = await _save(call, connection)
    except FixRequest as error:
        values = account_values(None) | {name: call.form.get(name, "") for name in account_values(None)}
        values["client_secret"] = ""
        return await _checklist(
            call,
            await list_present_connections(call.application.connection_store),
            connection,
            values=values,
            faults=connection_faults(call.language, error),
            status=error.status,
        )
    return redirect(f"/{PATH}?connection_id={saved.connection_id}&done=saved#authorize")


async def _save(call: Call, connection: Connection | None) -> Connection:
    """Save what was entered, as a new connection if there is none yet. Raises FixRequest."""
    app = call.application
    request = read_connection_request(account_body(call.form, connection))
    has_secret = connection is not None and connection.status is not ConnectionStatus.NOT_CONFIGURED
    if request.client_secret is None and not has_secret:
        raise FixRequest("client_secret_required", status=422)
    if connection is not None:
        return (await app.configuration.put(connection.connection_id, request)).connection
    instance = normalise_instance(
        request.instance,
        allowed_hosts=app.settings.allowed_servicenow_hosts,
        allow_loopback_http=app.settings.allow_loopback_http,
    )
    known = await app.connection_store.list_connections()
    connection_id = connection_id_for(instance, request.client_id, request.integration_user, known)
    return (await app.configuration.put(connection_id, request)).connection


async def _known(call: Call, connection_id: str) -> Connection:
    return await get_known_connection(call.application.connection_store, connection_id)


async def _preflight(call: Call, connection: Connection | None) -> Sequence[FindingWords]:
    """Return what the checks of the steps found; none are needed once a consent proves everything."""
    if connection is None or connection.status in PROVEN:
        return ()
    found = await call.application.check.preflight(connection)
    return [finding_words(each, call.language) for each in found]


async def _checklist(
    call: Call,
    present: Sequence[Connection],
    connection: Connection | None,
    *,
    values: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
    status: int = 200,
) -> func.HttpResponse:
    app = call.application
    shown = None if connection is None or connection.is_removed else connection
    findings = await _preflight(call, shown)
    may_authorize = shown is not None and shown.status is not ConnectionStatus.NOT_CONFIGURED
    return call.page(
        "provisioning.html",
        status=status,
        connection=shown,
        connections=present,
        place=f"/{PATH}?connection_id=",
        steps=checklist(
            shown,
            passed=[each.check for each in findings if each.outcome is Outcome.PASSED],
            failed=[each.check for each in findings if each.outcome is Outcome.FAILED],
        ),
        findings={step: [each for each in findings if each.check in checks] for step, checks in PROVEN_BY.items()},
        values=values or account_values(shown),
        is_answer=not call.is_safe,
        faults=faults or {},
        notice=call.query.get("done") if call.query.get("done") in {"saved", "authorized"} else None,
        redirect_uri=app.settings.redirect_uri,
        creating_roles=app.creating_roles,
        egress_addresses=app.settings.egress_addresses,
        consent_days_left=None if shown is None else consent_days_left(shown, app.clock()),
        authorize_path=authorize_path(shown.connection_id) if shown is not None and may_authorize else None,
        log_out_path=authorize_path(shown.connection_id, log_out_first=True)
        if shown is not None and may_authorize
        else None,
    )
