"""The customer's own business rules: rows of `sys_script` that abort a write or set fields of the record.

Conditions are encoded queries. A rule sets the fields in its `template`, `field=value^field=value^EQ`. A *before* rule
is part of the write; an *after* rule updates the record once more; an *async* rule does so later, long after the
write was answered.
"""

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.data.dictionary import Dictionary
from sandbox.servicenow.engine.data.records import Records, Row


class BusinessRules:
    """Runs the rules of the written record's class and its ancestors, in order."""

    def __init__(self, records: Records, dictionary: Dictionary) -> None:
        self._records = records
        self._dictionary = dictionary
        self._waiting: list[tuple[str, str, Row]] = []

    def run(self, table: str, operation: str, sys_id: str) -> None:
        """Run the rules on a record that was just written (or is about to be deleted).

        `operation` is `insert`, `update` or `delete`. Raises ServiceNowError if a rule aborts.
        """
        lineage = self._dictionary.lineage(table)
        rules = self._records.execute(
            'SELECT "name", "sys_id", "filter_condition", "abort_action", "when", "template" FROM "sys_script" '
            f"WHERE \"active\" = 'true' AND \"action_{operation}\" = 'true' "
            f'AND "collection" IN ({", ".join("?" * len(lineage))}) ORDER BY "order"',
            lineage,
        )
        for name, rule_sys_id, condition, aborts, when, template in rules:
            if not self._records.matches(table, sys_id, condition or ""):
                continue
            if aborts == "true":
                raise errors.aborted_by_business_rule(table, name, rule_sys_id)
            values = self._values(table, template or "")
            if not values or operation == "delete":
                continue
            if when == "before":
                self._records.overwrite(table, sys_id, values)
            elif when == "after":
                self._records.update(table, sys_id, values)
            else:
                self._waiting.append((table, sys_id, values))

    def run_waiting(self) -> int:
        """Run the pending asynchronous rules; return the number of changed records."""
        waiting, self._waiting = self._waiting, []
        return sum(self._records.update(*update) is not None for update in waiting)

    def _values(self, table: str, template: str) -> Row:
        assignments = (part.partition("=") for part in template.split("^") if part not in ("", "EQ"))
        columns = self._dictionary.columns(table)
        return {name: value for name, _, value in assignments if name in columns}
