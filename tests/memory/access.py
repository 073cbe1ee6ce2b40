"""Access to an instance, and the people it knows."""

from __future__ import annotations

from shared.connections.model import Connection, Operation
from shared.connections.ports import InstanceAccess
from shared.errors import ConnectorError, Reauthorize
from shared.secret import Secret
from tests.memory.steps import Step, at_once


class MemoryInstanceDoor:
    """Implements :class:`shared.tickets.ports.InstanceDoor`: each renewal gives another token."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self.renewals = 0
        self.refusals = 0
        """How many of the next calls find no usable consent."""
        self.no_renewal: ConnectorError | None = None
        """Why there is no new token."""

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
        if self.no_renewal is not None:
            raise self.no_renewal
        if refused.access_token.reveal() == self.token:
            self.renewals += 1
        return self._access(connection)

    def _access(self, connection: Connection) -> InstanceAccess:
        if self.refusals:
            self.refusals -= 1
            raise Reauthorize("The consent is no longer accepted.")
        return InstanceAccess(connection.instance, Secret(self.token))


class MemoryRequesterDirectory:
    """Implements :class:`shared.tickets.ports.RequesterDirectory`.

    Attributes:
        users: sys_ids by address, as ServiceNow has them now.
    """

    def __init__(self, users: dict[str, str] | None = None, step: Step = at_once) -> None:
        self._step = step
        self.users = users or {}
        self._remembered: dict[str, str | None] = {}

    async def sys_id_of(
        self, connection: Connection, access: InstanceAccess, email: str, *, afresh: bool = False
    ) -> str | None:
        """See the port."""
        await self._step("sys_id_of")
        if afresh or email not in self._remembered:
            self._remembered[email] = self.users.get(email)
        return self._remembered[email]


class MemoryInstanceHealth:
    """Implements :class:`shared.tickets.ports.InstanceHealth`: remembers what was noted."""

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
