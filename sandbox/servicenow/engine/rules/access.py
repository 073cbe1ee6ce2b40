"""Access rules: who may read, write, create, delete and query what (ServiceNow §2.3, §2.6, §6)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data import domains
from sandbox.servicenow.engine.data.dictionary import Dictionary
from sandbox.servicenow.engine.data.query_sql import CompiledQuery, ResolvedField
from sandbox.servicenow.engine.properties import Properties

Operation = Literal["read", "write", "create", "delete", "query_match", "query_range"]


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Lets callers with any of `roles` (everybody, if none) do `operation` on rows that match `condition`.

    A rule on a `field` affects only that field, and has no `condition`. `condition` is an encoded query that runs as
    the caller.
    """

    table: str
    operation: Operation
    roles: frozenset[str] = frozenset()
    field: str = ""
    condition: str = ""

    def admits(self, caller: Caller) -> bool:
        """Say whether the caller has a role that the rule requires."""
        return caller.is_admin or not self.roles or not self.roles.isdisjoint(caller.roles)


ADMIN_ONLY = frozenset({"admin"})
_WORKERS = frozenset(
    {
        "itil",
        "sn_incident_read",
        "sn_incident_write",
        "sn_change_read",
        "sn_change_write",
        "sn_problem_read",
        "sn_problem_write",
    }
)
"""Roles of those who work on tickets: only they see work notes (ServiceNow §14)."""
_NO_ROW = "sys_id=none"
_MINE = "caller_id=javascript:gs.getUserID()^ORopened_by=javascript:gs.getUserID()"


def _rules(table: str, operations: Iterable[Operation], *roles: str, condition: str = "") -> list[AccessRule]:
    return [AccessRule(table, operation, frozenset(roles), condition=condition) for operation in operations]


STANDARD_RULES: tuple[AccessRule, ...] = (
    *_rules("task", ("read", "write", "create"), "itil"),
    *_rules("task", ("read",), condition="opened_by=javascript:gs.getUserID()"),
    *_rules("task", ("delete",), *ADMIN_ONLY),
    *_rules("incident", ("read",), "itil", "sn_incident_read", "sn_incident_write"),
    *_rules("incident", ("read",), condition=_MINE),
    *_rules("incident", ("write", "create"), "itil", "sn_incident_write"),
    *_rules("change_request", ("read",), "itil", "sn_change_read", "sn_change_write"),
    *_rules("change_request", ("write", "create"), "itil", "sn_change_write"),
    *_rules("sysapproval_approver", ("read",), "itil", "approver_user"),
    *_rules("sysapproval_approver", ("write",), condition="approver=javascript:gs.getUserID()"),
    *_rules("problem", ("read",), "itil", "sn_problem_read", "sn_problem_write"),
    *_rules("problem", ("write", "create"), "itil", "sn_problem_write"),
    *_rules("sys_user", ("write", "create", "delete"), "user_admin"),
    *_rules("sys_user", ("write",), condition="sys_id=javascript:gs.getUserID()"),
    *_rules("sys_user_has_role", ("write", "create", "delete"), "user_admin"),
    *_rules("sys_user_group", ("write", "create", "delete"), "user_admin"),
    *_rules("sys_user_grmember", ("write", "create", "delete"), "user_admin"),
    *_rules("sys_user_visibility", ("read", "write", "create", "delete"), "user_admin"),
    *(AccessRule("task", "read", _WORKERS, field=column) for column in ("work_notes", "comments_and_work_notes")),
    *_rules("sys_journal_field", ("read",), "itil", "sn_incident_read", "sn_incident_write", "sn_change_write"),
    *_rules("sys_dictionary", ("read",), "personalize_dictionary"),
    *_rules("sys_db_object", ("read",), "personalize_dictionary"),
    *_rules("sys_data_policy2", ("read",), "data_policy_admin"),
    *_rules("sys_data_policy_rule", ("read",), "data_policy_admin"),
    *_rules("sys_ui_policy", ("read",), "ui_policy_admin"),
    *_rules("sys_ui_policy_action", ("read",), "ui_policy_admin"),
    *_rules("sys_attachment", ("read", "create", "delete"), "itil", "sn_incident_write", "sn_change_write"),
    *_rules("oauth_entity", ("read", "write", "create", "delete"), "oauth_admin"),
    *_rules("oauth_credential", ("read", "write", "delete"), "oauth_admin"),
    *(
        rule
        for table in (
            "sys_properties",
            "sys_script",
            "sys_archive_log",
            "std_change_properties",
            "syslog",
            "ip_access",
            "sys_api_access_policy",
            "sys_auth_scope",
            "sys_api_access_scope",
            "oauth_entity_auth_scope_mapping",
            "sys_attachment_doc",
            "user_multifactor_auth",
        )
        for rule in _rules(table, ("read",), *ADMIN_ONLY)
    ),
)


