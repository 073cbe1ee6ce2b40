"""What people see of an imported file."""

from __future__ import annotations

import pytest

from shared.errors import FixRequest
from shared.recommendations.model import ActionStatus
from shared.triggers.file_imports import CellFault, cell_faults, member_words
from shared.words.language import languages


def test_a_fault_of_a_cell_names_sheet_row_and_column() -> None:
    fault = {"pointer": "/Action Update/4/Yes~1No ~0", "code": "not_unique", "values": {}}
    error = FixRequest("file_rows_refused", count=1, errors=[fault])  # type: ignore[list-item]
    for t in languages().values():
        assert cell_faults(error, t) == [CellFault("Action Update", "4", "Yes/No ~", t("fault.code.not_unique"))]


@pytest.mark.parametrize("code", languages())
def test_values_are_words_where_there_are_words(code: str) -> None:
    t = languages()[code]
    assert member_words(t, "points", "7.5") == "7.5"
    assert member_words(t, "points", "") == t("import.no_value")
    assert member_words(t, "licence", "yes") == t("import.licence.yes")
    assert {member_words(t, "status", status.value) for status in ActionStatus}.isdisjoint(ActionStatus)
