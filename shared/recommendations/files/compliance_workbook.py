"""Compliance Manager's workbook, ``ExportActions.xlsx`` (Microsoft Graph §4.2): the only way to read its actions."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.errors import FixRequest
from shared.recommendations.files.spreadsheet import Workbook
from shared.recommendations.files.tables import Cell, Column, Faults, Line, folded, lines_of
from shared.recommendations.model import (
    ActionTexts,
    ComplianceDetails,
    ImprovementAction,
    SourceName,
    text_hash,
)
from shared.recommendations.ports import Reading
from shared.value_object import value_object

MAX_ACTIONS: Final = 5_000
MAX_MAPPED_ROWS: Final = 50_000
"""Most rows of the sheet that has a row for each control and action."""
MAX_NOTES_LENGTH: Final = 8_000
"""Longer notes are cut; the rest is in the file."""
ACTIONS_PAGE: Final = "https://purview.microsoft.com/compliancemanager/overviewpage"
"""Where the list of actions is; no address of a single action is known (Microsoft Graph §7)."""

_UPDATE: Final = "Action Update"
_DETAILS: Final = "Improvement Action Details"
_CUSTOMER: Final = "Customer Managed"

_ID: Final = Column("id", ("Action Id",), is_required=True)
_NAME: Final = Column("name", ("Improvement Action Name",), is_required=True)
_PRODUCT: Final = Column("product", ("Applicable To",))
_SCOPE: Final = Column("scope", ("Service Scope",))
_GROUP: Final = Column("group", ("Group",))
_STATUS: Final = Column("status", ("Implementation Status",), is_required=True)
_IMPLEMENTED_ON: Final = Column("implemented_on", ("Implementation Date",))
_TEST_STATUS: Final = Column("test_status", ("Test Status",))
_TESTED_ON: Final = Column("tested_on", ("Test Date",))
_NOTES: Final = (
    Column("implementation_notes", ("Implementation Notes",)),
    Column("test_notes", ("Test Notes",)),
    Column("other_notes", ("Other Notes",)),
)
_OWNER: Final = Column("owner", ("Assigned To",))
_TESTING_TYPE: Final = Column("testing_type", ("Testing Type",))
_UPDATE_COLUMNS: Final = (
    *(_ID, _NAME, _PRODUCT, _SCOPE, _GROUP, _STATUS, _IMPLEMENTED_ON, _TEST_STATUS, _TESTED_ON, *_NOTES, _OWNER),
    _TESTING_TYPE,
)

_POINTS: Final = Column("points", ("Points Achieved", "Points Acheived"))
"""Microsoft's file has the second spelling."""
_REGULATIONS: Final = Column("regulations", ("Regulations",))
_SOLUTION: Final = Column("solution", ("Solution",))
_ASSESSMENTS: Final = Column("assessments", ("Assessments",))
_CATEGORIES: Final = Column("categories", ("Categories",))
_ACTION_TYPE: Final = Column("action_type", ("Action Type",))
_DETAILS_COLUMNS: Final = (
    *(_NAME, _GROUP, _POINTS, _REGULATIONS, _SOLUTION, _ASSESSMENTS, _CATEGORIES, _TEST_STATUS, _ACTION_TYPE),
)

_TITLE: Final = Column("title", ("Action Title",))
_DESCRIPTION: Final = Column("description", ("Action Description",))

_SEPARATORS: Final = (";;", "\n", ";", "|", ",")
"""What may separate the names in a cell; the reference does not say which it is. The first that is there counts."""
_DATE: Final = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})"
    r"(\s+\d{1,2}:\d{2}(:\d{2})?(\s*[AP]M)?(\s*[+-]\d{2}:\d{2})?)?",
    re.IGNORECASE,
)
_SERIAL: Final = re.compile(r"\d{1,7}(\.\d+)?")
_FIRST_DAY: Final = date(1899, 12, 30)
_UNSET_YEAR: Final = 1


