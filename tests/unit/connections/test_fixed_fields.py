from __future__ import annotations

from typing import Any

import pytest

from shared.connections.fixed_fields import MOST_FIXED_FIELDS, RESERVED_COLUMNS, SUGGESTED_COLUMNS, FixedField
from shared.connections.model import KindSettings, TicketKind
from shared.connections.requests import read_connection_request
from shared.errors import FixRequest
from shared.servicenow.fields import record_fields
from shared.servicenow.resolutions import ways_to_cancel, ways_to_resolve
from shared.tickets.model import Priority
from shared.words.error_words import fault_words
from shared.words.language import languages
from tests.english import ENGLISH
from tests.memory.clock import START
from tests.unit.connections.surroundings import Surroundings
from tests.unit.tickets.examples import new_ticket

CI = "c" * 32


def body(*fields: dict[str, Any], kind: str = "incident") -> dict[str, Any]:
    account = {"display_name": "Contoso", "instance": "contoso", "client_id": "client", "integration_user": "m365"}
    return {**account, "kinds": {kind: {"fixed_fields": list(fields)}}}


def faults(*fields: dict[str, Any], kind: str = "incident") -> dict[str, str]:
    with pytest.raises(FixRequest) as caught:
        read_connection_request(body(*fields, kind=kind))
    assert (caught.value.code, caught.value.status) == ("invalid_connection", 422)
    errors: Any = caught.value.values["errors"]
    assert all(fault_words(each, t) != t("fault.code.other") for each in errors for t in languages().values())
    return {each["pointer"]: each["code"] for each in errors}


@pytest.mark.parametrize("kind", TicketKind)
def test_reserved_are_exactly_the_columns_that_the_connector_writes(kind: TicketKind) -> None:
    settings = KindSettings(assignment_group="a" * 32, category="software", default_caller="b" * 32)
    everything = new_ticket(
        START,
        kind=kind,
        due_at=START,
        company="d" * 32,
        assignment_group="e" * 32,
        assigned_to="f" * 32,
        configuration_item="1" * 32,
    )
    inserted = record_fields(everything, settings, None).keys() - {"assigned_to", "cmdb_ci"}
    ways = [*ways_to_resolve(kind, ["Solved"], "Done."), *ways_to_cancel(kind, ["Duplicate"], "Done.")]
    updated = {column for way in ways for column in way} | {"work_notes", "comments"}
    assert RESERVED_COLUMNS[kind].keys() == inserted | updated


@pytest.mark.parametrize("kind", TicketKind)
@pytest.mark.parametrize("column", ["sys_id", "sys_class_name", "number", "active", "approval_history", "description"])
def test_a_column_that_the_connector_or_servicenow_sets_is_refused(kind: TicketKind, column: str) -> None:
    assert faults({"column": column, "value": "x"}, kind=kind) == {
        f"/kinds/{kind}/fixed_fields/0/column": "column_reserved"
    }


@pytest.mark.parametrize("priority", Priority)
def test_what_one_kind_computes_the_other_can_fix(priority: Priority) -> None:
    read_connection_request(body({"column": "impact", "value": "1"}, kind="change"))
    fixed = KindSettings(fixed_fields=(FixedField("impact", "1"),))
    assert record_fields(new_ticket(START, kind=TicketKind.CHANGE, priority=priority), fixed, None)["impact"] == "1"
    assert set(faults({"column": "impact", "value": "1"}).values()) == {"column_reserved"}


def test_the_refusal_says_what_to_use_instead() -> None:
    with pytest.raises(FixRequest) as caught:
        read_connection_request(body({"column": "caller_id", "value": "x"}))
    errors: Any = caught.value.values["errors"]
    assert ENGLISH("field.default_caller") in fault_words(errors[0], ENGLISH)
    used = {words for columns in RESERVED_COLUMNS.values() for words in columns.values()} | {"servicenow"}
    assert {key.removeprefix("instead.") for key in ENGLISH.texts if key.startswith("instead.")} == used


def test_a_column_has_one_value() -> None:
    twice = {"column": "cmdb_ci", "value": CI}
    assert faults(twice, twice) == {"/kinds/incident/fixed_fields/1/column": "column_twice"}


@pytest.mark.parametrize(
    ("field", "member"),
    [
        ({"column": "cmdb ci", "value": "x"}, "column"),
        ({"column": "cmdb_ci.name", "value": "x"}, "column"),
        ({"column": "u_x^ORsys_id", "value": "x"}, "column"),
        ({"column": "u_x", "value": ""}, "value"),
        ({"column": "u_x", "value": "x" * 4001}, "value"),
        ({"column": "u_x", "value": "x", "label": "two\nlines"}, "label"),
        ({"column": "u_x", "value": "x", "also": "y"}, "also"),
    ],
)
def test_a_field_that_cannot_be_sent_is_refused(field: dict[str, Any], member: str) -> None:
    assert faults(field).keys() == {f"/kinds/incident/fixed_fields/0/{member}"}


def test_there_is_a_limit() -> None:
    many = [{"column": f"u_{number}", "value": "x"} for number in range(MOST_FIXED_FIELDS + 1)]
    assert faults(*many) == {"/kinds/incident/fixed_fields": "too_long"}


def test_what_is_suggested_is_not_refused() -> None:
    for kind, columns in SUGGESTED_COLUMNS.items():
        read_connection_request(body(*({"column": each, "value": CI} for each in columns), kind=kind))


async def test_left_out_they_stay_and_an_empty_list_removes_them() -> None:
    app = Surroundings()
    await app.configured(kinds={"incident": {"fixed_fields": [{"column": "cmdb_ci", "value": CI}]}})
    await app.configured(kinds={"incident": {"category": "software"}}, shares_requester=False)
    settings = app.stored().kinds[TicketKind.INCIDENT]
    assert (settings.category, settings.fixed_fields) == ("software", (FixedField("cmdb_ci", CI),))
    await app.configured(kinds={"incident": {"fixed_fields": []}})
    assert app.stored().kinds[TicketKind.INCIDENT].fixed_fields == ()
    assert not app.stored().shares_requester, "left out, it stays"
    await app.configured(shares_requester=True)
    assert app.stored().shares_requester
