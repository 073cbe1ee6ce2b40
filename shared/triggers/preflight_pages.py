"""Pages: what ServiceNow will do with a connection's tickets, and the test ticket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import azure.functions as func

from shared.check.preflight.model import Fate, KindOutlook, TrialOutcome
from shared.connections.lookup import get_present_connection
from shared.connections.model import Connection, TicketKind
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import MANAGERS
from shared.value_object import value_object
from shared.web.preflight import FieldWords, state_of, tone_of, troubles
from shared.words.error_words import ErrorWords, words_of

blueprint = func.Blueprint()

_USUAL: Final = frozenset({"assignment_group", "category", "caller_id", "requested_by"})
"""Columns with a setting of their own."""


@value_object
class KindCard:
    """What is known about one kind.

    Attributes:
        state: The end of ``preflight.state.<name>``.
        troubles: The fields that need a look.
        fine: The labels of those that need none.
        problem: Why the test ticket was not created.
    """

    outlook: KindOutlook
    state: str
    tone: str
    troubles: Sequence[FieldWords]
    fine: Sequence[str]
    problem: ErrorWords | None

    @property
    def test_ticket(self) -> str:
        """What became of the test ticket, as the end of ``preflight.test_ticket.<name>``."""
        trial = self.outlook.trial
        if trial is None:
            return "none"
        if trial.is_left_open:
            return "left_open"
        # A later release may know other outcomes.
        return trial.outcome if trial.outcome in set(TrialOutcome) else TrialOutcome.UNKNOWN

    @property
    def settings(self) -> str:
        """The part of the configuration page that helps, without the kind: further fields, or the usual ones."""
        further = [each for each in self.troubles if each.is_about_settings and each.field.column not in _USUAL]
        return "fixed" if further else "kind"

    @property
    def is_about_settings(self) -> bool:
        """Whether a setting of the kind helps with a field."""
        return any(each.is_about_settings for each in self.troubles)


@page(blueprint, "GET", "configuration/{connection_id}/preflight", roles=MANAGERS)
async def preflight_page(call: Call) -> func.HttpResponse:
    """Show what will become of the fields of new tickets."""
    connection = await _present(call)
    app = call.application
    outlooks = await app.preflight.look(connection, app.servicenow.probe, call.principal.requester)
    return call.page(
        "preflight.html",
        connection=connection,
        cards=[_card(call, each) for each in outlooks],
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


def _card(call: Call, outlook: KindOutlook) -> KindCard:
    problem = None if outlook.trial is None else outlook.trial.problem
    return KindCard(
        outlook=outlook,
        state=state_of(outlook),
        tone=tone_of(outlook),
        troubles=troubles(outlook, call.language),
        fine=[each.label for each in outlook.fields if each.fate is Fate.FINE],
        problem=None if problem is None else words_of(problem, call.language),
    )


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
