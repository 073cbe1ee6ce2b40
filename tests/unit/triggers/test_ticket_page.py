"""The page of one ticket: how far it has come, the one next step, and the way back."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest

from shared.errors import Failure
from shared.tickets.model import Delivery, Phase, Ticket
from shared.tickets.outcomes import Closing, Outcome, RecommendationOutcome, Verification
from shared.triggers.principal import Principal
from shared.triggers.routes import own_address
from shared.triggers.ticket_pages import retry_ticket_page, ticket_page
from shared.words.language import languages
from tests.registered import functions
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import delivered_ticket, new_ticket
from tests.unit.triggers.page_calls import CREATOR, MANAGER, READER, Pages, pages, text_of

__all__ = ["pages"]

functions()  # An address is one of ours once its page is registered.

t = languages()["en"]
LIST = "/tickets?kind=incident&show=overdue"


async def shown(pages: Pages, ticket: Ticket, query: str = "", *, caller: Principal = CREATOR) -> str:
    path = f"/tickets/{ticket.ticket_id}{query}"
    return text_of(await pages.get(ticket_page, path, caller=caller, ticket_id=ticket.ticket_id))


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        (LIST, LIST),
        ("/", "/"),
        ("/attention", "/attention"),
        (f"/recommendations/{'0' * 32}?tenant_id={TENANT}", f"/recommendations/{'0' * 32}?tenant_id={TENANT}"),
        ("/tickets?show=overdue&token=secret", "/tickets?show=overdue"),
        ("", "/tickets"),
        ("https://evil.example/tickets", "/tickets"),
        ("//evil.example/tickets", "/tickets"),
        ("/\\evil.example", "/tickets"),
        ("javascript:alert(1)", "/tickets"),
        ("/api/oauth/authorize?connection_id=contoso", "/tickets"),
        ("/language/ja", "/tickets"),
    ],
)
async def test_the_way_back_leads_to_the_list_as_it_was_and_nowhere_else(pages: Pages, asked: str, back: str) -> None:
    ticket = await pages.world.store.create_ticket(delivered_ticket(pages.world.clock()))
    html = await shown(pages, ticket, f"?from={quote(asked, safe='')}")
    assert f'<p class="back"><a href="{back.replace("&", "&amp;")}">' in html


async def test_forms_and_the_other_language_keep_the_way_back(pages: Pages) -> None:
    ticket = await pages.world.store.create_ticket(delivered_ticket(pages.world.clock()))
    kept = f"?from={quote(LIST, safe='')}"
    html = await shown(pages, ticket, kept)
    assert f'action="/tickets/{ticket.ticket_id}/updates{kept}"' in html
    assert own_address(f"/tickets/{ticket.ticket_id}{kept}") == f"/tickets/{ticket.ticket_id}{kept}"


async def test_after_a_retry_the_way_back_is_still_there(pages: Pages) -> None:
    ticket = await pages.world.store.create_ticket(new_ticket(pages.world.clock()))
    path = f"/tickets/{ticket.ticket_id}/retry?from={quote(LIST, safe='')}"
    answer = await pages.post(retry_ticket_page, path, [], ticket_id=ticket.ticket_id)
    assert answer.headers["Location"] == f"/tickets/{ticket.ticket_id}?done=retried&from={quote(LIST, safe='')}"


@pytest.mark.parametrize("caller", [READER, CREATOR, MANAGER])
@pytest.mark.parametrize("phase", [Phase.NEW, Phase.CLOSED, Phase.DELETED])
@pytest.mark.parametrize("outcome", [None, Outcome.OPEN, Outcome.WAITING, Outcome.VERIFIED, Outcome.REGRESSED])
async def test_one_step_is_now_and_one_button_leads_on(
    pages: Pages, caller: Principal, phase: Phase, outcome: Outcome | None
) -> None:
    ticket = replace(delivered_ticket(pages.world.clock() - timedelta(days=9)), phase=phase)
    if outcome is not None:
        item = RecommendationOutcome(TENANT, "0" * 32, outcome=outcome, decided_at=ticket.created_at)
        closing = None if phase is Phase.NEW else Closing(ticket.created_at, is_read=True)
        ticket = replace(ticket, verification=Verification(ticket.created_at, (item,), closing))
    html = await shown(pages, await pages.world.store.create_ticket(ticket), caller=caller)
    assert html.count('aria-current="step"') == 1
    before_the_forms = html.partition('id="changes"')[0]
    assert before_the_forms.count('class="button primary"') == 1


async def test_a_late_ticket_says_so_beside_its_steps(pages: Pages) -> None:
    now = pages.world.clock()
    late = await pages.world.store.create_ticket(delivered_ticket(now, due_at=now - timedelta(days=9)))
    assert "9 days late</span>" in (await shown(pages, late)).partition('id="facts"')[0]


@pytest.mark.parametrize(
    ("code", "first"),
    [("mandatory_fields_missing", "ticket.see_fields"), ("business_rule_refused", "action.retry")],
)
async def test_a_refused_ticket_leads_to_its_fields_only_if_they_are_the_reason(
    pages: Pages, code: str, first: str
) -> None:
    waiting = new_ticket(pages.world.clock())
    failed = replace(waiting.delivery, status=Delivery.FAILED, failure=Failure(code), error_status=422)
    ticket = await pages.world.store.create_ticket(replace(waiting, delivery=failed))
    html = await shown(pages, ticket, caller=MANAGER)
    assert re.findall(r'class="button primary"[^>]*>([^<]*)<', html) == [t(first)]
    assert 'id="changes"' not in html
    assert html.index("banner bad") < html.index('class="stepper"')
