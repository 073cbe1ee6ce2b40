"""The workbook has the sheets, headings and forms of values of Microsoft Graph §4.2."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncIterator, Sequence
from xml.etree import ElementTree

import httpx
import pytest
from starlette.applications import Starlette

from sandbox.compliance_manager.actions import TEST_STATUSES, invented_actions, next_day
from sandbox.compliance_manager.pages import PAGE, ComplianceManager
from sandbox.compliance_manager.spreadsheet import Strings
from sandbox.compliance_manager.workbook import UNSET_DATE, Dates, Switches, export_workbook

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
SHEETS = [
    *("Action Update", "Improvement Action Details", "Customer Managed", "Microsoft Managed", "How To Update Actions"),
]


class Workbook:
    """The cells of a workbook, read by nothing but the standard library."""

    def __init__(self, content: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            self.parts = {name: archive.read(name) for name in archive.namelist()}
        targets = {item.get("Id"): item.get("Target") for item in self._xml("xl/_rels/workbook.xml.rels")}
        self._shared = (
            ["".join(item.itertext()) for item in self._xml("xl/sharedStrings.xml")]
            if "xl/sharedStrings.xml" in self.parts
            else []
        )
        self.sheets = {
            sheet.get("name", ""): self._rows(f"xl/{targets[sheet.get(RELATION)]}")
            for sheet in self._xml("xl/workbook.xml").iter(f"{MAIN}sheet")
        }

    def _xml(self, part: str) -> ElementTree.Element:
        return ElementTree.fromstring(self.parts[part])

    def _rows(self, part: str) -> list[list[str | float]]:
        return [[self._value(cell) for cell in row] for row in self._xml(part).iter(f"{MAIN}row")]

    def _value(self, cell: ElementTree.Element) -> str | float:
        text = "".join(cell.itertext())
        match cell.get("t"):
            case "s":
                return self._shared[int(text)]
            case "inlineStr":
                return text
            case _:
                return float(text)

    def column(self, sheet: str, heading: str) -> list[str | float]:
        headings, *rows = self.sheets[sheet]
        return [row[headings.index(heading)] for row in rows]


def test_the_sheets_and_headings_are_those_of_the_real_file() -> None:
    book = Workbook(export_workbook())
    assert list(book.sheets) == SHEETS
    assert book.sheets["Action Update"][0] == [
        *("Action Id", "Improvement Action Name", "Applicable To", "Service Scope", "Group", "Implementation Status"),
        *("Implementation Date", "Implementation Notes", "Test Status", "Test Date", "Test Notes", "Other Notes"),
        *("Documents", "Assigned To", "Testing Type"),
    ]
    assert book.sheets["Improvement Action Details"][0][3] == "Points Acheived"
    assert len(book.sheets["Customer Managed"][0]) == 18
    assert len(book.sheets["Microsoft Managed"][0]) == 15
    assert len(book.sheets["Action Update"]) == len(book.sheets["Improvement Action Details"]) == 146
    assert len(set(book.column("Action Update", "Action Id"))) == 145
    assert len(set(book.column("Action Update", "Improvement Action Name"))) == 145
    widths = {name: {len(row) for row in rows} for name, rows in book.sheets.items()}
    assert all(len(width) == 1 for width in widths.values()), "an empty cell is an empty string, so rows are complete"


@pytest.mark.parametrize("strings", Strings)
def test_all_cells_are_strings_in_either_form(strings: Strings) -> None:
    book = Workbook(export_workbook(switches=Switches(strings=strings)))
    assert all(isinstance(cell, str) for rows in book.sheets.values() for row in rows for cell in row)
    assert ("xl/sharedStrings.xml" in book.parts) is (strings is Strings.SHARED)
    assert (b'inlineStr"' in book.parts["xl/worksheets/sheet1.xml"]) is (strings is Strings.INLINE)
    assert book.sheets == Workbook(export_workbook()).sheets
    assert UNSET_DATE in book.column("Customer Managed", "Implementation Date")
    assert any("\n" in str(text) for text in book.column("Customer Managed", "Action Description"))


@pytest.mark.parametrize(
    ("dates", "pattern"),
    [
        (Dates.TEXT, r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d"),
        (Dates.SHORT_TEXT, r"\d{1,2}/\d{1,2}/\d{4} \d\d:\d\d"),
        (Dates.SERIAL, r"4\d{4}\.\d+"),
    ],
)
def test_dates_in_each_form(dates: Dates, pattern: str) -> None:
    book = Workbook(export_workbook(switches=Switches(dates=dates)))
    set_dates = [value for value in book.column("Action Update", "Implementation Date") if value != ""]
    assert set_dates
    assert all(re.fullmatch(pattern, str(value)) for value in set_dates)
    assert UNSET_DATE in book.column("Customer Managed", "Test Date")


def test_other_switches() -> None:
    alone = Workbook(export_workbook(switches=Switches(from_assessment=False)))
    assert list(alone.sheets) == [SHEETS[0], SHEETS[1], SHEETS[4]]
    other = Switches(parent_columns=True, list_separator=";;", words_in_details=True)
    book = Workbook(export_workbook(switches=other))
    assert book.sheets["Action Update"][0][-2:] == ["Action Parent Title", "Action Parent Product"]
    assert any(";;" in str(value) for value in book.column("Improvement Action Details", "Regulations"))
    assert "Failed high risk" in book.column("Improvement Action Details", "Test Status")


def test_what_the_actions_say_is_possible() -> None:
    actions = invented_actions(400, seed=3)
    assert actions == invented_actions(400, seed=3) != invented_actions(400, seed=4)
    assert {action.maximum for action in actions} == {27, 9, 3, 1}
    for action in actions:
        assert action.points in {0, action.maximum}
        if action.implementation_status:
            assert action.test_status in TEST_STATUSES[action.implementation_status]
        if action.tested_at is not None:
            assert action.implemented_at is not None
            assert action.tested_at >= action.implemented_at
    assert {action.testing_type for action in actions} == {"Manual", "Automatic"}


def test_actions_once_per_group_share_their_names() -> None:
    actions = invented_actions(30, once_per_group=True)
    assert len({action.id for action in actions}) == len({(action.name, action.group) for action in actions}) == 30
    assert len({action.name for action in actions}) < 30


def test_a_day_changes_some_actions_and_brings_and_takes_one() -> None:
    before = {action.id: action for action in invented_actions()}
    after = {action.id: action for action in next_day(list(before.values()), seed=5, changed=8)}
    assert len(before.keys() - after.keys()) == len(after.keys() - before.keys()) == 1
    assert sum(before[key] != after[key] for key in before.keys() & after.keys()) == 8


@pytest.fixture
async def portal() -> AsyncIterator[httpx.AsyncClient]:
    """The portal with actions of its own."""
    app = Starlette(routes=ComplianceManager().routes())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://portal", follow_redirects=True) as client:
        yield client


async def exported(portal: httpx.AsyncClient, query: str = "") -> Workbook:
    answer = await portal.get(f"/compliancemanager/ExportActions.xlsx?{query}")
    assert answer.headers["content-disposition"] == 'attachment; filename="ExportActions.xlsx"'
    return Workbook(answer.content)


def names(sheet: Sequence[Sequence[str | float]]) -> set[str | float]:
    return {row[1] for row in sheet}


async def test_the_page_exports_with_the_switches_of_its_form(portal: httpx.AsyncClient) -> None:
    page = await portal.get(PAGE)
    assert "Export actions" in page.text
    assert (await exported(portal)).sheets == Workbook(export_workbook()).sheets
    assert len((await exported(portal, "from_assessment=false")).sheets) == 3
    assert (await portal.get("/compliancemanager/ExportActions.xlsx?dates=roman")).status_code == 400


async def test_the_next_day_shows_in_the_next_export(portal: httpx.AsyncClient) -> None:
    before = (await exported(portal)).sheets["Action Update"]
    page = await portal.post("/compliancemanager/next-day")
    assert "day 1" in page.text
    after = (await exported(portal)).sheets["Action Update"]
    assert len(names(after) - names(before)) == 1
