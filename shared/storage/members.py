"""Objects as JSON in a row: one column for all members that nobody searches by.

Reading a column costs more processor time than reading a member of a JSON text, so a row with thirty columns is slow to
list. Members outlive a release as columns do: a missing one has the default of its class, and unknown ones are kept and
written back. Such rows are merged, so columns of another release are not changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, partial
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from shared.storage.rows import json_object, open_value, parts_of
from shared.value_object import value_object

type Row = dict[str, Any]

KEPT: Final = "kept"
"""Field for what only another release knows."""
_BESIDE: Final = frozenset({KEPT, "etag"})
TEXT_COLUMNS: Final = ("members", "parts")
"""All that a row whose text has one part consists of, besides its keys."""


class Members[Value]:
    """How the members of a dataclass are written as JSON and read again, as its annotations say.

    A member that has its default value is not written. What another release added to a member that is an object itself
    is kept with the outermost object that has a field ``kept``.
    """

    def __init__(self, kind: type[Value], *, apart: Collection[str] = ()) -> None:
        """Prepare; the annotations are read on first use.

        Args:
            apart: Fields that are not members, because the row's keys say them.
        """
        self._kind = kind
        self._apart = frozenset(apart) | _BESIDE

    @cached_property
    def _plan(self) -> Mapping[str, _Member]:
        hints = get_type_hints(self._kind)
        return {
            each.name: _member(hints[each.name], _default(each))
            for each in fields(self._kind)  # type: ignore[arg-type]
            if each.name not in self._apart
        }

    @cached_property
    def _has_kept(self) -> bool:
        return any(each.name == KEPT for each in fields(self._kind))  # type: ignore[arg-type]

    def written(self, value: Value, kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return an object's members, with those that only another release knows.

        Args:
            kept: Those of an object that has no place for them itself.
        """
        kept = getattr(value, KEPT, {}) if kept is None else kept
        members = dict(kept)
        for name, plan in self._plan.items():
            member = getattr(value, name)
            if plan.objects is None or member is None:
                if plan.default is MISSING or member != plan.default:
                    members[name] = member
                elif plan.objects is not None:
                    members.pop(name, None)
            elif plan.is_list:
                if member:
                    members[name] = [plan.objects.written(each) for each in member]
            elif (inner := plan.objects.written(member, kept.get(name))) or member != plan.default:
                members[name] = inner
        return members

    def read(self, members: Mapping[str, Any], **given: Any) -> Value:
        """Return the object with these members.

        Args:
            given: Values of other fields, and defaults for members that the class requires.

        Raises what :meth:`shared.storage.rows.RowReader.read` expects.
        """
        return self._read(members, given)[0]

    def _read(self, members: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[Value, dict[str, Any]]:
        """Return the object, and the members that this release does not know."""
        known = dict(given)
        unknown: dict[str, Any] = {}
        for name, member in members.items():
            plan = self._plan.get(name)
            if plan is None:
                unknown[name] = member
            elif member is None:
                continue
            elif plan.objects is None:
                known[name] = member if plan.decode is None else plan.decode(member)
            elif plan.is_list:
                known[name] = tuple(map(plan.objects.read, member))
            else:
                known[name], others = plan.objects._read(member, {})
                if others:
                    unknown[name] = others
        if self._has_kept:
            known[KEPT] = unknown
        return self._kind(**known), unknown


@value_object
class _Member:
    """How one member is written and read.

    Attributes:
        default: What it is when it is missing.
        decode: How to read it; None if it is what JSON says.
        objects: What it consists of, if it is an object or a list of objects.
    """

    default: object
    decode: Callable[[Any], Any] | None = None
    objects: Members[Any] | None = None
    is_list: bool = False


def _member(hint: Any, default: object) -> _Member:
    """Return the plan of a member with this annotation. Raises TypeError for one that nobody has needed yet."""
    if get_origin(hint) is UnionType:
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if hint in _AS_THEY_ARE or get_origin(hint) is Mapping:
        return _Member(default)
    if get_origin(hint) is tuple:
        item = _member(get_args(hint)[0], default)
        return replace(item, decode=tuple if item.decode is None else partial(_each, item.decode), is_list=True)
    if decode := _DECODE.get(hint):
        return _Member(default, decode)
    if isinstance(hint, type) and is_dataclass(hint):
        return _Member(default, objects=Members(hint))
    if issubclass(hint, StrEnum):
        return _Member(default, partial(open_value, hint))
    raise TypeError(f"{hint} is not a member that can be read.")


def _each(decode: Callable[[Any], Any], values: Any) -> tuple[Any, ...]:
    return tuple(map(decode, values))


_AS_THEY_ARE: Final = frozenset({str, int, bool})
_DECODE: Final[Mapping[Any, Callable[[Any], Any]]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    Decimal: Decimal,
}


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def members_text(members: Mapping[str, Any]) -> str:
    """Return members as JSON."""
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"), default=_text)
    if not text.isascii():
        # A half of a surrogate pair has no place in a row.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def members_row(partition_key: str, row_key: str, members: Mapping[str, Any]) -> Row:
    """Return a row with these members; a long text has more than one part."""
    first, *more = parts_of(members_text(members))
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
