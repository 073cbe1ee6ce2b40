"""The Aggregate API: counts, sums, groups (ServiceNow §4)."""

from collections.abc import Sequence

from starlette.responses import Response

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.data.query_sql import CompiledQuery, ResolvedField
from sandbox.servicenow.engine.data.records import as_text
from sandbox.servicenow.wire.rest.call import Json, Resource, RestCall
from sandbox.servicenow.wire.rest.output_values import ValueFormatter, ValueStyle
from sandbox.servicenow.wire.rest.table import compiler_of, guarded_query, served_table

_FUNCTIONS = ("avg", "min", "max", "sum")


async def statistics(call: RestCall) -> Response:
    """Answer with the count and aggregates of the requested rows, in total or by group."""
    table = served_table(call)
    query = guarded_query(call, table)
    groups = _fields(call, table, "sysparm_group_by")
    aggregates = [
        (function, name, field)
        for function in _FUNCTIONS
        for name, field in _fields(call, table, f"sysparm_{function}_fields").items()
    ]
    rows = _aggregated(call, table, query, list(groups.values()), [(one[0], one[2]) for one in aggregates])

    def stats(row: Sequence[str]) -> dict[str, Json]:
        found: dict[str, Json] = {"count": row[0]} if call.flag("sysparm_count") else {}
        for (function, name, _), value in zip(aggregates, row[1:], strict=True):
            of_function = found.setdefault(function, {})
            assert isinstance(of_function, dict)
            of_function[name] = value
        return found

    if not groups:
        return call.answer({"stats": stats(rows[0])})
    width = len(groups)
    shown = _shown_groups(call, groups, [row[:width] for row in rows])
    return call.answer(
        [
            {"stats": stats(row[width:]), "groupby_fields": fields}
            for row, fields in zip(rows, shown, strict=True)
            if _has(call, row[width])
        ]
    )


def _fields(call: RestCall, table: str, parameter: str) -> dict[str, ResolvedField]:
    compiler = compiler_of(call)
    resolved = {name: compiler.resolve(table, name) for name in call.parameters.get(parameter, "").split(",") if name}
    found = {name: field for name, field in resolved.items() if field is not None and field.column.kind != "password"}
    if not all(call.instance.access.may_read_field(call.caller, field) for field in found.values()):
        raise errors.query_forbidden()
    return found


def _aggregated(
    call: RestCall,
    table: str,
    query: CompiledQuery,
    groups: list[ResolvedField],
    aggregates: list[tuple[str, ResolvedField]],
) -> list[list[str]]:
    keys = [field.expression for field in groups]
    expressions = [*keys, "count(*)", *(f"{function}({field.expression})" for function, field in aggregates)]
    statement = (
        f'SELECT {", ".join(expressions)} FROM "{call.instance.dictionary.root(table)}" AS t WHERE {query.where}'
    )
    if keys:
        statement += f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}"
    rows = call.instance.records.execute(statement, query.parameters)
    return [[_number(value) for value in row] for row in rows]


def _number(value: str | int | float | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else as_text(value)


def _shown_groups(call: RestCall, groups: dict[str, ResolvedField], rows: list[list[str]]) -> list[list[Json]]:
    style = ValueStyle("all", exclude_reference_link=True)
    instance = call.instance
    formatter = ValueFormatter(instance.records, instance.dictionary, instance.choices, call.user_format, style)
    mode = call.parameters.get("sysparm_display_value", "false")
    shown: list[list[Json]] = [[] for _ in rows]
    for position, (name, field) in enumerate(groups.items()):
        values = [row[position] for row in rows]
        cells = formatter.cells(field, values, [""] * len(values))
        for row, value, cell in zip(shown, values, cells, strict=True):
            assert isinstance(cell, dict)
            group: dict[str, Json] = {"field": name, "value": cell["display_value"] if mode == "true" else value}
            if mode == "all":
                group["display_value"] = cell["display_value"]
            row.append(group)
    return shown


def _has(call: RestCall, count: str) -> bool:
    """Say whether a group's count satisfies `sysparm_having=count^<field>^<operator>^<number>`."""
    having = call.parameters.get("sysparm_having", "").split("^")
    if len(having) != 4 or having[0] != "count" or not having[3].isdecimal():
        return True
    number, bound = int(count), int(having[3])
    return {"=": number == bound, "!=": number != bound, ">": number > bound, "<": number < bound}.get(having[2], True)


RESOURCES = (Resource("stats/{table}", {"GET": statistics}),)
