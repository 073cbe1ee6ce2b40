"""What an instance offers to choose from, such as groups, categories and companies, if it lets us read them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from itertools import batched
from typing import Final, Protocol

from shared.connections.model import Connection, TicketKind
from shared.connections.ports import TokenSource
from shared.errors import ConnectorError
from shared.log import log_context
from shared.service import service
from shared.value_object import value_object

READ_S: Final = 8.0
"""A person waits for the page that shows the options."""
_ELEMENTS: Final = ("category", "state", "close_code")
"""Columns whose values make up :class:`KindOptions`, in its order."""


@value_object
class Choice:
    """One thing to choose: ServiceNow's value and what people call it."""

    value: str
    label: str


@value_object
class KindOptions:
    """What an instance offers for one kind; None if it does not let us read the list, or the list is too long."""

    categories: Sequence[Choice] | None = None
    states: Sequence[Choice] | None = None
    close_codes: Sequence[Choice] | None = None


@value_object
class InstanceOptions:
    """What an instance offers; None if it does not let us read the list, or the list is too long."""

    assignment_groups: Sequence[Choice] | None = None
    kinds: Mapping[TicketKind, KindOptions] = field(
        default_factory=lambda: {kind: KindOptions() for kind in TicketKind}
    )


class InstanceCatalogue(Protocol):
    """The instance's groups, companies and choice lists (ServiceNow §5.3, §6).

    Every method raises what every read raises.
    """

    async def assignment_groups(self, connection: Connection) -> Sequence[Choice] | None:
        """Return the active groups by name; None if they are not readable or too many."""
        ...

    async def companies(self, connection: Connection) -> Sequence[Choice] | None:
        """Return the companies by name; None if they are not readable or too many."""
        ...

    async def choices(self, connection: Connection, kind: TicketKind, element: str) -> Sequence[Choice] | None:
        """Return the active values of a column of the kind's table, as ordered there; None if not readable."""
        ...


@service
class ConnectionOptions:
    """Reads what a connection's instance offers."""

    tokens: TokenSource
    catalogue: InstanceCatalogue

    async def read(self, connection: Connection) -> InstanceOptions:
        """Return what can be found out within a few seconds; a failure only means fewer options."""
        return await self._within_seconds(connection, self._read) or InstanceOptions()

    async def companies(self, connection: Connection) -> Sequence[Choice] | None:
        """Return the instance's companies; None if they cannot be found out within a few seconds."""
        return await self._within_seconds(connection, self.catalogue.companies)

    async def _within_seconds[Found](
        self, connection: Connection, read: Callable[[Connection], Awaitable[Found]]
    ) -> Found | None:
        if not connection.ever_consented or connection.is_removed:
            return None
        try:
            with log_context(connection_id=connection.connection_id):
                async with asyncio.timeout(READ_S):
                    # Get the token first: otherwise all the concurrent calls would ask for it.
                    await self.tokens.access_token(connection)
                    return await read(connection)
        except (ConnectorError, TimeoutError):
            return None

    async def _read(self, connection: Connection) -> InstanceOptions:
        groups, *lists = await asyncio.gather(
            self.catalogue.assignment_groups(connection),
            *(self.catalogue.choices(connection, kind, element) for kind in TicketKind for element in _ELEMENTS),
        )
        of_kinds = batched(lists, len(_ELEMENTS), strict=True)
        return InstanceOptions(
            groups, {kind: KindOptions(*of_kind) for kind, of_kind in zip(TicketKind, of_kinds, strict=True)}
        )
