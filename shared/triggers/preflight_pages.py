"""Pages: what ServiceNow will do with a connection's tickets, and the test ticket."""

from __future__ import annotations

import azure.functions as func

from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection, TicketKind
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS

blueprint = func.Blueprint()


@page(blueprint, "GET", "configuration/{connection_id}/preflight", roles=MANAGERS)
async def preflight_page(call: Call) -> func.HttpResponse:
    """Show what will become of the fields of new tickets."""
    # Loaded on first use, because few requests need it.
    from shared.web.preflight import kind_card

    connection = await _present(call)
    app = call.application
    outlooks = await app.preflight.look(connection, app.servicenow.probe, call.principal.requester)
    return call.page(
        "preflight.html",
        connection=connection,
        cards=[kind_card(each, call.language) for each in outlooks],
        may_try=connection.ever_consented,
        tried=call.query.get("done") == "tried",
    )


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/preflight",
    roles=MANAGERS,
)
async def preflight_try(call: Call) -> func.HttpResponse:
    """Create a test ticket of the chosen kind, or of each enabled one, and show what was seen."""
    connection, app = await _present(call), call.application
    wanted = call.form.get("kind")
    await app.preflight.try_out_unless_just_done(
        connection,
        [kind for kind in TicketKind if connection.kinds[kind].enabled and wanted in {None, kind.value}],
        app.servicenow.probe,
        call.principal.requester,
    )
    place = f"/configuration/{connection.connection_id}/preflight?done=tried"
    return redirect(f"{place}#kind-{wanted}" if wanted in set(TicketKind) else place)


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
