"""Leases: only one instance of the app at a time does certain work on a connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from shared.clock import steady_clock_s
from shared.connections.held_lease import LEASE_S, HeldLease, renewed
from shared.connections.ports import LeaseStore
from shared.errors import StorageUnavailable, TryLater
from shared.log import log_event
from shared.service import service

TOKENS: Final = "tokens"
"""Purpose of the lease for writing a connection's tokens."""
WAIT_S: Final = 20.0
"""ServiceNow's authorization code lives for 60 s (ServiceNow §1.2), so some time must be left after the wait."""
POLL_S: Final = 0.25


@service
class Lease:
    """The leases for one purpose, one for each connection.

    Attributes:
        sleep: Sleeps while somebody else holds the lease.
        pause: Sleeps between two renewals.
        seconds: A monotonic clock, in seconds.
    """

    leases: LeaseStore
    purpose: str
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    seconds: Callable[[], float] = steady_clock_s

    @asynccontextmanager
    async def held(
        self, connection_id: str, *, while_waiting: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[HeldLease]:
        """Hold the lease inside the block, after waiting for another holder to release it.

        Args:
            while_waiting: Called each time we find that somebody else holds it; may raise to stop waiting.

        Raises:
            TryLater: 503 ``connection_busy``: somebody else has held it for too long.
        """
        waited_s = 0.0
        while (lease := await self._acquire(connection_id, waited=waited_s > 0)) is None:
            if while_waiting is not None:
                await while_waiting()
            if waited_s >= WAIT_S:
                raise TryLater("connection_busy", retry_after_s=10)
            await self.sleep(POLL_S)
            waited_s += POLL_S
        async with self._kept(connection_id, lease):
            yield lease

    @asynccontextmanager
    async def held_if_free(self, connection_id: str) -> AsyncIterator[HeldLease | None]:
        """Hold the lease inside the block; yields None at once if somebody else holds it."""
        lease = await self._acquire(connection_id, waited=False)
        if lease is None:
            yield None
            return
        async with self._kept(connection_id, lease):
            yield lease

    async def _acquire(self, connection_id: str, *, waited: bool) -> HeldLease | None:
        asked_at_s = self.seconds()
        lease_id = await self.leases.acquire_lease(connection_id, self.purpose, duration_s=LEASE_S)
        if lease_id is None:
            return None
        lease = HeldLease(lease_id, waited=waited, seconds=self.seconds)
        lease.extend(asked_at_s)
        return lease

    @asynccontextmanager
    async def _kept(self, connection_id: str, lease: HeldLease) -> AsyncIterator[None]:
        """Renew the lease inside the block, and release it afterwards."""

        async def renew() -> bool:
            leases, purpose = self.leases, self.purpose
            is_ours = await leases.renew_lease(connection_id, purpose, lease.lease_id, duration_s=LEASE_S)
            if not is_ours:
                log_event("lease_lost", level=logging.WARNING, connection_id=connection_id, purpose=purpose)
            return is_ours

        async def release() -> None:
            await self._release(connection_id, lease)

        async with renewed(lease, renew, release, pause=self.pause):
            yield

    async def _release(self, connection_id: str, lease: HeldLease) -> None:
        try:
            await self.leases.release_lease(connection_id, self.purpose, lease.lease_id)
        except StorageUnavailable as error:
            # The lease expires on its own, and the work under it is done.
            log_event("lease_not_released", level=logging.WARNING, connection_id=connection_id, code=error.code)
