"""From what people call a value to ServiceNow's own value, when it is saved.

ServiceNow stores whatever it gets as a reference or a choice, and says nothing if it does not exist (ServiceNow §2.5).
So a name must belong to exactly one record that the integration user can see. Where an instance does not show its
records, only a ``sys_id`` can be saved.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final
from urllib.parse import urlsplit

from shared.connections.columns import Column, InstanceColumns
from shared.connections.fixed_fields import LABEL_MAX_LENGTH, REFERENCES, FixedField
from shared.connections.lookup import checked_connection_id
from shared.connections.model import Connection, KindSettings, TicketKind
from shared.connections.options import READ_S, Choice
from shared.connections.ports import ConnectionStore, TokenSource
from shared.connections.requests import ConnectionRequest, KindRequest, fixed_field_pointer
from shared.error_codes import OwnFaultCode
from shared.errors import ConnectorError, Fault
from shared.log import log_context
from shared.request_faults import refused
from shared.service import service
from shared.texts import one_line
from shared.value_object import value_object

ASKED_AT_ONCE: Final = 6
"""How many names of one request are looked up in ServiceNow at the same time (ServiceNow §3)."""
SHOWN: Final = 5
"""How many of several records with the same name, or of a column's choices, a refusal lists."""
_SYS_ID: Final = re.compile(r"[0-9a-f]{32}")


def is_sys_id(text: str) -> bool:
    """Whether a text has the form of a record's id."""
    return _SYS_ID.fullmatch(text) is not None


@value_object
class Unusable:
    """Why a text is no value of ServiceNow."""

    code: OwnFaultCode
    found: str = ""

    def at(self, pointer: str) -> Fault:
        """Return the fault in a request."""
        return {"pointer": pointer, "code": self.code, "values": {"found": self.found} if self.found else {}}


