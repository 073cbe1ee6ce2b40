"""HTTP API: a connection's reminders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.principal import MANAGERS

if TYPE_CHECKING:
    from shared.reminders.requests import RemindersRequest
    from shared.reminders.views import RemindersView, TestMessagesView

blueprint = func.Blueprint()


# The models are loaded on first use, because few requests need them.
def reminders_request() -> type[RemindersRequest]:
    """Return the model of a change."""
    from shared.reminders.requests import RemindersRequest

    return RemindersRequest


def reminders_view() -> type[RemindersView]:
    """Return the model of the reminders of a connection."""
    from shared.reminders.views import RemindersView

    return RemindersView


def test_messages_view() -> type[TestMessagesView]:
    """Return the model of what became of test messages."""
    from shared.reminders.views import TestMessagesView

    return TestMessagesView


@route(
    blueprint,
    "GET",
    "api/connections/{connection_id}/reminders",
    summary="Show what is sent where when, and the last messages",
    roles=MANAGERS,
    answers={200: reminders_view},
    problems={400: ("invalid_connection_id",), 404: ("connection_not_found",)},
)
async def get_reminders(call: Call) -> JsonAnswer:
    """Answer with the settings and the last messages, without any address."""
    connection = await _present(call)
    stored = await call.application.open_reminders().get(connection.connection_id)
    return JsonAnswer(reminders_view().of(connection.connection_id, connection.time_zone, stored))


@route(
    blueprint,
    "PUT",
    "api/connections/{connection_id}/reminders",
    summary="Change what is sent where when",
    roles=MANAGERS,
    body=reminders_request,
    answers={200: reminders_view},
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

    app = call.application
    request = read_reminders_request(call.json(), app.settings.allowed_webhook_hosts)
    connection = await _present(call)
    changed = await app.reminder_configuration.put(connection.connection_id, request)
    secret = None if changed.new_secret is None else changed.new_secret.reveal()
    return JsonAnswer(reminders_view().of(connection.connection_id, connection.time_zone, changed.reminders, secret))


@route(
    blueprint,
    "POST",
    "api/connections/{connection_id}/reminders/test",
    summary="Send a test message to each receiver, and say what it answered",
    roles=MANAGERS,
    answers={200: test_messages_view},
    problems={
        400: ("invalid_connection_id",),
        404: ("connection_not_found",),
        429: ("test_messages_just_sent",),
        503: ("connection_busy",),
    },
)
async def send_test_messages(call: Call) -> JsonAnswer:
    """Answer with what became of each message; that a receiver refuses it is no error."""
    from shared.reminders.views import ReceiverView

    app, connection = call.application, await _present(call)
    sent = await app.reminder_turn.test(connection)
    await app.turns.wake(connection.connection_id, reminders=True)
    return JsonAnswer(test_messages_view()(messages=tuple(map(ReceiverView.of, sent))))


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
