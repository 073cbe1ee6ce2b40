"""Turns a caller's JSON values into stored text, and display values into ids."""

import json
from collections.abc import Mapping

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.data.choices import Choices
from sandbox.servicenow.engine.data.dictionary import Column, Dictionary
from sandbox.servicenow.engine.data.records import Records
from sandbox.servicenow.engine.display import UserFormat


def as_raw_text(value: object) -> str:
    """Return a JSON value as stored text; an object stands for its `value` (or `display_value`)."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            # JSON can contain half a surrogate pair; no database stores one.
            return value.encode("utf-8", "replace").decode()
        case int() | float():
            return str(value)
        case {"value": inner} | {"display_value": inner}:
            return as_raw_text(inner)
        case _:
            return json.dumps(value)


def record_of(body: object) -> dict[str, str]:
    """Return the fields of a write; if the body has several records, only the first counts (ServiceNow §2.1).

    Raises ServiceNowError if the body has no record.
    """
    if isinstance(body, list):
        body = body[0] if body else {}
    if not isinstance(body, dict):
        raise errors.unreadable_payload("The payload is not a JSON object")
    return {name: as_raw_text(value) for name, value in body.items()}


class DisplayValueReader:
    """Turns display values into stored ones (`sysparm_input_display_value=true`, name=value filters)."""

    def __init__(self, records: Records, dictionary: Dictionary, choices: Choices, user_format: UserFormat) -> None:
        self._records = records
        self._dictionary = dictionary
        self._choices = choices
        self._user_format = user_format

    def read(self, table: str, values: Mapping[str, str]) -> dict[str, str]:
        """Return raw values for display values. Unknown columns and values stay as they are."""
        columns = self._dictionary.columns(table)
        return {
            name: self.read_one(table, columns[name], value) if name in columns else value
            for name, value in values.items()
        }

    def read_references(self, table: str, values: Mapping[str, str]) -> dict[str, str]:
        """Return `sys_id`s for the names of referenced records; anything else stays as it is."""
        columns = self._dictionary.columns(table)
        return {
            name: self._reference(columns[name], value) if name in columns and columns[name].reference else value
            for name, value in values.items()
        }

    def _reference(self, column: Column, value: str) -> str:
        if column.reference in self._dictionary and self._records.get(column.reference, value):
            return value
        return next(iter(self.referenced(column, value)), value)

    def read_one(self, table: str, column: Column, value: str) -> str:
        """Return the raw value for a display value."""
        if column.has_choices:
            return self._choices.value_of(table, column.name, value) or value
        if column.reference:
            return self._reference(column, value)
        if column.kind == "date_time" and value:
            try:
                return self._user_format.read_date_time(value)
            except ValueError:
                return value
        return value

    def referenced(self, column: Column, name: str) -> list[str]:
        """Return the `sys_id` of every record of the referenced table whose display value is `name`."""
        if column.reference not in self._dictionary:
            return []
        display = self._dictionary.display_column(column.reference)
        return self._records.ids_holding(column.reference, display, name)
