"""HTTP API: a connection's reminders."""

from __future__ import annotations

from typing import Final

import azure.functions as func

from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.principal import MANAGERS
from shared.triggers.routes import model_of

blueprint = func.Blueprint()

_REQUEST: Final = model_of("shared.reminders.requests", "RemindersRequest")
_REMINDERS: Final = model_of("shared.reminders.views", "RemindersView")
_TEST_MESSAGES: Final = model_of("shared.reminders.views", "TestMessagesView")


@route(
    blueprint,
    "GET",
    "api/connections/{connection_id}/reminders",
    summary="Show what is sent where when, and the last messages",
    roles=MANAGERS,
    answers={200: _REMINDERS},
    problems={400: ("invalid_connection_id",), 404: ("connection_not_found",)},
)
async def get_reminders(call: Call) -> JsonAnswer:
    """Answer with the settings and the last messages, without any address."""
    from shared.reminders.views import RemindersView

    connection = await _present(call)
    stored = await call.application.open_reminders().get(connection.connection_id)
    return JsonAnswer(RemindersView.of(connection.connection_id, connection.time_zone, stored))


@route(
    blueprint,
    "PUT",
    "api/connections/{connection_id}/reminders",
    summary="Change what is sent where when",
    roles=MANAGERS,
    body=_REQUEST,
    answers={200: _REMINDERS},
    problems={
        400: ("invalid_json", "invalid_connection_id"),
        404: ("connection_not_found",),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("invalid_reminders",),
        503: ("connection_busy", "lease_lost", "storage_access_refused", "secret_refused_by_policy"),
    },
)
async def put_reminders(call: Call) -> JsonAnswer:
    """Answer with the settings; a signing secret that was made is in this answer only."""
    from shared.reminders.requests import read_reminders_request
    from shared.reminders.views import RemindersView

    app = call.application
    request = read_reminders_request(call.json(), app.settings.allowed_webhook_hosts)
    connection = await _present(call)
    changed = await app.reminder_configuration.put(connection.connection_id, request)
    secret = None if changed.new_secret is None else changed.new_secret.reveal()
    return JsonAnswer(RemindersView.of(connection.connection_id, connection.time_zone, changed.reminders, secret))


@route(
    blueprint,
    "POST",
    "api/connections/{connection_id}/reminders/test",
    summary="Send a test message to each receiver, and say what it answered",
    roles=MANAGERS,
    answers={200: _TEST_MESSAGES},
    problems={
        400: ("invalid_connection_id",),
        404: ("connection_not_found",),
        429: ("test_messages_just_sent",),
        503: ("connection_busy",),
    },
)
async def send_test_messages(call: Call) -> JsonAnswer:
    """Answer with what became of each message; that a receiver refuses it is no error."""
    from shared.reminders.views import ReceiverView, TestMessagesView

    app, connection = call.application, await _present(call)
    sent = await app.reminder_turn.test(connection)
    await app.turns.wake(connection.connection_id, reminders=True)
    return JsonAnswer(TestMessagesView(messages=tuple(map(ReceiverView.of, sent))))


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
