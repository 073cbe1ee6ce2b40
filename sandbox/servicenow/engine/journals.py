"""Comments and work notes as people read them: a record's whole journal as one text (ServiceNow §14, Read 2)."""

from collections.abc import Mapping, Sequence

from sandbox.servicenow.engine.data.dictionary import Dictionary
from sandbox.servicenow.engine.data.records import Records
from sandbox.servicenow.engine.display import UserFormat

JOURNALS = ("comments", "work_notes")
"""The columns that people write in."""
_COMBINED = "comments_and_work_notes"
_TRANSLATED_LABELS: Mapping[str, Mapping[str, str]] = {
    "ja": {"comments": "追加コメント", "work_notes": "作業メモ"},
}
"""Labels of the columns by the reader's language; without one, the label of the dictionary."""


class Journals:
    """Writes journals for one reader: times in the reader's zone and format, labels in their language, authors' names.

    A caller who may read a record's journal column may read this; the table of entries has its own access rules.
    """

    def __init__(self, records: Records, dictionary: Dictionary, user_format: UserFormat) -> None:
        self._records = records
        self._dictionary = dictionary
        self._user_format = user_format

    def shown(self, table: str, column: str, sys_ids: Sequence[str]) -> list[str]:
        """Return the journal of each record of `table`, newest entry first; empty if it has no entries."""
        elements = JOURNALS if column == _COMBINED else (column,)
        columns = self._dictionary.columns(table)
        translated = _TRANSLATED_LABELS.get(self._user_format.language, {})
        labels = {element: translated.get(element, columns[element].display_label) for element in elements}
        entries = self._records.execute_for(
            'SELECT "element_id", "element", "value", "sys_created_on", '
            'coalesce((SELECT "name" FROM "sys_user" WHERE "user_name" = j."sys_created_by"), "sys_created_by") '
            'FROM "sys_journal_field" AS j WHERE "element_id" IN ({values}) '
            'ORDER BY "sys_created_on" DESC, "rowid" DESC',
            sys_ids,
        )
        texts: dict[str, str] = {}
        for sys_id, element, value, at, author in entries:
            if element in labels:
                entry = f"{self._user_format.show_date_time(at)} - {author} ({labels[element]})\n{value or ''}\n\n"
                texts[sys_id] = texts.get(sys_id, "") + entry
        return [texts.get(sys_id, "") for sys_id in sys_ids]