@value_object
class _Details:
    """What the second sheet says about an action."""

    points: tuple[Decimal, Decimal] | None
    solution: str
    action_type: str
    test_status: str
    regulations: tuple[str, ...]
    assessments: tuple[str, ...]
    categories: tuple[str, ...]


_NOTHING: Final = _Details(None, "", "", "", (), (), ())


def read_compliance_workbook(content: bytes, tenant_id: str, file_at: datetime) -> Reading:
    """Return the actions of a workbook.

    Args:
        file_at: When the file was exported or uploaded.

    Raises FixRequest (422): ``file_unreadable``, ``file_not_recognised`` or ``file_rows_refused``.
    """
    with Workbook.open(content) as book:
        sheets = {folded(sheet): sheet for sheet in book.sheets}
        if folded(_UPDATE) not in sheets:
            names = ", ".join(book.sheets[:10])
            raise FixRequest("file_not_recognised", status=422, variant="sheet", names=names, wanted=_UPDATE)

        def rows(name: str, most: int) -> Iterator[Sequence[Cell]]:
            """Yield the rows of a sheet; none if the workbook lacks it."""
            sheet = sheets.get(folded(name))
            return iter(()) if sheet is None else book.rows(sheet, most + 1)

        details = _Joined(rows(_DETAILS, MAX_ACTIONS))
        descriptions = _descriptions(rows(_CUSTOMER, MAX_MAPPED_ROWS))
        return _reading(rows(_UPDATE, MAX_ACTIONS), details, descriptions, tenant_id, file_at)


def _reading(
    rows: Iterator[Sequence[Cell]],
    details: _Joined,
    descriptions: Mapping[str, str],
    tenant_id: str,
    file_at: datetime,
) -> Reading:
    faults = Faults(_UPDATE)
    actions: dict[str, ImprovementAction] = {}
    texts: dict[str, str] = {}
    for line in lines_of(rows, _UPDATE_COLUMNS):
        source_id = faults.short_text(line, _ID, is_required=True)
        title = faults.short_text(line, _NAME, is_required=True)
        if source_id.casefold() in actions:
            faults.add(line, _ID.headings[0], "not_unique")
        group = faults.short_text(line, _GROUP)
        found = details.of(title, group)
        description = descriptions.get(title)
        if description:
            texts[text_hash(description)] = description
        actions[source_id.casefold()] = ImprovementAction(
            tenant_id=tenant_id,
            source=SourceName.COMPLIANCE_MANAGER,
            source_id=source_id,
            title=title,
            category=", ".join(found.categories),
            service=faults.short_text(line, _PRODUCT),
            link=ACTIONS_PAGE,
            texts=ActionTexts(description=text_hash(description) if description else None),
            points=found.points[0] if found.points else None,
            max_points=found.points[1] if found.points else None,
            file_at=file_at,
            compliance=ComplianceDetails(
                implementation_status=faults.short_text(line, _STATUS),
                test_status=faults.short_text(line, _TEST_STATUS) or found.test_status,
                action_type=found.action_type,
                testing_type=faults.short_text(line, _TESTING_TYPE),
                service_scope=faults.short_text(line, _SCOPE),
                solution=found.solution,
                group=group,
                assigned_to=faults.short_text(line, _OWNER),
                regulations=found.regulations,
                assessments=found.assessments,
                categories=found.categories,
                notes="\n\n".join(filter(None, (faults.long_text(line, each) for each in _NOTES)))[:MAX_NOTES_LENGTH],
                implemented_on=_day(line, _IMPLEMENTED_ON, faults),
                tested_on=_day(line, _TESTED_ON, faults),
            ),
        )
    faults.refuse_any()
    if not actions:
        raise FixRequest("file_unreadable", status=422, variant="no_rows")
    return Reading(SourceName.COMPLIANCE_MANAGER, is_complete=False, actions=tuple(actions.values()), texts=texts)


