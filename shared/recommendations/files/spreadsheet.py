"""Reads the cells of an Office Open XML workbook, and is the only module that knows openpyxl.

It takes 50 ms of processor time to import, so it is imported where a file is read, and nowhere else.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Final, Self

import openpyxl

from shared.errors import FixRequest
from shared.recommendations.files.archive import check_archive
from shared.recommendations.files.tables import Cell

MAX_COLUMNS: Final = 100
LAST_ROW: Final = 1_048_576
"""Of any sheet, says Excel."""

_NOT_UNDERSTOOD: Final = (
    *(
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        SyntaxError,
        EOFError,
        OSError,
        RecursionError,
    ),
    *(zipfile.BadZipFile, zlib.error),
)
"""What openpyxl raises for a broken file: it has no exception of its own for that. ``ParseError`` is a SyntaxError, and
the refusals of defusedxml are ValueErrors."""


class Workbook:
    """A workbook that is open for reading."""

    __slots__ = ("_book",)

    def __init__(self, book: openpyxl.Workbook) -> None:
        self._book = book

    @classmethod
    @contextmanager
    def open(cls, content: bytes) -> Iterator[Self]:
        """Open a workbook. Its formulas are not computed, its links not followed, its macros not run.

        Raises FixRequest (422 ``file_unreadable``); the variant says why.
        """
        assert openpyxl.DEFUSEDXML, "entities in XML are refused by defusedxml"
        check_archive(content)
        # It warns of missing styles and of dates outside the calendar, which we treat as texts.
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        with _understood():
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        try:
            yield cls(book)
        finally:
            book.close()

    @property
    def sheets(self) -> Sequence[str]:
        """The names of its sheets, in order."""
        return [sheet.title for sheet in self._book.worksheets]

    def rows(self, sheet: str, max_rows: int) -> Iterator[Sequence[Cell]]:
        """Yield the rows of a sheet; empty ones at the end are left out.

        Args:
            max_rows: With the headings.

        Raises FixRequest (422 ``file_unreadable``) if the sheet is damaged or has more rows.
        """
        empty = 0
        with _understood():
            # Both bounds are given because a sheet can say that it is smaller or larger than it is.
            values = self._book[sheet].iter_rows(max_row=LAST_ROW, max_col=MAX_COLUMNS, values_only=True)
            for number, row in enumerate(values):
                if not any(row):
                    empty += 1
                    continue
                if number >= max_rows:
                    raise FixRequest("file_unreadable", status=422, variant="too_many_rows", limit=max_rows - 1)
                yield from ([] for _ in range(empty))
                empty = 0
                yield [_cell(value) for value in row]


@contextmanager
def _understood() -> Iterator[None]:
    """Refuse the file if openpyxl does not understand it. Raises FixRequest (422 ``file_unreadable``)."""
    try:
        yield
    except _NOT_UNDERSTOOD:
        raise FixRequest("file_unreadable", status=422, variant="damaged") from None


def _cell(value: object) -> Cell:
    match value:
        case None:
            return ""
        case datetime():
            return value
        case date():
            return datetime.combine(value, time())
        case float():
            return f"{value:.15g}"
        case _:
            return str(value).strip()
