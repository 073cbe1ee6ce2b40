"""Compiles an encoded query: a condition tree becomes SQL over the stored tables."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from string import ascii_lowercase, ascii_uppercase
from typing import Literal
from zoneinfo import ZoneInfo

from sandbox.servicenow.engine.data.dictionary import Column, Dictionary
from sandbox.servicenow.engine.data.encoded_query import (
    AllOf,
    AnyOf,
    Clause,
    Condition,
    EncodedQuery,
    Operator,
    RelatedRows,
    is_field_path,
)
from sandbox.servicenow.engine.data.glide_script import ScriptContext, UnknownScriptError
from sandbox.servicenow.engine.glide_time import from_glide, to_glide

DYNAMIC_ME = "90d1921e5f510100a9ad2572f2b477fe"
"""`sys_id` of the dynamic filter option "Me"."""
DYNAMIC_ONE_OF_MY_GROUPS = "d6435e965f510100a9ad2572f2b47744"
"""`sys_id` of the dynamic filter option "One of My Groups"."""

type Parameter = str | int
type Sql = tuple[str, tuple[Parameter, ...]]
Use = Literal["match", "range"]

_RANGE_OPERATORS = frozenset(Operator) - {
    Operator.EQUALS,
    Operator.NOT_EQUALS,
    Operator.IN,
    Operator.NOT_IN,
    Operator.IS_EMPTY,
    Operator.IS_NOT_EMPTY,
    Operator.EMPTY_STRING,
    Operator.ANYTHING,
    Operator.SAME_AS,
    Operator.NOT_SAME_AS,
    Operator.DYNAMIC,
    Operator.INSTANCE_OF,
}
"""Operators that a `query_range` access rule guards; `query_match` guards the others (ServiceNow §2.3)."""


class _InvalidConditionError(ValueError):
    """A condition that the instance drops silently."""


@dataclass(frozen=True, slots=True)
class ResolvedField:
    """A field path as SQL.

    `expression` is its value, with the collation for comparing and sorting text; `record` is the `sys_id` of the row
    with the field. `column` is the last one of the path, `steps` are the (table, column) pairs on the way.
    """

    expression: str
    record: str
    column: Column
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """SQL of a query over one stored table aliased `t`.

    `where` is never empty. `order_by` is empty for an unordered query. `dropped` are conditions and terms that were
    invalid; `unknown_fields` are those of `dropped` that name a missing column; `uses` says how each (table, column)
    was queried, for access rules.
    """

    where: str
    parameters: tuple[Parameter, ...]
    order_by: str
    dropped: tuple[str, ...]
    unknown_fields: tuple[str, ...]
    uses: frozenset[tuple[str, str, Use]]


@dataclass(frozen=True)
class QueryCompiler:
    """Compiles queries for one instance's dictionary and one caller's scripts.

    Text comparisons ignore case unless `case_sensitive` (ServiceNow §2.3). Ids, references and dates are not text in
    this sense. Only ASCII letters have two cases.
    """

    dictionary: Dictionary
    scripts: ScriptContext
    case_sensitive: bool = False
    _handlers: Mapping[Operator, Callable[[ResolvedField, str], Sql]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_handlers", self._operator_table())

    def compile(self, query: EncodedQuery, table: str) -> CompiledQuery:
        """Return the SQL of `query` on `table`, restricted to its classes; drop and list invalid parts."""
        dropped: list[str] = list(query.invalid_terms)
        unknown: list[str] = []
        uses: set[tuple[str, str, Use]] = set()
        compiled: dict[Clause, Sql] = {}
        for condition in query.clauses():
            if isinstance(condition, RelatedRows):
                related = self._related_rows(table, condition, uses)
                if related is None:
                    dropped.append(str(condition))
                else:
                    compiled[condition] = related
                continue
            resolved = self.resolve(table, condition.field)
            if resolved is None:
                unknown.append(condition.field)
                dropped.append(str(condition))
                continue
            use: Use = "range" if condition.operator in _RANGE_OPERATORS else "match"
            try:
                compiled[condition] = self._condition(table, resolved, condition)
            except (_InvalidConditionError, UnknownScriptError):
                dropped.append(str(condition))
            else:
                uses |= {(*step, use) for step in resolved.steps}
        order, unsortable = self._order_by(query, table, uses)
        dropped += unsortable
        groups = _groups_of(query, compiled)
        clauses = [self._class_restriction(table), *self._shared_bounds(table, groups), _any_group(groups, compiled)]
        where, parameters = _joined("AND", [clause for clause in clauses if clause is not None])
        return CompiledQuery(where or "1", parameters, order, tuple(dropped), tuple(unknown), frozenset(uses))

    def resolve(self, table: str, path: str) -> ResolvedField | None:
        """Return the SQL of a field path on `table`, or None if a step does not exist."""
        if not is_field_path(path):
            return None
        expression, current, steps = "", table, []
        *references, last = path.split(".")
        for name in references:
            column = self.dictionary.columns(current).get(name)
            if column is None or not column.reference or column.reference not in self.dictionary:
                return None
            expression = self._step(expression, current, name)
            steps.append((current, name))
            current = column.reference
        column = self.dictionary.columns(current).get(last)
        if column is None:
            return None
        steps.append((current, last))
        value = f"{self._step(expression, current, last)}{self._collation(column)}"
        return ResolvedField(value, expression or 't."sys_id"', column, tuple(steps))

    def _collation(self, column: Column) -> str:
        if column.kind != "string":
            return ""
        return " COLLATE BINARY" if self.case_sensitive else " COLLATE NOCASE"

    def _step(self, expression: str, table: str, column: str) -> str:
        if not expression:
            return f't."{column}"'
        return f'(SELECT "{column}" FROM "{self.dictionary.root(table)}" WHERE "sys_id" = {expression})'

    def _order_by(self, query: EncodedQuery, table: str, uses: set[tuple[str, str, Use]]) -> tuple[str, list[str]]:
        terms: list[str] = []
        unsortable: list[str] = []
        for key in query.sort_keys:
            resolved = self.resolve(table, key.field)
            if resolved is None or resolved.column.kind == "password":
                unsortable.append(f"ORDERBY{key.field}")
                continue
            uses |= {(*step, "range") for step in resolved.steps}
            terms.append(f"{resolved.expression}{' DESC' if key.descending else ''}")
        return ", ".join(terms), unsortable

    def _related_rows(self, table: str, related: RelatedRows, uses: set[tuple[str, str, Use]]) -> Sql | None:
        own = self.resolve(table, related.own_field)
        other = self.resolve(related.table, related.field) if related.table in self.dictionary else None
        if own is None or other is None:
            return None
        query = self.compile(related.query, related.table)
        uses |= query.uses | {(*step, "match") for step in (*own.steps, *other.steps)}
        # Rows without related rows appear in no group. If they match too, exclude the groups that do not match.
        excludes = related.is_met_by_none()
        sql = (
            f"{own.expression} {'NOT IN' if excludes else 'IN'} "
            f'(SELECT {other.expression} FROM "{self.dictionary.root(related.table)}" AS t '
            f"WHERE {other.expression} IS NOT NULL AND {query.where} GROUP BY {other.expression} "
            f"HAVING {'NOT ' if excludes else ''}(count(*) {related.comparison} {related.number}))"
        )
        return sql, query.parameters

    def _class_restriction(self, table: str) -> Sql | None:
        if table == self.dictionary.root(table):
            return None
        return _in('t."sys_class_name"', self.dictionary.classes(table))

    def _shared_bounds(self, table: str, groups: tuple[AllOf, ...]) -> list[Sql]:
        """Return a condition that every alternative implies, so that an index can serve a keyset query.

        `a=T^id>x^NQa>T` implies `a >= T`; the database does not work that out.
        """
        if len(groups) < 2:
            return []
        bounds = [self._lower_bounds(table, group) for group in groups]
        shared = set(bounds[0]).intersection(*bounds[1:])
        return [
            (f'likelihood(t."{column}" >= ?, 0.001)', (min(bound[column] for bound in bounds),))
            for column in sorted(shared)
        ]

    def _lower_bounds(self, table: str, group: AllOf) -> dict[str, str]:
        bounds: dict[str, str] = {}
        for any_of in group:
            condition = any_of[0]
            if isinstance(condition, RelatedRows) or len(any_of) > 1:
                continue
            resolved = self.resolve(table, condition.field)
            if (
                resolved is not None
                and len(resolved.steps) == 1
                and resolved.column.kind == "date_time"
                and condition.operator in (Operator.EQUALS, Operator.GREATER, Operator.GREATER_OR_EQUAL)
                and condition.value
            ):
                bounds[condition.field] = _date_time(self.scripts.evaluate(condition.value))
        return bounds

    # Operators

    def _condition(self, table: str, resolved: ResolvedField, condition: Condition) -> Sql:
        if resolved.column.kind == "password":
            raise _InvalidConditionError(condition.field)
        if condition.operator in (Operator.SAME_AS, Operator.NOT_SAME_AS):
            other = self.resolve(table, condition.value)
            if other is None:
                raise _InvalidConditionError(condition.value)
            comparison = "IS" if condition.operator is Operator.SAME_AS else "IS NOT"
            return f"{resolved.expression} {comparison} {other.expression}", ()
        return self._handlers[condition.operator](resolved, condition.value)

    def _operator_table(self) -> Mapping[Operator, Callable[[ResolvedField, str], Sql]]:
        return {
            Operator.EQUALS: self._equals,
            Operator.NOT_EQUALS: self._not_equals,
            Operator.GREATER: lambda on, value: self._compare(on, ">", value),
            Operator.GREATER_OR_EQUAL: lambda on, value: self._compare(on, ">=", value),
            Operator.LESS: lambda on, value: self._compare(on, "<", value),
            Operator.LESS_OR_EQUAL: lambda on, value: self._compare(on, "<=", value),
            Operator.BETWEEN: self._between,
            Operator.CONTAINS: self._contains,
            Operator.NOT_CONTAINS: lambda on, value: _negated(self._contains(on, value)),
            Operator.STARTS_WITH: self._starts_with,
            Operator.ENDS_WITH: self._ends_with,
            Operator.IS_EMPTY: lambda on, _: (f"{on.expression} IS NULL", ()),
            Operator.EMPTY_STRING: lambda on, _: (f"{on.expression} IS NULL", ()),
            Operator.IS_NOT_EMPTY: lambda on, _: (f"{on.expression} IS NOT NULL", ()),
            Operator.ANYTHING: lambda on, _: ("1", ()),
            Operator.IN: self._in,
            Operator.NOT_IN: lambda on, value: _negated(self._in(on, value)),
            Operator.ON: self._on,
            Operator.NOT_ON: lambda on, value: _negated(self._on(on, value)),
            Operator.DATE_PART: self._date_part,
            Operator.RELATIVE_ON: self._relative_on,
            Operator.RELATIVE_AFTER: lambda on, value: self._relative(on, ">", value),
            Operator.RELATIVE_ON_OR_AFTER: lambda on, value: self._relative(on, ">=", value),
            Operator.RELATIVE_BEFORE: lambda on, value: self._relative(on, "<", value),
            Operator.RELATIVE_ON_OR_BEFORE: lambda on, value: self._relative(on, "<=", value),
            Operator.DYNAMIC: self._dynamic,
            Operator.INSTANCE_OF: self._instance_of,
        }

    def _equals(self, on: ResolvedField, value: str) -> Sql:
        value = self.scripts.evaluate(value)
        if not value:
            return f"{on.expression} IS NULL", ()
        return f"{on.expression} = ?", (_parameter(on.column, value),)

    def _not_equals(self, on: ResolvedField, value: str) -> Sql:
        value = self.scripts.evaluate(value)
        if not value:
            return f"{on.expression} IS NOT NULL", ()
        return f"{on.expression} IS NOT ?", (_parameter(on.column, value),)

    def _compare(self, on: ResolvedField, comparison: str, value: str) -> Sql:
        value = self.scripts.evaluate(value)
        if on.column.kind == "integer" and not _is_integer(value):
            return "0", ()
        clause = f"{on.expression} {comparison} ?"
        if on.column.kind == "date_time" and comparison in (">", ">="):
            # The database cannot know this: a query for "since when" expects few rows, so that index comes first.
            clause = f"likelihood({clause}, 0.001)"
        return clause, (_parameter(on.column, value),)

    def _between(self, on: ResolvedField, value: str) -> Sql:
        bounds = value.split("@")
        if len(bounds) != 2:
            raise _InvalidConditionError(value)
        low, high = (
            self._compare(on, comparison, bound) for comparison, bound in zip((">=", "<="), bounds, strict=True)
        )
        return f"({low[0]} AND {high[0]})", low[1] + high[1]

    def _on(self, on: ResolvedField, value: str) -> Sql:
        parts = value.split("@")
        if len(parts) != 3:
            raise _InvalidConditionError(value)
        return self._between(on, f"{parts[1]}@{parts[2]}")

    def _contains(self, on: ResolvedField, value: str) -> Sql:
        value = self.scripts.evaluate(value)
        if self.case_sensitive:
            return f"instr({_as_text(on)}, ?) > 0", (value,)
        return f"instr(lower({_as_text(on)}), lower(?)) > 0", (value,)

    def _starts_with(self, on: ResolvedField, value: str) -> Sql:
        value = self.scripts.evaluate(value)
        if on.column.kind == "integer" or not value:
            return self._edge(on, f"1, {len(value)}", value)
        # A range, unlike a function, can be looked up in an index.
        upper = (
            _successor(value) if self.case_sensitive or on.column.kind != "string" else _successor_in_any_case(value)
        )
        if upper is None:
            return f"{on.expression} >= ?", (value,)
        return f"({on.expression} >= ? AND {on.expression} < ?)", (value, upper)

    def _ends_with(self, on: ResolvedField, value: str) -> Sql:
        value = self.scripts.evaluate(value)
        return self._edge(on, f"-{len(value)}, {len(value)}", value)

    def _edge(self, on: ResolvedField, slice_: str, value: str) -> Sql:
        if not value:
            return f"{on.expression} IS NOT NULL", ()
        if self.case_sensitive:
            return f"substr({_as_text(on)}, {slice_}) = ?", (value,)
        return f"lower(substr({_as_text(on)}, {slice_})) = lower(?)", (value,)

    def _in(self, on: ResolvedField, value: str) -> Sql:
        evaluated = self.scripts.evaluate(value)
        return _in(on.expression, [_parameter(on.column, item) for item in evaluated.split(",") if item])

    def _date_part(self, on: ResolvedField, value: str) -> Sql:
        _, separator, script = value.partition("@")
        arguments = [part.strip().strip("'\"") for part in script[script.find("(") + 1 : script.rfind(")")].split(",")]
        if not separator or len(arguments) != 3 or arguments[0] not in DATE_PARTS:
            raise _InvalidConditionError(value)
        part, wanted, comparison = arguments
        number = DATE_PARTS[part](wanted)
        symbol = {"EE": "=", "GT": ">", "LT": "<", "GE": ">=", "LE": "<="}.get(comparison)
        if number is None or symbol is None:
            raise _InvalidConditionError(value)
        return f"date_part(?, {on.expression}, ?) {symbol} ?", (part, self.scripts.time_zone.key, number)

    def _relative(self, on: ResolvedField, comparison: str, value: str) -> Sql:
        """Compare with a time counted from now: `@hour@ago@1` (ServiceNow §2.3)."""
        return self._compare(on, comparison, self._dated(on, self._counted(value, self.scripts.moment)))

    def _relative_on(self, on: ResolvedField, value: str) -> Sql:
        """Match the whole unit: `RELATIVEEE@day@ago@1` is yesterday (inferred from public queries)."""
        first, last = (self._dated(on, edge) for edge in self._counted(value, self.scripts.period))
        return self._between(on, f"{first}@{last}")

    def _counted[T](self, value: str, count_from_now: Callable[[str, int], T]) -> T:
        match = _RELATIVE.fullmatch(value)
        if match is None:
            raise _InvalidConditionError(value)
        count = int(match["count"]) * (-1 if match["direction"] == "ago" else 1)
        try:
            return count_from_now(_RELATIVE_UNITS[match["unit"]], count)
        except (OverflowError, ValueError) as error:
            raise _InvalidConditionError(value) from error

    def _dated(self, on: ResolvedField, moment: str) -> str:
        """Return a moment in the form that a column of dates or date-times stores."""
        if on.column.kind == "date":
            return from_glide(moment).astimezone(self.scripts.time_zone).date().isoformat()
        if on.column.kind == "date_time":
            return moment
        raise _InvalidConditionError(on.column.name)

    def _dynamic(self, on: ResolvedField, value: str) -> Sql:
        if value == DYNAMIC_ME:
            return f"{on.expression} = ?", (self.scripts.user_sys_id,)
        if value == DYNAMIC_ONE_OF_MY_GROUPS:
            return (
                f'{on.expression} IN (SELECT "group" FROM "sys_user_grmember" WHERE "user" = ?)',
                (self.scripts.user_sys_id,),
            )
        raise _InvalidConditionError(value)

    def _instance_of(self, on: ResolvedField, value: str) -> Sql:
        if value not in self.dictionary:
            raise _InvalidConditionError(value)
        return _in(on.expression, self.dictionary.classes(value))


_RELATIVE_UNITS: Mapping[str, str] = {
    "minute": "minutes",
    "hour": "hours",
    "day": "days",
    "dayofweek": "days",
    "week": "weeks",
    "month": "months",
    "quarter": "quarters",
    "year": "years",
}
_RELATIVE = re.compile(rf"@(?P<unit>{'|'.join(_RELATIVE_UNITS)})@(?P<direction>ago|ahead)@(?P<count>\d{{1,9}})")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = tuple(date(2000, month, 1).strftime("%B").lower() for month in range(1, 13))


def _position_in(names: tuple[str, ...]) -> Callable[[str], int | None]:
    return lambda name: names.index(name.lower()) + 1 if name.lower() in names else None


def _whole_number(text: str) -> int | None:
    return int(text) if _is_integer(text) else None


DATE_PARTS: Mapping[str, Callable[[str], int | None]] = {
    "dayofweek": _position_in(_DAYS),
    "month": _position_in(_MONTHS),
    "quarter": _whole_number,
    "year": _whole_number,
    "hour": _whole_number,
    "week": _whole_number,
}


def date_part(part: str, stored: str | None, time_zone: str) -> int | None:
    """Return a part of a stored date-time as seen in a time zone; a function of the database."""
    if stored is None:
        return None
    local = from_glide(_date_time(stored)).astimezone(ZoneInfo(time_zone))
    return {
        "dayofweek": local.isoweekday(),
        "month": local.month,
        "quarter": (local.month + 2) // 3,
        "year": local.year,
        "hour": local.hour,
        "week": local.isocalendar().week,
    }[part]


def _parameter(column: Column, value: str) -> Parameter:
    if column.kind == "integer":
        return int(value) if _is_integer(value) else value
    if column.kind == "date_time":
        return _date_time(value)
    if column.kind == "boolean":
        return {"1": "true", "0": "false"}.get(value, value)
    return value


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and len(text) < 19


def _date_time(text: str) -> str:
    """Read a literal as UTC; a date alone means its first second."""
    try:
        return to_glide(from_glide(text))
    except ValueError:
        pass
    try:
        return to_glide(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC))
    except ValueError as error:
        raise _InvalidConditionError(text) from error


def _successor(prefix: str) -> str | None:
    """Return the least text greater than everything that begins with `prefix`, None if there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if 0xD800 <= code <= 0xDFFF:
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:-1] + chr(code)
        prefix = prefix[:-1]
    return None


