"""Before the first ticket: the page, the operation of the API, and what *New ticket* says."""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape

import pytest

from shared.check.preflight.model import Fate, TrialOutcome
from shared.connections.columns import Column
from shared.connections.model import TicketKind
from shared.connections.options import Choice
from shared.errors import InsufficientRights, MandatoryFieldsMissing, OutcomeUnknown
from shared.storage.rows import open_value
from shared.triggers.bulk_pages import bulk_tickets_page
from shared.triggers.preflight_api import get_preflight, post_preflight
from shared.triggers.preflight_pages import preflight_page, preflight_try
from shared.triggers.ticket_pages import new_ticket_form, new_ticket_send, ticket_page
from shared.web.preflight_views import PreflightView
from shared.words.language import languages
from tests.memory.clock import START
from tests.memory.servicenow import WriteFault
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket
from tests.unit.triggers.page_calls import CREATOR, MANAGER, Pages, pages, text_of
from tests.unit.triggers.test_bulk_pages import ACTIONS, PATH, form

__all__ = ["pages"]

t = languages()["en"]
PAGE = f"/configuration/{CONNECTION_ID}/preflight"
MISSING = MandatoryFieldsMissing(variant="named", names="Configuration item")
CI = Column("cmdb_ci", "Configuration item", "reference", reference="cmdb_ci")
LINK = f'href="{PAGE}#kind-incident"'


async def shown(pages: Pages, query: str = "") -> str:
    answer = await pages.get(preflight_page, PAGE + query, caller=MANAGER, connection_id=CONNECTION_ID)
    return unescape(text_of(answer))


async def tried(pages: Pages, kind: str = "incident") -> None:
    answer = await pages.post(preflight_try, PAGE, [("kind", kind)], caller=MANAGER, connection_id=CONNECTION_ID)
    assert answer.headers["Location"] == f"{PAGE}?done=tried#kind-{kind}"


async def new_ticket(pages: Pages, caller: object = CREATOR) -> str:
    path = f"/tickets/new?connection={CONNECTION_ID}&kind=incident"
    return unescape(text_of(await pages.get(new_ticket_form, path, caller=caller)))  # type: ignore[arg-type]


async def test_an_instance_that_says_nothing(pages: Pages) -> None:
    html = await shown(pages)
    assert t("preflight.state.not_known") in html
    assert t("preflight.columns_hidden") in html
    assert t("preflight.test_ticket.none") in html


async def test_each_field_says_what_happens_and_what_to_do(pages: Pages) -> None:
    pages.columns.found = {
        "cmdb_ci": CI,
        "urgency": Column("urgency", "Urgency", "integer", choices=[Choice("1", "<b>High</b>")]),
        "description": Column("description", "Description", "string", max_length=40),
    }
    html = await shown(pages)
    assert t("preflight.fate.not_a_choice", value="3") in html
    assert t("preflight.fate.shortened", limit=40) in html
    assert t("preflight.fix.shortened") in html
    assert "<code>urgency</code>" in html


async def test_earlier_test_tickets_that_may_be_open_are_named(pages: Pages) -> None:
    pages.probe.mishaps["cancel_marked"] = InsufficientRights()
    await tried(pages)
    pages.probe.mishaps = {"create_marked": OutcomeUnknown(), "cancel_marked": InsufficientRights()}
    await tried(pages)
    await tried(pages)
    trial = pages.trials.trials[CONNECTION_ID, TicketKind.INCIDENT]
    names = f"sys_id {trial.left_behind[0].sys_id}, incident-1"
    assert t("preflight.test_ticket.left_behind", names=names) in await shown(pages)
    answer = await pages.ask(get_preflight, "GET", caller=MANAGER, connection_id=CONNECTION_ID)
    assert isinstance(answer.body, PreflightView)
    assert answer.body.kinds[0].test_ticket is not None
    assert answer.body.kinds[0].test_ticket.left_behind == tuple(names.split(", "))


async def test_an_outcome_and_a_fate_of_a_later_release(pages: Pages) -> None:
    await tried(pages)
    key = CONNECTION_ID, TicketKind.INCIDENT
    trial = pages.trials.trials[key]
    fields = tuple(replace(each, fate=open_value(Fate, "frozen")) for each in trial.fields)
    pages.trials.trials[key] = replace(
        trial, outcome=open_value(TrialOutcome, "postponed"), number="", is_canceled=False, fields=fields
    )
    assert t("preflight.test_ticket.unknown", sys_id=trial.sys_id) in await shown(pages)
    assert t("hint.untried") in await new_ticket(pages)


async def test_a_test_ticket_that_is_accepted(pages: Pages) -> None:
    await tried(pages)
    html = await shown(pages, "?done=tried")
    assert t("preflight.test_ticket.accepted", number="incident-1") in html
    assert t("preflight.state.accepted") in html
    assert len(pages.probe.records) == 1


