"""Every reader can ask for newer data; that costs no more than the timer does anyway."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.connections.directory import AT_ONCE, DirectoryEntry, SyncState
from shared.triggers.attention_pages import attention_page
from shared.triggers.refresh import AGAIN_AFTER, MOST_WOKEN, refresh_page, to_wake
from shared.web.freshness import WAITED_FOR
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.tickets.examples import CONNECTION_ID, a_connection
from tests.unit.triggers.page_calls import READER, Pages, pages

__all__ = ["pages"]

LATER = START + timedelta(minutes=5)


def entry(name: str, **changes: object) -> DirectoryEntry:
    sync = SyncState(last_completed_at=START, last_started_at=START)
    return replace(DirectoryEntry(name, due_at=LATER, sync=sync), **changes)  # type: ignore[arg-type]


async def test_a_reader_wakes_the_connection_and_the_page_says_so(pages: Pages) -> None:
    world = pages.world
    world.directory.entries[CONNECTION_ID] = entry(CONNECTION_ID)
    world.clock.advance(AGAIN_AFTER.total_seconds())
    t = languages()["en"]
    before = (await pages.get(attention_page, "/attention", caller=READER)).get_body().decode()
    assert t("freshness.refresh") in before
    fields = [("connection", ""), ("return_to", "/attention")]
    answer = await pages.post(refresh_page, "/refresh", fields, caller=READER)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/attention")
    woken = world.directory.entries[CONNECTION_ID]
    assert (woken.due_at, woken.requested_at) == (AT_ONCE, world.clock())
    after = (await pages.get(attention_page, "/attention", caller=READER)).get_body().decode()
    assert t("freshness.refreshing") in after
    assert t("freshness.refresh") + "<" not in after
    assert 'data-refresh="10"' in after
    # A second click, of whomever, changes nothing.
    await pages.post(refresh_page, "/refresh", fields, caller=READER)
    assert world.directory.entries[CONNECTION_ID] == woken


async def test_only_the_connections_of_the_page_are_woken_and_the_way_back_is_ours(pages: Pages) -> None:
    world = pages.world
    for name in (CONNECTION_ID, "fabrikam"):
        world.connections.connections[name] = a_connection(connection_id=name)
        world.directory.entries[name] = entry(name)
    world.clock.advance(AGAIN_AFTER.total_seconds())
    fields = [("connection", "fabrikam"), ("return_to", "https://evil.example/")]
    answer = await pages.post(refresh_page, "/refresh", fields, caller=READER)
    assert answer.headers["Location"] == "/"
    assert [each for each, row in world.directory.entries.items() if row.due_at == AT_ONCE] == ["fabrikam"]
    await pages.post(refresh_page, "/refresh", [("connection", "unknown")], caller=READER)
    assert world.directory.entries[CONNECTION_ID].due_at == LATER


def test_a_reader_cannot_cause_more_load_than_the_limits_allow() -> None:
    names = [f"c-{number:03}" for number in range(MOST_WOKEN + 5)]
    connections = [a_connection(connection_id=each) for each in names]
    rows = {
        each: entry(each, sync=SyncState(last_completed_at=START + timedelta(seconds=at)))
        for at, each in enumerate(names)
    }
    assert to_wake(connections, rows, LATER) == names[:MOST_WOKEN], "the ones with the oldest data"
    just_synchronised = SyncState(last_started_at=LATER - AGAIN_AFTER / 2)
    quiet = {each: replace(row, sync=just_synchronised) for each, row in rows.items()}
    assert to_wake(connections, quiet, LATER) == []
    waiting = {each: replace(row, requested_at=LATER - WAITED_FOR / 2) for each, row in rows.items()}
    assert to_wake(connections, waiting, LATER) == []
    assert to_wake(connections[:1], {}, LATER) == names[:1], "one without a row is new"
