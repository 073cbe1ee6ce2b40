"""Page: the check of a connection, which fills while the check goes on."""

from __future__ import annotations

import azure.functions as func

from shared.check.findings import Outcome
from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection
from shared.triggers.addresses import authorize_path
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.web.check_results import check_result

blueprint = func.Blueprint()


@page(blueprint, "GET", "configuration/{connection_id}/check", roles=MANAGERS)
async def connection_check_page(call: Call) -> func.HttpResponse:
    """Show the newest check: what it has found so far, or its result."""
    connection = await _present(call)
    now = call.application.clock()
    run = await call.application.checks.store.get(connection.connection_id)
    findings = () if run is None else run.findings
    is_running = run is not None and run.is_running(now)
    result = check_result(findings, connection, call.language, authorize_path=authorize_path(connection.connection_id))
    counts = {each.value: sum(finding.outcome is each for finding in findings) for each in Outcome}
    return call.page(
        "check.html",
        connection=connection,
        now=now,
        run=run,
        is_running=is_running,
        has_stopped=run is not None and run.ended_at is None and not is_running,
        was_running=is_running and call.query.get("done") == "running",
        result=result,
        counts=counts,
        needs_test_ticket=not is_running
        and not counts[Outcome.FAILED]
        and any(each.reason == "dry_run_needed" for each in findings),
    )


@page(blueprint, "POST", "configuration/{connection_id}/check", roles=MANAGERS)
async def connection_check(call: Call) -> func.HttpResponse:
    """Begin a check, which goes on in the background; if one is running, show it."""
    connection = await _present(call)
    _, is_new = await call.application.checks.begin(
        connection, dry_run=call.form.get("dry_run") == "true", requester=call.principal.requester
    )
    place = f"/configuration/{connection.connection_id}/check"
    return redirect(place if is_new else f"{place}?done=running")


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
