"""The Table API: list, read, create, change and delete rows (ServiceNow §2)."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.responses import Response

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.data.encoded_query import Condition, EncodedQuery, Operator, parse
from sandbox.servicenow.engine.data.query_sql import CompiledQuery, QueryCompiler, ResolvedField
from sandbox.servicenow.engine.data.records import as_text
from sandbox.servicenow.wire.rest.call import Json, Resource, RestCall, page_links, without_body
from sandbox.servicenow.wire.rest.input_values import DisplayValueReader, record_of
from sandbox.servicenow.wire.rest.output_values import Cell, DisplayMode, ValueFormatter, ValueStyle

DEFAULT_LIMIT = 10_000
_SHUFFLED_AT_MOST = 20_000
_MODES: Mapping[str, DisplayMode] = {"true": "true", "all": "all"}
_NOTHING = CompiledQuery("0", (), "", (), (), frozenset())


@dataclass(frozen=True)
class RowSelection:
    """The rows of a list call, their order, and their reader."""

    table: str
    query: CompiledQuery
    limit: int
    offset: int


class TableApi:
    """Handlers of `/api/now/table/…`."""

    def __init__(self, seed: int = 1) -> None:
        """Prepare; `seed` is for the shuffling of unordered lists."""
        self._shuffle = random.Random(seed)  # noqa: S311  (an order, no secret)

    def resources(self) -> tuple[Resource, ...]:
        """Return the served paths."""
        return (
            Resource("table/{table}", {"GET": self.list_rows, "POST": self.create_row}),
            Resource(
                "table/{table}/{sys_id}",
                {"GET": self.read_row, "PUT": self.change_row, "PATCH": self.change_row, "DELETE": self.delete_row},
            ),
        )

    async def list_rows(self, call: RestCall) -> Response:
        """GET a list: the limit applies before access rules, so a page may be short or empty."""
        table = served_table(call)
        limit, offset = page_of(call)
        query = guarded_query(call, table)
        count = None if call.flag("sysparm_no_count") else self._count(call, table, query)
        rows = self._rows(call, RowSelection(table, query, limit, offset))
        headers: dict[str, str] = {}
        if count is not None:
            headers["X-Total-Count"] = str(count)
            headers |= self._links(call, limit, offset, count)
        if not rows and call.version == "v1":
            raise replace_headers(errors.no_record(), headers)
        return call.answer(rows, headers=headers)

    async def read_row(self, call: RestCall) -> Response:
        """GET one row."""
        table = served_table(call)
        if not is_readable(call, table) or not call.instance.operations.visible(
            table, call.path["sys_id"], call.caller
        ):
            raise errors.no_record()
        return call.answer(self._row(call, table, call.path["sys_id"]))

    async def create_row(self, call: RestCall) -> Response:
        """POST one row."""
        table = served_table(call)
        row = call.instance.operations.insert(
            table, await written_values(call, table), call.caller, sets_system_fields=sets_system_fields(call)
        )
        headers = {"Location": f"{call.api_url}/table/{table}/{row['sys_id']}"}
        if hides_body(call):
            return without_body(201, headers)
        return call.answer(self._row(call, table, row["sys_id"]), 201, headers)

    async def change_row(self, call: RestCall) -> Response:
        """PATCH or PUT one row: both merge the given fields."""
        table = served_table(call)
        row = call.instance.operations.update(
            table,
            call.path["sys_id"],
            await written_values(call, table),
            call.caller,
            sets_system_fields=sets_system_fields(call),
        )
        return without_body(200) if hides_body(call) else call.answer(self._row(call, table, row["sys_id"]))

    async def delete_row(self, call: RestCall) -> Response:
        """DELETE one row."""
        call.instance.operations.delete(served_table(call), call.path["sys_id"], call.caller)
        return without_body(204)

    def _row(self, call: RestCall, table: str, sys_id: str) -> Json:
        """Return a row that was just written; without columns if a rule has moved it out of the caller's sight."""
        query = CompiledQuery('t."sys_id" = ?', (sys_id,), "", (), (), frozenset())
        return next(iter(rendered_rows(call, RowSelection(table, query, 1, 0), order_by="")), {})

    def _rows(self, call: RestCall, selection: RowSelection) -> list[Json]:
        order_by = selection.query.order_by
        if not order_by:
            order_by = self._unspecified_order(call, selection)
        return rendered_rows(call, selection, order_by=order_by)

    def _unspecified_order(self, call: RestCall, selection: RowSelection) -> str:
        """Return an order that may change with each request, as in unordered lists."""
        if call.instance.properties["simulator.default_order"] == "sys_id":
            return 't."sys_id"'
        root = call.instance.dictionary.root(selection.table)
        is_long = call.instance.records.execute(
            f'SELECT 1 FROM "{root}" AS t WHERE {selection.query.where} LIMIT 1 OFFSET {_SHUFFLED_AT_MOST}',
            selection.query.parameters,
        )
        if is_long:
            # Sorting a million rows would take too long.
            return self._shuffle.choice(('t."rowid"', 't."rowid" DESC'))
        # A window into the random part of the ids.
        return f'substr(t."sys_id", {self._shuffle.randint(13, 25)}, 8)'

    def _count(self, call: RestCall, table: str, query: CompiledQuery) -> int:
        if not call.instance.properties.flag("simulator.total_count.respects_acl"):
            return call.instance.records.count(table, query)
        identity = _identity_fields(call, table)
        return len(_readable(call, table, call.instance.records.select(table, identity, query)))

    def _links(self, call: RestCall, limit: int, offset: int, count: int) -> Mapping[str, str]:
        negative_prev = call.instance.properties["simulator.pagination.links"] == "negative_prev"
        if call.flag("sysparm_suppress_pagination_header") or (count <= limit and not negative_prev):
            return {}
        return {"Link": page_links(call.request, limit=limit, offset=offset, total=count, negative_prev=negative_prev)}


