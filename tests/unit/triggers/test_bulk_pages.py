"""Tickets for several recommendations at once: what people see before, and while they are delivered."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html import unescape

import pytest

from shared.connections.model import ConnectionStatus
from shared.errors import FixRequest
from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.requests import MOST_AT_ONCE
from shared.tickets.model import MOST_REFERENCES, Delivery
from shared.triggers.bulk_pages import bulk_deliver, bulk_progress_page, bulk_retry, bulk_tickets_page
from shared.triggers.ticket_pages import ticket_page
from shared.words.language import languages
from shared.words.sentences import sentences
from tests.memory.clock import START
from tests.memory.servicenow import WriteFault
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import CONNECTION_ID, a_connection
from tests.unit.triggers.page_calls import READER, Pages, pages, text_of

__all__ = ["pages"]

t = languages()["en"]
PATH = "/recommendations/tickets"
BATCHES = f"{PATH}/batches"
ACTIONS = [
    ImprovementAction(
        TENANT, SourceName.SECURE_SCORE, f"mdo_{number}", f"Do {number}", points=Decimal(0), max_points=Decimal(5)
    )
    for number in range(MOST_AT_ONCE + 1)
]


def form(*actions: ImprovementAction, **fields: str) -> list[tuple[str, str]]:
    return [("tenant_id", TENANT), *(("key", each.key) for each in actions), *fields.items()]


async def created(pages: Pages, *actions: ImprovementAction, **fields: str) -> str:
    """Create the tickets; return the batch's id."""
    answer = await pages.post(bulk_tickets_page, PATH, form(*actions, step="create", kind="change", **fields))
    assert answer.status_code == 303, text_of(answer)
    found = re.fullmatch(f"{BATCHES}/([0-9a-f]{{32}})", answer.headers["Location"])
    assert found is not None
    return found[1]


def progress_words(total: int, *, delivered: int, waiting: int, failed: int) -> str:
    """Return how far a batch is; what there is none of is left out."""
    return sentences(
        t.counted("bulk.progress.words", total, delivered=delivered),
        t("bulk.progress.waiting", count=waiting) if waiting else None,
        t("bulk.progress.failed", count=failed) if failed else None,
    )


async def progress(pages: Pages, batch_id: str, **options: object) -> str:
    path = f"{BATCHES}/{batch_id}"
    return text_of(await pages.get(bulk_progress_page, path, batch_id=batch_id, **options))  # type: ignore[arg-type]


def has_open_ticket_box(html: str) -> bool:
    return 'name="create_another"' in html


async def test_looking_shows_points_and_texts_and_stores_nothing(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:3])
    html = text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:3])))
    assert t("bulk.total", count=3, points="15") in html
    assert all(action.title in html for action in ACTIONS[:3])
    assert "3 recommendations: Do 0; Do 1; Do 2" in html
    assert "Requested by: Aiko Tanaka" in html, "the description as it is sent"
    assert not has_open_ticket_box(html)
    assert t("bulk.shortened") not in unescape(html)
    assert pages.world.tickets == []
    assert pages.world.claim_store.batches == {}


async def test_one_with_an_open_ticket_is_left_out_until_somebody_wants_another(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:2])
    await created(pages, ACTIONS[0])
    html = text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:2])))
    assert t("bulk.total", count=1, points="5") in html
    assert has_open_ticket_box(html)
    assert f'href="/tickets/{pages.world.tickets[0].ticket_id}"' in html
    batch_id = await created(pages, *ACTIONS[:2])
    assert len(pages.world.tickets) == 2
    html = await progress(pages, batch_id)
    assert t("bulk.progress.refused") in html
    assert t("error.recommendation_has_open_ticket.waiting.message") in unescape(html)
    await created(pages, ACTIONS[0], create_another="true")
    assert len(pages.world.tickets) == 3


async def test_with_another_one_the_page_shows_what_will_be_sent_and_keeps_what_was_chosen(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:3])
    await created(pages, ACTIONS[0])
    html = text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:3])))
    assert "2 recommendations: Do 1; Do 2" in html
    fields = form(*ACTIONS[:3], step="look", create_another="true", mode="all", priority="low", idempotency_key="k")
    html = text_of(await pages.post(bulk_tickets_page, PATH, fields))
    assert "3 recommendations: Do 0; Do 1; Do 2" in html
    assert t("bulk.total", count=3, points="15") in html
    assert 'value="all" checked' in html
    assert '<option value="low" selected>' in html
    assert 'name="idempotency_key" value="k"' in html
    assert len(pages.world.tickets) == 1


