"""Calling an instance with a token that may just have stopped working."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.connections.model import Connection
from shared.connections.ports import InstanceAccess
from shared.errors import Reauthorize
from shared.tickets.ports import InstanceDoor


async def with_access[Result](
    door: InstanceDoor, connection: Connection, operation: Callable[[InstanceAccess], Awaitable[Result]]
) -> Result:
    """Run the operation; when ServiceNow refuses the token, renew it and run the operation once more.

    Only for operations that a refused token leaves without any effect. Raises what the operation raises.
    """
    access = await door.access(connection)
    try:
        return await operation(access)
    except Reauthorize:
        renewed = await door.renew(connection, access)
    return await operation(renewed)
