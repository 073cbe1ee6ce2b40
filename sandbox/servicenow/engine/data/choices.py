"""Choice lists: the values that a column offers, and their labels (rows of `sys_choice`)."""

from collections.abc import Iterator

from sandbox.servicenow.engine.data.choice_lists import CHOICE_LISTS, CLOSE_CODES, TASK_STATES, ChoiceList
from sandbox.servicenow.engine.data.dictionary import Dictionary
from sandbox.servicenow.engine.data.records import Records, Row
from sandbox.servicenow.engine.properties import Properties

_SWITCHES = frozenset({"simulator.incident.close_codes", "simulator.sc_task.skipped_state"})


class Choices:
    """Looks up labels, nearest class first: a class with its own list does not see its parent's.

    After planting, the lists that differ between instances follow their switches.
    """

    def __init__(self, records: Records, dictionary: Dictionary, properties: Properties) -> None:
        self._records = records
        self._dictionary = dictionary
        self._properties = properties
        properties.when_changed(self._follow_switch)

    def plant(self) -> None:
        """Fill `sys_choice` with the lists of a new instance."""
        for (table, column), choices in CHOICE_LISTS.items():
            self._replace(table, column, choices)
        self._plant_switched()

    def add(self, table: str, column: str, value: str, label: str) -> Row:
        """Let a column offer one more value, as customers do with custom states; return its row."""
        own = self._records.count("sys_choice", f"name={table}^element={column}")
        if not own:
            # A class with its own list no longer sees its parent's, so the new list begins with a copy of that.
            inherited = tuple(self.labels(table, column).items())
            self._replace(table, column, inherited)
            own = len(inherited)
        return self._records.insert(
            "sys_choice", {"name": table, "element": column, "value": value, "label": label, "sequence": str(own + 1)}
        )

    def labels(self, table: str, column: str) -> dict[str, str]:
        """Return labels by value, empty if the column offers none. Inactive choices keep their labels."""
        return self._list(table, column, with_inactive=True)

    def values(self, table: str, column: str) -> frozenset[str]:
        """Return the values that a person can choose."""
        return frozenset(self._list(table, column, with_inactive=False))

    def value_of(self, table: str, column: str, label: str) -> str | None:
        """Return the value for a label, ignoring case; None if no choice has that label."""
        wanted = label.casefold()
        for value, name in self.labels(table, column).items():
            if name.casefold() == wanted:
                return value
        return None

    def _list(self, table: str, column: str, *, with_inactive: bool) -> dict[str, str]:
        for name in self._dictionary.lineage(table):
            rows = self._records.execute(
                'SELECT "value", "label", "inactive" FROM "sys_choice" WHERE "name" = ? AND "element" = ? '
                'AND "language" = \'en\' ORDER BY "sequence"',
                (name, column),
            )
            if rows:
                return {value: label for value, label, inactive in rows if with_inactive or inactive != "true"}
        return {}

    def _follow_switch(self, name: str, _: str) -> None:
        if name in _SWITCHES and self.labels("incident", "close_code"):
            self._plant_switched()

    def _plant_switched(self) -> None:
        self._replace("incident", "close_code", CLOSE_CODES[self._properties["simulator.incident.close_codes"]])
        skipped = self._properties["simulator.sc_task.skipped_state"]
        states = tuple((skipped if value == "7" else value, label) for value, label in TASK_STATES)
        self._replace("sc_task", "state", states)

    def _replace(self, table: str, column: str, choices: ChoiceList) -> None:
        self._records.execute('DELETE FROM "sys_choice" WHERE "name" = ? AND "element" = ?', (table, column))
        self._records.insert_many("sys_choice", _rows(table, column, choices))


def _rows(table: str, column: str, choices: ChoiceList) -> Iterator[dict[str, str]]:
    for sequence, (value, label) in enumerate(choices, 1):
        yield {"name": table, "element": column, "value": value, "label": label, "sequence": str(sequence)}
