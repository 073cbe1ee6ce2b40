"""The customer's data policies: fields that every write has to fill in, or must not change (ServiceNow §13).

Rows of `sys_data_policy2` and `sys_data_policy_rule`. Unlike UI policies, the REST APIs enforce them. *Apply to SOAP*
does not concern REST.
"""

from collections.abc import Callable, Mapping

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.data.choices import Choices
from sandbox.servicenow.engine.data.dictionary import Dictionary
from sandbox.servicenow.engine.data.records import Records, Row


class DataPolicies:
    """Checks a written record against the policies of its class, and those of its ancestors that are inherited."""

    def __init__(self, records: Records, dictionary: Dictionary, choices: Choices) -> None:
        self._records = records
        self._dictionary = dictionary
        self._choices = choices

    def enforce(
        self,
        table: str,
        *,
        before: Row,
        row: Row,
        given: set[str],
        journals: Mapping[str, str],
        label: Callable[[str], str],
    ) -> None:
        """Raise ServiceNowError if the record that was just written breaks a policy.

        `before` are the values before the write, for a new record the defaults; `given` are the columns that the caller
        wrote, `journals` the comments and work notes; `label` is what the caller calls a column.
        """
        mandatory, protected = self._demands(table, row["sys_id"])
        columns = self._dictionary.columns(table)
        missing = [name for name in mandatory if name in columns and not self._is_filled(table, name, row, journals)]
        if missing:
            raise errors.mandatory_fields([label(name) for name in missing])
        changed = [
            name
            for name in protected
            if name in columns and (name in journals or (name in given and row[name] != before[name]))
        ]
        if changed:
            raise errors.read_only_fields([label(name) for name in changed])

    def _demands(self, table: str, sys_id: str) -> tuple[list[str], list[str]]:
        """Return the columns that must have a value, and those that must not change."""
        lineage = self._dictionary.lineage(table)
        policies = self._records.execute(
            'SELECT "sys_id", "model_table", "conditions", "inherit", "reverse_if_false" FROM "sys_data_policy2" '
            f"""WHERE "active" = 'true' AND "model_table" IN ({", ".join("?" * len(lineage))})""",
            lineage,
        )
        mandatory: dict[str, None] = {}
        protected: dict[str, None] = {}
        for policy, model_table, conditions, inherit, reverse_if_false in policies:
            if model_table != table and inherit != "true":
                continue
            applies = self._records.matches(table, sys_id, conditions or "")
            if not applies and reverse_if_false != "true":
                continue
            wanted = "true" if applies else "false"
            for rule in self._records.query("sys_data_policy_rule", f"sys_data_policy={policy}"):
                if rule["mandatory"] == wanted:
                    mandatory[rule["field"]] = None
                if rule["disabled"] == wanted:
                    protected[rule["field"]] = None
        return list(mandatory), list(protected)

    def _is_filled(self, table: str, name: str, row: Row, journals: Mapping[str, str]) -> bool:
        """Say whether a column has a value; one that its choice list lacks counts as none (ServiceNow §2.8)."""
        if self._dictionary.columns(table)[name].kind == "journal":
            return bool(journals.get(name))
        offered = self._choices.values(table, name)
        return bool(row[name]) and (not offered or row[name] in offered)
