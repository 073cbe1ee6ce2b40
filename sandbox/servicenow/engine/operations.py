"""Writes as a user does: access rules, then business rules, then storage, all or nothing (ServiceNow §2.5)."""

import re
from collections.abc import Callable, Mapping

from sandbox.clock import Clock
from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data import domains
from sandbox.servicenow.engine.data.choices import Choices
from sandbox.servicenow.engine.data.dictionary import SYSTEM_COLUMN_NAMES, Column, Dictionary
from sandbox.servicenow.engine.data.glide_script import ScriptContext
from sandbox.servicenow.engine.data.records import DuplicateSysIdError, Records, Row, new_sys_id
from sandbox.servicenow.engine.glide_time import from_glide, to_glide
from sandbox.servicenow.engine.journals import JOURNALS
from sandbox.servicenow.engine.properties import Properties, UnknownPropertyError
from sandbox.servicenow.engine.rules.access import AccessControl, Operation
from sandbox.servicenow.engine.rules.approvals import Approvals
from sandbox.servicenow.engine.rules.business import BusinessRules
from sandbox.servicenow.engine.rules.data_policies import DataPolicies
from sandbox.servicenow.engine.rules.families import IncidentFamilies
from sandbox.servicenow.engine.rules.tickets import Write, run_before_rules

