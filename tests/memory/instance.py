"""The results of calls to an instance, and its people."""

from __future__ import annotations

from shared.connections.model import Connection, Operation
from shared.errors import ConnectorError
from tests.memory.steps import Step, at_once


class MemoryRequesterDirectory:
    """Implements :class:`shared.tickets.ports.RequesterDirectory`.

    Attributes:
        users: Current sys_ids in ServiceNow, by address.
    """

    def __init__(self, users: dict[str, str] | None = None, step: Step = at_once) -> None:
        self._step = step
        self.users = users or {}
        self._remembered: dict[str, str | None] = {}

    async def sys_id_of(self, connection: Connection, email: str, *, afresh: bool = False) -> str | None:
        """See the port."""
        await self._step("sys_id_of")
        if afresh or email not in self._remembered:
            self._remembered[email] = self.users.get(email)
        return self._remembered[email]


class MemoryInstanceHealth:
    """Implements :class:`shared.tickets.ports.InstanceHealth`: remembers what is noted."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self.successes = 0
        self.failures: list[ConnectorError] = []

    async def succeeded(self, connection: Connection, operation: Operation | None = None) -> Connection:
        """See the port."""
        await self._step("succeeded")
        self.successes += operation is Operation.DELIVERY
        return connection

    async def failed(
        self, connection: Connection, error: ConnectorError, operation: Operation | None = None
    ) -> Connection:
        """See the port."""
        await self._step("failed")
        self.failures.append(error)
        return connection

    async def settled(self, connection: Connection, operation: Operation) -> Connection:
        """See the port."""
        await self._step("settled")
        return connection