class _Joined:
    """The second sheet. It has no Action Id: it is joined by name and group, or by the name if that is unique."""

    def __init__(self, rows: Iterator[Sequence[Cell]]) -> None:
        faults = Faults(_DETAILS)
        found: defaultdict[tuple[str, str], list[_Details]] = defaultdict(list)
        groups: defaultdict[str, set[str]] = defaultdict(set)
        for line in lines_of(rows, _DETAILS_COLUMNS):
            name, group = faults.short_text(line, _NAME), faults.short_text(line, _GROUP)
            found[name, group].append(_details(line, faults))
            groups[name].add(group)
        faults.refuse_any()
        self._found = {key: _together(rows) for key, rows in found.items()}
        self._only = {name: self._found[name, min(each)] for name, each in groups.items() if len(each) == 1}

    def of(self, name: str, group: str) -> _Details:
        return self._found.get((name, group)) or self._only.get(name, _NOTHING)


def _details(line: Line, faults: Faults) -> _Details:
    return _Details(
        points=faults.points(line, _POINTS),
        solution=faults.short_text(line, _SOLUTION),
        action_type=faults.short_text(line, _ACTION_TYPE),
        test_status=faults.short_text(line, _TEST_STATUS),
        regulations=_names(line, _REGULATIONS, faults),
        assessments=_names(line, _ASSESSMENTS, faults),
        categories=_names(line, _CATEGORIES, faults),
    )


def _together(rows: Sequence[_Details]) -> _Details:
    """Return what several rows say about one action. Points on which they do not agree are unknown."""
    first, *others = rows
    if not others:
        return first
    return _Details(
        points=first.points if all(each.points == first.points for each in others) else None,
        solution=first.solution,
        action_type=first.action_type,
        test_status=first.test_status,
        regulations=tuple(dict.fromkeys(name for each in rows for name in each.regulations)),
        assessments=tuple(dict.fromkeys(name for each in rows for name in each.assessments)),
        categories=tuple(dict.fromkeys(name for each in rows for name in each.categories)),
    )


def _descriptions(rows: Iterator[Sequence[Cell]]) -> Mapping[str, str]:
    """Return the descriptions of actions by title, as HTML; the first of several counts."""
    faults = Faults(_CUSTOMER)
    found: dict[str, str] = {}
    for line in lines_of(rows, (_TITLE, _DESCRIPTION)):
        title = faults.short_text(line, _TITLE)
        if title and title not in found:
            found[title] = _as_html(faults.long_text(line, _DESCRIPTION))
    faults.refuse_any()
    return found


def _as_html(text: str) -> str:
    """Return a plain text as the HTML in which texts are stored."""
    lines = html.escape(text).split("\n")
    return f"<p>{'<br>'.join(lines)}</p>" if text else ""


def _names(line: Line, column: Column, faults: Faults) -> tuple[str, ...]:
    text = line.text(column.name)
    if len(text) > MAX_NOTES_LENGTH:
        faults.add(line, column.headings[0], "string_too_long", max_length=MAX_NOTES_LENGTH)
    separator = next((each for each in _SEPARATORS if each in text), None)
    parts = [text] if separator is None else text.split(separator)
    return tuple(dict.fromkeys(filter(None, (part.strip() for part in parts))))


def _day(line: Line, column: Column, faults: Faults) -> date | None:
    """Return a date; None for an empty cell and for year 1, which stands for no date.

    The time of day is left out, since nobody says in which zone it is (Microsoft Graph §4.2).
    """
    value = line.cells.get(column.name, "")
    if not value:
        return None
    try:
        day = value.date() if isinstance(value, datetime) else _date_of(value)
    except (ValueError, OverflowError):
        faults.add(line, column.headings[0], "not_month_day_year")
        return None
    return None if day.year == _UNSET_YEAR else day


def _date_of(text: str) -> date:
    """Return the date of ``MM/DD/YYYY`` with or without a time, or of a serial number without a date's format.

    Raises ValueError or OverflowError for anything else.
    """
    if found := _DATE.fullmatch(text):
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    if _SERIAL.fullmatch(text):
        return _FIRST_DAY + timedelta(days=int(float(text)))
    raise ValueError("neither a date nor a serial number")
