"""Calling an instance with a token that may just have stopped working."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.connections.model import Connection
from shared.connections.ports import InstanceAccess
from shared.errors import AccessTokenRefused, ConnectorError
from shared.tickets.ports import InstanceDoor

type Operation[Result] = Callable[[InstanceAccess], Awaitable[Result]]


async def with_access[Result](
    door: InstanceDoor,
    connection: Connection,
    operation: Operation[Result],
    *,
    after_write: Operation[Result] | None = None,
) -> Result:
    """Run the operation; when ServiceNow refuses the token, renew it and run the operation once more.

    Args:
        after_write: Takes the place of the second run when a write was refused, for ServiceNow may have carried it out
            all the same. It looks the record up before it sends anything. An operation that writes has to name one.

    Raises:
        AccessTokenRefused: 503 ``new_access_token_refused``: ServiceNow refused the token that it has just given, too.
        ConnectorError: What the operation raises; ``may_be_written`` remembers the write of the first run.
    """
    access = await door.access(connection)
    try:
        return await operation(access)
    except AccessTokenRefused as error:
        refused = error
    again = operation
    if refused.may_be_written:
        assert after_write is not None, "an operation that writes says how it goes on"
        again = after_write
    try:
        renewed = await door.renew(connection, access)
        try:
            return await again(renewed)
        except AccessTokenRefused as error:
            raise _new_token_refused(error) from None
    except ConnectorError as error:
        error.may_be_written |= refused.may_be_written
        raise


def _new_token_refused(error: AccessTokenRefused) -> AccessTokenRefused:
    return AccessTokenRefused(
        "ServiceNow gave a new access token and refuses it.",
        writing=error.may_be_written,
        code="new_access_token_refused",
        next_step="Nothing to do at first: the connector tries again. If it lasts, look for an API access policy in "
        "ServiceNow that refuses the integration user, and for a proxy that removes the Authorization header.",
    )
