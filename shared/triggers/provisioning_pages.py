"""Pages: provisioning, the installation checklist of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import azure.functions as func

from shared.check.findings import Finding
from shared.connections.configure import has_secret
from shared.connections.instance_address import normalise_instance
from shared.connections.lookup import get_known_connection, list_present_connections
from shared.connections.model import Connection, ConnectionStatus, Grant, consent_days_left
from shared.connections.new_id import connection_id_for
from shared.connections.requests import read_connection_request
from shared.errors import ConnectorError, FixConfiguration, FixRequest, TryLater
from shared.triggers.addresses import authorize_path
from shared.triggers.connection_forms import account_body, account_values, connection_faults
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.web.checklist import PROVEN, PROVEN_BY, checklist, field_at_fault
from shared.web.findings import finding_words
from shared.web.instructions import (
    CONSOLE,
    REGISTRY,
    USER,
    SetUp,
    administrator_instructions,
    values_of_steps,
)
from shared.web.servicenow_links import servicenow_links
from shared.words.error_words import words_of
from shared.words.language import Language

blueprint = func.Blueprint()

PATH: Final = "ticketProvisioning"
NEW: Final = "new"
_CONNECTABLE: Final = frozenset(ConnectionStatus) - {ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.DISCONNECTED}
_FIELD_OF_REFUSAL: Final = {
    "authorization_wrong_user": "integration_user",
    "authorization_user_inactive": "integration_user",
    "authorization_user_locked": "integration_user",
    "authorization_create_refused": "integration_user",
    "authorization_read_refused": "integration_user",
}
"""The field that a refusal of a token is about."""
GRANTS: Final = (Grant.CLIENT_CREDENTIALS, Grant.AUTHORIZATION_CODE)
"""The grants to choose from, the recommended one first."""


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
    """Save what was entered, then connect or go on to the authorization; show at once what is found wrong."""
    connection_id = call.form.get("connection_id", "")
    connection = await _known(call, connection_id) if connection_id else None
    try:
        saved = await _save(call, connection)
    except FixRequest as error:
        shown = account_values(connection)
        values = shown | {name: call.form.get(name, "") for name in shown if name in call.form or name != "grant"}
        values["client_secret"] = ""
        return await _checklist(
            call,
            await list_present_connections(call.application.connection_store),
            connection,
            values=values,
            faults=connection_faults(call.language, error),
            status=error.status,
        )
    if saved.grant is Grant.CLIENT_CREDENTIALS and saved.status in _CONNECTABLE - PROVEN:
        return await _connect(call, saved)
    return redirect(f"/{PATH}?connection_id={saved.connection_id}&done=saved#next")


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/connect",
    roles=MANAGERS,
    belongs_to=f"/{PATH}?connection_id={{connection_id}}",
)
async def configuration_connect(call: Call) -> func.HttpResponse:
    """Connect with client credentials."""
    return await _connect(call, await _known(call, call.path_parameter("connection_id")))


async def _connect(call: Call, connection: Connection) -> func.HttpResponse:
    """Connect with client credentials; a refusal is shown at the field or step that it is about."""
    try:
        await call.application.client_credentials.connect(connection.connection_id, started_by=call.principal.object_id)
    except (FixConfiguration, TryLater) as error:
        return await _checklist(
            call,
            await list_present_connections(call.application.connection_store),
            await _known(call, connection.connection_id),
            refusal=error,
            status=error.status,
        )
    return redirect(f"/{PATH}?connection_id={connection.connection_id}&done=authorized")


async def _save(call: Call, connection: Connection | None) -> Connection:
    """Save what was entered, as a new connection if there is none yet. Raises FixRequest."""
    app = call.application
    request = read_connection_request(account_body(call.form, connection))
    if request.client_secret is None and (connection is None or not has_secret(connection)):
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


async def _preflight(call: Call, connection: Connection | None) -> Sequence[Finding]:
    """Return what the checks of the steps found; none are needed once a token proves everything."""
    if connection is None or connection.status in PROVEN | {ConnectionStatus.NOT_CONFIGURED}:
        return ()
    return await call.application.check.before_consent(connection)


async def _checklist(
    call: Call,
    present: Sequence[Connection],
    connection: Connection | None,
    *,
    values: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
    refusal: ConnectorError | None = None,
    status: int = 200,
) -> func.HttpResponse:
    app, t = call.application, call.language
    shown = None if connection is None or connection.is_removed else connection
    findings = await _preflight(call, shown)
    words = [finding_words(each, t) for each in findings]
    may_connect = shown is not None and shown.status is not ConnectionStatus.NOT_CONFIGURED
    values = values or account_values(shown)
    set_up = SetUp(
        redirect_uri=app.settings.redirect_uri,
        instance=None if shown is None else shown.instance,
        integration_user=None if shown is None else shown.integration_user,
        creating_roles=app.creating_roles,
        egress_addresses=app.settings.egress_addresses,
        links=None if shown is None else servicenow_links(shown),
    )
    return call.page(
        "provisioning.html",
        status=status,
        connection=shown,
        connections=present,
        place=f"/{PATH}?connection_id=",
        steps=checklist(shown, findings),
        findings={step: [each for each in words if each.check in checks] for step, checks in PROVEN_BY.items()},
        values=values,
        is_answer=not call.is_safe,
        is_refused=faults is not None,
        refusal=None if refusal is None else words_of(refusal, t),
        may_be_in_servicenow=refusal is not None and refusal.code == "client_credentials_refused",
        faults=faults if faults is not None else _faults_found(findings, refusal, t),
        notice=call.query.get("done") if call.query.get("done") in {"saved", "authorized"} else None,
        set_up=set_up,
        grants=GRANTS,
        is_consent=shown is not None and shown.grant is Grant.AUTHORIZATION_CODE,
        console_steps=CONSOLE,
        registry_steps=REGISTRY,
        user_steps=USER,
        step_values=values_of_steps(),
        instructions={grant: administrator_instructions(t, grant, set_up) for grant in GRANTS},
        links=set_up.links,
        consent_days_left=None if shown is None else consent_days_left(shown, app.clock()),
        may_connect=may_connect,
        authorize_path=authorize_path(shown.connection_id) if shown is not None else None,
        log_out_path=authorize_path(shown.connection_id, log_out_first=True) if shown is not None else None,
    )


def _faults_found(findings: Sequence[Finding], refusal: ConnectorError | None, t: Language) -> Mapping[str, str]:
    """Return what the checks and ServiceNow's refusal say about the values of fields, by field."""
    wrong = {field: each for each in findings if (field := field_at_fault(each)) is not None}
    faults = {field: finding_words(each, t).seen for field, each in wrong.items()}
    if refusal is not None and (field := _FIELD_OF_REFUSAL.get(refusal.code)) is not None:
        faults[field] = words_of(refusal, t).message
    return faults