def served_table(call: RestCall) -> str:
    """Return the table in the path. Raises ServiceNowError if the REST APIs do not serve it."""
    table = call.path["table"]
    if not call.instance.has_web_service_access(table):
        raise errors.invalid_table(table)
    return table


def is_readable(call: RestCall, table: str) -> bool:
    """Say whether a read rule of the table admits the caller.

    If not, a switch decides: the rows are counted but not shown, or ServiceNowError is raised.
    """
    readable = call.instance.access.may(call.caller, "read", table)
    if not readable and call.instance.properties["simulator.unreadable_table"] == "forbidden":
        raise errors.unreadable_table(table)
    return readable


def page_of(call: RestCall) -> tuple[int, int]:
    """Return limit and offset. Raises ServiceNowError for values that the instance refuses."""
    limit = call.parameters.get("sysparm_limit", str(DEFAULT_LIMIT))
    offset = call.parameters.get("sysparm_offset", "0")
    if not re.fullmatch(r"0*[1-9]\d{0,17}", limit):
        raise errors.invalid_limit()
    if not re.fullmatch(r"\d{1,18}", offset):
        raise errors.invalid_offset()
    return int(limit), int(offset)


def guarded_query(call: RestCall, table: str) -> CompiledQuery:
    """Return the requested rows, by encoded query or name=value pairs.

    Raises ServiceNowError if the caller may not query one of the fields.
    """
    instance = call.instance
    compiler = compiler_of(call)
    if "sysparm_query" in call.parameters:
        query = parse(call.parameters["sysparm_query"])
    else:
        query = _name_value_query(call, table, compiler)
    compiled = compiler.compile(query, table)
    if compiled.unknown_fields and instance.properties["simulator.unknown_query_field"] == "forbidden":
        raise errors.query_forbidden()
    if is_readable(call, table) and not instance.access.may_query(call.caller, compiled):
        raise errors.query_forbidden()
    if compiled.dropped and instance.properties.flag("glide.invalid_query.returns_no_rows"):
        return _NOTHING
    return compiled


def compiler_of(call: RestCall) -> QueryCompiler:
    """Return the compiler for this caller's queries and field names."""
    return call.instance.records.compiler(call.instance.scripts_of(call.caller))


def _name_value_query(call: RestCall, table: str, compiler: QueryCompiler) -> EncodedQuery:
    reader = display_value_reader(call)
    conditions = []
    for name, value in call.parameters.multi_items():
        field = None if name.startswith("sysparm_") else compiler.resolve(table, name)
        if field is None:
            continue
        raw = value
        if field.column.has_choices:
            raw = call.instance.choices.value_of(*field.steps[-1], value) or value
        ids = reader.referenced(field.column, value) if field.column.reference else []
        conditions.append(Condition(name, Operator.IN, ",".join(ids)) if ids else Condition(name, Operator.EQUALS, raw))
    return EncodedQuery(groups=(tuple((condition,) for condition in conditions),) if conditions else ())


