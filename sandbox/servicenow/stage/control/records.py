"""The control API's handlers for records."""

from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import Request

from sandbox.servicenow.engine import record_events
from sandbox.servicenow.engine.caller import SYSTEM
from sandbox.servicenow.engine.cloning import PRESERVED, clone_over, stored_tables
from sandbox.servicenow.engine.data import domains
from sandbox.servicenow.engine.data.dictionary import Column
from sandbox.servicenow.engine.data.records import Row, new_sys_id
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.control.handling import (
    ControlProblemError,
    Handlers,
    Json,
    acting,
    raw_columns,
    require_known,
)


@dataclass(frozen=True)
class _PolicyTables:
    """Where policies of one sort and their rules are kept, and the columns that connect them to table and policy."""

    policy: str
    of: str
    rule: str
    parent: str


_POLICY_TABLES = {
    "data": _PolicyTables("sys_data_policy2", "model_table", "sys_data_policy_rule", "sys_data_policy"),
    "ui": _PolicyTables("sys_ui_policy", "table", "sys_ui_policy_action", "ui_policy"),
}


class RecordsControl:
    """The stored records, one at a time or many, and what happens to them outside the APIs."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._records = instance.records

    def handlers(self) -> Handlers:
        """Return the handlers of its paths."""
        return {
            ("GET", "/records/{table}"): self._query_records,
            ("POST", "/records/{table}"): self._insert_record,
            ("GET", "/records/{table}/{sys_id}"): self._show_record,
            ("PATCH", "/records/{table}/{sys_id}"): self._change_record,
            ("DELETE", "/records/{table}/{sys_id}"): self._delete_record,
            ("PUT", "/records/{table}/{sys_id}/raw"): self._overwrite_record,
            ("POST", "/records/{table}/{sys_id}/move"): self._move_record,
            ("POST", "/records/{table}/{sys_id}/archive"): self._archive_record,
            ("POST", "/records/{table}/{sys_id}/restore"): self._restore_record,
            ("POST", "/records/{table}/{sys_id}/copy"): self._copy_record,
            ("POST", "/records/{table}/{sys_id}/domain"): self._move_to_domain,
            ("POST", "/domains"): self._create_domain,
            ("POST", "/changes/{sys_id}/decision"): self._decide_change,
            ("POST", "/choices"): self._add_choice,
            ("PUT", "/columns/{table}/{column}"): self._define_column,
            ("PUT", "/column-lengths/{table}/{column}"): self._set_column_length,
            ("POST", "/policies/{sort}/{table}"): self._add_policy,
            ("POST", "/bulk/insert"): self._bulk_insert,
            ("POST", "/bulk/touch"): self._bulk_touch,
            ("GET", "/stored-tables"): self._list_stored_tables,
            ("POST", "/clone"): self._clone,
        }

    def _query_records(self, request: Request, _: Json) -> object:
        query, limit = request.query_params.get("query", ""), int(request.query_params.get("limit", "100"))
        return {"records": self._records.query(self._table(request), query, limit=limit)}

    def _insert_record(self, request: Request, body: Json) -> object:
        table = self._table(request)
        return self._instance.operations.insert(table, self._values(table, body), acting(self._instance, body))

    def _show_record(self, request: Request, _: Json) -> object:
        return self._record(request)

    def _change_record(self, request: Request, body: Json) -> object:
        table, row = self._table(request), self._record(request)
        return self._instance.operations.update(
            table, row["sys_id"], self._values(table, body), acting(self._instance, body)
        )

    def _delete_record(self, request: Request, body: Json) -> object:
        self._instance.operations.delete(
            self._table(request), self._record(request)["sys_id"], acting(self._instance, body)
        )
        return {}

    def _overwrite_record(self, request: Request, body: Json) -> object:
        table, row = self._table(request), self._record(request)
        values = raw_columns(self._instance, table, body.get("values", {}))
        if not values:
            raise ControlProblemError(400, "no values")
        return self._records.overwrite(table, row["sys_id"], values)

    def _move_record(self, request: Request, body: Json) -> object:
        require_known(body, {"table"})
        return record_events.change_class(self._instance, self._record(request), body["table"])

    def _archive_record(self, request: Request, _: Json) -> object:
        record_events.archive(self._instance, self._table(request), self._record(request)["sys_id"])
        return {}

    def _restore_record(self, request: Request, body: Json) -> object:
        values = raw_columns(self._instance, self._table(request), body.get("values", {}))
        try:
            return record_events.restore(self._instance, request.path_params["sys_id"], values)
        except record_events.NotArchivedError as error:
            raise ControlProblemError(404, f"no archived record {error}") from error

    def _copy_record(self, request: Request, body: Json) -> object:
        require_known(body, {"as_user"})
        return record_events.copy(self._instance, self._record(request), acting(self._instance, body))

    def _move_to_domain(self, request: Request, body: Json) -> object:
        require_known(body, {"domain"})
        self._instance.properties[domains.SWITCH] = True
        columns = domains.columns_of(self._records, body["domain"])
        return self._records.update(self._table(request), self._record(request)["sys_id"], columns)

    def _create_domain(self, _: Request, body: Json) -> object:
        require_known(body, {"name", "parent"})
        self._instance.properties[domains.SWITCH] = True
        return domains.create(self._records, body["name"], body.get("parent", ""))

    def _decide_change(self, request: Request, body: Json) -> object:
        require_known(body, {"state", "comments"})
        sys_id = request.path_params["sys_id"]
        approval = next(iter(self._instance.operations.approvals.open(sys_id)), None)
        if approval is None:
            raise ControlProblemError(404, f"nobody is asked to approve {sys_id}")
        approver = self._instance.caller_of(approval["approver"])
        assert approver is not None
        self._instance.operations.update("sysapproval_approver", approval["sys_id"], body, approver)
        return self._records.get("change_request", sys_id)

    def _add_choice(self, _: Request, body: Json) -> object:
        require_known(body, {"name", "element", "value", "label"})
        return self._instance.choices.add(body["name"], body["element"], body["value"], body["label"])

    def _define_column(self, request: Request, body: Json) -> object:
        table, element = self._table(request), request.path_params["column"]
        column = self._instance.dictionary.columns(table).get(element, Column(element))
        entry = column.entry(table) | raw_columns(self._instance, "sys_dictionary", body)
        known = self._records.first("sys_dictionary", f"name={table}^element={element}")
        if known is not None:
            return self._instance.operations.update("sys_dictionary", known["sys_id"], entry, SYSTEM)
        return self._instance.operations.insert("sys_dictionary", entry, SYSTEM)

    def _add_policy(self, request: Request, body: Json) -> object:
        require_known(body, {"policy", "rules"})
        tables = _POLICY_TABLES[request.path_params["sort"]]
        table = self._table(request)
        insert = self._instance.operations.insert
        values = raw_columns(self._instance, tables.policy, body["policy"])
        policy = insert(tables.policy, {tables.of: table} | values, SYSTEM)
        for rule in body["rules"]:
            values = raw_columns(self._instance, tables.rule, rule)
            insert(tables.rule, {tables.parent: policy["sys_id"], "table": table} | values, SYSTEM)
        return policy

    def _set_column_length(self, request: Request, body: Json) -> object:
        require_known(body, {"length"})
        table, column, length = self._table(request), request.path_params["column"], int(body["length"])
        self._instance.dictionary.set_length(table, column, length)
        query = f"name={table}^element={column}"
        if not self._records.update_many("sys_dictionary", query, {"max_length": str(length)}):
            self._records.insert("sys_dictionary", {"name": table, "element": column, "max_length": str(length)})
        return {}

    def _bulk_insert(self, _: Request, body: Json) -> object:
        require_known(body, {"table", "count", "values", "correlation_prefix"})
        values, prefix = (
            raw_columns(self._instance, body["table"], body.get("values", {})),
            body.get("correlation_prefix", ""),
        )

        def rows() -> Iterator[Row]:
            for number in range(int(body["count"])):
                yield {"sys_id": new_sys_id(), **values, **({"correlation_id": f"{prefix}{number}"} if prefix else {})}

        return {"count": self._records.insert_many(body["table"], rows())}

    def _bulk_touch(self, _: Request, body: Json) -> object:
        require_known(body, {"table", "query", "values"})
        values = raw_columns(self._instance, body["table"], body.get("values", {}))
        return {"count": self._records.update_many(body["table"], body["query"], values)}

    def _list_stored_tables(self, _: Request, __: Json) -> object:
        return stored_tables(self._instance)

    def _clone(self, _: Request, body: Json) -> object:
        require_known(body, {"tables", "preserved"})
        clone_over(self._instance, body["tables"], body.get("preserved", PRESERVED))
        return {}

    def _table(self, request: Request) -> str:
        table: str = request.path_params["table"]
        if table not in self._instance.dictionary:
            raise ControlProblemError(404, f"no table {table}")
        return table

    def _record(self, request: Request) -> Row:
        row = self._records.get(self._table(request), request.path_params["sys_id"])
        if row is None:
            raise ControlProblemError(404, f"no {request.path_params['table']} {request.path_params['sys_id']}")
        return row

    def _values(self, table: str, body: Json) -> Row:
        require_known(body, {"values", "as_user"})
        return raw_columns(self._instance, table, body.get("values", {}))
