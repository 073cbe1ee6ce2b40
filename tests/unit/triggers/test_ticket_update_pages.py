"""A ticket's page: whether it helped, what ServiceNow shows, and the forms that change the record."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from decimal import Decimal
from html import unescape

import azure.functions as func
import pytest

from shared.connections.model import ConnectionStatus
from shared.errors import ServiceNowUnavailable
from shared.recommendations.model import ImprovementAction, SourceName
from shared.tickets.model import Phase, Ticket
from shared.tickets.outcomes import Closing, Measurement, Outcome, RecommendationOutcome, Verification
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus
from shared.tickets.updates.record_details import JournalEntry, RecordDetails
from shared.triggers.ticket_pages import ticket_page
from shared.triggers.ticket_update_pages import (
    discard_ticket_change_page,
    retry_ticket_change_page,
    ticket_change_page,
)
from shared.words.language import languages
from tests.memory.clock import START
from tests.memory.servicenow import WriteFault
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import CONNECTION_ID, a_connection
from tests.unit.triggers.page_calls import READER, Pages, pages, text_of

__all__ = ["pages"]

t = languages()["en"]
ACTION = ImprovementAction(
    TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "Turn on Safe Attachments",
    points=Decimal(8),
    max_points=Decimal(8),
    measured_at=START,
)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def ticket(pages: Pages) -> Ticket:
    """A delivered ticket for ACTION."""
    pages.world.add(ACTION)
    return (await pages.world.create(ACTION.reference)).ticket


async def opened(pages: Pages, ticket: Ticket, **options: object) -> str:
    path = f"/tickets/{ticket.ticket_id}"
    answer = await pages.get(ticket_page, path, ticket_id=ticket.ticket_id, **options)  # type: ignore[arg-type]
    assert answer.status_code == 200
    return unescape(text_of(answer))


async def sent(pages: Pages, ticket: Ticket, change: str, **fields: str) -> func.HttpResponse:
    path = f"/tickets/{ticket.ticket_id}/updates"
    form = list({"idempotency_key": "k", **fields, "change": change}.items())
    return await pages.post(ticket_change_page, path, form, ticket_id=ticket.ticket_id)


def waiting(pages: Pages) -> list[Update]:
    return list(pages.world.store.updates[CONNECTION_ID].values())


def put(pages: Pages, ticket: Ticket, outcome: Outcome, *, phase: Phase, closing: Closing | None = None) -> Ticket:
    """Store the ticket in this phase with this outcome."""
    before = Measurement(Decimal(1), Decimal(8))
    item = RecommendationOutcome(TENANT, ACTION.key, before, outcome, decided_at=START)
    return pages.world.put(replace(ticket, phase=phase, verification=Verification(START, (item,), closing)))


async def test_the_page_says_whether_it_helped(pages: Pages, ticket: Ticket) -> None:
    closed = put(pages, ticket, Outcome.NOT_FIXED, phase=Phase.CLOSED, closing=Closing(START))
    html = await opened(pages, closed)
    assert "1/8 → 8/8" in html
    assert t("outcome_text.not_fixed") in html
    assert t("ticket_outcome.not_fixed") in html
    assert f'href="/tickets/new?tenant_id={TENANT}&recommendation={ACTION.key}"' in html
    assert t("ticket.nothing_left") not in html


async def test_an_open_ticket_with_nothing_left_to_do_leads_to_resolving(pages: Pages, ticket: Ticket) -> None:
    open_one = put(pages, ticket, Outcome.VERIFIED, phase=Phase.NEW)
    html = await opened(pages, open_one)
    assert t("ticket.nothing_left") in html
    assert '<a class="button primary" href="#resolve_notes">' in html
    assert re.search(r'<details class="change" id="change-resolve" open>', html)
    assert t("ticket.nothing_left") in html
    reader = await opened(pages, open_one, caller=READER)
    assert t("ticket.nothing_left") in reader
    assert "/updates" not in reader


async def test_a_comment_reaches_servicenow_once_however_often_the_form_is_sent(pages: Pages, ticket: Ticket) -> None:
    for _ in range(2):
        answer = await sent(pages, ticket, "comment", comment="Please look at this.")
        assert answer.headers["Location"] == f"/tickets/{ticket.ticket_id}?done=sent"
    assert len(pages.record_updates.journals[ticket.ticket_id]) == 1
    other = await sent(pages, ticket, "comment", comment="Something else")
    assert other.status_code == 422
    assert t("new.sent_before") in unescape(text_of(other))
    assert "Something else" in text_of(other)


async def test_a_due_date_is_changed_and_removed(pages: Pages, ticket: Ticket) -> None:
    await sent(pages, ticket, "due_date", due_date="2031-05-01")
    [changed] = pages.world.tickets
    assert changed.due_at is not None
    assert 'name="due_date" value="2031-05-01"' in await opened(pages, changed)
    await sent(pages, ticket, "due_date", due_date="", idempotency_key="another")
    assert pages.world.tickets[0].due_at is None


async def test_a_date_that_is_none_is_shown_again_with_the_fault_beside_it(pages: Pages, ticket: Ticket) -> None:
    answer = await sent(pages, ticket, "due_date", due_date="tomorrow")
    assert answer.status_code == 422
    assert 'id="due_date-fault"' in text_of(answer)
    assert 'id="change-due_date" open' in text_of(answer)
    assert waiting(pages) == []


async def test_a_ticket_is_canceled_only_with_a_reason_and_a_confirmation(pages: Pages, ticket: Ticket) -> None:
    tried: list[tuple[dict[str, str], set[str]]] = [
        ({}, {"cancel_notes", "confirmed"}),
        ({"confirmed": "true", "cancel_notes": " "}, {"cancel_notes"}),
        ({"cancel_notes": "A duplicate."}, {"confirmed"}),
    ]
    for fields, faults in tried:
        answer = await sent(pages, ticket, "cancel", **fields)
        assert answer.status_code == 422
        assert set(re.findall(r'class="fault" id="(\w+)-fault"', text_of(answer))) == faults
    assert [each.phase for each in pages.world.tickets] == [Phase.NEW]
    answer = await sent(pages, ticket, "cancel", confirmed="true", cancel_notes="A duplicate.")
    assert answer.headers["Location"].endswith("?done=sent")
    assert [each.phase for each in pages.world.tickets] == [Phase.CANCELED]


async def test_what_nobody_offers_asks_for_nothing(pages: Pages, ticket: Ticket) -> None:
    for change in ("", "reopen", "follow_up"):
        assert (await sent(pages, ticket, change)).status_code == 422
    assert waiting(pages) == []


@pytest.mark.parametrize(
    ("phase", "offered"),
    [
        (Phase.NEW, {"comment", "due_date", "resolve", "cancel"}),
        (Phase.RESOLVED, {"comment"}),
        (Phase.CLOSED, {"comment"}),
        (Phase.DELETED, set()),
    ],
)
async def test_only_what_the_state_allows_is_offered(
    pages: Pages, ticket: Ticket, phase: Phase, offered: set[str]
) -> None:
    html = await opened(pages, pages.world.put(replace(ticket, phase=phase)))
    assert set(re.findall(r'name="change" value="(\w+)"', html)) == offered
    assert ("Not possible here" in html) == (len(offered) < 4)


async def test_a_removed_connection_offers_nothing_and_asks_servicenow_nothing(pages: Pages, ticket: Ticket) -> None:
    pages.world.connections.connections[CONNECTION_ID] = a_connection(status=ConnectionStatus.DISCONNECTED)
    html = await opened(pages, ticket)
    assert 'name="change"' not in html
    assert t("ticket.change.impossible.ticket_dormant") in html
    assert t("ticket.record") not in html
    assert pages.world.servicenow.requests["details"] == 0


async def test_a_refused_change_waits_with_its_reason_and_is_sent_again_or_discarded(
    pages: Pages, ticket: Ticket
) -> None:
    pages.world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    answer = await sent(pages, ticket, "comment", comment=HOSTILE)
    assert answer.headers["Location"].endswith("?done=refused")
    [update] = waiting(pages)
    path = f"/tickets/{ticket.ticket_id}"
    answer = await pages.get(ticket_page, f"{path}?done=refused", ticket_id=ticket.ticket_id)
    html = text_of(answer)
    assert t("ticket.change.done.refused") in html
    assert t("error.data_policy_refused.message") in html
    assert HOSTILE not in html
    assert HOSTILE in unescape(html)
    pages.world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    retry, discard = (f"{path}/updates/{update.update_id}/{what}" for what in ("retry", "discard"))
    again = await pages.post(
        retry_ticket_change_page, retry, [], ticket_id=ticket.ticket_id, update_id=update.update_id
    )
    assert again.headers["Location"] == f"{path}?done=refused"
    gone = await pages.post(
        discard_ticket_change_page, discard, [], ticket_id=ticket.ticket_id, update_id=update.update_id
    )
    assert gone.headers["Location"] == f"{path}?done=discarded"
    assert waiting(pages) == []


async def test_a_waiting_change_of_state_leaves_no_room_for_another(pages: Pages, ticket: Ticket) -> None:
    pages.world.servicenow.write_faults.append(WriteFault.NOT_SENT)
    await sent(pages, ticket, "resolve", resolve_notes="Done.")
    [update] = waiting(pages)
    assert (update.kind, update.status) == (UpdateKind.RESOLVE, UpdateStatus.WAITING)
    html = await opened(pages, ticket)
    assert set(re.findall(r'name="change" value="(\w+)"', html)) == {"comment", "due_date"}
    assert t("ticket.change.impossible.state_change_waiting") in html


async def test_what_servicenow_shows_is_text_and_hidden_journals_say_so(
    pages: Pages, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = RecordDetails(
        close_code="Solution provided",
        close_notes=HOSTILE,
        comments=(JournalEntry(HOSTILE, "2026-12-03 04:05:06", HOSTILE),),
        work_notes=None,
    )

    async def details(*_: object) -> RecordDetails:
        return shown

    monkeypatch.setattr(pages.record_updates, "details", details)
    answer = await pages.get(ticket_page, f"/tickets/{ticket.ticket_id}", ticket_id=ticket.ticket_id)
    html = text_of(answer)
    assert "Solution provided" in html
    assert HOSTILE not in html
    assert unescape(html).count(HOSTILE) == 3
    assert t("ticket.record.hidden") in html


@pytest.mark.usefixtures("waits_end_at_once")
@pytest.mark.parametrize("hangs", [True, False])
async def test_the_page_does_not_wait_for_servicenow(
    pages: Pages, ticket: Ticket, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    async def details(*_: object) -> RecordDetails:
        if hangs:
            await asyncio.Event().wait()
        raise ServiceNowUnavailable()

    monkeypatch.setattr(pages.record_updates, "details", details)
    html = await opened(pages, ticket)
    assert t("ticket.record.not_read") in html
    assert ACTION.title in html
