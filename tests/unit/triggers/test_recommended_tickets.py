"""The form of a new ticket for a stored recommendation, and what a ticket's page says about its recommendations."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import urlencode

import pytest

from shared.connections.model import ConnectionStatus, KindSettings, TicketKind
from shared.recommendations.model import ImprovementAction, Level, SourceName
from shared.tenants.companies import REMEMBERED_FOR
from shared.tenants.model import Tenant
from shared.triggers.ticket_pages import new_ticket_form, new_ticket_send, ticket_page
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import CONNECTION_ID, a_connection
from tests.unit.triggers.page_calls import Pages, pages, text_of

__all__ = ["pages"]

t = languages()["en"]
ACTION = ImprovementAction(
    TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "Turn on Safe Attachments in block mode",
    category="Apps",
    tier="Core",
    user_impact=Level.HIGH,
    points=Decimal(0),
    max_points=Decimal(8),
)
OTHER = replace(ACTION, source_id="AdminMFAV2", title="Require multifactor authentication")
OTHER_CONNECTION = "fabrikam"


async def opened(pages: Pages, *, action: ImprovementAction = ACTION, status: int = 200, **members: str) -> str:
    query = urlencode({"tenant_id": TENANT, "recommendation": action.key, **members})
    answer = await pages.get(new_ticket_form, f"/tickets/new?{query}")
    assert answer.status_code == status
    return text_of(answer)


def fields_of(html: str) -> dict[str, str]:
    """Return what a browser would send of the form."""
    fields = dict(re.findall(r'<input type="(?:hidden|text|url|date)"[^>]* name="(\w+)" value="([^"]*)"', html))
    for name, content in re.findall(r'<select id="\w+" name="(\w+)".*?>(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', content)
        fields[name] = "" if chosen is None else chosen[1]
    text = re.search(r'<textarea id="description"[^>]*>(.*?)</textarea>', html, re.DOTALL)
    assert text is not None
    return {name: unescape(value) for name, value in {**fields, "description": text[1]}.items()}


async def sent(pages: Pages, fields: dict[str, str], step: str = "send", status: int = 303, **others: str) -> str:
    answer = await pages.post(new_ticket_send, "/tickets/new", list({**fields, **others, "step": step}.items()))
    html = text_of(answer)
    assert answer.status_code == status, html
    return html


async def test_the_form_is_filled_in_and_everything_can_be_changed(pages: Pages) -> None:
    pages.world.add(ACTION)
    html = await opened(pages)
    assert f'<a href="/recommendations/{ACTION.key}?tenant_id={TENANT}">{ACTION.title}</a>' in html
    assert t("new.gain", points="8") in html
    fields = fields_of(html)
    expected = {
        "kind": "change",
        "portal": "security",
        "name": ACTION.title,
        "priority": "high",
        "due_date": (START + timedelta(days=28)).date().isoformat(),
        "source": "microsoft",
        "category": "apps",
        "connection_id": CONNECTION_ID,
        "tenant_id": TENANT,
        "recommendation": ACTION.key,
        "recommendation_id": ACTION.source_id,
        "link": "https://security.microsoft.com/securescore?viewid=actions&actionId=mdo_safeattachments",
    }
    assert {name: fields[name] for name in expected} == expected
    assert "8 points to gain" in fields["description"]
    await sent(pages, fields, name="Another name", due_date="", priority="low", kind="incident")
    [ticket] = pages.world.tickets
    assert ticket.content.references == (ACTION.reference,)
    assert (ticket.content.name, ticket.content.due_at, ticket.content.kind) == ("Another name", None, "incident")


@pytest.mark.parametrize("language", languages())
async def test_the_form_says_by_which_rule_it_suggests(pages: Pages, language: str) -> None:
    words = languages()[language]
    pages.world.add(ACTION)
    path = f"/tickets/new?tenant_id={TENANT}&recommendation={ACTION.key}"
    html = text_of(await pages.get(new_ticket_form, path, language=language))
    reasons = (
        words("suggested.points", points="8"),
        words("suggested.tier", tier=words("tier.core")),
        words("suggested.user_impact", impact=words("level.high")),
    )
    line = words("suggested", reasons=words("list.separator").join(reasons), priority=words("priority.high"), days=28)
    assert line in html


async def test_the_preview_shows_what_is_sent(pages: Pages) -> None:
    pages.world.add(ACTION)
    html = await sent(pages, fields_of(await opened(pages)), "preview", 200)
    assert 'value="send"' in html
    assert "Recommendation: mdo_safeattachments" in html
    assert fields_of(html)["recommendation"] == ACTION.key
    assert pages.world.tickets == []
    assert pages.world.claimed(ACTION.reference) == []


async def test_what_the_link_says_itself_counts(pages: Pages) -> None:
    pages.world.add(ACTION)
    fields = fields_of(await opened(pages, kind="incident", name="Mine", priority="nonsense"))
    assert (fields["kind"], fields["name"], fields["priority"]) == ("incident", "Mine", "high")


async def test_an_action_of_compliance_manager_is_in_the_compliance_portal(pages: Pages) -> None:
    action = replace(ACTION, source=SourceName.COMPLIANCE_MANAGER, tier="")
    pages.world.add(action)
    html = await opened(pages, action=action)
    assert fields_of(html)["portal"] == "compliance"


async def test_a_kind_that_the_connection_does_not_allow_is_not_proposed(pages: Pages) -> None:
    kinds = {kind: KindSettings(enabled=kind is TicketKind.INCIDENT) for kind in TicketKind}
    pages.world.connections.connections[CONNECTION_ID] = a_connection(kinds=kinds)
    pages.world.add(ACTION)
    assert fields_of(await opened(pages))["kind"] == "incident"


async def test_an_open_ticket_is_shown_and_another_one_is_made_deliberately(pages: Pages) -> None:
    pages.world.add(ACTION)
    await sent(pages, fields_of(await opened(pages)))
    [first] = pages.world.tickets
    assert first.record is not None
    pages.world.clock.advance(1)
    html = await opened(pages)
    assert t("new.open_ticket") in html
    assert f'<a href="/tickets/{first.ticket_id}">{first.record.number}</a>' in html
    html = await sent(pages, fields_of(html), status=409)
    assert 'id="create_another-fault"' in html
    assert t("new.warnings") not in html, "the same question is not asked twice"
    assert len(pages.world.tickets) == 1
    html = await sent(pages, fields_of(html), "preview", 200, create_another="true")
    assert 'name="create_another" value="true" checked' in html
    assert t("new.warnings") not in html
    await sent(pages, fields_of(html), create_another="true")
    assert len(pages.world.tickets) == 2


async def test_warnings_of_other_kinds_still_ask(pages: Pages) -> None:
    pages.world.add(ACTION)
    fields = fields_of(await opened(pages))
    html = await sent(pages, fields, status=409, due_date="2020-01-01", create_another="true")
    assert t("warning.due_date_past.message") in html
    assert pages.world.tickets == []


async def test_the_same_form_sent_twice_makes_one_ticket(pages: Pages) -> None:
    pages.world.add(ACTION)
    fields = fields_of(await opened(pages))
    await sent(pages, fields)
    await sent(pages, fields)
    assert len(pages.world.tickets) == 1


@pytest.mark.parametrize(
    ("case", "code", "status"),
    [
        ("tenant", "tenant_not_found", 404),
        ("not an id", "invalid_tenant_id", 400),
        ("recommendation", "recommendation_not_found", 404),
        ("gone", "recommendation_gone", 409),
        ("not authorized", "connection_not_authorized", 409),
    ],
)
async def test_what_cannot_become_a_ticket_says_why_and_leads_on(
    pages: Pages, case: str, code: str, status: int
) -> None:
    pages.world.add(replace(ACTION, gone_at=START) if case == "gone" else ACTION)
    others = {"tenant": TENANT.replace("1", "2"), "not an id": "contoso.com"}
    if case == "not authorized":
        unauthorized = a_connection(status=ConnectionStatus.NOT_CONFIGURED, consented_at=None)
        pages.world.connections.connections[CONNECTION_ID] = unauthorized
    action = OTHER if case == "recommendation" else ACTION
    html = await opened(pages, action=action, status=status, tenant_id=others.get(case, TENANT))
    assert t(f"error.{code}.message") in unescape(html)
    address = "/recommendations" if case in others else f"/recommendations?tenant_id={TENANT}"
    assert f'href="{address}"' in html
    assert "<form" not in html


async def test_for_a_tenant_without_a_connection_a_person_chooses_one(pages: Pages) -> None:
    pages.world.add(ACTION)
    pages.world.tenants.tenants[TENANT] = Tenant(TENANT, "Contoso", None)
    html = await opened(pages)
    assert t("new.tenant_without_connection") in html
    assert fields_of(html)["connection_id"] == CONNECTION_ID, "there is only one"
    pages.world.connections.connections[OTHER_CONNECTION] = a_connection(connection_id=OTHER_CONNECTION)
    html = await opened(pages)
    assert '<select id="connection_id"' in html
    html = await sent(pages, fields_of(html), status=409)
    await sent(pages, fields_of(html), connection_id=CONNECTION_ID)
    [ticket] = pages.world.tickets
    assert ticket.content.references == (ACTION.reference,)


async def test_a_tickets_page_names_its_recommendations(pages: Pages) -> None:
    pages.world.add(ACTION)
    creation = await pages.world.create(ACTION.reference, OTHER.reference)
    ticket_id = creation.ticket.ticket_id
    html = text_of(await pages.get(ticket_page, f"/tickets/{ticket_id}", ticket_id=ticket_id))
    assert f'<a href="/recommendations/{ACTION.key}?tenant_id={TENANT}">{ACTION.title}</a>' in html
    assert t("new.gain", points="8") in html
    assert f"<code>{OTHER.source_id}</code>" in html
    assert t("ticket.recommendation_not_here") in html


async def test_the_form_for_a_recommendation_belongs_to_the_recommendations(pages: Pages) -> None:
    pages.world.add(ACTION)
    assert '<a href="/recommendations" aria-current="true">' in await opened(pages)


async def test_the_preview_has_the_tenants_company(pages: Pages) -> None:
    pages.world.add(ACTION)
    fields = fields_of(await opened(pages))
    assert "c" * 32 in await sent(pages, fields, "preview", 200)


async def test_whoever_makes_a_ticket_by_hand_chooses_among_tenants_of_different_companies(pages: Pages) -> None:
    blank = "/tickets/new?connection=contoso"
    assert t("new.tenant") not in text_of(await pages.get(new_ticket_form, blank)), "the only tenant's company is clear"
    await pages.world.tenants.save_tenant(Tenant(SECOND, "Fabrikam", CONNECTION_ID, "d" * 32))
    pages.world.clock.advance(REMEMBERED_FOR.total_seconds())
    html = text_of(await pages.get(new_ticket_form, blank))
    assert t("new.tenant") in html
    fields = fields_of(html) | {"name": "By hand"}
    for chosen, company in ((SECOND, "d" * 32), (TENANT, "c" * 32), ("", None)):
        preview = await sent(pages, fields, "preview", 200, tenant_id=chosen)
        assert (f'value="{chosen}" selected' in preview) is (chosen != "")
        assert ("<code>company</code>" in preview) is (company is not None)
        await sent(pages, fields, tenant_id=chosen, idempotency_key=f"key{chosen}", accepted=accepted_in(preview))
        assert max(pages.world.tickets, key=lambda each: each.created_at).content.company == company
        pages.world.clock.advance(60)


SECOND = "0c0ffee0-0000-4000-8000-000000000002"
THIRD = "0c0ffee0-0000-4000-8000-000000000003"


async def with_two_connections(pages: Pages) -> None:
    """One tenant of each connection, and one that has none."""
    pages.world.connections.connections[OTHER_CONNECTION] = a_connection(connection_id=OTHER_CONNECTION)
    await pages.world.tenants.save_tenant(Tenant(SECOND, "Fabrikam", OTHER_CONNECTION, "d" * 32))
    await pages.world.tenants.save_tenant(Tenant(THIRD, "Tailspin", None, "e" * 32))


async def linked(pages: Pages, **members: str) -> tuple[str, dict[str, str]]:
    """Return the page that a link opens, and the fields of its form."""
    html = text_of(await pages.get(new_ticket_form, f"/tickets/new?{urlencode(members)}"))
    return html, fields_of(html) | {"name": "By hand"}


@pytest.mark.parametrize("as_written", [str, str.upper, "  {} ".format])
async def test_a_links_tenant_chooses_its_connection_and_its_company(
    pages: Pages, as_written: Callable[[str], str]
) -> None:
    await with_two_connections(pages)
    html, fields = await linked(pages, tenant_id=as_written(SECOND))
    assert (fields["connection_id"], fields["tenant_id"]) == (OTHER_CONNECTION, SECOND)
    assert t("new.link") not in html
    assert "d" * 32 in await sent(pages, fields, "preview", 200)


@pytest.mark.parametrize("connection_id", [CONNECTION_ID, OTHER_CONNECTION])
async def test_a_links_tenant_without_a_connection_goes_with_any(pages: Pages, connection_id: str) -> None:
    await with_two_connections(pages)
    _, fields = await linked(pages, tenant_id=THIRD)
    assert (fields["connection_id"], fields["tenant_id"]) == ("", THIRD)
    assert "e" * 32 in await sent(pages, fields, "preview", 200, connection_id=connection_id)


@pytest.mark.parametrize("tenant_id", [THIRD, "contoso.onmicrosoft.com", "x" * 2000, "'/\\#?"])
@pytest.mark.parametrize("connection", [CONNECTION_ID, ""])
async def test_a_links_unknown_tenant_is_named_and_makes_no_dead_end(
    pages: Pages, tenant_id: str, connection: str
) -> None:
    html, fields = await linked(pages, tenant_id=tenant_id, connection=connection)
    words = t("link.not_understood.tenant", field=t("recommendations.tenant"), value="")
    assert words.partition("“")[0] in unescape(html)
    assert fields.get("tenant_id", "") == ""
    await sent(pages, fields)


async def test_a_links_tenant_of_another_connection_is_named_and_makes_no_dead_end(pages: Pages) -> None:
    await with_two_connections(pages)
    html, fields = await linked(pages, tenant_id=SECOND, connection=CONNECTION_ID)
    words = t("link.not_understood.tenant_elsewhere", field=t("recommendations.tenant"), value=SECOND)
    assert words in unescape(html)
    assert (fields["connection_id"], fields.get("tenant_id", "")) == (CONNECTION_ID, "")
    await sent(pages, fields)


async def test_whoever_changes_the_connection_is_asked_once_about_the_tenant(pages: Pages) -> None:
    await with_two_connections(pages)
    _, fields = await linked(pages, tenant_id=TENANT)
    preview = fields_of(await sent(pages, fields, "preview", 200))
    assert (preview["connection_id"], preview["tenant_id"]) == (CONNECTION_ID, TENANT)
    html = await sent(pages, preview, "preview", 409, connection_id=OTHER_CONNECTION)
    assert t("error.tenant_other_connection.message", connection_id=CONNECTION_ID) in unescape(html)
    again = fields_of(html)
    assert (again["connection_id"], again.get("tenant_id", "")) == (OTHER_CONNECTION, "")
    await sent(pages, again)
    [ticket] = pages.world.store.tickets[OTHER_CONNECTION].values()
    assert ticket.content.company == "d" * 32


async def test_a_tenant_that_is_removed_meanwhile_makes_no_dead_end(pages: Pages) -> None:
    _, fields = await linked(pages, tenant_id=TENANT)
    assert fields["tenant_id"] == TENANT
    await pages.world.tenants.delete_tenant(TENANT)
    html = await sent(pages, fields, "preview", 404)
    assert t("error.tenant_not_found.message") in html
    await sent(pages, fields_of(html))


def accepted_in(preview: str) -> str:
    """Return the warnings that a form asks about."""
    found = re.search(r'name="accepted" value="([^"]*)"', preview)
    return "" if found is None else found[1]
