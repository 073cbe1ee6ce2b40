"""A lease that somebody holds.

It is short, so that another process soon takes over from a holder that dies, and it is renewed while the work lasts.
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
    """A lease that is held inside a block.

    Attributes:
        waited: Whether we waited because somebody else held it.
        seconds: A monotonic clock, in seconds.
    """

    def __init__(self, lease_id: str, *, waited: bool, seconds: Callable[[], float]) -> None:
        self.lease_id = lease_id
        self.waited = waited
        self.seconds = seconds
        self._taken = False
        self.extend(seconds())

    def extend(self, asked_at_s: float) -> None:
        """Note that the lease begins again at the time when we asked for it."""
        self._until_s = asked_at_s + LEASE_S

    def take_away(self) -> None:
        """Note that somebody else has it."""
        self._taken = True

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has it, or may have it."""
        return self._taken or self.seconds() >= self._until_s

    def require(self) -> None:
        """Raise TryLater (503 ``lease_lost``) if it is lost; call this before anything that only its holder may do."""
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
    """Renew a lease inside the block, and release it afterwards, however the block ends.

    Args:
        renew: Makes the lease begin again now; returns whether it is still ours.
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
            continue  # There is time for one or two more tries; after that the lease counts as lost.
        if is_ours:
            lease.extend(asked_at_s)
    lease.take_away()
