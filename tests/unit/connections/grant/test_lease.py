"""Leases are short and renewed while they are held, and the holder notices a loss."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.connections.grant.lease import TOKENS, WAIT_S, Lease
from shared.connections.held_lease import LEASE_S
from shared.errors import TryLater
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.renewals import Renewals
from tests.unit.connections.surroundings import Surroundings


class Holders(Renewals):
    """Leases that are renewed when the test lets time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryLeaseStore(self.clock, self.step)

    async def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def lease(self) -> Lease:
        return Lease(self.store, TOKENS, self._sleep, self.pause, self.seconds)

    async def is_free(self) -> bool:
        async with self.lease().held_if_free("contoso") as lease:
            return lease is not None


@pytest.fixture
def holders() -> Holders:
    return Holders()


async def test_a_lease_lasts_as_long_as_the_work_under_it(holders: Holders) -> None:
    async with holders.lease().held("contoso") as lease:
        await holders.pass_time(600)
        lease.require()
        assert not await holders.is_free()
    assert await holders.is_free()
    assert not holders.store.leases


async def test_a_holder_that_died_is_succeeded_soon(holders: Holders) -> None:
    await holders.store.acquire_lease("contoso", TOKENS, duration_s=LEASE_S)
    holders.clock.advance(LEASE_S - 1)
    assert not await holders.is_free()
    holders.clock.advance(1)
    assert await holders.is_free()


async def test_waiting_leaves_time_for_the_code(holders: Holders) -> None:
    before = holders.clock.now
    async with holders.lease().held("contoso"):
        with pytest.raises(TryLater) as caught:
            async with holders.lease().held("contoso"):
                pass
    assert caught.value.code == "connection_busy"
    assert (holders.clock.now - before).total_seconds() == WAIT_S < 60 / 2


async def test_whoever_was_held_up_notices_before_the_next_write(holders: Holders) -> None:
    async with holders.lease().held("contoso") as lease:
        holders.clock.advance(LEASE_S)  # a paused process renews nothing
        assert lease.is_lost
        async with holders.lease().held("contoso") as successor:
            await holders.pass_time(20)
            with pytest.raises(TryLater) as caught:
                lease.require()
            assert caught.value.code == "lease_lost"
            successor.require()
    assert not holders.store.leases


async def test_the_one_whose_lease_was_taken_takes_nothing_from_the_successor(holders: Holders) -> None:
    first = holders.lease().held("contoso")
    await first.__aenter__()
    holders.clock.advance(LEASE_S)
    async with holders.lease().held("contoso"):
        await first.__aexit__(None, None, None)
        assert not await holders.is_free()


async def test_a_renewal_that_storage_did_not_answer_is_tried_again(holders: Holders) -> None:
    async with holders.lease().held("contoso") as lease:
        holders.storage_answers = False
        await holders.pass_time(20)
        lease.require()
        await holders.pass_time(10)
        assert lease.is_lost
        holders.storage_answers = True
        await holders.pass_time(10)
        lease.require()


@pytest.mark.parametrize("end", [ValueError, asyncio.CancelledError])
async def test_a_lease_is_given_back_however_the_work_ends(holders: Holders, end: type[BaseException]) -> None:
    before = asyncio.all_tasks()

    async def work() -> None:
        async with holders.lease().held("contoso"):
            await asyncio.sleep(0)
            raise end

    with pytest.raises(end):
        await work()
    assert not holders.store.leases
    assert asyncio.all_tasks() == before, "nothing continues to renew it"


# Work under a lease


def _remove(app: Surroundings) -> Awaitable[object]:
    return app.removal.remove("contoso")


def _configure(app: Surroundings) -> Awaitable[object]:
    return app.configured(client_secret="another")


@pytest.mark.parametrize("work", [_remove, _configure])
async def test_whoever_lost_the_lease_writes_no_secret(
    app: Surroundings, work: Callable[[Surroundings], Awaitable[object]]
) -> None:
    await app.connected()
    before = dict(app.secrets.versions)
    writes: list[str] = []

    async def held_up(name: str) -> None:
        if name == "get_secret":
            app.clock.advance(LEASE_S)
        else:
            writes.append(name)

    app.secrets.step = held_up
    with pytest.raises(TryLater) as caught:
        await work(app)
    assert caught.value.code == "lease_lost"
    assert not writes
    assert app.secrets.versions == before
    app.secrets.step = app.step
    await work(app)


async def test_an_authorization_that_lost_the_lease_keeps_nothing(app: Surroundings) -> None:
    await app.configured()

    async def held_up(name: str) -> None:
        if name == "exchange_code answers":
            app.clock.advance(LEASE_S)

    app.servicenow.step = held_up
    with pytest.raises(TryLater) as caught:
        await app.authorized()
    assert caught.value.code == "lease_lost"
    assert not app.servicenow.living
    assert "servicenow-contoso-refresh-token" not in app.secrets.versions