async def test_if_all_have_an_open_ticket_the_browser_asks_for_the_box(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:2])
    await created(pages, *ACTIONS[:2])
    html = text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:2])))
    assert re.search(r'name="create_another" value="true" required', html)
    assert t("bulk.total", count=0, points="0") in html


@pytest.mark.parametrize(
    ("count", "offers_one", "says"),
    [(1, False, None), (2, True, None), (MOST_REFERENCES, True, None), (MOST_REFERENCES + 1, False, "together")],
)
async def test_one_ticket_is_for_up_to_25(pages: Pages, count: int, offers_one: bool, says: str | None) -> None:
    pages.world.add(*ACTIONS[:count])
    html = unescape(text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:count]))))
    assert bool(re.search(r'value="all"(?! disabled)', html)) == offers_one
    assert ('class="only-together"' in html) == offers_one
    words = t("bulk.too_many_together", most=MOST_REFERENCES, count=count)
    assert (words in html) == (says == "together")


async def test_a_browser_that_asks_for_one_ticket_for_more_gets_the_page_again(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:30])
    answer = await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:30], step="create", kind="change", mode="all"))
    assert answer.status_code == 422
    assert 'id="mode-fault"' in text_of(answer)
    assert pages.world.tickets == []


async def test_a_shortened_description_says_so(pages: Pages) -> None:
    long = [replace(each, title=f"{each.title} {'x' * 150}") for each in ACTIONS[:MOST_REFERENCES]]
    pages.world.add(*long)
    html = unescape(text_of(await pages.post(bulk_tickets_page, PATH, form(*long))))
    assert t("bulk.shortened") in html


@pytest.mark.parametrize("chosen", [0, MOST_AT_ONCE + 1])
async def test_none_or_too_many_lead_back_to_the_list(pages: Pages, chosen: int) -> None:
    pages.world.add(*ACTIONS)
    html = text_of(await pages.post(bulk_tickets_page, PATH, form(*ACTIONS[:chosen])))
    assert f'href="/recommendations?tenant_id={TENANT}"' in html
    assert 'value="create"' not in html
    words = t("bulk.too_many", count=chosen, most=MOST_AT_ONCE) if chosen else t("bulk.none")
    assert words in html


async def test_what_cannot_become_a_ticket_is_left_out_and_named(pages: Pages) -> None:
    gone, unknown, compliance, good = ACTIONS[:4]
    gone = replace(gone, gone_at=START)
    compliance = replace(compliance, source=SourceName.COMPLIANCE_MANAGER)
    pages.world.connections.connections[CONNECTION_ID] = a_connection(portals=frozenset({"security"}))
    pages.world.add(gone, compliance, good)
    html = unescape(text_of(await pages.post(bulk_tickets_page, PATH, form(gone, unknown, compliance, good))))
    assert t("bulk.total", count=1, points="5") in html
    assert t("bulk.unknown", count=1) in html
    assert html.count(f'<span class="badge bad">{t("bulk.left_out")}</span>') == 2


async def test_the_same_form_sent_twice_makes_one_batch_and_changed_asks_again(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:2])
    first = await created(pages, *ACTIONS[:2], idempotency_key="k")
    assert await created(pages, *ACTIONS[:2], idempotency_key="k") == first
    assert len(pages.world.tickets) == 2
    fields = form(*ACTIONS[:1], step="create", kind="change", idempotency_key="k")
    answer = await pages.post(bulk_tickets_page, PATH, fields)
    assert answer.status_code == 422
    assert t("new.sent_before") in text_of(answer)
    assert 'name="idempotency_key" value="k"' not in text_of(answer)


async def test_priority_and_due_date_for_all_or_as_suggested(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:2])
    await created(pages, ACTIONS[0])
    await created(pages, ACTIONS[1], priority="critical", due_date="2030-01-02")
    suggested, chosen = (each.content for each in pages.world.tickets)
    assert (suggested.priority.value, suggested.due_at is not None) == ("low", True)
    assert (chosen.priority.value, str(chosen.due_at)) == ("critical", "2030-01-02 23:59:59+00:00")


