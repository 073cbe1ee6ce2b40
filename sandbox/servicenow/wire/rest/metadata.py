"""What tables and columns there are, as the user interface and other products ask (ServiceNow §13; undocumented)."""

from starlette.responses import Response

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.data.dictionary import Column
from sandbox.servicenow.wire.rest.call import Json, Resource, RestCall
from sandbox.servicenow.wire.rest.table import served_table

SWITCH = "simulator.metadata_apis"


async def describe_form(call: RestCall) -> Response:
    """GET the columns of a table with inherited ones, and the choices that the caller may see."""
    table = _readable_table(call)
    mandatory = _mandatory_by_policy(call, table)
    columns = call.instance.dictionary.columns(table)
    return call.answer({"columns": {name: _described(call, table, columns[name], mandatory) for name in columns}})


async def list_tables(call: RestCall) -> Response:
    """GET the tables that the caller may see."""
    _require_switch(call)
    instance = call.instance
    tables = instance.dictionary.tables
    return call.answer(
        [
            {"label": tables[name].label, "value": name, "reference": ""}
            for name in sorted(tables)
            if instance.has_web_service_access(name) and instance.access.may(call.caller, "read", name)
        ]
    )


async def list_columns(call: RestCall) -> Response:
    """GET the columns of a table, in short."""
    table = _readable_table(call)
    columns = call.instance.dictionary.columns(table)
    return call.answer(
        [
            {
                "label": call.instance.label_of(call.caller, table, name),
                "value": name,
                "type": columns[name].internal_type,
                "reference": columns[name].reference,
            }
            for name in sorted(columns)
        ]
    )


def _require_switch(call: RestCall) -> None:
    if not call.instance.properties.flag(SWITCH):
        raise errors.unknown_resource(404)


def _readable_table(call: RestCall) -> str:
    _require_switch(call)
    table = served_table(call)
    if not call.instance.access.may(call.caller, "read", table):
        raise errors.unreadable_table(table)
    return table


def _described(call: RestCall, table: str, column: Column, mandatory: set[str]) -> Json:
    access = call.instance.access
    described: dict[str, Json] = {
        "name": column.name,
        "label": call.instance.label_of(call.caller, table, column.name),
        "type": "choice" if column.has_choices and column.kind == "string" else column.internal_type,
        "mandatory": column.mandatory or column.name in mandatory,
        "read_only": column.read_only or not access.may_write_field(call.caller, table, column.name, updates=False),
        "max_length": column.length,
    }
    if column.reference:
        described["reference"] = column.reference
    if column.has_choices and access.may(call.caller, "read", "sys_choice"):
        described["choices"] = _choices(call, table, column)
    return described


def _choices(call: RestCall, table: str, column: Column) -> Json:
    choices = call.instance.choices
    offered = choices.values(table, column.name)
    shown: list[Json] = [{"label": "-- None --", "value": ""}]
    for sequence, (value, label) in enumerate(choices.labels(table, column.name).items(), 1):
        if value in offered:
            shown.append({"label": label, "value": value, "sequence": sequence})
    return shown


def _mandatory_by_policy(call: RestCall, table: str) -> set[str]:
    """Return the columns that UI policies without conditions make mandatory."""
    if not call.instance.properties.flag("simulator.ui_meta.shows_ui_policies"):
        return set()
    records = call.instance.records
    found: set[str] = set()
    for name in call.instance.dictionary.lineage(table):
        inherited = "" if name == table else "^inherit=true"
        for policy in records.query("sys_ui_policy", f"table={name}^active=true^conditions={inherited}"):
            actions = records.query("sys_ui_policy_action", f"ui_policy={policy['sys_id']}^mandatory=true")
            found |= {action["field"] for action in actions}
    return found


RESOURCES = (
    Resource("ui/meta/{table}", {"GET": describe_form}),
    Resource("doc/table/schema", {"GET": list_tables}),
    Resource("doc/table/schema/{table}", {"GET": list_columns}),
)
