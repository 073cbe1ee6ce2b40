"""The encoded query: text to syntax tree (wire document 2.3). `query_sql` gives the tree its meaning.

    query      = term *("^" term)
    term       = [ "OR" | "NQ" ] condition | "ORDERBY" field | "ORDERBYDESC" field | "GROUPBY" field | "EQ"
    condition  = field operator value

`^` is AND, `^OR` binds only to the neighbouring condition, `^NQ` begins a new alternative. Nothing can be escaped.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Operator(StrEnum):
    """What a condition asks. The value is the spelling on the wire."""

    EQUALS = "="
    NOT_EQUALS = "!="
    GREATER_OR_EQUAL = ">="
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    LESS = "<"
    BETWEEN = "BETWEEN"
    CONTAINS = "LIKE"
    NOT_CONTAINS = "NOT LIKE"
    STARTS_WITH = "STARTSWITH"
    ENDS_WITH = "ENDSWITH"
    IS_EMPTY = "ISEMPTY"
    IS_NOT_EMPTY = "ISNOTEMPTY"
    ANYTHING = "ANYTHING"
    EMPTY_STRING = "EMPTYSTRING"
    IN = "IN"
    NOT_IN = "NOT IN"
    SAME_AS = "SAMEAS"
    NOT_SAME_AS = "NSAMEAS"
    ON = "ON"
    NOT_ON = "NOTON"
    DATE_PART = "DATEPART"
    DYNAMIC = "DYNAMIC"
    INSTANCE_OF = "INSTANCEOF"


_SYNONYMS = {
    "NOTLIKE": Operator.NOT_CONTAINS,
    "CONTAINS": Operator.CONTAINS,
    "DOES NOT CONTAIN": Operator.NOT_CONTAINS,
    "NOTIN": Operator.NOT_IN,
}
_SPELLINGS = {operator.value: operator for operator in Operator} | _SYNONYMS
_CONDITION = re.compile(
    r"(?P<field>[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)"
    rf"(?P<operator>{'|'.join(re.escape(spelling) for spelling in sorted(_SPELLINGS, key=len, reverse=True))})"
    r"(?P<value>.*)",
    re.DOTALL,
)
_FIELD = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Condition:
    """`field operator value`. The field may be dot-walked; the value is as written, scripts included."""

    field: str
    operator: Operator
    value: str = ""

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{self.value}"


@dataclass(frozen=True, slots=True)
class SortKey:
    """One `ORDERBY` or `ORDERBYDESC`."""

    field: str
    descending: bool = False


type AnyOf = tuple[Condition, ...]
"""Conditions joined by `^OR`."""

type AllOf = tuple[AnyOf, ...]
"""What stands between two `^NQ`: alternatives joined by `^`."""


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A parsed query. A row matches if any group matches, or if there is no group.

    `invalid_terms` are parts that are no condition at all; whether they empty the result is an instance property.
    """

    groups: tuple[AllOf, ...] = ()
    sort_keys: tuple[SortKey, ...] = ()
    invalid_terms: tuple[str, ...] = ()

    def conditions(self) -> list[Condition]:
        """Return every condition, in the order written."""
        return [condition for group in self.groups for any_of in group for condition in any_of]


def parse(text: str) -> EncodedQuery:
    """Return the syntax tree of an encoded query. Never fails: what cannot be read is listed as invalid."""
    groups: list[list[list[Condition]]] = [[]]
    sort_keys: list[SortKey] = []
    invalid: list[str] = []
    neighbour: list[Condition] | None = None
    for term in text.split("^"):
        if term in ("", "EQ") or term.startswith("GROUPBY"):
            continue
        if sort_key := _parse_sort_key(term):
            sort_keys.append(sort_key)
            continue
        joined_by_or = term.startswith("OR")
        if term.startswith("NQ"):
            groups.append([])
            neighbour = None
        written = term[2:] if joined_by_or or term.startswith("NQ") else term
        condition = _parse_condition(written)
        if not joined_by_or or neighbour is None:
            neighbour = []
            groups[-1].append(neighbour)
        if condition is None:
            invalid.append(term)
        else:
            neighbour.append(condition)
    return EncodedQuery(groups=_without_emptiness(groups), sort_keys=tuple(sort_keys), invalid_terms=tuple(invalid))


def _parse_sort_key(term: str) -> SortKey | None:
    for prefix, descending in (("ORDERBYDESC", True), ("ORDERBY", False)):
        if term.startswith(prefix):
            return SortKey(term.removeprefix(prefix), descending)
    return None


def _parse_condition(text: str) -> Condition | None:
    match = _CONDITION.fullmatch(text)
    if match is None:
        return None
    return Condition(match["field"], _SPELLINGS[match["operator"]], match["value"])


def is_field_path(text: str) -> bool:
    """Say whether `text` could name a field, dot-walks included."""
    return _FIELD.fullmatch(text) is not None


def _without_emptiness(groups: list[list[list[Condition]]]) -> tuple[AllOf, ...]:
    kept = (tuple(tuple(any_of) for any_of in group if any_of) for group in groups)
    return tuple(group for group in kept if group)
