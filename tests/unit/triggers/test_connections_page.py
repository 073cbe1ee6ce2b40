"""The list of connections: exact, searched, sorted and in pages."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from shared.connections.customers import Figures, customer_of
from shared.connections.directory import DirectoryEntry
from shared.connections.model import ConnectionStatus
from shared.connections.present import EXACT_UP_TO
from shared.triggers.connection_pages import FEW, PAGE_CONNECTIONS, connections_address, connections_page
from shared.words.language import languages
from tests.unit.tickets.examples import a_connection
from tests.unit.triggers.page_calls import MANAGER, Pages, pages, text_of

__all__ = ["pages"]

t = languages()["en"]


async def add(pages: Pages, connection_id: str, name: str, **changes: object) -> None:
    values: dict[str, object] = {
        "connection_id": connection_id,
        "display_name": name,
        "instance": f"https://{connection_id}.service-now.com",
    }
    await pages.world.connections.create_connection(a_connection(**(values | changes)))


async def read(pages: Pages, query: str = "", *, status: int = 200) -> str:
    answer = await pages.get(connections_page, f"/configuration{query}", caller=MANAGER)
    assert answer.status_code == status
    return text_of(answer)


async def found(pages: Pages, query: str = "") -> list[str]:
    """Return the ids in the table, in its order."""
    return re.findall(r'<td class="name"[^>]*><a href="/configuration/([^"]+)"', await read(pages, query))


@pytest.fixture
async def several(pages: Pages) -> Pages:
    """Pages with the connection of every world and three more."""
    now = pages.world.clock()
    await add(pages, "zeta", "Alpha", customer_group="North", consent_ends_at=now + timedelta(days=3))
    await add(pages, "beta", "Beta", is_excluded=True, consent_ends_at=now + timedelta(days=1))
    await add(pages, "gone", "Gone", status=ConnectionStatus.DISCONNECTED)
    entry = DirectoryEntry(
        "zeta", customer=customer_of(a_connection(display_name="Old name")), figures=Figures(last_sync_at=now)
    )
    await pages.world.directory.save_entry(entry)
    return pages


async def test_the_list_is_exact_whatever_the_directory_knows(several: Pages) -> None:
    assert await found(several) == ["zeta", "beta", "contoso"]
    html = await read(several)
    assert "Old name" not in html
    assert several.world.clock().isoformat() in html


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?text=ZETA.service", ["zeta"]),
        ("?group=North", ["zeta"]),
        ("?sort=name&order=descending", ["contoso", "beta", "zeta"]),
        ("?sort=consent&text=service-now&order=ascending", ["beta", "zeta", "contoso"]),
        ("?text=nobody", []),
    ],
)
async def test_filters_and_orders(several: Pages, query: str, ids: list[str]) -> None:
    assert await found(several, query) == ids


async def test_many_connections_have_pages_and_a_search(pages: Pages) -> None:
    assert "<form" not in (await read(pages)).partition("<main")[2]
    for number in range(PAGE_CONNECTIONS):
        await add(pages, f"x-{number:03}", f"X {number:03}")
    assert PAGE_CONNECTIONS > FEW
    first, last = await found(pages), await found(pages, "?page=2")
    assert (len(first), last) == (PAGE_CONNECTIONS, [f"x-{PAGE_CONNECTIONS - 1:03}"])
    assert 'name="text"' in await read(pages)


@pytest.mark.parametrize("query", ["?sort=nonsense", "?page=0", "?nonsense=1"])
async def test_what_is_not_understood_lists_nothing(several: Pages, query: str) -> None:
    assert "/configuration/zeta" not in await read(several, query, status=400)


async def test_many_connections_are_as_of_their_last_turns_and_none_is_read(pages: Pages) -> None:
    now, requests = pages.world.clock(), list[str]()
    pages.world.connections.connections.clear()
    for number in range(EXACT_UP_TO + 1):
        connection = a_connection(
            connection_id=f"x-{number:03}",
            display_name=f"X {number:03}",
            customer_group="North",
            consented_at=now - timedelta(days=99),
            consent_ends_at=now + timedelta(days=1),
        )
        entry = DirectoryEntry(f"x-{number:03}", customer=customer_of(connection), figures=Figures(last_sync_at=now))
        await pages.world.connections.create_connection(connection)
        await pages.world.directory.save_entry(entry)

    async def noted(name: str) -> None:
        requests.append(name)

    await read(pages, "?sort=consent")  # once in a while, one page reads more
    pages.world.connections._step = pages.world.directory._step = noted
    html = await read(pages, "?sort=consent")
    assert requests == ["list_customers"]
    assert re.findall(r'<td class="name"[^>]*><a href="/configuration/(x-0[01])', html)
    assert f'href="/configuration/x-000#authorize">{t("action.renew_consent")}' in html
    assert t("connection.days_left.one", count=1) in html
    assert "North" in html


@pytest.mark.parametrize("query", ["", "?text=Caf%C3%A9%20%26%20Co&sort=status"])
async def test_the_address_that_people_guess_leads_to_the_list(pages: Pages, query: str) -> None:
    answer = await pages.get(connections_address, f"/connections{query}", caller=MANAGER)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/configuration{query}")
