"""Suggestions while somebody types a value for a field of ServiceNow.

A call asks ServiceNow for records at most once. The columns of a table are read when they are first needed. Both are
remembered for a while, so neither a fast typist nor a script costs the instance much.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.connections.columns import MOST_SUGGESTIONS, Column
from shared.connections.fixed_fields import REFERENCES
from shared.connections.model import Connection, TicketKind
from shared.connections.named_values import NamedValues
from shared.connections.options import READ_S, Choice
from shared.service import service

CHOSEN_FOR_A_TICKET: Final = ("assignment_group", "assigned_to", "cmdb_ci")
"""The columns that a person can choose for a ticket."""
TEXT_MAX_LENGTH: Final = 100
KEEP_COLUMNS: Final = timedelta(minutes=5)
KEEP_RECORDS: Final = timedelta(minutes=1)
MOST_KEPT: Final = 1000
AT_ONCE: Final = 2
"""How many requests of all people together an instance gets at a time; it has few threads for all integrations
(ServiceNow §3)."""


class Remembered[Value]:
    """Values that are used again for a while."""

    def __init__(self, keep: timedelta, clock: Clock) -> None:
        self._keep = keep
        self._clock = clock
        self._values: dict[tuple[str, ...], tuple[datetime, Value]] = {}

    def get(self, key: tuple[str, ...]) -> Value | None:
        """Return a value that is not too old, or None."""
        until_at, value = self._values.get(key, (None, None))
        return value if until_at is not None and self._clock() < until_at <= self._clock() + self._keep else None

    def put(self, key: tuple[str, ...], value: Value) -> None:
        """Remember a value; when there are too many, forget all."""
        if len(self._values) >= MOST_KEPT:
            self._values.clear()
        self._values[key] = self._clock() + self._keep, value


@service
class Suggestions:
    """Suggests values; see the module's description."""

    values: NamedValues
    remembered_columns: Remembered[Mapping[str, Column]]
    remembered_records: Remembered[Sequence[Choice]]
    turns: Mapping[str, asyncio.Semaphore] = field(default_factory=lambda: defaultdict(_turn))

    async def columns(self, connection: Connection, kind: TicketKind) -> Mapping[str, Column] | None:
        """Return the columns of a kind's table; None if they cannot be found out within a few seconds."""
        key = *_whose_rights(connection), kind.value
        return await self._remembered(
            self.remembered_columns, key, connection, lambda: self.values.known_columns(connection, kind)
        )

    async def suggest(
        self, connection: Connection, kind: TicketKind, column: str, text: str
    ) -> Sequence[Choice] | None:
        """Return up to 20 values whose names contain a text; None if the instance does not show any.

        Choices are suggested without a text, too; records only for two letters or digits.
        """
        wanted = " ".join(text.split())[:TEXT_MAX_LENGTH].casefold()
        table = REFERENCES.get(column) if column in CHOSEN_FOR_A_TICKET else None
        if table is None:
            described = (await self.columns(connection, kind) or {}).get(column)
            if described is not None and described.choices:
                fitting = [each for each in described.choices if wanted in each.label.casefold()]
                return fitting[:MOST_SUGGESTIONS]
            table = REFERENCES.get(column) if described is None else described.reference
        return None if table is None else await self._records(connection, table, wanted)

    async def _records(self, connection: Connection, table: str, wanted: str) -> Sequence[Choice] | None:
        if sum(character.isalnum() for character in wanted) < (2 if wanted.isascii() else 1):
            return ()
        key = *_whose_rights(connection), table, wanted
        return await self._remembered(
            self.remembered_records, key, connection, lambda: self.values.records(connection, table, wanted)
        )

    async def _remembered[Value](
        self,
        remembered: Remembered[Value],
        key: tuple[str, ...],
        connection: Connection,
        ask: Callable[[], Awaitable[Value | None]],
    ) -> Value | None:
        """Return what is remembered, or ask when it is our turn; None if that takes too long."""
        known = remembered.get(key)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(READ_S), self.turns[connection.instance]:
                # Somebody may have asked the same while we waited.
                known = remembered.get(key)
                if known is None and (known := await ask()) is not None:
                    remembered.put(key, known)
        except TimeoutError:
            return None
        return known


def _whose_rights(connection: Connection) -> tuple[str, ...]:
    """Return what distinguishes those whose rights decide what an instance shows."""
    return connection.connection_id, connection.instance, connection.integration_user_sys_id or ""


def _turn() -> asyncio.Semaphore:
    return asyncio.Semaphore(AT_ONCE)


def suggestions(values: NamedValues, clock: Clock) -> Suggestions:
    """Return the service with nothing remembered."""
    return Suggestions(values, Remembered(KEEP_COLUMNS, clock), Remembered(KEEP_RECORDS, clock))
