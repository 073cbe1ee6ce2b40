"""Who sees which customer: the rule, whose eyes the present work has, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.current import current_access, seen_by, sees_everything
from shared.access.model import EVERYTHING, UNLIMITED_ONLY, Access, AllowedCaller, CustomerLimit
from shared.access.sight import REMEMBERED_FOR, Sight
from shared.errors import FixRequest, StorageUnavailable
from tests.memory.clock import ManualClock
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to

ids = st.frozensets(st.sampled_from("abcd"))


@given(ids, st.none() | ids)
def test_a_limited_customer_is_seen_by_those_who_are_named(own: frozenset[str], limit: frozenset[str] | None) -> None:
    allowed = None if limit is None else limited_to(*limit)
    assert Access(own).sees(allowed) is (limit is None or bool(own & limit))
    assert EVERYTHING.sees(allowed)


def test_the_apps_own_work_sees_everything() -> None:
    assert current_access() == EVERYTHING


async def test_what_a_caller_begins_has_the_callers_eyes() -> None:
    async def eyes() -> Access:
        await asyncio.sleep(0)
        return current_access()

    with seen_by(UNLIMITED_ONLY):
        begun = asyncio.create_task(eyes())
        with seen_by(EVERYTHING):
            assert await eyes() == EVERYTHING
        assert await asyncio.to_thread(current_access) == UNLIMITED_ONLY
        assert await sees_everything(eyes)() == EVERYTHING
        assert current_access() == UNLIMITED_ONLY
    assert current_access() == EVERYTHING
    assert await begun == UNLIMITED_ONLY


class World:
    """Limits in memory, whose requests are counted and can fail."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.requests = 0
        self.fails = False
        self.limits = MemoryCustomerLimits(self._step)
        self.sight = Sight(self.limits, self.clock)

    async def _step(self, _name: str) -> None:
        self.requests += 1
        if self.fails:
            raise StorageUnavailable()


async def test_the_limits_are_read_once_in_a_while_and_never_for_the_apps_own_work() -> None:
    world = World()
    world.limits.limits["secret"] = limited_to("group")
    assert await world.sight.hidden() == frozenset()
    assert world.requests == 0
    with seen_by(UNLIMITED_ONLY):
        for _ in range(3):
            assert await world.sight.hidden() == {"secret"}
        assert world.requests == 1
        world.limits.limits.clear()
        world.clock.advance(REMEMBERED_FOR.total_seconds())
        assert await world.sight.hidden() == frozenset()
        world.clock.advance(-timedelta(days=1).total_seconds())
        await world.sight.hidden()
    assert world.requests == 3


async def test_a_change_holds_at_once_where_it_is_made() -> None:
    world = World()
    with seen_by(Access(frozenset({"mine"}))):
        assert await world.sight.hidden() == frozenset()
        await world.sight.save("customer", limited_to("other"))
        assert await world.sight.hidden() == {"customer"}
        await world.sight.save("customer", (AllowedCaller("mine", "a note"),))
        assert await world.sight.hidden() == frozenset()
        assert await world.sight.limit_of("customer") == (AllowedCaller("mine", "a note"),)
        await world.sight.save("customer", None)
        assert await world.sight.limit_of("customer") is None


async def test_nothing_is_shown_while_nobody_knows_the_limits() -> None:
    world = World()
    world.fails = True
    with seen_by(UNLIMITED_ONLY), pytest.raises(StorageUnavailable):
        await world.sight.require("customer")


async def test_what_is_hidden_is_not_found() -> None:
    world = World()
    world.limits.limits["secret"] = ()
    with seen_by(Access(frozenset({"anybody"}))):
        await world.sight.require("customer")
        with pytest.raises(FixRequest) as refused:
            await world.sight.require("secret")
    assert (refused.value.status, refused.value.code) == (404, "connection_not_found")


async def test_a_reading_that_began_before_a_change_is_not_remembered_after_it() -> None:
    world, began, goes_on = World(), asyncio.Event(), asyncio.Event()
    read = world.limits.list

    async def slow_read() -> Mapping[str, CustomerLimit]:
        before = await read()
        began.set()
        await goes_on.wait()
        return before

    world.limits.list = slow_read  # type: ignore[method-assign]
    with seen_by(UNLIMITED_ONLY):
        reading = asyncio.create_task(world.sight.hidden())
        await began.wait()
        saving = asyncio.create_task(world.sight.save("customer", limited_to("other")))
        await asyncio.sleep(0.01)
        goes_on.set()
        await asyncio.gather(reading, saving)
        assert await world.sight.hidden() == {"customer"}
