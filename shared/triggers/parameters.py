"""Query parameters and headers of operations: how each is described, and how its text is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import Final

from shared.connections.lookup import CONNECTION_ID
from shared.errors import FixRequest
from shared.tenants.lookup import TENANT_ID
from shared.value_object import value_object

PATH_PARAMETERS: Final[Mapping[str, Mapping[str, object]]] = {
    "connection_id": {"type": "string", "pattern": f"^{CONNECTION_ID.pattern}$"},
    "tenant_id": {"type": "string", "pattern": f"^{TENANT_ID.pattern}$"},
    "recommendation_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "batch_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "ticket_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "update_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
"""JSON schema of each parameter of a path."""


@value_object
class Parameter[Value]:
    """A query parameter or header of an operation.

    Attributes:
        schema: JSON schema of its value.
        convert: Returns what a text means. Raises FixRequest.
        default: What it means when it is not sent.
        place: ``query`` or ``header``.
    """

    name: str
    description: str
    schema: Mapping[str, object]
    convert: Callable[[str], Value]
    default: Value
    place: str = "query"
    required: bool = False

    def read(self, sent: Mapping[str, str]) -> Value:
        """Return what a query, or headers, say of this parameter. Raises FixRequest."""
        text = sent.get(self.name)
        return self.default if text is None else self.convert(text)


MOST_DAYS: Final = 99_999
"""The highest number of days that a parameter takes."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEXT: Final = {"type": "string"}


def as_sent(
    name: str, description: str, schema: Mapping[str, object] = _TEXT, *, required: bool = False
) -> Parameter[str | None]:
    """Return a parameter that is taken as it is; whoever uses it checks that it is of its schema."""
    return Parameter(name, description, schema, str, default=None, required=required)


def short_text(name: str, description: str, *, max_length: int) -> Parameter[str | None]:
    """Return a parameter of limited length; a blank one counts as not sent."""

    def convert(text: str) -> str | None:
        if len(text) > max_length:
            raise FixRequest("invalid_parameter", variant="length", parameter=name, limit=max_length)
        return text or None

    return Parameter(name, description, {"type": "string", "maxLength": max_length}, convert, default=None)


def choice[Choice: StrEnum](
    name: str, description: str, choices: type[Choice], *, required: bool = False
) -> Parameter[Choice | None]:
    """Return a parameter that is one of a few values."""
    values = {each.value: each for each in choices}

    def convert(text: str) -> Choice | None:
        return _one_of(values, name, text)

    schema = {"type": "string", "enum": list(values)}
    return Parameter(name, description, schema, convert, default=None, required=required)


_TRUE_OR_FALSE: Final = {"true": True, "false": False}


def flag(name: str, description: str) -> Parameter[bool]:
    """Return a parameter that is true or false, and false when it is not sent."""

    def convert(text: str) -> bool:
        return _one_of(_TRUE_OR_FALSE, name, text)

    return Parameter(name, description, {"type": "string", "enum": list(_TRUE_OR_FALSE)}, convert, default=False)


def optional_flag(name: str, description: str) -> Parameter[bool | None]:
    """Return a parameter that is true or false, or None when it is not sent."""

    def convert(text: str) -> bool | None:
        return _one_of(_TRUE_OR_FALSE, name, text)

    return Parameter(name, description, {"type": "string", "enum": list(_TRUE_OR_FALSE)}, convert, default=None)


def count(name: str, description: str, *, maximum: int, default: int) -> Parameter[int]:
    """Return a parameter that is a whole number from 1, in ASCII digits."""
    schema = {"type": "integer", "minimum": 1, "maximum": maximum, "default": default}

    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= maximum):
            raise FixRequest("invalid_parameter", variant="number", parameter=name, limit=maximum)
        return int(text)

    return Parameter(name, description, schema, convert, default)


def day(name: str, description: str) -> Parameter[date | None]:
    """Return a parameter that is a date as RFC 3339 has it."""

    def convert(text: str) -> date:
        try:
            if _DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass  # Refused below, as any other text.
        raise FixRequest("invalid_parameter", variant="date", parameter=name)

    return Parameter(name, description, {"type": "string", "format": "date"}, convert, default=None)


def days(name: str, description: str) -> Parameter[int | None]:
    """Return a parameter that is a number of days, in ASCII digits."""

    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= MOST_DAYS):
            raise FixRequest("invalid_parameter", variant="days", parameter=name, limit=MOST_DAYS)
        return int(text)

    schema = {"type": "integer", "minimum": 0, "maximum": MOST_DAYS}
    return Parameter(name, description, schema, convert, default=None)


def _one_of[Value](values: Mapping[str, Value], name: str, text: str) -> Value:
    if text not in values:
        raise FixRequest("invalid_parameter", variant="choice", parameter=name, choices=list(values))
    return values[text]