_SYS_ID = re.compile(r"[0-9a-fA-F]{32}")
_BEYOND_BMP: Mapping[str, Callable[[str], str]] = {
    "kept": lambda text: text,
    "cut": lambda text: re.split("[\U00010000-\U0010ffff]", text, maxsplit=1)[0],
    "replaced": lambda text: re.sub("[\U00010000-\U0010ffff]", "?", text),
}
"""What a database makes of a text with characters beyond the Basic Multilingual Plane."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Operations:
    """Inserts, updates and deletes for a caller. Each raises ServiceNowError, which is the caller's answer."""

    def __init__(
        self,
        *,
        records: Records,
        dictionary: Dictionary,
        properties: Properties,
        choices: Choices,
        access: AccessControl,
        clock: Clock,
        scripts_of: Callable[[Caller], ScriptContext],
        label_of: Callable[[Caller, str, str], str],
    ) -> None:
        """Write to `records`.

        `scripts_of` gives the context of an encoded query's functions for a caller, `label_of` what a caller's language
        calls a column of a table.
        """
        self._records = records
        self._dictionary = dictionary
        self._properties = properties
        self._choices = choices
        self._access = access
        self._clock = clock
        self._scripts_of = scripts_of
        self._label_of = label_of
        self.business_rules = BusinessRules(records, dictionary)
        self.data_policies = DataPolicies(records, dictionary, choices)
        self.approvals = Approvals(records, properties)
        self._families = IncidentFamilies(records, properties)

    def insert(self, table: str, values: Mapping[str, str], caller: Caller, *, sets_system_fields: bool = False) -> Row:
        """Create a row from raw values and return it as stored. Ignores unknown columns.

        `sets_system_fields` is `sysparm_suppress_auto_sys_field=false`: the caller may give creation and update stamps.
        """
        if not self._access.may(caller, "create", table):
            raise errors.write_forbidden("Insert")
        given = self._accepted(table, values, caller, updates=False, sets_system_fields=sets_system_fields)
        given |= self._supplied_sys_id(table, values, caller)
        after = self._defaults(table) | given
        after |= self._domain_of_new(table, after, caller)
        journals = self._journals(table, values, caller, updates=False)
        with self._records.transaction():
            self._run_rules(table, None, after, journals, caller)
            self._keep_number_unique(table, "", after)
            try:
                row = self._records.insert(table, after, by=caller.user_name)
            except DuplicateSysIdError as error:
                raise errors.duplicate_key(table, after["sys_id"]) from error
            self._append_journals(table, row["sys_id"], journals, caller)
            self._enforce_data_policies(table, self._defaults(table), row, set(given), journals, caller)
            row = self._after_rules(table, None, row)
            self._apply_settings(table, row)
        return row

    def update(
        self, table: str, sys_id: str, values: Mapping[str, str], caller: Caller, *, sets_system_fields: bool = False
    ) -> Row:
        """Merge raw values into a row and return it as stored. Ignores unknown columns."""
        before = self.visible(table, sys_id, caller)
        if before is None:
            raise errors.no_record()
        table = self.class_of(table, before)
        if not self._allows(caller, "write", table, sys_id):
            raise errors.write_forbidden("Update")
        before = self._records.get(table, sys_id)
        assert before is not None
        given = self._accepted(table, values, caller, updates=True, sets_system_fields=sets_system_fields)
        journals = self._journals(table, values, caller, updates=True)
        after = before | given
        with self._records.transaction():
            self._run_rules(table, before, after, journals, caller)
            self._keep_number_unique(table, before.get("number", ""), after)
            changes = {name: value for name, value in after.items() if value != before[name]}
            if not changes and not journals and not self._properties.flag("simulator.update.unchanged_counts"):
                return before
            row = self._records.update(table, sys_id, changes, by=caller.user_name)
            assert row is not None
            self._append_journals(table, sys_id, journals, caller)
            self._enforce_data_policies(table, before, row, set(given), journals, caller)
            row = self._after_rules(table, before, row)
            self._apply_settings(table, row)
        return row

    def delete(self, table: str, sys_id: str, caller: Caller) -> None:
        """Remove a row, its journal entries and its attachments."""
        before = self.visible(table, sys_id, caller)
        if before is None:
            raise errors.no_record()
        own_table = self.class_of(table, before)
        if not self._allows(caller, "delete", own_table, sys_id):
            raise errors.write_forbidden("Delete")
        with self._records.transaction():
            self.business_rules.run(own_table, "delete", sys_id)
            self._records.delete(table, sys_id)
            self._records.execute('DELETE FROM "sys_journal_field" WHERE "element_id" = ?', (sys_id,))
            self._records.execute('DELETE FROM "sys_attachment" WHERE "table_sys_id" = ?', (sys_id,))

    def visible(self, table: str, sys_id: str, caller: Caller) -> Row | None:
        """Return a row if it exists and the caller may read it, else None, as for a missing one (ServiceNow §2.6)."""
        row = self._records.get(table, sys_id)
        if row is None:
            return None
        return row if self._allows(caller, "read", self.class_of(table, row), sys_id) else None

    def in_sight(self, table: str, sys_ids: list[str], caller: Caller) -> set[str]:
        """Return those of `sys_ids` in domains that the caller sees; this checks no other rights."""
        condition = self._access.domain_condition(caller, table)
        return self.matching(table, condition, sys_ids, caller) if condition and sys_ids else set(sys_ids)

    def class_of(self, table: str, row: Mapping[str, str]) -> str:
        """Return the actual table of a row of `table`: `table` or one that extends it."""
        return row["sys_class_name"] if self._dictionary.has_classes(table) else table

    def _allows(self, caller: Caller, operation: Operation, table: str, sys_id: str) -> bool:
        condition = self._access.row_condition(caller, operation, table)
        if condition is None:
            return False
        return not condition or sys_id in self.matching(table, condition, [sys_id], caller)

    def matching(self, table: str, condition: str, sys_ids: list[str], caller: Caller) -> set[str]:
        """Return those of `sys_ids` whose rows match an encoded query that runs as the caller."""
        query = self._records.compile(table, condition, self._scripts_of(caller))
        rows = self._records.execute(
            f'SELECT t."sys_id" FROM "{self._dictionary.root(table)}" AS t '
            f'WHERE t."sys_id" IN ({", ".join("?" * len(sys_ids))}) AND {query.where}',
            (*sys_ids, *query.parameters),
        )
        return {sys_id for (sys_id,) in rows}

    # The caller's values

    def _accepted(
        self, table: str, values: Mapping[str, str], caller: Caller, *, updates: bool, sets_system_fields: bool
    ) -> Row:
        columns = self._dictionary.columns(table)
        accepted: Row = {}
        for name, value in values.items():
            column = columns.get(name)
            if column is None or name in ("sys_id", "sys_class_name") or column.kind == "journal":
                continue
            is_stamp = name in SYSTEM_COLUMN_NAMES
            if (column.read_only or is_stamp) and not (is_stamp and sets_system_fields):
                continue
            if self._access.may_write_field(caller, table, name, updates=updates):
                accepted[name] = self._fitted(column, value)
        return accepted

    def _fitted(self, column: Column, value: str) -> str:
        if column.kind == "integer":
            return str(int(value)) if re.fullmatch(r"-?\d{1,18}", value) else ""
        if column.kind == "boolean":
            return "true" if value.lower() in ("true", "1") else "false"
        if column.kind == "date_time":
            return _fitted_date_time(value)
        text = _BEYOND_BMP[self._properties["simulator.text_beyond_bmp"]](value)
        return text if self._properties["simulator.overlong_text"] == "kept" else text[: column.length]

    def _domain_of_new(self, table: str, after: Row, caller: Caller) -> Row:
        """Return the domain of a new record: that of the person it is for, or else of its creator."""
        is_on = self._properties.flag(domains.SWITCH)
        if not is_on or "sys_domain" not in self._dictionary.columns(table) or after["sys_domain"] != domains.GLOBAL:
            return {}
        user = self._records.get("sys_user", after.get("caller_id") or caller.user_sys_id)
        return domains.inherited(user) if user is not None else {}

    def _supplied_sys_id(self, table: str, values: Mapping[str, str], caller: Caller) -> Row:
        supplied = values.get("sys_id", "")
        properties = self._properties
        if (
            not _SYS_ID.fullmatch(supplied)
            or properties["simulator.supplied_sys_id"] == "replaced"
            or (properties.flag("glide.rest.table_api.admin_only_sys_fields") and not caller.is_admin)
        ):
            return {"sys_id": new_sys_id()}
        if properties["simulator.duplicate_sys_id"] == "replaced" and self._records.get(
            self._dictionary.root(table), supplied
        ):
            return {"sys_id": new_sys_id()}
        return {"sys_id": supplied}

    def _defaults(self, table: str) -> Row:
        return {name: column.default for name, column in self._dictionary.columns(table).items()}

    # The instance's own work

    def _run_rules(self, table: str, before: Row | None, after: Row, journals: dict[str, str], caller: Caller) -> None:
        if "task" in self._dictionary.lineage(table):
            run_before_rules(
                Write(
                    table=table,
                    before=before,
                    after=after,
                    journals=journals,
                    caller=caller,
                    now=self._clock.now(),
                    properties=self._properties,
                    label=lambda column: self._label_of(caller, table, column),
                    choices=lambda column: self._choices.values(table, column),
                    template_fields=self._template_fields(table),
                    awaits_approval=table == "change_request" and bool(self.approvals.open(after["sys_id"])),
                )
            )
        if table == "sys_user":
            self._complete_user(before, after)

    def _template_fields(self, table: str) -> frozenset[str]:
        if table != "change_request":
            return frozenset()
        settings = self._records.first("std_change_properties", "internal_name=main_config")
        settings = settings or self._defaults("std_change_properties")
        return frozenset(name.strip() for name in settings["readonly_fields"].split(","))

    def _complete_user(self, before: Row | None, after: Row) -> None:
        name = f"{after['first_name']} {after['last_name']}".strip()
        after["name"] = name or after["name"]
        if after["identity_type"] != (before["identity_type"] if before else ""):
            if after["identity_type"] == "machine":
                after["web_service_access_only"] = "true"
            elif after["identity_type"] in ("human", "ai_agent"):
                after["web_service_access_only"] = "false"
        if (before is None or after["user_name"] != before["user_name"]) and after["user_name"]:
            taken = self._records.ids_holding("sys_user", "user_name", after["user_name"])
            if set(taken) - {after["sys_id"]}:
                raise errors.duplicate_key("sys_user", after["user_name"], "user_name")

    def _keep_number_unique(self, table: str, before: str, after: Row) -> None:
        """Refuse or replace a number that another ticket has; the counter fills in an empty one (§5.2)."""
        mode = self._properties["simulator.duplicate_number"]
        number = after.get("number", "")
        if number in ("", before) or "number" not in self._dictionary.columns(table) or mode == "allowed":
            return
        if set(self._records.ids_holding(self._dictionary.root(table), "number", number)) - {after["sys_id"]}:
            if mode == "refused":
                raise errors.duplicate_key(table, number, "number")
            after["number"] = self._records.take_number(table)

    def _after_rules(self, table: str, before: Row | None, row: Row) -> Row:
        """Run the rules that follow the write, and return the record as they leave it."""
        self.business_rules.run(table, "insert" if before is None else "update", row["sys_id"])
        if table == "change_request":
            self.approvals.follow_change(before, row)
        elif table == "incident" and before is not None:
            self._families.follow_parent(before, row)
        elif table == "sysapproval_approver" and before is not None:
            self.approvals.follow_decision(before, row)
        left = self._records.get(table, row["sys_id"])
        assert left is not None
        return left

    def _journals(self, table: str, values: Mapping[str, str], caller: Caller, *, updates: bool) -> dict[str, str]:
        columns = self._dictionary.columns(table)
        return {
            name: self._fitted(columns[name], values[name])
            for name in JOURNALS
            if name in columns
            and values.get(name)
            and self._access.may_write_field(caller, table, name, updates=updates)
        }

    def _append_journals(self, table: str, sys_id: str, journals: Mapping[str, str], caller: Caller) -> None:
        for element, value in journals.items():
            self._records.insert(
                "sys_journal_field",
                {"name": table, "element": element, "element_id": sys_id, "value": value},
                by=caller.user_name,
            )

    def _enforce_data_policies(
        self, table: str, before: Row, row: Row, given: set[str], journals: Mapping[str, str], caller: Caller
    ) -> None:
        self.data_policies.enforce(
            table,
            before=before,
            row=row,
            given=given,
            journals=journals,
            label=lambda column: self._label_of(caller, table, column),
        )

    def _apply_settings(self, table: str, row: Row) -> None:
        """Let a row that describes the instance take effect."""
        if table == "sys_dictionary" and row["element"] and row["name"] in self._dictionary:
            self._records.define_column(row["name"], Column.described(row))
        if table == "sys_properties" and row["name"]:
            try:
                self._properties[row["name"]] = row["value"]
            except (ValueError, UnknownPropertyError) as error:
                raise errors.operation_failed(str(error)) from error


def _fitted_date_time(value: str) -> str:
    if _DATE.fullmatch(value):
        value = f"{value} 00:00:00"
    try:
        return to_glide(from_glide(value))
    except ValueError:
        return ""
