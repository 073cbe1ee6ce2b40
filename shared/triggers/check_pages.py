"""Page: the check of a connection."""

from __future__ import annotations

import azure.functions as func

from shared.check.findings import Outcome
from shared.connections.lookup import get_present_connection
from shared.triggers.front_door import Call, page
from shared.triggers.principal import MANAGERS
from shared.web.findings import FindingWords, alike, finding_words

blueprint = func.Blueprint()


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/check",
    roles=MANAGERS,
    belongs_to="/configuration/{connection_id}",
)
async def connection_check(call: Call) -> func.HttpResponse:
    """Check the connection and show what was found. Nothing is stored, so this answer is the page."""
    connection = await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
    report = await call.application.check.run(
        connection.connection_id,
        dry_run=call.form.get("dry_run") == "true",
        requester=call.principal.requester,
    )
    findings = sorted((finding_words(each, call.language) for each in report.findings), key=_worst_first)
    counts = {outcome.value: sum(each.outcome is outcome for each in findings) for outcome in Outcome}
    return call.page(
        "check.html",
        here=f"/configuration/{report.connection.connection_id}",
        connection=report.connection,
        checked_at=report.checked_at,
        to_do=alike([each for each in findings if each.outcome is not Outcome.PASSED]),
        passed=[each for each in findings if each.outcome is Outcome.PASSED],
        counts=counts,
        needs_test_ticket=not counts[Outcome.FAILED] and any(each.reason == "dry_run_needed" for each in findings),
        left_open=report.left_open,
    )


def _worst_first(words: FindingWords) -> int:
    return (Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED).index(words.outcome)
