"""Reading rows that another release wrote.

During an upgrade, and after a rollback, two releases share the tables. Columns, members and values can be missing or
unknown to this release. A reader keeps what it does not know, so that writing the row back erases nothing. Only a row
that makes no sense at all is left out; the log and ``/api/status`` say which.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from shared.clock import Clock, system_clock
from shared.errors import RowUnreadable
from shared.log import log_event
from shared.service import service
from shared.value_object import value_object

type Row = Mapping[str, Any]

PART_CHARACTERS: Final = 16_000
"""A text property holds 32,768 UTF-16 code units, and a character is up to two."""
SHOWN_MOST: Final = 100
"""Unreadable rows that an instance of the app remembers."""
KEYS: Final = frozenset({"PartitionKey", "RowKey"})

_NOT_UNDERSTOOD: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, zlib.error)


@value_object
class UnreadableRow:
    """A row that this release cannot read.

    Attributes:
        seen_at: When this instance of the app first met it.
    """

    table: str
    partition_key: str
    row_key: str
    seen_at: datetime


@service
class RowReader:
    """Reads rows and remembers unreadable ones, for ``/api/status`` and the log."""

    clock: Clock = system_clock
    _unreadable: dict[tuple[str, str, str], UnreadableRow] = field(default_factory=dict)

    @property
    def unreadable(self) -> Sequence[UnreadableRow]:
        """The unreadable rows that this instance of the app has met and that have not been repaired since."""
        return tuple(self._unreadable.values())

    def read[Value](self, table: str, row: Row, decode: Callable[[Row], Value]) -> Value:
        """Return what a row says. Raises RowUnreadable if it makes no sense."""
        place = (table, row["PartitionKey"], row["RowKey"])
        try:
            value = decode(row)
        except _NOT_UNDERSTOOD as error:
            self._remember(place, error)
        else:
            self._unreadable.pop(place, None)
            return value
        raise RowUnreadable(table=table)

    def readable[Value](self, table: str, rows: Iterable[Row], decode: Callable[[Row], Value]) -> list[Value]:
        """Return what the rows say; rows that make no sense are left out."""
        values = []
        for row in rows:
            try:
                values.append(self.read(table, row, decode))
            except RowUnreadable:
                continue
        return values

    def forget(self, table: str, row: Row) -> None:
        """Forget a row that is no longer stored."""
        self._unreadable.pop((table, row["PartitionKey"], row["RowKey"]), None)

    def _remember(self, place: tuple[str, str, str], error: Exception) -> None:
        if place in self._unreadable or len(self._unreadable) >= SHOWN_MOST:
            return
        self._unreadable[place] = UnreadableRow(*place, self.clock())
        table, partition_key, row_key = place
        log_event(
            "row_unreadable",
            level=logging.ERROR,
            table=table,
            partition_key=partition_key,
            row_key=row_key,
            # The text of the error could repeat the row's contents.
            error=type(error).__qualname__,
        )


def open_value[Value: StrEnum](kind: type[Value], text: str) -> Value:
    """Return the member with this value. For an unknown value, return one that equals no member and keeps the text.

    Code that compares such a value with the members it knows finds no match, and writing it back changes nothing.
    """
    try:
        return kind(text)
    except ValueError:
        value = str.__new__(kind, text)
        value._name_ = value._value_ = text
        return value


def parts_of(text: str) -> Sequence[str]:
    """Return the parts of a text that each fit into a column; at least one."""
    return [text[start : start + PART_CHARACTERS] for start in range(0, len(text), PART_CHARACTERS)] or [text]


def long_text_columns(name: str, text: str) -> dict[str, str]:
    """Return the columns of a text that may be too long for one, in a row that is always replaced."""
    first, *more = parts_of(text)
    return {name: first, **{f"{name}_{number}": part for number, part in enumerate(more, 1)}}


class Columns:
    """The columns of a row; those not asked for are unknown to this release.

    A decoder asks for every column that it knows, even a missing one.
    """

    __slots__ = ("_asked", "_row")

    def __init__(self, row: Row) -> None:
        self._row = row
        self._asked = set(KEYS)

    def __getitem__(self, name: str) -> Any:
        """Return a required column. Raises KeyError."""
        self._asked.add(name)
        return self._row[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a column, or the default if it is missing."""
        self._asked.add(name)
        return self._row.get(name, default)

    def long_text(self, name: str) -> str | None:
        """Return a text that :func:`long_text_columns` wrote; None if it is missing."""
        text: str | None = self.get(name)
        number = 1
        while text is not None and (part := self.get(f"{name}_{number}")) is not None:
            text += part
            number += 1
        return text

    def time(self, name: str) -> datetime | None:
        """Return a time; None if it is missing. Raises AttributeError if the column contains something else."""
        value = self.get(name)
        return None if value is None else plain_time(value)

    @property
    def unknown(self) -> dict[str, Any]:
        """The columns that were not asked for, to be written back unchanged."""
        return {name: value for name, value in self._row.items() if name not in self._asked}


def json_object(text: object) -> dict[str, Any]:
    """Return the JSON object in a column; an empty one for a missing column. Raises ValueError for anything else."""
    if text is None:
        return {}
    value = json.loads(text) if isinstance(text, str) else None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - as json.loads says it
    return value


def plain_time(value: datetime) -> datetime:
    """Return a stored time as a plain ``datetime``: the SDK's own subclass carries the service's text."""
    return datetime.combine(value.date(), value.timetz())
