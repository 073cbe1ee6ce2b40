"""Page: what is sent where when, a test message, and the last messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import azure.functions as func

from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection
from shared.errors import AskedAgainTooSoon, FixRequest
from shared.triggers.answers import problem_headers
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.triggers.routes import Keeps
from shared.words.error_words import words_of

blueprint = func.Blueprint()

PATH: Final = "configuration/{connection_id}/reminders"
SECRET_FIELDS: Final = frozenset({"teams_address", "webhook_address", "signing_secret"})
"""Those of the form that no page repeats."""


@page(blueprint, "GET", PATH, roles=MANAGERS)
async def reminders_page(call: Call) -> func.HttpResponse:
    """Show the reminders of a connection."""
    return await _shown(call, await _present(call), tested=call.query.get("done") == "tested")


@page(blueprint, "POST", PATH, roles=MANAGERS, keeps=Keeps.FORM, secret_fields=SECRET_FIELDS)
async def reminders_save(call: Call) -> func.HttpResponse:
    """Store what the form says; a signing secret that was made is shown in this answer only."""
    from shared.reminders.requests import read_reminders_request
    from shared.triggers.reminder_forms import form_body, reminder_faults

    connection, app = await _present(call), call.application
    try:
        request = read_reminders_request(form_body(call.form), app.settings.allowed_webhook_hosts)
        changed = await app.reminder_configuration.put(connection.connection_id, request)
    except FixRequest as error:
        faults = reminder_faults(call.language, error)
        return await _shown(call, connection, values=call.form, faults=faults, status=error.status)
    if changed.new_secret is not None:
        return await _shown(call, connection, new_secret=changed.new_secret.reveal())
    return redirect(f"/configuration/{connection.connection_id}/reminders?done=saved")


@page(
    blueprint,
    "POST",
    f"{PATH}/test",
    roles=MANAGERS,
    belongs_to="/configuration/{connection_id}/reminders",
)
async def reminders_test(call: Call) -> func.HttpResponse:
    """Send a test message to each receiver; the page shows what each answered."""
    connection, app = await _present(call), call.application
    try:
        await app.reminder_turn.test(connection)
    except AskedAgainTooSoon as error:
        answer = await _shown(call, connection, error=error, status=error.status)
        answer.headers.update(problem_headers(error))
        return answer
    await app.turns.wake(connection.connection_id, reminders=True)
    return redirect(f"/configuration/{connection.connection_id}/reminders?done=tested#messages")


async def _shown(
    call: Call,
    connection: Connection,
    *,
    values: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
    new_secret: str | None = None,
    tested: bool = False,
    error: AskedAgainTooSoon | None = None,
    status: int = 200,
) -> func.HttpResponse:
    from shared.reminders.model import Cause, Receiver
    from shared.triggers.reminder_forms import WEEKDAYS, form_values

    stored = await call.application.open_reminders().get(connection.connection_id)
    return call.page(
        "reminders.html",
        status=status,
        connection=connection,
        values=form_values(stored.settings) if values is None else values,
        faults=faults or {},
        causes=list(Cause),
        weekdays=[(str(day), call.language(f"reminders.weekday.{day}")) for day in WEEKDAYS],
        receivers=stored.settings.receivers,
        has_teams=Receiver.TEAMS in stored.settings.receivers,
        has_webhook=Receiver.WEBHOOK in stored.settings.receivers,
        messages=list(reversed(stored.messages)),
        new_secret=new_secret,
        saved=new_secret is not None or call.query.get("done") == "saved",
        tested=tested,
        error=None if error is None else words_of(error, call.language),
    )


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
