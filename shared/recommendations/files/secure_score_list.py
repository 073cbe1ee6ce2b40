"""The list of recommended actions that the Defender portal exports as CSV (Microsoft Graph §1.9).

It is in the portal's language, has no control ids, and can be separated by commas, semicolons or tabs.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from shared.errors import FixRequest
from shared.recommendations.files import portal_words
from shared.recommendations.files.tables import Column, Faults, folded, lines_of
from shared.recommendations.model import ActionStatus
from shared.value_object import value_object

MAX_ACTIONS: Final = 5_000

_TITLE: Final = Column("title", portal_words.TITLE, is_required=True)
_POINTS: Final = Column("points", portal_words.POINTS, is_required=True)
_STATUS: Final = Column("status", portal_words.STATUS, is_required=True)
_CATEGORY: Final = Column("category", portal_words.CATEGORY)
_PRODUCT: Final = Column("product", portal_words.PRODUCT)
_RANK: Final = Column("rank", portal_words.RANK)
_LICENCE: Final = Column("licence", portal_words.LICENCE)
_COLUMNS: Final = (_TITLE, _POINTS, _STATUS, _CATEGORY, _PRODUCT, _RANK, _LICENCE)
_HEADINGS: Final = frozenset(folded(heading) for column in _COLUMNS for heading in column.headings)

_DELIMITERS: Final = (",", ";", "\t")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@value_object
class ListedAction:
    """A row of the list.

    Attributes:
        row: Its number in the file, as a spreadsheet numbers rows.
        status: None for a word that we do not know.
        status_word: The portal's own word.
        has_licence: None if the file does not say it.
    """

    row: int
    title: str
    points: Decimal | None
    max_points: Decimal | None
    status: ActionStatus | None
    status_word: str
    category: str
    product: str
    rank: int | None
    has_licence: bool | None


def read_secure_score_list(content: bytes) -> Sequence[ListedAction]:
    """Return the rows of an exported list.

    Raises FixRequest (422): ``file_unreadable``, ``file_not_recognised`` or ``file_rows_refused``.
    """
    text = _decoded(content)
    faults = Faults("CSV")
    actions: list[ListedAction] = []
    try:
        for line in lines_of(
            csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True), _COLUMNS
        ):
            if len(actions) >= MAX_ACTIONS:
                raise FixRequest("file_unreadable", status=422, variant="too_many_rows", limit=MAX_ACTIONS)
            points = faults.points(line, _POINTS)
            word = faults.short_text(line, _STATUS)
            rank = line.text(_RANK.name).strip()
            actions.append(
                ListedAction(
                    row=line.number,
                    title=faults.short_text(line, _TITLE, is_required=True),
                    points=points[0] if points else None,
                    max_points=points[1] if points else None,
                    status=portal_words.status_of(word),
                    status_word=word,
                    category=faults.short_text(line, _CATEGORY),
                    product=faults.short_text(line, _PRODUCT),
                    rank=int(rank) if rank.isascii() and rank.isdigit() and len(rank) < 9 else None,
                    has_licence=portal_words.licence_of(line.text(_LICENCE.name)),
                )
            )
    except csv.Error:
        raise FixRequest("file_unreadable", status=422, variant="damaged") from None
    faults.refuse_any()
    if not actions:
        raise FixRequest("file_unreadable", status=422, variant="no_rows")
    return actions


def _decoded(content: bytes) -> str:
    """Return the text of a file in UTF-8 or UTF-16. Raises FixRequest (422 ``file_unreadable``)."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise FixRequest("file_unreadable", status=422, variant="encoding") from None
    if "\0" in text:
        raise FixRequest("file_unreadable", status=422, variant="encoding")
    return text


def _delimiter(text: str) -> str:
    """Return what separates the headings: that by which most of them are known."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(
        _DELIMITERS,
        key=lambda each: sum(folded(heading) in _HEADINGS for heading in next(csv.reader([first], delimiter=each))),
    )
