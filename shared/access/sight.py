"""Which customers are hidden from the present caller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.access.current import current_access
from shared.access.model import CustomerLimit, is_wider
from shared.clock import Clock
from shared.errors import FixRequest
from shared.log import log_event
from shared.service import service

REMEMBERED_FOR: Final = timedelta(seconds=15)
"""After a change, other instances of the app decide by the old limits for this long."""


class CustomerLimits(Protocol):
    """The limits of customers in Table Storage. Every method can raise StorageUnavailable."""

    async def list(self) -> Mapping[str, CustomerLimit]:
        """Return the limited customers by connection id, with one request.

        Of a row that cannot be read the limit is empty, so that nobody sees the customer.
        """
        ...

    async def save(self, connection_id: str, limit: CustomerLimit | None) -> None:
        """Limit a customer, or end its limit (None)."""
        ...


@service
class Sight:
    """Says what the present caller may see; it reads the limits once in :data:`REMEMBERED_FOR`."""

    limits: CustomerLimits
    clock: Clock
    _remembered: list[tuple[datetime, Mapping[str, CustomerLimit]]] = field(default_factory=list)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def hidden(self) -> frozenset[str]:
        """Return the ids of the connections that the caller may not see. Raises StorageUnavailable."""
        access = current_access()
        if access.ids is None:
            return frozenset()
        return frozenset(
            connection_id for connection_id, limit in (await self._known()).items() if not access.sees(limit)
        )

    async def is_hidden(self, connection_id: str) -> bool:
        """Whether the caller may not see a connection. Raises StorageUnavailable."""
        return connection_id in await self.hidden()

    async def require(self, connection_id: str) -> None:
        """Refuse a connection that the caller may not see as if there were none.

        Raises:
            FixRequest: 404 ``connection_not_found``.
            StorageUnavailable: Nobody knows.
        """
        if await self.is_hidden(connection_id):
            raise FixRequest("connection_not_found", status=404)

    async def limit_of(self, connection_id: str) -> CustomerLimit | None:
        """Return a customer's limit, as remembered; None if it has none. Raises StorageUnavailable."""
        return (await self._known()).get(connection_id)

    async def change(self, connection_id: str, limit: CustomerLimit | None) -> LimitChange:
        """Return the change that gives a customer this limit, or ends its limit (None). Nothing is stored yet.

        Raises:
            FixRequest: 422 ``would_lock_you_out``: the caller would not see the customer any more.
            StorageUnavailable: Storage does not answer.
        """
        if not current_access().sees(limit):
            raise FixRequest("would_lock_you_out", status=422)
        async with self._reading:
            before = (await self._read()).get(connection_id)
        return LimitChange(self, connection_id, before, limit)

    async def save(self, connection_id: str, limit: CustomerLimit | None) -> None:
        """Limit a customer, or end its limit (None); here it holds at once. Raises StorageUnavailable."""
        # During the write nobody reads: what they had read of the time before it would be remembered.
        async with self._reading:
            self._remembered.clear()
            await self.limits.save(connection_id, limit)
        log_event("customer_limited", connection_id=connection_id, allowed=None if limit is None else len(limit))

    async def _known(self) -> Mapping[str, CustomerLimit]:
        async with self._reading:
            if self._remembered:
                read_at, limits = self._remembered[-1]
                if abs(self.clock() - read_at) < REMEMBERED_FOR:
                    return limits
            return await self._read()

    async def _read(self) -> Mapping[str, CustomerLimit]:
        began_at = self.clock()
        limits = await self.limits.list()
        self._remembered[:] = [(began_at, limits)]
        return limits


@service
class LimitChange:
    """A change of a customer's limit beside another change of the customer.

    What takes the customer out of somebody's sight is stored before the other change, everything else after it: what
    the other change adds is never seen by too many.
    """

    sight: Sight
    connection_id: str
    before: CustomerLimit | None
    after: CustomerLimit | None

    async def begin(self) -> None:
        """Store it if somebody loses sight of the customer. Raises StorageUnavailable."""
        if not is_wider(self.before, self.after):
            await self._save()

    async def end(self) -> None:
        """Store it if nobody does. Raises StorageUnavailable."""
        if is_wider(self.before, self.after):
            await self._save()

    async def _save(self) -> None:
        if self.after != self.before:
            await self.sight.save(self.connection_id, self.after)