_UPPER_TO_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def _successor_in_any_case(prefix: str) -> str | None:
    """Return the same for text compared without case: capitals sort among the small letters."""
    upper = _successor(prefix.translate(_UPPER_TO_LOWER))
    return upper and f"{upper[:-1]}{'[' if upper[-1] in ascii_uppercase else upper[-1]}"


def _as_text(on: ResolvedField) -> str:
    return f"CAST({on.expression} AS TEXT)" if on.column.kind == "integer" else on.expression


def _in(expression: str, values: Iterable[Parameter]) -> Sql:
    parameters = tuple(values)
    return f"{expression} IN ({', '.join('?' * len(parameters))})", parameters


def _negated(sql: Sql) -> Sql:
    """Return the opposite of a condition; empty values match it too."""
    return f"({sql[0]}) IS NOT TRUE", sql[1]


def _groups_of(query: EncodedQuery, compiled: Mapping[Clause, Sql]) -> tuple[AllOf, ...]:
    def valid(any_of: AnyOf) -> AnyOf:
        return tuple(condition for condition in any_of if condition in compiled)

    groups = (tuple(any_of for any_of in map(valid, group) if any_of) for group in query.groups)
    return tuple(group for group in groups if group)


def _any_group(groups: tuple[AllOf, ...], compiled: Mapping[Clause, Sql]) -> Sql | None:
    """Join the alternatives; write what they have in common once, and first."""
    if not groups:
        return None
    common = tuple(any_of for any_of in groups[0] if all(any_of in group for group in groups[1:]))
    rest = [tuple(any_of for any_of in group if any_of not in common) for group in groups]

    def all_of(group: AllOf) -> list[Sql]:
        return [_joined("OR", [compiled[condition] for condition in any_of]) for any_of in group]

    clauses = all_of(common)
    if all(rest):
        clauses.append(_joined("OR", [_joined("AND", all_of(group)) for group in rest]))
    return _joined("AND", clauses)


def _joined(conjunction: str, clauses: list[Sql]) -> Sql:
    """Join clauses as a balanced tree: the database limits the depth of an expression, not its length."""
    if not clauses:
        return "", ()
    if len(clauses) == 1:
        return clauses[0]
    middle = len(clauses) // 2
    left, right = _joined(conjunction, clauses[:middle]), _joined(conjunction, clauses[middle:])
    return f"({left[0]} {conjunction} {right[0]})", left[1] + right[1]
