"""Choice lists: which values a column offers and what people call them (rows of `sys_choice`)."""

from sandbox.servicenow.dictionary import Dictionary
from sandbox.servicenow.records import Records


class Choices:
    """Looks labels up, nearest class first: a class with a list of its own does not see that of its parent."""

    def __init__(self, records: Records, dictionary: Dictionary) -> None:
        self._records = records
        self._dictionary = dictionary

    def labels(self, table: str, column: str) -> dict[str, str]:
        """Return label by value, empty if the column offers none. Inactive choices still have their label."""
        return self._list(table, column, with_inactive=True)

    def values(self, table: str, column: str) -> frozenset[str]:
        """Return the values a person could choose."""
        return frozenset(self._list(table, column, with_inactive=False))

    def value_of(self, table: str, column: str, label: str) -> str | None:
        """Return the value behind a label, compared without regard to case; None if no choice is called so."""
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
