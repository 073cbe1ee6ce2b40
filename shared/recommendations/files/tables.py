"""A table in a file: columns are found by their headings, and each fault names its row and column."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from shared.error_codes import OwnFaultCode
from shared.errors import Fault, FixRequest
from shared.request_faults import MAX_FAULTS
from shared.texts import one_line, without_direction
from shared.value_object import value_object

MAX_CELL_LENGTH: Final = 32_767
"""Excel's own limit, in characters."""
MAX_SHORT_LENGTH: Final = 1_000
"""Names, statuses, lists of regulations and so on, in characters."""
_MAX_HEADINGS_SHOWN: Final = 40
_MAX_HEADING_LENGTH: Final = 60

type Cell = str | datetime
"""A text, or the date and time without a zone that a spreadsheet shows for a serial number."""


def folded(text: str) -> str:
    """Return a heading or a word as it is compared: without case, accents' forms, blanks and punctuation.

    >>> folded(" Have license? ")
    'havelicense'
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in plain if character.isalnum())


@value_object
class Column:
    """A column that we read.

    Attributes:
        name: What we call it.
        headings: What files call it; the first is shown to people.
    """

    name: str
    headings: Sequence[str]
    is_required: bool = False


@value_object
class Line:
    """A row below the headings.

    Attributes:
        number: As a spreadsheet numbers rows, from 1.
        cells: By the column's name; a column that the file lacks is missing.
    """

    number: int
    cells: Mapping[str, Cell]

    def text(self, name: str) -> str:
        """Return the text of a cell; empty if the file lacks it."""
        value = self.cells.get(name, "")
        return value.isoformat(" ") if isinstance(value, datetime) else value


class Faults:
    """Collects what is wrong with the values of a table."""

    __slots__ = ("_found", "_place")

    def __init__(self, place: str) -> None:
        """Begin without a fault; ``place`` is the name of the table."""
        self._place = place
        self._found: list[Fault] = []

    def add(self, line: Line, heading: str, code: OwnFaultCode | str, **values: str | int) -> None:
        """Note a fault; ``values`` are the limits that the cell has to respect, never what it contains."""
        pointer = "".join(f"/{each.replace('~', '~0').replace('/', '~1')}" for each in (self._place, heading))
        place, _, column = pointer.rpartition("/")
        self._found.append({"pointer": f"{place}/{line.number}/{column}", "code": code, "values": values})

    def refuse_any(self) -> None:
        """Raise FixRequest (422 ``file_rows_refused``) if there is a fault."""
        if self._found:
            raise FixRequest("file_rows_refused", status=422, count=len(self._found), errors=self._found[:MAX_FAULTS])

    def short_text(self, line: Line, column: Column, *, is_required: bool = False) -> str:
        """Return a text of limited length, as one line."""
        text = one_line(line.text(column.name))
        if len(text) > MAX_SHORT_LENGTH:
            self.add(line, column.headings[0], "string_too_long", max_length=MAX_SHORT_LENGTH)
        elif is_required and not text:
            self.add(line, column.headings[0], "missing")
        return text

    def long_text(self, line: Line, column: Column) -> str:
        """Return a text of several lines."""
        text = without_direction(line.text(column.name)).replace("\r\n", "\n").strip()
        if len(text) > MAX_CELL_LENGTH:
            self.add(line, column.headings[0], "string_too_long", max_length=MAX_CELL_LENGTH)
        return text

    def points(self, line: Line, column: Column) -> tuple[Decimal, Decimal] | None:
        """Return points and maximum of a cell such as ``7,83/8``; None for an empty one."""
        text = line.text(column.name)
        if not text:
            return None
        try:
            parts = [Decimal(part.strip().replace(",", ".")) for part in text.split("/")]
        except InvalidOperation:
            parts = []
        if len(parts) != 2 or not all(part.is_finite() and 0 <= part <= 1_000_000 for part in parts):
            self.add(line, column.headings[0], "not_points")
            return None
        return parts[0], parts[1]


def lines_of(rows: Iterable[Sequence[Cell]], columns: Sequence[Column]) -> Iterator[Line]:
    """Yield the rows below the headings, which are in the first row that is not empty; empty rows are left out.

    Raises FixRequest (422 ``file_not_recognised``) if a required column is missing from a table that is not empty.
    """
    numbered = ((number, row) for number, row in enumerate(rows, start=1) if any(row))
    first = next(numbered, None)
    if first is None:
        return
    places = _places([str(heading) for heading in first[1]], columns)
    for number, row in numbered:
        line = Line(number, {name: row[place] for name, place in places.items() if place < len(row)})
        if any(line.cells.values()):
            yield line


def _places(headings: Sequence[str], columns: Sequence[Column]) -> Mapping[str, int]:
    """Return where each column is. Of two columns with the same heading, the first counts."""
    found: dict[str, int] = {}
    for place, heading in enumerate(headings):
        found.setdefault(folded(heading), place)
    present = {column.name: [found[key] for key in map(folded, column.headings) if key in found] for column in columns}
    places = {name: each[0] for name, each in present.items() if each}
    missing = [column.headings[0] for column in columns if column.is_required and column.name not in places]
    if missing:
        shown = [one_line(heading, _MAX_HEADING_LENGTH) for heading in headings if heading.strip()]
        raise FixRequest(
            "file_not_recognised",
            status=422,
            variant="headings",
            names=", ".join(shown[:_MAX_HEADINGS_SHOWN]) or "–",
            wanted=", ".join(missing),
        )
    return places