@service
class NamedValues:
    """Finds the values that people name; see the module's description."""

    connections: ConnectionStore
    tokens: TokenSource
    columns: InstanceColumns

    async def record(self, connection: Connection, table: str, text: str) -> Choice | Unusable:
        """Return the only active record of a table with this name or ``sys_id``; a ``sys_id`` is not looked up."""
        if is_sys_id(text):
            return Choice(text, text)
        found = await self._asked(connection, lambda: self.columns.search(connection, table, text, exact=True))
        if found is None:
            return Unusable("sys_id_needed")
        if len(found) == 1:
            return found[0]
        return Unusable("name_ambiguous", _listed(found)) if found else Unusable("name_not_found")

    async def records(self, connection: Connection, table: str, text: str) -> Sequence[Choice] | None:
        """Return active records whose name contains a text; None if they cannot be found out within a few seconds."""
        return await self._asked(connection, lambda: self.columns.search(connection, table, text))

    async def known_columns(self, connection: Connection, kind: TicketKind) -> Mapping[str, Column] | None:
        """Return the columns of a kind's table; None if they cannot be found out within a few seconds."""
        return await self._asked(connection, lambda: self.columns.columns(connection, kind))

    async def resolved(self, connection_id: str, request: ConnectionRequest) -> ConnectionRequest:
        """Return a request whose fixed fields have ServiceNow's values. Stored values are not looked up again.

        Raises:
            FixRequest: 400 ``invalid_connection_id``, or 422 ``invalid_connection`` with an entry for each value that
                was not found.
        """
        if not any(wanted.settings.fixed_fields for wanted in request.kinds.values()):
            return request
        present = await self.connections.get_connection(checked_connection_id(connection_id))
        if present is not None and not _is_at(present, request.instance):
            # The names are those of another instance, about which nothing is known yet.
            present = None
        turn = asyncio.Semaphore(ASKED_AT_ONCE)
        found = await asyncio.gather(
            *(self._resolved_kind(present, kind, wanted, turn) for kind, wanted in request.kinds.items())
        )
        kinds = dict(zip(request.kinds, (wanted for wanted, _ in found), strict=True))
        if faults := list(chain.from_iterable(faults for _, faults in found)):
            raise refused("invalid_connection", faults)
        return request.model_copy(update={"kinds": kinds})

    async def _resolved_kind(
        self, connection: Connection | None, kind: TicketKind, wanted: KindRequest, turn: asyncio.Semaphore
    ) -> tuple[KindRequest, Sequence[Fault]]:
        """Return a kind's part of a request with ServiceNow's values, and a fault for each value that was not found.

        However slow the instance is, this takes twice as long as one question may.
        """
        stored = () if connection is None else connection.kinds.get(kind, KindSettings()).fixed_fields
        known = {each.column: each for each in stored}
        given = wanted.settings.fixed_fields
        columns: Mapping[str, Column] = {}
        if connection is not None and any(_as_stored(each, known) is None for each in given):
            columns = await self.known_columns(connection, kind) or {}

        async def value_of(field: FixedField) -> FixedField | Unusable:
            if (before := _as_stored(field, known)) is not None:
                return before
            try:
                async with asyncio.timeout(READ_S), turn:
                    return await self._value(connection, field, columns.get(field.column))
            except TimeoutError:
                return Unusable("sys_id_needed")

        found = await asyncio.gather(*(value_of(each) for each in given))
        faults = [
            each.at(fixed_field_pointer(kind, number, "value"))
            for number, each in enumerate(found)
            if isinstance(each, Unusable)
        ]
        fields = tuple(each for each in found if isinstance(each, FixedField))
        return replace(wanted, settings=replace(wanted.settings, fixed_fields=fields)), faults

    async def _value(
        self, connection: Connection | None, field: FixedField, column: Column | None
    ) -> FixedField | Unusable:
        table = REFERENCES.get(field.column) if column is None else column.reference
        if table is not None and not is_sys_id(field.value):
            found = (
                Unusable("sys_id_needed") if connection is None else await self.record(connection, table, field.value)
            )
        elif column is not None and column.choices:
            found = _choice(column.choices, field.value)
        else:
            return field
        if isinstance(found, Unusable):
            return found
        return replace(field, value=found.value, label=one_line(found.label, LABEL_MAX_LENGTH))

    async def _asked[Found](self, connection: Connection, ask: Callable[[], Awaitable[Found | None]]) -> Found | None:
        """Ask the instance, if somebody has consented; after any failure, the answer is not known."""
        if not connection.is_granted or connection.is_removed:
            return None
        try:
            with log_context(connection_id=connection.connection_id):
                async with asyncio.timeout(READ_S):
                    await self.tokens.access_token(connection)
                    return await ask()
        except (ConnectorError, TimeoutError):
            return None


def _as_stored(field: FixedField, known: Mapping[str, FixedField]) -> FixedField | None:
    """Return a field that means what is stored already, with the stored value; None if it means something new."""
    before = known.get(field.column)
    if before is None or field.value not in {before.value, before.label}:
        return None
    return replace(field, value=before.value, label=field.label or before.label)


def _is_at(connection: Connection, address: str) -> bool:
    """Whether a request's address is certainly that of the connection's instance, in any of the usual spellings."""
    host = urlsplit(connection.instance).netloc
    return re.sub(r"^[a-z]+://|/.*$", "", address.strip().lower()) in {host, host.partition(".")[0]}


def _choice(choices: Sequence[Choice], text: str) -> Choice | Unusable:
    """Return the choice with this value or, ignoring case, the only one with this label."""
    exact = [each for each in choices if each.value == text]
    named = exact or [each for each in choices if each.label.casefold() == text.casefold()]
    if len(named) == 1:
        return named[0]
    return Unusable("name_ambiguous", _listed(named)) if named else Unusable("not_a_choice", _listed(choices))


def _listed(found: Sequence[Choice]) -> str:
    shown = ", ".join(f"{each.label} ({each.value})" for each in found[:SHOWN] if each.value)
    return f"{shown}, …" if len(found) > SHOWN else shown
