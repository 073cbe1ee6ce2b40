"""Objects as JSON in a row: one column for all members that nobody searches by.

Reading a column costs more processor time than reading a member of a JSON text, so a row with thirty columns is slow to
list. Members outlive a release as columns do: a missing one has the default of its class, and unknown ones are kept and
written back. Such rows are merged, so columns of another release are not changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from shared.storage.rows import json_object, open_value

type Row = dict[str, Any]
type Decode = Callable[[Any], Any]

PART_CHARACTERS: Final = 16_000
"""A text property holds 32,768 UTF-16 code units, and a character is up to two."""
TEXT_COLUMNS: Final = ("members", "parts")
"""All that a row whose text has one part consists of, besides its keys."""


@dataclass(frozen=True)
class Members[Value]:
    """How the members of a class are written as JSON and read again.

    A member that has its default value is not written.

    Attributes:
        decode: How to read members that JSON has no type for.
        nested: Members that are objects themselves; what another release added to them is kept with their owner.
        apart: Fields of the class that are not members, because the row's keys or its etag say them.
    """

    kind: type[Value]
    decode: Mapping[str, Decode] = field(default_factory=dict)
    nested: Mapping[str, Members[Any]] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    _defaults: Mapping[str, Any] = field(init=False)
    _has_kept: bool = field(init=False)

    def __post_init__(self) -> None:
        defaults = {each.name: _default(each) for each in fields(self.kind)}  # type: ignore[arg-type]
        object.__setattr__(self, "_has_kept", "kept" in defaults)
        apart = self.apart | {"kept", "etag"}
        object.__setattr__(
            self, "_defaults", {name: default for name, default in defaults.items() if name not in apart}
        )

    def members(self, value: Value) -> dict[str, Any]:
        """Return an object's members, with those that only another release knows."""
        return self._written(value, getattr(value, "kept", {}))

    def _written(self, value: Value, kept: Mapping[str, Any]) -> dict[str, Any]:
        members = dict(kept)
        for name, default in self._defaults.items():
            member = getattr(value, name)
            if name not in self.nested:
                if default is MISSING or member != default:
                    members[name] = member
            elif member is None:
                members.pop(name, None)
            elif inner := self.nested[name]._written(member, kept.get(name, {})):
                members[name] = inner
        return members

    def value(self, members: Mapping[str, Any], **given: Any) -> Value:
        """Return the object with these members.

        Args:
            given: Values of other fields, and defaults for members that the class requires.

        Raises what :meth:`shared.storage.rows.RowReader.read` expects.
        """
        known, unknown = self._read(members)
        if self._has_kept:
            given["kept"] = unknown
        return self.kind(**given | known)

    def _read(self, members: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        known: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        for name, member in members.items():
            if name not in self._defaults:
                unknown[name] = member
            elif name in self.nested:
                inner = self.nested[name]
                values, others = inner._read(member)
                known[name] = inner.kind(**values)
                if others:
                    unknown[name] = others
            elif name in self.decode:
                known[name] = self.decode[name](member)
            else:
                known[name] = member
        return known, unknown


def members_row(partition_key: str, row_key: str, members: Mapping[str, Any]) -> Row:
    """Return a row with these members; a long text has more than one part."""
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"), default=_text)
    if not text.isascii():
        # A half of a surrogate pair has no place in a row.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    first, *more = (text[start : start + PART_CHARACTERS] for start in range(0, len(text), PART_CHARACTERS))
    return {
        "PartitionKey": partition_key,
        "RowKey": row_key,
        "members": first,
        # Always written: a merge cannot remove the parts of a longer text.
        "parts": 1 + len(more),
        **{f"members_{number}": part for number, part in enumerate(more, 1)},
    }


def members_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    text = row["members"]
    for number in range(1, row.get("parts") or 1):
        text += row[f"members_{number}"]
    return json_object(text)


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def one_of[Kind: StrEnum](kind: type[Kind]) -> Callable[[str], Kind]:
    """Return the reader of a member of this enum; unknown values keep their text."""
    return lambda text: open_value(kind, text)


def _text(value: object) -> object:
    """Return a value as JSON can write it."""
    match value:
        case date() | datetime():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Mapping():
            return dict(value)
    raise TypeError(f"JSON has no type for {type(value).__qualname__}.")