def rendered_rows(call: RestCall, selection: RowSelection, *, order_by: str) -> list[Json]:
    """Return the rows of a page that the caller may read, with their readable fields in the requested style."""
    instance, table = call.instance, selection.table
    fields = _requested_fields(call, table)
    readable = [name for name, field in fields.items() if instance.access.may_read_field(call.caller, field)]
    shown_empty = instance.properties["simulator.unreadable_field"] == "empty"
    identity = _identity_fields(call, table)
    style = _style(call)
    formatter = ValueFormatter(
        instance.records,
        instance.dictionary,
        instance.choices,
        call.user_format,
        style,
        labels_by_class=instance.properties["simulator.task_choice_labels"] == "class",
        in_sight=lambda name, sys_ids: instance.operations.in_sight(name, sys_ids, call.caller),
    )
    stored = instance.records.select(
        table,
        [*identity, *(formatter.selected(fields[name]) for name in readable)],
        selection.query,
        order_by=order_by,
        limit=selection.limit,
        offset=selection.offset,
    )
    stored = _readable(call, table, stored)
    if not stored:
        return []
    _, classes, *columns = (list(map(as_text, column)) for column in zip(*stored, strict=True))
    cells: dict[str, Sequence[Cell]] = {
        name: formatter.cells(fields[name], values, classes) for name, values in zip(readable, columns, strict=True)
    }
    if shown_empty:
        empty: Cell = {"display_value": "", "value": ""} if style.mode == "all" else ""
        cells = {name: cells.get(name, [empty] * len(stored)) for name in fields}
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)] or [{} for _ in stored]


def _requested_fields(call: RestCall, table: str) -> dict[str, ResolvedField]:
    """Return the requested fields by name; ignore unknown ones, and do not add `sys_id`."""
    compiler = compiler_of(call)
    wanted = call.parameters.get("sysparm_fields", "")
    columns = call.instance.dictionary.columns(table)
    names = [name.strip() for name in wanted.split(",")] if wanted.strip() else sorted(columns)
    resolved = {name: compiler.resolve(table, name) for name in names}
    return {name: field for name, field in resolved.items() if field is not None}


def _identity_fields(call: RestCall, table: str) -> list[ResolvedField]:
    compiler = compiler_of(call)
    sys_id = compiler.resolve(table, "sys_id")
    assert sys_id is not None
    if not call.instance.dictionary.has_classes(table):
        return [sys_id, replace(sys_id, expression="NULL")]
    sys_class_name = compiler.resolve(table, "sys_class_name")
    assert sys_class_name is not None
    return [sys_id, sys_class_name]


type _Stored = list[tuple[str | int | None, ...]]


def _readable(call: RestCall, table: str, stored: _Stored) -> _Stored:
    """Drop the rows (sys_id and class first) that the caller may not read, by the rules of each row's class."""
    by_class: dict[str, list[str]] = {}
    for sys_id, class_name, *_ in stored:
        by_class.setdefault(as_text(class_name) or table, []).append(as_text(sys_id))
    hidden: set[str] = set()
    for class_name, sys_ids in by_class.items():
        condition = call.instance.access.row_condition(call.caller, "read", class_name)
        if condition is None:
            hidden.update(sys_ids)
        elif condition:
            hidden |= set(sys_ids) - call.instance.operations.matching(class_name, condition, sys_ids, call.caller)
    return [row for row in stored if row[0] not in hidden] if hidden else stored


def _style(call: RestCall) -> ValueStyle:
    mode = _MODES.get(call.parameters.get("sysparm_display_value", "").lower(), "false")
    return ValueStyle(mode, call.flag("sysparm_exclude_reference_link"), call.api_url)


def display_value_reader(call: RestCall) -> DisplayValueReader:
    """Return the converter from this caller's display values to raw ones."""
    instance = call.instance
    return DisplayValueReader(instance.records, instance.dictionary, instance.choices, call.user_format)


async def written_values(call: RestCall, table: str) -> dict[str, str]:
    """Return the fields of the body as raw values."""
    values = record_of(await call.read_json())
    if call.flag("sysparm_input_display_value"):
        return display_value_reader(call).read(table, values)
    if call.instance.properties.flag("simulator.reference.resolves_names"):
        return display_value_reader(call).read_references(table, values)
    return values


def sets_system_fields(call: RestCall) -> bool:
    """Say whether the caller gives creation and update stamps."""
    return call.parameters.get("sysparm_suppress_auto_sys_field", "").lower() == "false"


def hides_body(call: RestCall) -> bool:
    """Say whether the caller wants an answer without a body."""
    return call.request.headers.get("x-no-response-body", "").lower() == "true"


def replace_headers(error: errors.ServiceNowError, headers: Mapping[str, str]) -> errors.ServiceNowError:
    """Return the error with the headers of the list call."""
    return replace(error, headers={**error.headers, **headers})
