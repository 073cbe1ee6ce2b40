"""Whoever writes a connection's tokens holds this lease, on whatever instance of the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from shared.connections.ports import LeaseStore
from shared.errors import StorageUnavailable, TryLater
from shared.log import log_event

PURPOSE: Final = "tokens"
LEASE_S: Final = 180.0
"""Longer than everything that is done under it, time-outs and repetitions included."""
WAIT_S: Final = 30.0
POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class TokenLease:
    """One writer of a connection's tokens at a time, over all instances of the app."""

    leases: LeaseStore
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @asynccontextmanager
    async def held(
        self, connection_id: str, *, while_waiting: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[bool]:
        """Hold the lease inside the block; gives whether somebody else held it before.

        Args:
            while_waiting: Called each time somebody else turns out to hold it; may raise to stop waiting.

        Raises:
            TryLater: 503 ``connection_busy``: somebody else holds it for too long.
        """
        waited = 0.0
        while (lease_id := await self.leases.acquire_lease(connection_id, PURPOSE, duration_s=LEASE_S)) is None:
            if while_waiting is not None:
                await while_waiting()
            if waited >= WAIT_S:
                raise TryLater(
                    "Somebody else is working on this connection's tokens.", code="connection_busy", retry_after_s=10
                )
            await self.sleep(POLL_S)
            waited += POLL_S
        try:
            yield waited > 0
        finally:
            await self._release(connection_id, lease_id)

    async def _release(self, connection_id: str, lease_id: str) -> None:
        try:
            await self.leases.release_lease(connection_id, PURPOSE, lease_id)
        except StorageUnavailable as error:
            # It ends by itself; what was done under it is done.
            log_event("lease_not_released", level=logging.WARNING, connection_id=connection_id, code=error.code)
