"""Pages: provisioning, the installation checklist of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from zoneinfo import available_timezones

import azure.functions as func

from shared.check.findings import Finding
from shared.connections.lookup import get_known_connection, list_present_connections
from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.errors import ConnectorError, FixConfiguration, FixRequest, TryLater
from shared.triggers.accounts import CONNECTABLE, GRANTS, faults_of_refusal, save_account, typed_account
from shared.triggers.addresses import authorize_path
from shared.triggers.connection_forms import SECRET_FIELDS, account_values, connection_faults
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.triggers.routes import Keeps
from shared.web.checklist import PROVEN, PROVEN_BY, checklist, field_at_fault
from shared.web.connections import problem_of
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
from shared.words.language import Language, languages

blueprint = func.Blueprint()

PATH: Final = "ticketProvisioning"
NEW: Final = "new"
FROM: Final = "checklist"
"""What the field ``from`` says on the checklist's own button, so that a refusal is shown there."""


@page(blueprint, "GET", PATH, roles=MANAGERS, kept=("connection_id", NEW))
async def provisioning_page(call: Call) -> func.HttpResponse:
    """Show the checklist of a connection, or of a new one; without a name, of the only one whose set-up has begun."""
    connection_id = call.query.get("connection_id")
    if connection_id:
        return await show_checklist(call, await _known(call, connection_id))
    present = [] if NEW in call.query else await list_present_connections(call.application.connection_store)
    if not present:
        return await show_checklist(call, None)
    [first, *others] = present
    if others or first.ever_consented:
        return redirect("/configuration")
    return await show_checklist(call, first)


@page(blueprint, "POST", PATH, roles=MANAGERS, keeps=Keeps.FORM, secret_fields=SECRET_FIELDS)
async def provisioning_save(call: Call) -> func.HttpResponse:
    """Save what was entered, then connect or go on to the authorization; show at once what is found wrong."""
    connection_id = call.form.get("connection_id", "")
    connection = await _known(call, connection_id) if connection_id else None
    try:
        saved = await save_account(call, connection)
    except FixRequest as error:
        return await show_checklist(
            call,
            connection,
            values=typed_account(call.form, connection),
            faults=connection_faults(call.language, error),
            status=error.status,
        )
    if saved.grant is not Grant.CLIENT_CREDENTIALS or saved.status not in CONNECTABLE - PROVEN:
        return redirect(f"/{PATH}?connection_id={saved.connection_id}&done=saved#next")
    try:
        await call.application.client_credentials.connect(saved.connection_id, started_by=call.principal.object_id)
    except (FixConfiguration, TryLater) as error:
        return await show_checklist(call, await _known(call, saved.connection_id), refusal=error)
    return redirect(f"/configuration/{saved.connection_id}?done=authorized")


async def _known(call: Call, connection_id: str) -> Connection:
    return await get_known_connection(call.application.connection_store, connection_id)


async def _preflight(call: Call, connection: Connection | None) -> Sequence[Finding]:
    """Return what the checks of the steps found; none are needed once a token proves everything."""
    if connection is None or connection.status in PROVEN | {ConnectionStatus.NOT_CONFIGURED}:
        return ()
    return await call.application.check.before_consent(connection)


async def show_checklist(
    call: Call,
    connection: Connection | None,
    *,
    values: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
    refusal: ConnectorError | None = None,
    status: int | None = None,
) -> func.HttpResponse:
    """Return the checklist of a connection; of a new one if there is none or it is removed.

    Args:
        values: The form's fields; those of the connection if there are none.
        faults: What is wrong with the values that were sent.
        refusal: Why ServiceNow gave no token, or none that could be accepted.
        status: The answer's status; without it, that of the refusal, or 200.
    """
    app, t = call.application, call.language
    shown = None if connection is None or connection.is_removed else connection
    findings = await _preflight(call, shown)
    # What is wrong with a field is said there, and only there.
    words = [finding_words(each, t) for each in findings if field_at_fault(each) is None]
    may_connect = shown is not None and shown.status is not ConnectionStatus.NOT_CONFIGURED
    values = values or account_values(shown, t.code)
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
        address=f"/configuration/{PATH}",
        status=status or (200 if refusal is None else refusal.status),
        connection=shown,
        steps=checklist(shown, findings),
        findings={step: [each for each in words if each.check in checks] for step, checks in PROVEN_BY.items()},
        values=values,
        is_answer=not call.is_safe,
        is_refused=faults is not None,
        refusal=None if refusal is None else problem_of(refusal, t),
        faults=faults if faults is not None else _faults_found(findings, refusal, t),
        is_saved=call.query.get("done") == "saved",
        came_from=FROM,
        set_up=set_up,
        grants=GRANTS,
        tongues=[(code, each("language.name")) for code, each in languages().items()],
        time_zones=sorted(available_timezones()) if shown is None else (),
        is_consent=shown is not None and shown.grant is Grant.AUTHORIZATION_CODE,
        console_steps=CONSOLE,
        registry_steps=REGISTRY,
        user_steps=USER,
        step_values=values_of_steps(),
        instructions={grant: administrator_instructions(t, grant, set_up) for grant in GRANTS},
        links=set_up.links,
        may_connect=may_connect,
        authorize_path=authorize_path(shown.connection_id) if shown is not None else None,
        log_out_path=authorize_path(shown.connection_id, log_out_first=True) if shown is not None else None,
    )


def _faults_found(findings: Sequence[Finding], refusal: ConnectorError | None, t: Language) -> Mapping[str, str]:
    """Return what the checks and ServiceNow's refusal say about the values of fields, by field."""
    wrong = {field: finding_words(each, t) for each in findings if (field := field_at_fault(each)) is not None}
    faults = {field: f"{each.seen} {each.meaning} {each.fix}".strip() for field, each in wrong.items()}
    return faults if refusal is None else {**faults, **faults_of_refusal(refusal, t)}
