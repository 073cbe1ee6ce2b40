"""The account of a connection as forms send it: saving it, and what is wrong with it. Set-up and repair share this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.access.current import seen_by
from shared.access.model import EVERYTHING
from shared.connections.configure import has_secret
from shared.connections.instance_address import normalise_instance
from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.connections.new_id import connection_id_for
from shared.connections.requests import read_connection_request
from shared.errors import ConnectorError, FixRequest
from shared.triggers.connection_forms import account_body, account_values
from shared.triggers.front_door import Call
from shared.words.error_words import words_of
from shared.words.language import Language

GRANTS: Final = (Grant.CLIENT_CREDENTIALS, Grant.AUTHORIZATION_CODE)
"""The grants to choose from, the recommended one first."""
CONNECTABLE: Final = frozenset(ConnectionStatus) - {ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.DISCONNECTED}
_FIELD_OF_REFUSAL: Final = {
    "authorization_wrong_user": "integration_user",
    "authorization_user_inactive": "integration_user",
    "authorization_user_locked": "integration_user",
    "authorization_create_refused": "integration_user",
    "authorization_read_refused": "integration_user",
}
"""The field that a refusal of a token is about."""


async def save_account(call: Call, connection: Connection | None) -> Connection:
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
    with seen_by(EVERYTHING):  # A new id must not be that of a connection that the caller may not see.
        known = await app.connection_store.list_connections()
    connection_id = connection_id_for(instance, request.client_id, request.integration_user, known)
    return (await app.configuration.put(connection_id, request)).connection


def typed_account(form: Mapping[str, str], connection: Connection | None) -> Mapping[str, str]:
    """Return the fields as they were sent, to be shown again without the client secret."""
    shown = account_values(connection)
    typed = shown | {name: form.get(name, "") for name in shown if name in form or name != "grant"}
    return typed | {"client_secret": ""}


def faults_of_refusal(refusal: ConnectorError, t: Language) -> Mapping[str, str]:
    """Return what ServiceNow's refusal says about the values of fields, by field."""
    field = _FIELD_OF_REFUSAL.get(refusal.code)
    return {} if field is None else {field: words_of(refusal, t).message}
