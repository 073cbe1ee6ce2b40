"""Page: what a connection sends to ServiceNow, reads from ServiceNow and Microsoft, and keeps."""

from __future__ import annotations

from datetime import timedelta

import azure.functions as func

from shared.connections.lookup import get_present_connection
from shared.triggers.front_door import Call, page
from shared.triggers.principal import CREATORS, MANAGERS, Role
from shared.words.language import Language

blueprint = func.Blueprint()


@page(blueprint, "GET", "configuration/{connection_id}/data", roles=CREATORS | MANAGERS)
async def data_page(call: Call) -> func.HttpResponse:
    """Show, for everybody who may create tickets, what a ticket of theirs would send, and what is kept for how long."""
    app = call.application
    connection = await get_present_connection(app.connection_store, call.path_parameter("connection_id"))
    exchange = app.data_exchange
    return call.page(
        "data.html",
        connection=connection,
        records=exchange.sent(connection, call.principal.requester, app.clock()),
        read=exchange.read,
        kept=[(each, _how_long(each.lasts, call.language)) for each in exchange.kept],
        microsoft=exchange.microsoft,
        may_manage=call.may(Role.CONNECTIONS_MANAGE),
    )


def _how_long(lasts: timedelta | None, t: Language) -> str | None:
    """Return a time in words; None if the words for what is kept say it."""
    if lasts is None:
        return None
    seconds = int(lasts.total_seconds())
    if seconds < 300:
        return t("data.seconds", count=seconds)
    return t("data.hours", count=seconds // 3600) if lasts <= timedelta(days=2) else t("data.days", count=lasts.days)
