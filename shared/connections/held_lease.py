"""A lease that somebody holds.

It is short, so that a holder that dies is succeeded soon, and is renewed for as long as the work under it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from shared.errors import StorageUnavailable, TryLater

LEASE_S: Final = 30.0
RENEW_EVERY_S: Final = 10.0


class HeldLease:
    """A lease inside its block.

    Attributes:
        waited: Whether somebody else held it before.
        seconds: A clock that nobody sets, in seconds.
    """

    def __init__(self, lease_id: str, *, waited: bool, seconds: Callable[[], float]) -> None:
        self.lease_id = lease_id
        self.waited = waited
        self.seconds = seconds
        self._taken = False
        self.extend(seconds())

    def extend(self, asked_at_s: float) -> None:
        """Note that the lease lasts from when it was asked for."""
        self._until_s = asked_at_s + LEASE_S

    def take_away(self) -> None:
        """Note that somebody else has it."""
        self._taken = True

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has it, or may have it."""
        return self._taken or self.seconds() >= self._until_s

    def require(self) -> None:
        """Raise TryLater (503 ``lease_lost``) when it is lost; to be called before what only its holder may do."""
        if self.is_lost:
            raise TryLater("lease_lost")


@asynccontextmanager
async def renewed(
    lease: HeldLease,
    renew: Callable[[], Awaitable[bool]],
    release: Callable[[], Awaitable[None]],
    *,
    pause: Callable[[float], Awaitable[None]],
) -> AsyncIterator[None]:
    """Renew a lease inside the block, and give it back afterwards, however the block ends.

    Args:
        renew: Lets it last from now; returns whether it is still the holder's.
    """
    renewal = asyncio.create_task(_renew(lease, renew, pause))
    try:
        yield
    finally:
        renewal.cancel()
        await asyncio.wait({renewal})
        await release()
        if not renewal.cancelled():
            renewal.result()


async def _renew(
    lease: HeldLease, renew: Callable[[], Awaitable[bool]], pause: Callable[[float], Awaitable[None]]
) -> None:
    is_ours = True
    while is_ours:
        await pause(RENEW_EVERY_S)
        asked_at_s = lease.seconds()
        try:
            is_ours = await renew()
        except StorageUnavailable:
            continue  # There is time for another try or two; after that it counts as lost.
        if is_ours:
            lease.extend(asked_at_s)
    lease.take_away()
