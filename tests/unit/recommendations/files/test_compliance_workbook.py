"""The workbook of Compliance Manager says the same in each form that a source or a person can give it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from sandbox.compliance_manager.actions import Action, invented_actions
from sandbox.compliance_manager.spreadsheet import Cell, Sheet, Strings, write_spreadsheet
from sandbox.compliance_manager.workbook import ACTION_UPDATE, Dates, Switches, export_workbook
from shared.errors import FixRequest
from shared.recommendations.files.compliance_workbook import read_compliance_workbook
from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.ports import Reading

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ACTIONS = invented_actions(24)
HEADINGS = list(ACTION_UPDATE)
DETAILS = ["Improvement Action Name", "Group", "Points Acheived", "Regulations", "Assessments"]


def read(content: bytes) -> Reading:
    return read_compliance_workbook(content, "t", NOW)


def of(reading: Reading, action: Action) -> ImprovementAction:
    return next(each for each in reading.actions if each.source_id == action.id)


def row(**cells: Cell) -> list[Cell]:
    named = {name.replace("_", " ").casefold(): value for name, value in cells.items()}
    return [named.get(heading.casefold(), "") for heading in HEADINGS]


def workbook(rows: Sequence[Sequence[Cell]], *others: Sheet, headings: Sequence[str] = HEADINGS) -> bytes:
    return write_spreadsheet([Sheet("Action Update", [headings, *rows]), *others], Strings.SHARED)


def faults(content: bytes) -> list[tuple[str, str]]:
    with pytest.raises(FixRequest) as refused:
        read(content)
    assert refused.value.code == "file_rows_refused"
    return [(fault["pointer"], fault["code"]) for fault in refused.value.values["errors"]]


@pytest.fixture(scope="module")
def usual() -> Reading:
    """What the workbook says in its usual form."""
    return read(export_workbook(ACTIONS))


@pytest.mark.parametrize(
    ("strings", "dates", "separator"),
    [
        (strings, dates, separator)
        for (strings, dates), separator in zip(
            itertools.product(Strings, Dates), itertools.cycle((", ", ";;", "\n")), strict=False
        )
    ],
)
def test_each_form_of_the_file_says_the_same(strings: Strings, dates: Dates, separator: str, usual: Reading) -> None:
    switches = Switches(strings=strings, dates=dates, list_separator=separator, parent_columns=separator == ";;")
    assert read(export_workbook(ACTIONS, switches)) == usual
    assert (usual.source, usual.is_complete, len(usual.actions)) == (SourceName.COMPLIANCE_MANAGER, False, len(ACTIONS))


def test_every_value_of_an_action_is_read(usual: Reading) -> None:
    action = next(each for each in ACTIONS if each.tested_at is not None and each.points and len(each.regulations) > 1)
    found = of(usual, action)
    assert (found.tenant_id, found.title, found.service) == ("t", action.name, action.applicable_to)
    assert (found.points, found.max_points) == (Decimal(action.points), Decimal(action.maximum))
    assert (found.category, found.file_at, found.link[:28]) == (
        action.categories[0],
        NOW,
        "https://purview.microsoft.co",
    )
    details = found.compliance
    assert details is not None
    assert (details.implementation_status, details.test_status) == (action.implementation_status, action.test_status)
    assert (details.regulations, details.assessments) == (action.regulations, action.assessments)
    assert (details.solution, details.group, details.assigned_to) == (action.solution, action.group, action.assigned_to)
    assert (details.action_type, details.testing_type) == (action.action_type, action.testing_type)
    assert action.implemented_at is not None
    assert action.tested_at is not None
    assert (details.implemented_on, details.tested_on) == (action.implemented_at.date(), action.tested_at.date())
    assert details.notes == f"{action.implementation_notes}\n\n{action.test_notes}"
    assert found.texts.description is not None
    text = usual.texts[found.texts.description]
    assert (
        text == f"<p>{action.name}.<br>Keep a record of who decided it, and when &amp; why it was last looked at.</p>"
    )


def test_without_the_middle_sheets_the_first_one_is_read() -> None:
    names_only = workbook([row(action_id="a", improvement_action_name="Do it", implementation_status="Planned")])
    (found,) = read(names_only).actions
    assert (found.source_id, found.title, found.points, found.texts.description) == ("a", "Do it", None, None)
    without_mapping = read(export_workbook(ACTIONS, Switches(from_assessment=False)))
    assert [each.points for each in without_mapping.actions] == [Decimal(action.points) for action in ACTIONS]
    assert without_mapping.texts == {}


def test_columns_are_found_by_their_headings_wherever_they_are() -> None:
    headings = ["Something new", *reversed(HEADINGS)]
    values = ["?", *reversed(row(action_id="a", improvement_action_name="Do it", implementation_status="Planned"))]
    details = Sheet("improvement action details", [["points achieved ", *DETAILS[:2]], ["3/9", "Do it", ""]])
    (found,) = read(workbook([values], details, headings=headings)).actions
    assert (found.source_id, found.title, found.points, found.max_points) == ("a", "Do it", Decimal(3), Decimal(9))


def test_an_action_that_counts_once_per_group_gets_the_points_of_its_group() -> None:
    actions = invented_actions(24, once_per_group=True)
    assert len({action.name for action in actions}) < 24
    reading = read(export_workbook(actions))
    assert [each.points for each in reading.actions] == [Decimal(action.points) for action in actions]


def test_points_on_which_two_rows_do_not_agree_are_unknown() -> None:
    first = [
        row(action_id="a", improvement_action_name="A", implementation_status=""),
        row(action_id="b", improvement_action_name="B", implementation_status="", group="elsewhere"),
    ]
    rows = [
        *(["A", "", "0/9", "one", "x"], ["A", "", "9/9", "two", "x"]),
        *(["B", "g", "1/9", "one", "x"], ["B", "h", "2/9", "one", "x"]),
    ]
    a, b = read(workbook(first, Sheet("Improvement Action Details", [DETAILS, *rows]))).actions
    assert a.compliance is not None
    assert (a.points, a.compliance.regulations, a.compliance.assessments) == (None, ("one", "two"), ("x",))
    assert b.points is None, "it has the name of both, but the group of neither"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", None),
        ("01/01/0001 00:00:00 +00:00", None),
        ("1/1/0001", None),
        ("3/27/2022 18:30", date(2022, 3, 27)),
        ("03/27/2022 18:30:59", date(2022, 3, 27)),
        ("03/27/2022", date(2022, 3, 27)),
        ("3/27/2022 6:30 PM", date(2022, 3, 27)),
        ("44647.75", date(2022, 3, 27)),
        (datetime(2022, 3, 27, 18), date(2022, 3, 27)),  # noqa: DTZ001
    ],
)
def test_dates(cell: Cell, expected: date | None) -> None:
    cells = row(action_id="a", improvement_action_name="A", implementation_status="Implemented", test_date=cell)
    (found,) = read(workbook([cells])).actions
    assert found.compliance is not None
    assert found.compliance.tested_on == expected


def test_each_fault_names_sheet_row_and_column() -> None:
    good = row(action_id="a", improvement_action_name="A", implementation_status="")
    rows = [
        good,
        [],
        row(action_id="A", improvement_action_name="B", implementation_status=""),
        row(improvement_action_name="C", implementation_status="", test_date="27.03.2022"),
        row(action_id="d", implementation_status="x" * 1_001, implementation_date="13/40/2022"),
    ]
    assert faults(workbook(rows)) == [
        ("/Action Update/4/Action Id", "not_unique"),
        ("/Action Update/5/Action Id", "missing"),
        ("/Action Update/5/Test Date", "not_month_day_year"),
        ("/Action Update/6/Improvement Action Name", "missing"),
        ("/Action Update/6/Implementation Status", "string_too_long"),
        ("/Action Update/6/Implementation Date", "not_month_day_year"),
    ]
    details = Sheet("Improvement Action Details", [DETAILS, ["A", "", "nine", "", ""], ["A", "", "-1/9", "", ""]])
    place = "/Improvement Action Details/{}/Points Achieved"
    assert faults(workbook([good], details)) == [(place.format(2), "not_points"), (place.format(3), "not_points")]


def test_what_is_missing_is_named_beside_what_was_found() -> None:
    with pytest.raises(FixRequest) as refused:
        read(workbook([["a", "b"]], headings=["Action Id", "Owner"]))
    assert refused.value.values == {
        "variant": "headings",
        "names": "Action Id, Owner",
        "wanted": "Improvement Action Name, Implementation Status",
    }
    with pytest.raises(FixRequest) as refused:
        read(write_spreadsheet([Sheet("Actions", [["a"]])], Strings.INLINE))
    assert refused.value.values == {"variant": "sheet", "names": "Actions", "wanted": "Action Update"}


def test_a_text_that_looks_like_html_or_a_formula_stays_text() -> None:
    action = replace(ACTIONS[0], name="=HYPERLINK(1)", description="<script>alert(1)</script>")
    reading = read(export_workbook([action]))
    assert reading.actions[0].title == "=HYPERLINK(1)"
    assert list(reading.texts.values()) == ["<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"]
