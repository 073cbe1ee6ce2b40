"""Formats stored values for an answer: the display-value modes of ServiceNow §2.4."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sandbox.servicenow.engine.data.choices import Choices
from sandbox.servicenow.engine.data.dictionary import Column, Dictionary
from sandbox.servicenow.engine.data.query_sql import ResolvedField
from sandbox.servicenow.engine.data.records import Records
from sandbox.servicenow.engine.display import UserFormat, show_duration, show_integer
from sandbox.servicenow.engine.journals import Journals

type DisplayMode = Literal["false", "true", "all"]
type Cell = str | dict[str, str]

_MASK = "********"
"""Shown for a password that is set."""


@dataclass(frozen=True, slots=True)
class ValueStyle:
    """The requested style: `sysparm_display_value`, `sysparm_exclude_reference_link`, and the base of links."""

    mode: DisplayMode = "false"
    exclude_reference_link: bool = False
    api_url: str = ""


class ValueFormatter:
    """Turns columns of stored values into cells of an answer, by column so that equal values are formatted once."""

    def __init__(
        self,
        records: Records,
        dictionary: Dictionary,
        choices: Choices,
        user_format: UserFormat,
        style: ValueStyle,
        *,
        labels_by_class: bool = True,
        in_sight: Callable[[str, list[str]], set[str]] | None = None,
    ) -> None:
        """Prepare to format.

        `labels_by_class` shows a state with the labels of the record's own class. `in_sight` returns the `sys_id`s of
        a table's records that the reader's domain shows; the display value of others is empty.
        """
        self._records = records
        self._dictionary = dictionary
        self._choices = choices
        self._user_format = user_format
        self._style = style
        self._labels_by_class = labels_by_class
        self._in_sight = in_sight
        self._journals = Journals(records, dictionary, user_format)

    def selected(self, field: ResolvedField) -> ResolvedField:
        """Return the expression to select for :meth:`cells`: for a journal, the id of its record."""
        if field.column.kind == "journal" and self._style.mode != "false":
            return replace(field, expression=field.record)
        return field

    def cells(self, field: ResolvedField, values: Sequence[str], classes: Sequence[str]) -> list[Cell]:
        """Return the cells of a field from the selected values and the class of each row."""
        column = field.column
        shown = values if self._style.mode == "false" else self._shown(field, values, classes)
        if column.kind in ("journal", "password"):
            values = [""] * len(values)
        make = self._reference_cell if column.reference else self._plain_cell
        made: dict[tuple[str, str], Cell] = {}
        cells = []
        for key in zip(values, shown, strict=True):
            cell = made.get(key)
            if cell is None:
                cell = made[key] = make(column, *key)
            cells.append(cell)
        return cells

    def _plain_cell(self, column: Column, value: str, shown: str) -> Cell:
        if self._style.mode == "all":
            return {"display_value": shown, "value": value}
        return shown if self._style.mode == "true" else value

    def _reference_cell(self, column: Column, value: str, shown: str) -> Cell:
        if not value or self._style.exclude_reference_link:
            return self._plain_cell(column, value, shown)
        link = f"{self._style.api_url}/table/{column.reference}/{value}"
        if self._style.mode == "all":
            return {"display_value": shown, "link": link, "value": value}
        return {"display_value": shown, "link": link} if self._style.mode == "true" else {"link": link, "value": value}

    def _shown(self, field: ResolvedField, values: Sequence[str], classes: Sequence[str]) -> list[str]:
        column = field.column
        if column.kind == "password":
            return [_MASK if value else "" for value in values]
        if column.kind == "journal":
            return self._journals.shown(*field.steps[-1], values)
        if column.reference:
            return _looked_up(values, self._display_values(column.reference, values))
        if column.has_choices:
            return self._choice_labels(field, values, classes)
        if column.name == "sys_class_name":
            return _looked_up(values, {name: table.label for name, table in self._dictionary.tables.items()})
        show: Callable[[str], str] | None = {
            "date_time": self._user_format.show_date_time,
            "date": self._user_format.show_date,
            "duration": show_duration,
            "integer": show_integer,
        }.get(column.kind)
        if show is None:
            return list(values)
        return _looked_up(values, {value: show(value) for value in set(values)} | {"": column.shown_empty})

    def _choice_labels(self, field: ResolvedField, values: Sequence[str], classes: Sequence[str]) -> list[str]:
        table, column = field.steps[-1]
        if len(field.steps) > 1 or not self._labels_by_class:
            return _looked_up(values, self._choices.labels(table, column))
        labels = {name: self._choices.labels(name or table, column) for name in set(classes)}
        return [labels[name].get(value, value) for name, value in zip(classes, values, strict=True)]

    def _display_values(self, table: str, sys_ids: Iterable[str]) -> dict[str, str]:
        if table not in self._dictionary:
            return {}
        rows = self._records.execute_for(
            f'SELECT "sys_id", "{self._dictionary.display_column(table)}" FROM "{self._dictionary.root(table)}" '
            'WHERE "sys_id" IN ({values})',
            sys_ids,
        )
        names = {sys_id: name or "" for sys_id, name in rows}
        seen = names.keys() if self._in_sight is None else self._in_sight(table, list(names))
        return {sys_id: name if sys_id in seen else "" for sys_id, name in names.items()}


def _looked_up(values: Sequence[str], names: dict[str, str]) -> list[str]:
    return [names.get(value, value) for value in values]
