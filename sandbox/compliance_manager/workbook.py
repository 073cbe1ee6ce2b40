"""``ExportActions.xlsx``, the workbook that Compliance Manager gives (Microsoft Graph §4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sandbox.compliance_manager.actions import TEST_STATUS_WORDS, TEST_STATUSES, Action, invented_actions
from sandbox.compliance_manager.spreadsheet import Cell, Sheet, Strings, write_spreadsheet

FILE_NAME = "ExportActions.xlsx"
IDENTIFIER, VALIDATED, FREE_TEXT = "007FFF", "FFA500", "3CB371"
"""The colours of headings."""
UNSET_DATE = "01/01/0001 00:00:00 +00:00"
ACTION_UPDATE: dict[str, str] = {
    "Action Id": IDENTIFIER,
    "Improvement Action Name": IDENTIFIER,
    "Applicable To": IDENTIFIER,
    "Service Scope": IDENTIFIER,
    "Group": IDENTIFIER,
    "Implementation Status": VALIDATED,
    "Implementation Date": VALIDATED,
    "Implementation Notes": FREE_TEXT,
    "Test Status": VALIDATED,
    "Test Date": VALIDATED,
    "Test Notes": FREE_TEXT,
    "Other Notes": FREE_TEXT,
    "Documents": VALIDATED,
    "Assigned To": VALIDATED,
    "Testing Type": VALIDATED,
}
"""The headings of the first sheet, with their colours."""
_SERVICE_SCOPE = "N/A"
_DETAILS = (
    *("Improvement Action Name", "Service Scope", "Service", "Points Acheived", "Regulations", "Group", "Solution"),
    *("Assessments", "Categories", "Test Status", "Action Type", "Assigned To", "Testing Type"),
)
_CUSTOMER_MANAGED = (
    *("Control Family", "Control", "Title", "Description", "Action Title", "Action Description", "Action Type"),
    *("Action Owner", "Microsoft Solution Name", "Compliance Score", "Related Controls", "Achieved Score"),
    *("Implementation Status", "Implementation Notes", "Implementation Date", "Test Date", "Test Result"),
    "Test and Verification Notes",
)
_MICROSOFT_MANAGED = (
    *("Control Family", "Microsoft Control", "Control Title", "Control Description", "Action Title"),
    *("Action Description", "Action Type", "Action Owner", "Compliance Score", "Status", "Test Date", "Test Result"),
    *("Microsoft Implementation Details", "Test and Verification Notes", "Management Response"),
)
_HELP = (
    "Only the sheet Action Update is read when you upload this file.",
    "Do not change the columns Action Id, Improvement Action Name, Applicable To, Service Scope and Group.",
    "Implementation Date and Test Date: MM/DD/YYYY HH:MM:SS, for example 3/27/2022 18:30",
    "Documents: {name}::{url};;{name}::{url}",
)


class Dates(StrEnum):
    """How a set date is written: by the service, by a person as text, by a person who uses Excel."""

    TEXT = "text"
    SHORT_TEXT = "short_text"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What the sources do not say about the service's own file, or say of a file that Excel has saved (§4.2).

    Attributes:
        strings: Where texts are. The file that was read had been saved by Excel, which shares them.
        dates: How set dates are written. Those of year 1 are text in every case.
        from_assessment: The export started from an assessment, so the control mapping is there: the sheets
            Customer Managed and Microsoft Managed. Whether they are absent otherwise is NOT FOUND.
        parent_columns: Action Parent Title and Action Parent Product come after the columns of the sample.
        list_separator: What separates regulations, assessments and categories in a cell: NOT FOUND.
        words_in_details: The details have the page's words for a test status, and not its code: NOT FOUND.
    """

    strings: Strings = Strings.SHARED
    dates: Dates = Dates.TEXT
    from_assessment: bool = True
    parent_columns: bool = False
    list_separator: str = ", "
    words_in_details: bool = False


def export_workbook(actions: Sequence[Action] | None = None, switches: Switches | None = None) -> bytes:
    """Return the workbook for ``actions``, or for the 145 invented ones."""
    return _Workbook(invented_actions() if actions is None else actions, switches or Switches()).to_bytes()


