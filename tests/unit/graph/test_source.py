"""A reading: which requests it takes, and what it concludes."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import date, timedelta
from decimal import Decimal

import httpx
import pytest

from shared.errors import GraphUnavailable, TenantRefused
from shared.graph.source import HISTORY_DAYS, HISTORY_PART, SecureScoreSource
from shared.outbound.bodies import ANSWER_LIMIT
from shared.recommendations.model import Presence, SourceName
from tests.unit.graph.support import (
    PROFILES,
    ROLE,
    SCORES,
    TENANT,
    TENANT_ID,
    Graph,
    Reply,
    ScriptedTokens,
    control,
    error_reply,
    graph,
    jwt,
    lists_over,
    page,
    profile,
    raw_reply,
    score,
)

NEWEST = page(score("2026-11-24", control("a"), control("b")), next_link=f"{SCORES}?$top=1&$skiptoken=x")
DAYS = [(date(2026, 11, 24) - timedelta(days=back)).isoformat() for back in range(HISTORY_DAYS)]


class Days:
    """Microsoft Graph with a score for each of these days, newest first."""

    def __init__(self, days: list[str], *, too_large_from: int = 1000, obeys: bool = True, skips: bool = True) -> None:
        self.days, self.too_large_from, self.obeys, self.skips = days, too_large_from, obeys, skips
        self.asked: list[tuple[int, int]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if "Profiles" in request.url.path:
            return httpx.Response(200, json={"value": [profile()]})
        top, skip = int(request.url.params["$top"]), int(request.url.params.get("$skip", 0))
        self.asked.append((top, skip))
        if top >= self.too_large_from:
            return httpx.Response(200, content=b" " * (ANSWER_LIMIT + 1))
        first = skip if self.skips else 0
        days = self.days[first : first + top] if self.obeys else self.days
        return httpx.Response(200, json={"value": [score(day) for day in days], "@odata.nextLink": f"{SCORES}?x"})

    def source(self) -> SecureScoreSource:
        return SecureScoreSource(lists_over(self), ScriptedTokens())


class TestReading:
    async def test_460_controls_are_4_requests(self) -> None:
        ids = [f"scid_{number}" for number in range(460)]
        pages = [[profile(each) for each in ids[first : first + 200]] for first in (0, 200, 400)]
        links = [f"{PROFILES}?$skiptoken={number}" for number in (1, 2)]
        peer = graph(page(*pages[0], next_link=links[0]), page(*pages[1], next_link=links[1]), page(*pages[2]), NEWEST)
        reading = await peer.source().read(TENANT, with_history=False)
        assert peer.addresses == [PROFILES, *links, f"{SCORES}?$top=1"]
        assert len(reading.actions) == 462
        assert reading.is_complete
        assert reading.source is SourceName.SECURE_SCORE
        assert reading.roles == (ROLE,)
        assert list(reading.history) == []

    async def test_the_lists_are_joined(self) -> None:
        peer = graph(page(profile("a"), profile("c")), NEWEST)
        reading = await peer.source().read(TENANT, with_history=False)
        assert {action.source_id: action.presence for action in reading.actions} == {
            "a": Presence.BOTH,
            "b": Presence.SCORE_ONLY,
            "c": Presence.PROFILE_ONLY,
        }
        assert reading.snapshot is not None
        assert reading.snapshot.snapshot_id == f"{TENANT_ID}_2026-11-24"
        assert reading.snapshot.controls.keys() == {"a", "b"}
        assert set(reading.texts.values()) >= {"<p>Why</p>", "\n<ol><li>Do it</li></ol>"}
        assert {action.tenant_id for action in reading.actions} == {TENANT_ID}

    async def test_a_tenant_without_a_score(self) -> None:
        reading = await graph(page(), page()).source().read(TENANT, with_history=True)
        assert (reading.snapshot, list(reading.actions), list(reading.history)) == (None, [], [])
        assert reading.is_complete

    @pytest.mark.parametrize(
        "replies",
        [
            (page(profile("a"), status=206), NEWEST),
            (page(profile("a")), page(score(), status=206)),
        ],
    )
    async def test_a_partial_list_makes_it_incomplete(self, replies: tuple[httpx.Response, ...]) -> None:
        assert not (await graph(*replies).source().read(TENANT, with_history=False)).is_complete

    async def test_a_score_that_makes_no_sense_is_no_reading(self) -> None:
        with pytest.raises(GraphUnavailable) as caught:
            await graph(page(profile()), page({"id": None})).source().read(TENANT, with_history=False)
        assert caught.value.code == "graph_answer_unusable"

    async def test_0_of_0(self) -> None:
        empty = score("2026-11-24", controlScores=[], currentScore=0, maxScore=0)
        reading = await graph(page(), page(empty)).source().read(TENANT, with_history=False)
        assert reading.snapshot is not None
        assert (reading.snapshot.score, reading.snapshot.max_score) == (Decimal(0), Decimal(0))

    async def test_skipped_controls_are_counted_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        newest = page(score("2026-11-24", control(), control(controlName="")))
        await graph(page(profile(), profile(id=None)), newest).source().read(TENANT, with_history=False)
        events = [json.loads(record.getMessage()) for record in caplog.records if record.name == "connector"]
        assert {"event": "controls_skipped", "tenant_id": TENANT_ID, "skipped": 2} in events


class TestPermission:
    def peer(self, *roles: list[str]) -> Graph:
        peer = graph(page(profile()), NEWEST)
        peer.tokens.tokens = [jwt(roles=each) for each in roles]
        return peer

    async def test_without_the_role_nothing_is_asked(self) -> None:
        peer = self.peer(["Organization.Read.All"])
        with pytest.raises(TenantRefused) as caught:
            await peer.source().read(TENANT, with_history=False)
        assert caught.value.values["wanted"] == ROLE
        assert peer.requests == []
        assert await peer.source().roles(TENANT) == ("Organization.Read.All",)

    async def test_a_new_token_can_have_it(self) -> None:
        peer = self.peer([], [ROLE])
        assert (await peer.source().read(TENANT, with_history=False)).roles == (ROLE,)
        assert peer.tokens.asked == ["new"]
        assert await self.peer([], [ROLE]).source().roles(TENANT) == (ROLE,)

    async def test_the_role_to_write_is_enough(self) -> None:
        await self.peer(["SecurityEvents.ReadWrite.All"]).source().read(TENANT, with_history=False)

    async def test_a_permission_that_is_taken_away_midway(self) -> None:
        peer = graph(page(profile(), next_link=f"{PROFILES}?$skiptoken=1"), error_reply(403, "Forbidden"))
        with pytest.raises(TenantRefused) as caught:
            await peer.source().read(TENANT, with_history=False)
        assert caught.value.code == "graph_permission_missing"


class TestHistory:
    async def test_90_days_in_parts(self) -> None:
        world = Days(DAYS)
        reading = await world.source().read(TENANT, with_history=True)
        assert reading.snapshot is not None
        assert [snapshot.day.isoformat() for snapshot in reading.history] == DAYS[:0:-1]
        assert reading.is_history_complete
        assert world.asked == [(1, 0), *((HISTORY_PART, 1 + HISTORY_PART * part) for part in range(8)), (9, 81)]

    async def test_without_history_nothing_else_is_asked(self) -> None:
        world = Days(DAYS)
        await world.source().read(TENANT, with_history=False)
        assert world.asked == [(1, 0)]

    async def test_missing_days_and_a_short_history(self) -> None:
        days = [*DAYS[:5], *DAYS[9:30]]
        world = Days(days)
        reading = await world.source().read(TENANT, with_history=True)
        assert [snapshot.day.isoformat() for snapshot in reading.history] == days[:0:-1]
        assert len(world.asked) == 5

    @pytest.mark.parametrize(("too_large_from", "tops"), [(10, [10, 5, 5]), (3, [10, 5, 2, 2, 2, 2])])
    async def test_parts_that_are_too_large_become_smaller(self, too_large_from: int, tops: list[int]) -> None:
        world = Days(DAYS[:6], too_large_from=too_large_from)
        reading = await world.source().read(TENANT, with_history=True)
        assert len(reading.history) == 5
        assert [top for top, _ in world.asked[1:]] == tops

    @pytest.mark.parametrize(
        "reply",
        [
            error_reply(400),
            error_reply(404),
            error_reply(429, headers={"Retry-After": "600"}),
            error_reply(500),
            raw_reply(b"<html>"),
            raw_reply(b" " * (ANSWER_LIMIT + 1)),
            page({"id": f"{TENANT_ID}_2026-11-23", "azureTenantId": TENANT_ID.replace("1", "2")}),
            httpx.ReadTimeout("slow"),
        ],
    )
    async def test_past_days_that_cannot_be_read_do_not_keep_the_newest_one_out(
        self, reply: Reply, caplog: pytest.LogCaptureFixture
    ) -> None:
        reading = await graph(page(profile()), NEWEST, reply).source().read(TENANT, with_history=True)
        assert reading.is_complete
        assert not reading.is_history_complete
        assert list(reading.history) == []
        assert reading.snapshot is not None
        assert "history_not_read" in caplog.text

    async def test_the_days_before_a_failure_count(self) -> None:
        part = page(*(score(day) for day in DAYS[1 : 1 + HISTORY_PART]))
        peer = graph(page(profile()), NEWEST, part, error_reply(500))
        reading = await peer.source().read(TENANT, with_history=True)
        assert len(reading.history) == HISTORY_PART
        assert not reading.is_history_complete

    async def test_a_partial_day_may_lack_something(self) -> None:
        part = page(score(DAYS[1]), status=206)
        reading = await graph(page(profile()), NEWEST, part, page()).source().read(TENANT, with_history=True)
        assert reading.is_complete
        assert not reading.is_history_complete

    async def test_a_permission_that_is_taken_away_now(self) -> None:
        with pytest.raises(TenantRefused):
            await graph(page(profile()), NEWEST, error_reply(403)).source().read(TENANT, with_history=True)

    @pytest.mark.usefixtures("waits_end_at_once")
    async def test_the_past_ends_in_time(self) -> None:
        async def hang_on_the_past(request: httpx.Request) -> httpx.Response:
            if "skip" in str(request.url):
                await asyncio.Event().wait()
            return httpx.Response(200, json={"value": [profile() if "Profiles" in request.url.path else score()]})

        reading = await SecureScoreSource(lists_over(hang_on_the_past), ScriptedTokens()).read(
            TENANT, with_history=True
        )
        assert reading.snapshot is not None
        assert not reading.is_history_complete

    async def test_a_server_that_ignores_top_and_skip(self) -> None:
        world = Days(DAYS, obeys=False)
        reading = await world.source().read(TENANT, with_history=True)
        assert len(reading.history) == 89
        assert reading.snapshot is not None
        assert reading.snapshot.day.isoformat() == DAYS[0]
        assert len(world.asked) == 2

    async def test_a_server_that_ignores_skip_alone(self) -> None:
        world = Days(DAYS, skips=False)
        reading = await world.source().read(TENANT, with_history=True)
        assert len(reading.history) == HISTORY_PART - 1
        assert len(world.asked) == 3, "the second part brought nothing new"
