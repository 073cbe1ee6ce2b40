"""The dictionary: tables and columns, with inheritance resolved (ServiceNow §5).

Physical storage follows ServiceNow's table-per-hierarchy: `task` and everything that extends it share one stored table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

ColumnKind = Literal[
    "string", "integer", "boolean", "date_time", "date", "reference", "journal", "guid", "password", "duration"
]


@dataclass(frozen=True, slots=True)
class Column:
    """A dictionary entry.

    `length` counts characters; `default` is a raw value; `reference` names a table; `shown_empty` is the display value
    of a column without a value.
    """

    name: str
    kind: ColumnKind = "string"
    label: str = ""
    length: int = 40
    default: str = ""
    reference: str = ""
    read_only: bool = False
    has_choices: bool = False
    shown_empty: str = ""

    @property
    def display_label(self) -> str:
        """The label that people see, and that data policies name."""
        return self.label or self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its own columns, its parent, the column that stands for a row, and its number prefix if any."""

    name: str
    label: str
    columns: tuple[Column, ...]
    parent: str = ""
    display: str = "sys_id"
    number_prefix: str = ""


SYSTEM_COLUMNS = (
    Column("sys_id", "guid", "Sys ID", 32),
    Column("sys_created_on", "date_time", "Created", 40, read_only=True),
    Column("sys_created_by", "string", "Created by", 40, read_only=True),
    Column("sys_updated_on", "date_time", "Updated", 40, read_only=True),
    Column("sys_updated_by", "string", "Updated by", 40, read_only=True),
    Column("sys_mod_count", "integer", "Updates", 40, read_only=True),
    Column("sys_tags", "string", "Tags", 40, read_only=True),
)
SYSTEM_COLUMN_NAMES = frozenset(column.name for column in SYSTEM_COLUMNS)


class Dictionary:
    """Looks up tables and columns, with inheritance resolved."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._own_tables = tuple(tables)
        self.reset()

    def reset(self) -> None:
        """Return to the columns of a new instance."""
        self._use(self._own_tables)

    def set_length(self, table: str, column: str, length: int) -> None:
        """Change the length of a column in a table and those that extend it. Raises KeyError for an unknown one."""
        changed = replace(self._columns[table][column], length=length)
        others = tuple(own for own in self.tables[table].columns if own.name != column)
        changed_table = replace(self.tables[table], columns=(*others, changed))
        self._use((self.tables | {table: changed_table}).values())

    def _use(self, tables: Iterable[Table]) -> None:
        self.tables: dict[str, Table] = {table.name: table for table in tables}
        self._columns = {name: self._inherited_columns(name) for name in self.tables}
        self._lineages = {name: self._lineage_of(name) for name in self.tables}

    def __contains__(self, table: object) -> bool:
        return table in self.tables

    def columns(self, table: str) -> Mapping[str, Column]:
        """Return every column of `table` by name, with inherited ones. Raises KeyError for an unknown table."""
        return self._columns[table]

    def lineage(self, table: str) -> tuple[str, ...]:
        """Return `table` and its ancestors, nearest first."""
        return self._lineages[table]

    def root(self, table: str) -> str:
        """Return the base table that stores the rows of `table`."""
        return self._lineages[table][-1]

    def classes(self, table: str) -> tuple[str, ...]:
        """Return `table` and every table that extends it."""
        return tuple(name for name, lineage in self._lineages.items() if table in lineage)

    def stored_columns(self, root: str) -> Mapping[str, Column]:
        """Return the columns of everything stored in base table `root`."""
        columns: dict[str, Column] = {}
        for name in self.classes(root):
            columns = {**self._columns[name], **columns}
        return columns

    def has_classes(self, table: str) -> bool:
        """Say whether rows stored with `table` may have several classes, distinguished by `sys_class_name`."""
        return len(self.classes(self.root(table))) > 1

    def display_column(self, table: str) -> str:
        """Return the column whose value stands for a row of `table`."""
        return self.tables[table].display

    def _inherited_columns(self, name: str) -> dict[str, Column]:
        columns = {column.name: column for column in SYSTEM_COLUMNS}
        for ancestor in reversed(self._lineage_of(name)):
            columns |= {column.name: column for column in self.tables[ancestor].columns}
        return columns

    def _lineage_of(self, name: str) -> tuple[str, ...]:
        lineage = [name]
        while parent := self.tables[lineage[-1]].parent:
            lineage.append(parent)
        return tuple(lineage)
