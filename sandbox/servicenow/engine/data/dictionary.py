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
    of a column without a value. Forms insist on a `mandatory` column, the APIs do not (ServiceNow §2.5).
    """

    name: str
    kind: ColumnKind = "string"
    label: str = ""
    length: int = 40
    default: str = ""
    reference: str = ""
    read_only: bool = False
    has_choices: bool = False
    mandatory: bool = False
    shown_empty: str = ""

    @property
    def display_label(self) -> str:
        """The label that people see, and that data policies name."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def internal_type(self) -> str:
        """ServiceNow's name of the kind (ServiceNow §13)."""
        return _TYPES_OF_COLUMNS.get(self.name) or _INTERNAL_TYPES.get(self.kind, self.kind)

    def entry(self, table: str) -> dict[str, str]:
        """Return the row of `sys_dictionary` that describes the column of a table."""
        return {
            "name": table,
            "element": self.name,
            "internal_type": self.internal_type,
            "reference": self.reference,
            "column_label": self.display_label,
            "max_length": str(self.length),
            "default_value": self.default,
            "mandatory": "true" if self.mandatory else "false",
            "read_only": "true" if self.read_only else "false",
            "choice": "1" if self.has_choices else "0",
        }

    @classmethod
    def described(cls, entry: Mapping[str, str]) -> "Column":
        """Return the column that a row of `sys_dictionary` describes."""
        internal_type = entry["internal_type"]
        return cls(
            name=entry["element"],
            kind=_KINDS.get(internal_type, "string"),
            label=entry["column_label"],
            length=int(entry["max_length"] or 40),
            default=entry["default_value"],
            reference=entry["reference"],
            read_only=entry["read_only"] == "true",
            has_choices=internal_type == "choice" or entry["choice"] not in ("", "0"),
            mandatory=entry["mandatory"] == "true",
        )


_INTERNAL_TYPES: Mapping[str, str] = {
    "date_time": "glide_date_time",
    "date": "glide_date",
    "duration": "glide_duration",
    "journal": "journal_input",
    "guid": "GUID",
    "password": "password2",
}
_TYPES_OF_COLUMNS: Mapping[str, str] = {
    "comments_and_work_notes": "journal_list",
    "sys_domain": "domain_id",
    "activity_due": "due_date",
    "sla_due": "due_date",
}
_KINDS: Mapping[str, ColumnKind] = {
    "integer": "integer",
    "boolean": "boolean",
    "reference": "reference",
    "glide_date": "date",
    "glide_date_time": "date_time",
    "due_date": "date_time",
    "glide_duration": "duration",
    "journal": "journal",
    "journal_input": "journal",
    "GUID": "guid",
    "password2": "password",
    "domain_id": "reference",
}
"""Kinds by internal type; every other type is a string."""


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

    def define(self, table: str, column: Column) -> None:
        """Add a column to a table and those that extend it, or change it there; KeyError for an unknown table."""
        others = tuple(own for own in self.tables[table].columns if own.name != column.name)
        changed_table = replace(self.tables[table], columns=(*others, column))
        self._use((self.tables | {table: changed_table}).values())

    def set_length(self, table: str, column: str, length: int) -> None:
        """Change the length of a column in a table and those that extend it. Raises KeyError for an unknown one."""
        self.define(table, replace(self._columns[table][column], length=length))

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
