"""Access to an instance, and the people it knows."""

from __future__ import annotations

from collections import deque

from shared.connections.model import Connection
from shared.connections.ports import InstanceAccess
from shared.errors import ConnectorError
from shared.secret import Secret
from tests.memory.steps import Step, at_once


class MemoryInstanceDoor:
    """Implements :class:`shared.tickets.ports.InstanceDoor`: each renewal gives another token."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self.renewals = 0
        self.faults: deque[ConnectorError] = deque()
        """Meets the next calls, one each."""

    @property
    def token(self) -> str:
        """The access token that ServiceNow accepts now."""
        return f"token {self.renewals}"

    async def access(self, connection: Connection) -> InstanceAccess:
        """See the port."""
        await self._step("access")
        return self._access(connection)

    async def renew(self, connection: Connection, refused: InstanceAccess) -> InstanceAccess:
        """See the port."""
        await self._step("renew")
        if refused.access_token.reveal() == self.token:
            self.renewals += 1
        return self._access(connection)

    def _access(self, connection: Connection) -> InstanceAccess:
        if self.faults:
            raise self.faults.popleft()
        return InstanceAccess(connection.instance, Secret(self.token))


class MemoryRequesterDirectory:
    """Implements :class:`shared.tickets.ports.RequesterDirectory`."""

    def __init__(self, users: dict[str, str] | None = None, step: Step = at_once) -> None:
        self._step = step
        self.users = users or {}

    async def sys_id_of(self, connection: Connection, access: InstanceAccess, email: str) -> str | None:
        """See the port."""
        await self._step("sys_id_of")
        return self.users.get(email)