async def test_a_test_ticket_that_is_refused_names_the_column(pages: Pages) -> None:
    pages.columns.found = {"cmdb_ci": CI}
    pages.probe.mishaps["create_marked"] = MISSING
    await tried(pages)
    html = await shown(pages)
    assert t("preflight.test_ticket.refused") in html
    assert "Configuration item <code>cmdb_ci</code>" in html
    assert f'href="/configuration/{CONNECTION_ID}/settings#fixed-incident"' in html


@pytest.mark.parametrize(
    ("label", "column", "fix"),
    [
        ("Caller", "caller_id", t("preflight.fix.refused.reserved", instead=t("instead.default_caller"))),
        ("Contact type", "contact_type", t("preflight.fix.refused")),
        ("Cost center", "", t("preflight.fix.refused.unknown_column")),
    ],
)
async def test_what_to_do_where_the_instance_shows_no_columns(pages: Pages, label: str, column: str, fix: str) -> None:
    pages.probe.mishaps["create_marked"] = MandatoryFieldsMissing(variant="named", names=label)
    await tried(pages)
    html = await shown(pages)
    assert fix in html
    assert (f"{label} <code>{column}</code>" in html) == bool(column)


async def test_the_api_says_the_same(pages: Pages) -> None:
    pages.columns.found = {"cmdb_ci": CI}
    pages.probe.mishaps["create_marked"] = MISSING
    answer = await pages.ask(post_preflight, "POST", {"kind": "incident"}, caller=MANAGER, connection_id=CONNECTION_ID)
    again = await pages.ask(get_preflight, "GET", caller=MANAGER, connection_id=CONNECTION_ID)
    assert answer.body == again.body
    assert isinstance(answer.body, PreflightView)
    incident, change = json.loads(answer.body.model_dump_json())["kinds"]
    assert incident["test_ticket"]["outcome"] == "refused"
    assert change["test_ticket"] is None
    assert incident["fields"][0] | {"seen": "", "fix": ""} == {
        "column": "cmdb_ci",
        "label": "Configuration item",
        "outcome": "refused",
        "source": "test_ticket",
        "is_sent": False,
        "limit": None,
        "seen": "",
        "fix": "",
    }


class TestNewTicket:
    """What *New ticket* says before the first one."""

    async def test_nobody_has_tried(self, pages: Pages) -> None:
        html = await new_ticket(pages)
        assert t("hint.untried") in html
        assert LINK not in html, "a creator may not open it"
        assert LINK in await new_ticket(pages, MANAGER)

    async def test_a_refused_test_ticket(self, pages: Pages) -> None:
        pages.columns.found = {"cmdb_ci": CI}
        pages.probe.mishaps["create_marked"] = MISSING
        await tried(pages)
        html = await new_ticket(pages)
        assert t("hint.refused.names", names="Configuration item (cmdb_ci)") in html
        assert t("hint.ask.refused") in html
        assert t("hint.ask.refused") not in await new_ticket(pages, MANAGER), "a manager can do it"

    async def test_a_hint_blocks_nothing_and_the_first_delivered_ticket_ends_it(self, pages: Pages) -> None:
        fields = {"step": "send", "connection_id": CONNECTION_ID, "kind": "incident", "name": "x", "portal": "security"}
        fields |= {"priority": "low", "source": "user", "category": "apps", "idempotency_key": "k"}
        answer = await pages.post(new_ticket_send, "/tickets/new", list(fields.items()))
        assert answer.status_code == 303, text_of(answer)
        assert "data-hint" not in await new_ticket(pages)

    async def test_an_accepted_test_ticket(self, pages: Pages) -> None:
        await tried(pages)
        assert "data-hint" not in await new_ticket(pages)

    async def test_several_at_once(self, pages: Pages) -> None:
        pages.world.add(*ACTIONS[:2])
        html = unescape(text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:2], kind="change"))))
        assert t("hint.untried") in html
        await tried(pages, "change")
        html = text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:2], kind="change")))
        assert "data-hint" not in html


async def test_a_refused_ticket_leads_to_the_fields(pages: Pages) -> None:
    pages.world.add(ACTIONS[0])
    pages.world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    await pages.world.create(ACTIONS[0].reference)
    [ticket] = pages.world.tickets
    path = f"/tickets/{ticket.ticket_id}"
    place = f'href="{PAGE}#kind-{ticket.content.kind}"'
    assert place in text_of(await pages.get(ticket_page, path, caller=MANAGER, ticket_id=ticket.ticket_id))
    assert place not in text_of(await pages.get(ticket_page, path, ticket_id=ticket.ticket_id))


async def test_a_kind_that_servicenow_accepts_needs_no_test_ticket(pages: Pages) -> None:
    assert 'class="button primary" type="submit"' in await shown(pages)
    for kind in TicketKind:
        await pages.world.store.create_ticket(delivered_ticket(START, kind=kind))
    html = await shown(pages)
    assert t("preflight.test_ticket.none_needed") in html
    assert 'class="button primary" type="submit"' not in html
