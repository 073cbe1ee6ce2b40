"""Page: how a connection reaches its instance: address, OAuth client, integration user, grant."""

from __future__ import annotations

from collections.abc import Mapping

import azure.functions as func

from shared.connections.configure import has_secret
from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection, Grant
from shared.errors import ConnectorError, FixConfiguration, FixRequest, TryLater
from shared.triggers.accounts import CONNECTABLE, GRANTS, faults_of_refusal, save_account, typed_account
from shared.triggers.connection_forms import SECRET_FIELDS, account_values, connection_faults
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.triggers.routes import Keeps
from shared.web.checklist import PROVEN
from shared.web.connections import problem_of
from shared.web.servicenow_links import servicenow_links

blueprint = func.Blueprint()


@page(blueprint, "GET", "configuration/{connection_id}/account", roles=MANAGERS)
async def account_page(call: Call) -> func.HttpResponse:
    """Show the form."""
    connection = await _present(call)
    return _form(call, connection, account_values(connection))


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/account",
    roles=MANAGERS,
    keeps=Keeps.FORM,
    secret_fields=SECRET_FIELDS,
)
async def account_save(call: Call) -> func.HttpResponse:
    """Save it, and connect if that needs nobody; a refusal is shown at the field that it is about."""
    connection = await _present(call)
    try:
        saved = await save_account(call, connection)
    except FixRequest as error:
        faults = connection_faults(call.language, error)
        return _form(call, connection, typed_account(call.form, connection), faults=faults, status=error.status)
    place = f"/configuration/{saved.connection_id}?done="
    if saved.grant is not Grant.CLIENT_CREDENTIALS or saved.status not in CONNECTABLE - PROVEN:
        return redirect(f"{place}account_saved")
    try:
        await call.application.client_credentials.connect(saved.connection_id, started_by=call.principal.object_id)
    except (FixConfiguration, TryLater) as error:
        present = await _present(call)
        return _form(call, present, account_values(present), refusal=error, status=error.status)
    return redirect(f"{place}authorized")


def _form(
    call: Call,
    connection: Connection,
    values: Mapping[str, str],
    *,
    faults: Mapping[str, str] | None = None,
    refusal: ConnectorError | None = None,
    status: int = 200,
) -> func.HttpResponse:
    found = {} if refusal is None else faults_of_refusal(refusal, call.language)
    return call.page(
        "account.html",
        status=status,
        connection=connection,
        values=values,
        grants=GRANTS,
        faults=found if faults is None else faults,
        is_refused=faults is not None,
        is_answer=not call.is_safe,
        refusal=None if refusal is None else problem_of(refusal, call.language),
        links=servicenow_links(connection),
        keeps_secret=has_secret(connection),
    )


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