class AccessControl:
    """Decides what a caller may do. Rules may be added and removed while the instance runs.

    The nearest class with rules decides. Without rules, everybody may read and only administrators may write.
    Administrators may do everything. Without query rules, read rules apply to queries.
    """

    def __init__(self, dictionary: Dictionary, properties: Properties) -> None:
        self._dictionary = dictionary
        self._properties = properties
        self._rules = list(STANDARD_RULES)
        self._switched_rules = self._rules_of_switches()
        properties.when_changed(self._follow_switches)

    def add(self, rule: AccessRule) -> None:
        """Add a rule."""
        self._rules.append(rule)

    def remove(self, rule: AccessRule) -> None:
        """Remove a rule. Raises ValueError if it is not in force."""
        self._rules.remove(rule)

    def reset(self) -> None:
        """Return to the rules of a new instance."""
        self._rules = list(STANDARD_RULES)

    def may(self, caller: Caller, operation: Operation, table: str) -> bool:
        """Say whether the caller may do `operation` on any rows of the table."""
        return self.row_condition(caller, operation, table) is not None

    def row_condition(self, caller: Caller, operation: Operation, table: str) -> str | None:
        """Return the encoded query for the rows that the caller may use: empty for all, None for no rows."""
        if caller.is_admin:
            return ""
        rules = self._deciding(operation, table, "")
        in_domain = self.domain_condition(caller, table)
        if not rules and operation == "read":
            return in_domain
        conditions = [rule.condition for rule in rules if rule.admits(caller)]
        if not conditions:
            return None
        if in_domain:
            return "^NQ".join(f"{condition}^{in_domain}".removeprefix("^") for condition in conditions)
        return "" if "" in conditions else "^NQ".join(conditions)

    def domain_condition(self, caller: Caller, table: str) -> str:
        """Return the encoded query for rows of domains that the caller sees, empty for all."""
        separates = self._properties.flag(domains.SWITCH) and "sys_domain" in self._dictionary.columns(table)
        if caller.is_admin or not separates:
            return ""
        return domains.condition(
            caller.domain,
            (*(() if caller.domain in ("", domains.GLOBAL) else (caller.domain_path,)), *caller.visible_paths),
            global_sees_everything=self._properties["simulator.domain_separation.global_user_sees"] == "everything",
        )

    def may_read_field(self, caller: Caller, field: ResolvedField) -> bool:
        """Say whether the caller may see a field, including each step of a dot-walk."""
        own, *walked = field.steps
        return self._passes_field(caller, "read", *own) and all(
            self.may(caller, "read", table) and self._passes_field(caller, "read", table, column)
            for table, column in walked
        )

    def may_write_field(self, caller: Caller, table: str, column: str, *, updates: bool) -> bool:
        """Say whether the caller may write a field; otherwise the value is silently ignored.

        `updates` says that the record exists: some fields may be set only with a new one.
        """
        is_ticket = "task" in self._dictionary.lineage(table)
        if updates and is_ticket and column in self._properties.names("simulator.acl.fields_not_updatable"):
            return caller.is_admin
        return self._passes_field(caller, "write", table, column)

    def may_query(self, caller: Caller, query: CompiledQuery) -> bool:
        """Say whether the caller may use every field in the query's conditions and sort orders."""
        for table, column, use in query.uses:
            if not self.may(caller, "read", table):
                return False
            operation: Operation = "query_match" if use == "match" else "query_range"
            if self._deciding(operation, table, column):
                if not self._passes_field(caller, operation, table, column):
                    return False
            elif not self._passes_field(caller, "read", table, column):
                return False
        return True

    def _passes_field(self, caller: Caller, operation: Operation, table: str, column: str) -> bool:
        rules = self._deciding(operation, table, column)
        return caller.is_admin or not rules or any(rule.admits(caller) for rule in rules)

    def _deciding(self, operation: Operation, table: str, field: str) -> list[AccessRule]:
        """Return the rules of the nearest class that has any; those of switches come before all others."""
        for rules in (self._switched_rules, self._rules):
            for name in self._dictionary.lineage(table):
                found = [
                    rule for rule in rules if rule.table == name and rule.operation == operation and rule.field == field
                ]
                if found:
                    return found
        return []

    def _follow_switches(self, *_: str) -> None:
        self._switched_rules = self._rules_of_switches()

    def _rules_of_switches(self) -> list[AccessRule]:
        refused = {
            "simulator.acl.sys_choice_for_admin_only": AccessRule("sys_choice", "read", ADMIN_ONLY),
            "simulator.acl.sys_user_has_role_for_admin_only": AccessRule("sys_user_has_role", "read", ADMIN_ONLY),
            "simulator.acl.sys_journal_field_for_admin_only": AccessRule(
                "sys_journal_field", "read", condition=_NO_ROW
            ),
        }
        hidden = self._properties.names("simulator.acl.fields_not_readable")
        return [
            *(rule for switch, rule in refused.items() if self._properties.flag(switch)),
            *(AccessRule("task", "read", ADMIN_ONLY, field=column) for column in hidden),
        ]
