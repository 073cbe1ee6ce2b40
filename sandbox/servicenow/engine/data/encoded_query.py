"""The encoded query: text to syntax tree (ServiceNow §2.3). `query_sql` gives the tree its meaning.

    query      = term *("^" term)
    term       = [ "OR" | "NQ" ] condition | related | "ORDERBY" field | "ORDERBYDESC" field | "GROUPBY" field | "EQ"
    condition  = field operator value
    related    = "RLQUERY" table "." field "," comparison number [ ",m2m" ] [ "^" query ] "^ENDRLQUERY"
               | "JOIN" table "." field "=" table "." field "!" query     (to the end)

`^` is AND, `^OR` binds only to the neighbouring condition, `^NQ` begins a new alternative. There is no escape.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile


class Operator(StrEnum):
    """An operator of a condition. The value is its spelling on the wire."""

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
    RELATIVE_ON = "RELATIVEEE"
    RELATIVE_AFTER = "RELATIVEGT"
    RELATIVE_ON_OR_AFTER = "RELATIVEGE"
    RELATIVE_BEFORE = "RELATIVELT"
    RELATIVE_ON_OR_BEFORE = "RELATIVELE"
    DYNAMIC = "DYNAMIC"
    INSTANCE_OF = "INSTANCEOF"


_SYNONYMS = {
    "NOTLIKE": Operator.NOT_CONTAINS,
    "CONTAINS": Operator.CONTAINS,
    "DOES NOT CONTAIN": Operator.NOT_CONTAINS,
    "NOTIN": Operator.NOT_IN,
}
_SPELLINGS = {spelled.value: spelled for spelled in Operator} | _SYNONYMS
_CONDITION = re.compile(
    r"(?P<field>[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)"
    rf"(?P<operator>{'|'.join(re.escape(spelling) for spelling in sorted(_SPELLINGS, key=len, reverse=True))})"
    r"(?P<value>.*)",
    re.DOTALL,
)
_JOIN = re.compile(
    r"JOIN[a-z0-9_]+\.(?P<own_field>[a-z0-9_]+)=(?P<table>[a-z0-9_]+)\.(?P<field>[a-z0-9_]+)!(?P<query>.*)", re.DOTALL
)
_RELATED_LIST = re.compile(
    r"RLQUERY(?P<table>[a-z0-9_]+)\.(?P<field>[a-z0-9_]+),(?P<comparison>[<>!]?=|[<>])(?P<number>\d{1,9})(?:,m2m)?"
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


@dataclass(frozen=True, slots=True)
class RelatedRows:
    """How many rows of another table point here: `count(table where field = own_field and query) comparison number`."""

    table: str
    field: str
    own_field: str
    comparison: str
    number: int
    query: "EncodedQuery"

    def __str__(self) -> str:
        return f"RLQUERY{self.table}.{self.field},{self.comparison}{self.number}"

    def is_met_by_none(self) -> bool:
        """Say whether a count of zero matches."""
        return COMPARISONS[self.comparison](0, self.number)


COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

type Clause = Condition | RelatedRows

type AnyOf = tuple[Clause, ...]
"""Clauses joined by `^OR`."""

type AllOf = tuple[AnyOf, ...]
"""The part between two `^NQ`: alternatives joined by `^`."""


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A parsed query. A row matches if any group matches, or if there is no group.

    `invalid_terms` are parts that are not conditions; an instance property decides whether they empty the result.
    """

    groups: tuple[AllOf, ...] = ()
    sort_keys: tuple[SortKey, ...] = ()
    invalid_terms: tuple[str, ...] = ()

    def clauses(self) -> list[Clause]:
        """Return every clause, in the order written."""
        return [clause for group in self.groups for any_of in group for clause in any_of]


def parse(text: str) -> EncodedQuery:
    """Return the syntax tree of an encoded query. Never fails: it lists unreadable parts as invalid."""
    groups: list[list[list[Clause]]] = [[]]
    sort_keys: list[SortKey] = []
    invalid: list[str] = []
    neighbour: list[Clause] | None = None
    terms = iter(text.split("^"))
    for term in terms:
        if term in ("", "EQ") or term.startswith("GROUPBY"):
            continue
        if sort_key := _parse_sort_key(term):
            sort_keys.append(sort_key)
            continue
        if term.startswith(("JOIN", "RLQUERY")):
            related = _parse_join([term, *terms]) if term.startswith("JOIN") else _parse_related_list(term, terms)
            if related is None:
                invalid.append(term)
            else:
                sort_keys += related.query.sort_keys
                neighbour = [related]
                groups[-1].append(neighbour)
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


def _parse_join(terms: list[str]) -> RelatedRows | None:
    match = _JOIN.fullmatch("^".join(terms))
    if match is None:
        return None
    return RelatedRows(match["table"], match["field"], match["own_field"], ">", 0, parse(match["query"]))


def _parse_related_list(first: str, terms: Iterator[str]) -> RelatedRows | None:
    inner = list(takewhile(lambda term: term != "ENDRLQUERY", terms))
    match = _RELATED_LIST.fullmatch(first)
    if match is None:
        return None
    query = parse("^".join(inner))
    return RelatedRows(match["table"], match["field"], "sys_id", match["comparison"], int(match["number"]), query)


def is_field_path(text: str) -> bool:
    """Say whether `text` can be a field's name, including dot-walks."""
    return _FIELD.fullmatch(text) is not None


def _without_emptiness(groups: list[list[list[Clause]]]) -> tuple[AllOf, ...]:
    kept = (tuple(tuple(any_of) for any_of in group if any_of) for group in groups)
    return tuple(group for group in kept if group)
