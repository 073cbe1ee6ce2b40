"""Encoded queries (ServiceNow §2.3): the only place where one is put together.

The grammar has no escape, so a value with a reserved character is refused rather than sent: it would change the query.
ServiceNow silently drops an invalid part, so callers check that the rows match the query.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from shared.errors import OurBug
from shared.tickets.model import CORRELATION_PREFIX

_RESERVED: Final = re.compile(r"[\^,\x00-\x1f\x7f]")
"""``^`` joins conditions, ``,`` separates the values of ``IN``."""
_EVALUATED: Final = re.compile(r"\s*javascript:", re.IGNORECASE)
"""Such a value would be run on the instance."""

CURRENT_USER: Final = "user_name=javascript:gs.getUserName()"
"""The user who asks; the only script value that we send, and a constant."""

ANY_RECORD: Final = "sys_idISNOTEMPTY"
"""True for every record; uses only the field that everybody may query."""


def is_safe_value(value: str) -> bool:
    """Whether a value stands for itself in an encoded query; an empty one would test for an empty field."""
    return bool(value) and _RESERVED.search(value) is None and _EVALUATED.match(value) is None


def safe_parts(text: str) -> Sequence[str]:
    """Return the parts of a text that can each be a value in an encoded query."""
    return [part for part in map(str.strip, _RESERVED.split(text)) if is_safe_value(part)]


def condition(field: str, operator: str, value: str) -> str:
    """Return one condition. Raises OurBug when the value does not stand for itself."""
    return f"{field}{operator}{_checked(field, value)}"


def one_of(field: str, values: Iterable[str]) -> str:
    """Return the condition that a field has one of these values. Raises OurBug as :func:`condition` does."""
    return f"{field}IN" + ",".join(_checked(field, value) for value in values)


def all_of(*conditions: str) -> str:
    """Join conditions that must all hold."""
    return "^".join(conditions)


def either(*conditions: str) -> str:
    """Join conditions one of which must hold; conditions joined to them by :func:`all_of` must hold, too."""
    return "^OR".join(conditions)


def any_of(*groups: str) -> str:
    """Join groups of conditions; one of them must hold."""
    return "^NQ".join(groups)


def ordered(query: str, *fields: str) -> str:
    """Add ascending sort fields; without them the order is unspecified."""
    return all_of(query, *(f"ORDERBY{field}" for field in fields))


def _checked(field: str, value: str) -> str:
    if not is_safe_value(value):
        raise OurBug("unsafe_query_value", field=field)
    return value


OURS: Final = condition("correlation_id", "STARTSWITH", CORRELATION_PREFIX)
"""The records that this product made."""


def begins_like_ours(correlation_id: str) -> bool:
    """Whether an instance may mistake a correlation id for one of ours.

    Most databases compare text without regard to case, accents and width (ServiceNow §2.3).
    """
    plain = unicodedata.normalize("NFKD", correlation_id).casefold()
    return "".join(each for each in plain if not unicodedata.combining(each)).startswith(CORRELATION_PREFIX)


def changes_since(since: str | None, *, inclusive: bool, until: str | None = None) -> str:
    """Return the query for the first page of our records in order of their last change.

    Args:
        since: Lower bound of ``sys_updated_on`` (UTC text), None for everything.
        inclusive: Whether to include records of exactly that second.
        until: Upper bound, not included; None for none.
    """
    bound = () if since is None else (condition("sys_updated_on", ">=" if inclusive else ">", since),)
    return ordered(all_of(OURS, *bound, *_below("sys_updated_on", until)), "sys_updated_on", "sys_id")


def all_by(field: str, *, until: str | None = None) -> str:
    """Return the query for the first page of our records in the order of ``field, sys_id``, up to a bound."""
    return ordered(all_of(OURS, *_below(field, until)), field, "sys_id")


def next_by(field: str, after: tuple[str, str], *, until: str | None = None) -> str:
    """Return the query for our records after a place in the order of ``field, sys_id``.

    It has two clauses, since many records can share one second: the same value with a greater ``sys_id``, or a greater
    value (ServiceNow §9).
    """
    value, sys_id = after
    same = all_of(OURS, condition(field, "=", value), condition("sys_id", ">", sys_id))
    greater = all_of(OURS, condition(field, ">", value), *_below(field, until))
    return ordered(any_of(same, greater), field, "sys_id")


def _below(field: str, until: str | None) -> tuple[str, ...]:
    return () if until is None else (condition(field, "<", until),)
