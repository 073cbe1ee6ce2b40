"""Whoever looks at what needs attention sees only what is for them, and buttons that they may press."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markupsafe import escape

import function_app  # noqa: F401 - declares every route
from shared.access.current import seen_by
from shared.access.model import Access
from shared.attention.model import Action, Cause
from shared.connections.customers import Figures, customer_of
from shared.connections.directory import DirectoryEntry, SyncState
from shared.connections.model import ConnectionStatus
from shared.tickets.model import Delivery
from shared.tickets.updates.ask import asked
from shared.tickets.updates.model import UpdateKind, UpdateStatus
from shared.triggers.attention import item_words, may_act, shown_items, visible_items
from shared.triggers.attention_api import AttentionListView, list_attention
from shared.triggers.attention_pages import PAGE_ITEMS, attention_page, attention_rows_page
from shared.triggers.links import read_list_link
from shared.triggers.principal import Principal, Role
from shared.triggers.routes import own_address, read_query
from shared.words.language import languages
from tests.memory.clock import START
from tests.memory.customer_limits import limited_to
from tests.unit.attention.test_rules import SITUATIONS
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket, new_ticket
from tests.unit.triggers.page_calls import MANAGER, READER, URL, Pages, pages, text_of

__all__ = ["pages"]

ONLY_MANAGER = replace(MANAGER, roles=frozenset({Role.CONNECTIONS_MANAGE}))


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_words_and_a_button_that_leads_to_a_page(cause: Cause, code: str) -> None:
    [item] = SITUATIONS[cause]
    t = languages()[code]
    assert item_words(item, t)
    assert t.named("attention.action", item.action) != item.action
    path = item.address.partition("#")[0]
    assert own_address(path).partition("?")[0] == path.partition("?")[0] != "/"
    if item.action is Action.SHOW_TICKETS:
        assert read_list_link(read_query(URL + path), {CONNECTION_ID}, ()).not_understood == ()


@pytest.mark.parametrize("caller", [MANAGER, ONLY_MANAGER, READER], ids=["both", "manager", "reader"])
def test_nobody_sees_what_is_not_for_them_or_a_button_that_does_not_work(caller: Principal) -> None:
    reads, manages = (role in caller.roles for role in (Role.TICKETS_READ, Role.CONNECTIONS_MANAGE))
    for cause, [item] in SITUATIONS.items():
        about_tickets = cause.startswith(("tickets_", "changes_", "lists_"))
        shown = shown_items([item], caller, languages()["en"])
        assert not shown or reads or not about_tickets
        if shown:
            assert (shown[0].button is not None) is (reads if about_tickets else manages)
        if manages and not about_tickets:
            assert shown
        assert may_act(item, caller) or not shown or shown[0].button is None
    assert len(visible_items((each for [each] in SITUATIONS.values()), MANAGER)) == len(Cause)


@pytest.mark.parametrize("code", languages())
async def test_the_page_lists_the_worst_first_with_its_button(pages: Pages, code: str) -> None:
    world, t = pages.world, languages()[code]
    connection = replace(world.connection, display_name="Contoso <EU>", status=ConnectionStatus.UNAVAILABLE)
    world.connections.connections[CONNECTION_ID] = connection
    refused = new_ticket(world.clock())
    delivery = replace(refused.delivery, status=Delivery.FAILED)
    await world.store.create_ticket(replace(refused, delivery=delivery))
    html = text_of(await pages.get(attention_page, "/attention", caller=MANAGER, language=code))
    says = [t("attention.what.tickets_refused.one"), t("attention.what.unavailable")]
    places = [html.index(str(escape(each))) for each in says]
    assert places == sorted(places)
    assert html.count("Contoso &lt;EU&gt;") >= 2
    assert '<span class="count" id="attention-count">2</span>' in html
    assert f'href="/tickets?show=failed&amp;connection={CONNECTION_ID}"' in html
    for severity in ("critical", "warning"):
        assert re.search(rf'class="severity {severity}"><svg.*</svg>{t(f"attention.severity.{severity}")}', html)
    reader = text_of(await pages.get(attention_page, "/attention", caller=READER, language=code))
    assert f'href="/configuration/{CONNECTION_ID}"' not in reader
    assert t("attention.ask") in reader
    manager = text_of(await pages.get(attention_page, "/attention", caller=ONLY_MANAGER))
    assert "show=failed" not in manager


async def test_a_ticket_leads_back_to_the_list_of_what_needs_attention(pages: Pages) -> None:
    world = pages.world
    sync = SyncState(last_completed_at=world.clock())
    entry = DirectoryEntry(
        CONNECTION_ID, sync=sync, customer=customer_of(world.connection), figures=Figures(refused_changes=1)
    )
    world.directory.entries[CONNECTION_ID] = entry
    ticket = await world.store.create_ticket(delivered_ticket(world.clock()))
    after, change = asked(ticket, UpdateKind.COMMENT, by_id="me", now=world.clock(), text="Please.")
    assert change.after is not None
    refused = replace(change, after=replace(change.after, status=UpdateStatus.REFUSED))
    await world.store.update_ticket(ticket, after, [refused])
    html = text_of(await pages.get(attention_page, "/attention", caller=READER))
    assert f'href="/tickets/{ticket.ticket_id}?from=%2Fattention"' in html


async def test_where_nothing_needs_attention_the_page_says_so_and_when(pages: Pages) -> None:
    sync = SyncState(last_completed_at=pages.world.clock())
    pages.world.directory.entries[CONNECTION_ID] = DirectoryEntry(CONNECTION_ID, sync=sync)
    html = text_of(await pages.get(attention_page, "/attention"))
    t = languages()["en"]
    assert t("attention.none") in html
    assert f"{pages.world.clock():%Y-%m-%d %H:%M} UTC" in html
    assert "attention-count" not in html


async def test_the_api_says_the_same_and_gives_no_address_to_those_who_may_not_act(pages: Pages) -> None:
    world = pages.world
    left_out(pages, CONNECTION_ID, "another")
    world.connections.connections[CONNECTION_ID] = replace(world.connection, status=ConnectionStatus.UNAVAILABLE)
    world.directory.entries[CONNECTION_ID] = DirectoryEntry(CONNECTION_ID)

    async def asked(caller: Principal) -> AttentionListView:
        body = (await pages.ask(list_attention, "GET", caller=caller)).body
        assert isinstance(body, AttentionListView)
        return body

    manager, reader = await asked(MANAGER), await asked(READER)
    assert [each.cause for each in manager.items] == [Cause.ROWS_UNREADABLE, Cause.UNAVAILABLE]
    assert [each.count for each in manager.items] == [2, None]
    assert manager.items[1].url == f"{URL}/configuration/{CONNECTION_ID}"
    [item] = reader.items
    assert (item.cause, item.action, item.url) == (Cause.UNAVAILABLE, None, None)
    assert (item.connection_id, item.tenant_id, item.name) == (CONNECTION_ID, None, "Contoso")


async def test_a_long_list_has_pages(pages: Pages) -> None:
    sync = SyncState(last_completed_at=pages.world.clock())
    pages.world.directory.entries[CONNECTION_ID] = DirectoryEntry(CONNECTION_ID, sync=sync)
    for number in range(PAGE_ITEMS + 1):
        key = f"c-{number:03}"
        pages.world.connections.connections[key] = a_connection(
            connection_id=key, display_name=f"Late {key}", status=ConnectionStatus.UNAVAILABLE, status_since_at=START
        )

    async def named(query: str) -> list[str]:
        html = text_of(await pages.get(attention_page, f"/attention{query}"))
        assert f'id="attention-count">{PAGE_ITEMS + 1}<' in html
        return re.findall(r'<span class="subject">Late (c-[0-9]+)', html)

    everything = sorted(pages.world.connections.connections.keys() - {CONNECTION_ID})
    assert await named("") == everything[:PAGE_ITEMS]
    assert await named("?page=2") == await named("?page=9") == everything[PAGE_ITEMS:]
    answer = await pages.get(attention_page, "/attention?page=0")
    assert answer.status_code == 400
    assert "Late" not in text_of(answer)


def left_out(pages: Pages, *partition_keys: str) -> None:
    """Let the app meet rows that it cannot read."""
    rows = [{"PartitionKey": key, "RowKey": "settings", "client_secret": "planted"} for key in partition_keys]
    assert pages.rows.readable("connections", rows, lambda row: row["missing"]) == []


async def test_rows_that_cannot_be_read_have_a_page_that_says_where_they_are(pages: Pages) -> None:
    t = languages()["en"]
    assert t("unreadable_rows.none") in text_of(await pages.get(attention_rows_page, "/attention/rows"))
    left_out(pages, CONNECTION_ID, "another")
    html = text_of(await pages.get(attention_rows_page, "/attention/rows", caller=MANAGER))
    for shown in ("connections", CONNECTION_ID, "another", "settings"):
        assert f"<code>{shown}</code>" in html
    assert "planted" not in html


async def test_whoever_does_not_see_everything_is_shown_only_rows_about_what_they_see(pages: Pages) -> None:
    left_out(pages, CONNECTION_ID, "another")
    pages.limits.limits["hidden"] = limited_to("friend")
    with seen_by(Access(frozenset({"stranger"}))):
        html = text_of(await pages.get(attention_rows_page, "/attention/rows", caller=MANAGER))
    assert (f"<code>{CONNECTION_ID}</code>" in html, "<code>another</code>" in html) == (True, False)
