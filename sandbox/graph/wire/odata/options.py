"""The query options of a list: read, checked and applied (Microsoft Graph §1.3)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from sandbox.graph.engine.switches import Switches
from sandbox.graph.wire.errors import bad_request
from sandbox.graph.wire.odata.filter import Condition, FilterError, Item, parse_filter

_KNOWN = frozenset({"$top", "$skip", "$filter", "$count", "$select", "$orderby", "$skiptoken", "$expand", "$search"})
_MUST_BE_ENCODED = re.compile(r"[^!-~]|[\"<>\\^`{|}]")


@dataclass(frozen=True)
class Options:
    """The options of one request.

    Attributes:
        top: `$top`, or `None`.
        skip: `$skip`.
        counts: Whether the answer has `@odata.count`.
        skip_token: `$skiptoken`, or empty.
        kept: The options that a nextLink repeats, encoded as they came.
    """

    top: int | None
    skip: int
    counts: bool
    skip_token: str
    kept: tuple[str, ...]
    condition: Condition | None
    select: tuple[str, ...]
    order: tuple[tuple[str, bool], ...]

    def applied(self, items: Iterable[Item]) -> list[Item]:
        """Return the items that the filter lets through, in the wanted order."""
        kept = [item for item in items if self.condition is None or self.condition(item)]
        for name, is_descending in reversed(self.order):
            kept.sort(key=lambda item: _sort_key(item.get(name)), reverse=is_descending)
        return kept

    def selected(self, items: Sequence[Item]) -> list[Item]:
        """Return the items with the wanted properties only; the id is always among them."""
        if not self.select:
            return list(items)
        wanted = {"id", *self.select}
        return [{name: value for name, value in item.items() if name in wanted} for item in items]


def read_options(query: str, scalars: frozenset[str], properties: frozenset[str], switches: Switches) -> Options:
    """Read a raw query string.

    Args:
        query: As it came, still encoded.
        scalars: The properties that `$filter` and `$orderby` may name.
        properties: Those that `$select` may name.
        switches: Which options the service supports.

    Raises GraphError (400) for an option that is malformed, not encoded, unknown or not supported.
    """
    raw = dict(part.partition("=")[::2] for part in query.split("&") if part)
    given = {unquote_plus(name): value for name, value in raw.items()}
    if unknown := {name for name in given if name.startswith("$")} - _KNOWN:
        raise bad_request(f"The query parameter '{min(unknown)}' is not supported.")
    if _MUST_BE_ENCODED.search(given.get("$filter", "")):
        raise bad_request("The value of $filter is not encoded.")
    values = {name: unquote_plus(value) for name, value in given.items()}
    _refuse_unsupported(values.keys(), switches)
    return Options(
        top=_number(values, "$top"),
        skip=_number(values, "$skip") or 0,
        counts=values.get("$count", "").lower() == "true",
        skip_token=values.get("$skiptoken", ""),
        kept=tuple(f"{name}={value}" for name, value in given.items() if name not in ("$skip", "$skiptoken")),
        condition=_condition(values["$filter"], scalars) if "$filter" in values else None,
        select=_names(values.get("$select", ""), properties),
        order=_order(values.get("$orderby", ""), scalars),
    )


def _refuse_unsupported(names: Iterable[str], switches: Switches) -> None:
    refused = set()
    if switches.text("odata.select_and_orderby") == "refused":
        refused |= {"$select", "$orderby"}
    if switches.text("odata.expand_and_search") == "refused":
        refused |= {"$expand", "$search"}
    if found := refused.intersection(names):
        raise bad_request(f"The query parameter '{min(found)}' is not supported.")


def _number(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or (name == "$top" and int(text) == 0):
        raise bad_request(f"Invalid value '{text}' for {name}.")
    return int(text)


def _condition(expression: str, scalars: frozenset[str]) -> Condition:
    try:
        return parse_filter(expression, scalars)
    except FilterError as error:
        raise bad_request(f"Invalid filter clause: {error}") from error


def _names(text: str, known: frozenset[str]) -> tuple[str, ...]:
    names = tuple(filter(None, (name.strip() for name in text.split(","))))
    if unknown := set(names) - known:
        raise bad_request(f"Could not find a property named '{min(unknown)}'.")
    return names


def _order(text: str, known: frozenset[str]) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(\w+)(?:\s+(asc|desc))?", part)
        if found is None or found[1] not in known:
            raise bad_request(f"Invalid order clause: '{part}'.")
        order.append((found[1], found[2] == "desc"))
    return tuple(order)


def _sort_key(value: object) -> tuple[int, float, str]:
    """Order any scalar: nulls first, then numbers, then texts without regard to case."""
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value).lower())