@dataclass(frozen=True, slots=True)
class _Workbook:
    actions: Sequence[Action]
    switches: Switches

    def to_bytes(self) -> bytes:
        sheets = [self._action_update(), self._details()]
        if self.switches.from_assessment:
            sheets += [self._customer_managed(), self._microsoft_managed()]
        sheets.append(Sheet("How To Update Actions", [(line,) for line in (*_HELP, *_status_help())]))
        return write_spreadsheet(sheets, self.switches.strings)

    def _action_update(self) -> Sheet:
        headings = dict(ACTION_UPDATE)
        if self.switches.parent_columns:
            headings |= {"Action Parent Title": VALIDATED, "Action Parent Product": VALIDATED}
        more = ("", "") if self.switches.parent_columns else ()
        rows = [(*self._update_row(action), *more) for action in self.actions]
        return Sheet("Action Update", [tuple(headings), *rows], tuple(headings.values()))

    def _update_row(self, action: Action) -> tuple[Cell, ...]:
        return (
            action.id,
            action.name,
            action.applicable_to,
            _SERVICE_SCOPE,
            action.group,
            action.implementation_status,
            self._date(action.implemented_at, unset=""),
            action.implementation_notes,
            action.test_status,
            self._date(action.tested_at, unset=""),
            action.test_notes,
            "",
            ";;".join(f"{name}::{url}" for name, url in action.documents),
            action.assigned_to,
            action.testing_type,
        )

    def _details(self) -> Sheet:
        rows = [
            (
                action.name,
                _SERVICE_SCOPE,
                action.applicable_to,
                f"{action.points}/{action.maximum}",
                self._list(action.regulations),
                action.group,
                action.solution,
                self._list(action.assessments),
                self._list(action.categories),
                self._test_status(action),
                action.action_type,
                action.assigned_to,
                action.testing_type,
            )
            for action in self.actions
        ]
        return Sheet("Improvement Action Details", [_DETAILS, *rows])

    def _customer_managed(self) -> Sheet:
        rows = [
            (
                *action.control,
                f"The organisation applies: {action.control[2].lower()}.",
                action.name,
                action.description,
                action.action_type,
                action.assigned_to,
                action.solution,
                str(action.maximum),
                self._list((action.control[1], f"{action.control[1]} (a)")),
                str(action.points),
                action.implementation_status,
                action.implementation_notes,
                self._date(action.implemented_at, unset=UNSET_DATE),
                self._date(action.tested_at, unset=UNSET_DATE),
                "Unknown" if action.testing_type == "Automatic" else "",
                action.test_notes,
            )
            for action in self.actions
        ]
        return Sheet("Customer Managed", [_CUSTOMER_MANAGED, *rows])

    def _microsoft_managed(self) -> Sheet:
        controls = sorted({action.control for action in self.actions})
        rows = [
            (
                family,
                number,
                title,
                f"Microsoft applies: {title.lower()}.",
                f"{title} in Microsoft's data centres",
                "Microsoft tests it once a year.",
                "Operational",
                "Microsoft",
                "3",
                "Implemented",
                UNSET_DATE,
                "Passed",
                "Described in the audit report of the year.",
                "",
                "",
            )
            for family, number, title in controls
        ]
        return Sheet("Microsoft Managed", [_MICROSOFT_MANAGED, *rows])

    def _list(self, values: Sequence[str]) -> str:
        return self.switches.list_separator.join(values)

    def _test_status(self, action: Action) -> str:
        if self.switches.words_in_details:
            return TEST_STATUS_WORDS.get(action.test_status, action.test_status)
        return action.test_status

    def _date(self, at: datetime | None, *, unset: str) -> Cell:
        if at is None:
            return unset
        match self.switches.dates:
            case Dates.TEXT:
                return f"{at:%m/%d/%Y %H:%M:%S}"
            case Dates.SHORT_TEXT:
                return f"{at.month}/{at.day}/{at:%Y %H:%M}"
            case Dates.SERIAL:
                return at


def _status_help() -> list[str]:
    return [f"{status}: {', '.join(allowed)}" for status, allowed in TEST_STATUSES.items()]