async def test_a_tenant_that_is_not_there(pages: Pages) -> None:
    with pytest.raises(FixRequest) as caught:
        await pages.post(bulk_tickets_page, PATH, [("tenant_id", TENANT.replace("1", "2"))])
    assert caught.value.code == "tenant_not_found"


async def test_without_an_authorized_connection_nothing_can_be_created(pages: Pages) -> None:
    pages.world.connections.connections[CONNECTION_ID] = a_connection(
        status=ConnectionStatus.NOT_CONFIGURED, consented_at=None
    )
    pages.world.add(ACTIONS[0])
    html = text_of(await pages.post(bulk_tickets_page, PATH, form(ACTIONS[0])))
    assert t("new.no_connection") in html
    assert 'value="create"' not in html


async def test_each_poll_delivers_and_the_page_stops_asking_when_all_is_done(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:3])
    batch_id = await created(pages, *ACTIONS[:3])
    html = await progress(pages, batch_id)
    assert progress_words(3, delivered=0, waiting=3, failed=0) in html
    assert "data-poll" in html
    answer = await pages.post(bulk_deliver, f"{BATCHES}/{batch_id}/deliver", [], batch_id=batch_id)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{BATCHES}/{batch_id}")
    html = await progress(pages, batch_id)
    assert progress_words(3, delivered=3, waiting=0, failed=0) in html
    assert t("bulk.progress.done") in html
    assert "data-poll" not in html


async def test_a_ticket_leads_back_to_the_page_that_listed_it(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:2])
    batch_id = await created(pages, *ACTIONS[:2])
    html = await progress(pages, batch_id)
    found = re.findall(r'<td class="name"[^>]*><a href="(/tickets/([0-9a-f]+)[^"]*)"', html)
    assert len(found) == 2
    for address, ticket_id in found:
        ticket = text_of(await pages.get(ticket_page, address, ticket_id=ticket_id))
        assert f'<p class="back"><a href="{BATCHES}/{batch_id}"' in ticket


async def test_looking_delivers_nothing_and_a_reader_has_no_button_that_writes(pages: Pages) -> None:
    pages.world.add(ACTIONS[0])
    batch_id = await created(pages, ACTIONS[0])
    html = await progress(pages, batch_id, caller=READER)
    assert '<form method="get"' in html
    assert "/deliver" not in html
    assert pages.world.servicenow.requests["create_record"] == 0


async def test_a_failure_has_its_words_and_its_retry(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:2])
    batch_id = await created(pages, *ACTIONS[:2])
    pages.world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    await pages.post(bulk_deliver, f"{BATCHES}/{batch_id}/deliver", [], batch_id=batch_id)
    html = unescape(await progress(pages, batch_id))
    assert progress_words(2, delivered=1, waiting=0, failed=1) in html
    assert t("bulk.progress.done_failed") in html
    [failed] = [each for each in pages.world.tickets if each.delivery.status is Delivery.FAILED]
    assert failed.delivery.failure is not None
    assert t(f"error.{failed.delivery.failure.code}.message") in html
    assert "/retry" not in await progress(pages, batch_id, caller=READER)
    fields = [("ticket_id", failed.ticket_id)]
    answer = await pages.post(bulk_retry, f"{BATCHES}/{batch_id}/retry", fields, batch_id=batch_id)
    assert answer.headers["Location"] == f"{BATCHES}/{batch_id}"
    assert {each.delivery.status for each in pages.world.tickets} == {Delivery.DELIVERED}


async def test_only_a_ticket_of_the_batch_is_sent_again(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:2])
    batch_id = await created(pages, ACTIONS[0])
    await created(pages, ACTIONS[1])
    fields = [("ticket_id", pages.world.tickets[1].ticket_id)]
    with pytest.raises(FixRequest) as caught:
        await pages.post(bulk_retry, f"{BATCHES}/{batch_id}/retry", fields, batch_id=batch_id)
    assert caught.value.code == "ticket_not_found"


async def test_one_ticket_for_all_names_every_recommendation(pages: Pages) -> None:
    pages.world.add(*ACTIONS[:3])
    batch_id = await created(pages, *ACTIONS[:3], mode="all")
    html = await progress(pages, batch_id)
    assert progress_words(1, delivered=0, waiting=1, failed=0) in html
    assert "Contoso · " in html, "the tenant's name"
    for action in ACTIONS[:3]:
        assert f'<a href="/recommendations/{action.key}?tenant_id={TENANT}">{action.title}</a>' in html
