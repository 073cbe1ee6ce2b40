"""Page: what is sent where when, a test message, and the last messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import azure.functions as func

from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection
from shared.errors import FixRequest
from shared.reminders.model import Cause, Receiver, ReminderSettings
from shared.reminders.requests import read_reminders_request
from shared.triggers.form_faults import Shown, fault_texts
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.words.language import Language

blueprint = func.Blueprint()

PATH: Final = "configuration/{connection_id}/reminders"
WEEKDAYS: Final = range(1, 8)
_ADDRESSES: Final = ("teams_address", "webhook_address")
_FIELDS: Final[Mapping[tuple[str, ...], str]] = {
    ("digest", "weekday"): "digest_weekday",
    ("digest", "at"): "digest_at",
    ("quiet_hours",): "quiet_to",
    ("quiet_hours", "begin_at"): "quiet_from",
    ("quiet_hours", "end_at"): "quiet_to",
}


@page(blueprint, "GET", PATH, roles=MANAGERS)
async def reminders_page(call: Call) -> func.HttpResponse:
    """Show the reminders of a connection."""
    return await _shown(call, await _present(call), tested=call.query.get("done") == "tested")


@page(blueprint, "POST", PATH, roles=MANAGERS)
async def reminders_save(call: Call) -> func.HttpResponse:
    """Store what the form says; a signing secret that was made is shown in this answer only."""
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
    await app.reminder_turn.test(connection)
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
    status: int = 200,
) -> func.HttpResponse:
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
    )


def form_values(settings: ReminderSettings) -> dict[str, str]:
    """Return the fields of the form; addresses and secrets are never shown again."""
    return {
        "digest": "on" if settings.has_digest else "",
        "digest_weekday": str(settings.digest_weekday),
        "digest_at": settings.digest_at,
        "quiet_from": settings.quiet_from or "",
        "quiet_to": settings.quiet_to or "",
        **{f"urgent_{cause}": "on" if cause in settings.causes else "" for cause in Cause},
    }


def form_body(form: Mapping[str, str]) -> dict[str, object]:
    """Return the request that the form's fields mean."""
    body: dict[str, object] = {
        name: None if form.get(f"remove_{name}") else form[name].strip()
        for name in _ADDRESSES
        if form.get(f"remove_{name}") or form.get(name, "").strip()
    }
    if secret := form.get("signing_secret", "").strip():
        body["signing_secret"] = secret
    weekday, begin, end = (form.get(name, "").strip() for name in ("digest_weekday", "quiet_from", "quiet_to"))
    digest = {
        "weekday": int(weekday) if weekday in set(map(str, WEEKDAYS)) else weekday,
        "at": form.get("digest_at", ""),
    }
    return body | {
        "new_signing_secret": bool(form.get("new_signing_secret")),
        "digest": digest if form.get("digest") else None,
        "urgent": [cause.value for cause in Cause if form.get(f"urgent_{cause}")],
        "quiet_hours": {"begin_at": begin, "end_at": end} if begin or end else None,
    }


def reminder_faults(t: Language, error: FixRequest) -> dict[str, str]:
    """Return one text for each field; texts that concern no field are under the empty name."""
    return fault_texts(t, error, field_of_code={}, shown=_place)


def _place(pointer: Sequence[str]) -> Shown:
    return Shown(_FIELDS.get(tuple(pointer), pointer[0]), "")


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
