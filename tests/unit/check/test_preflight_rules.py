"""What is foreseen of a ticket's fields, and what a test ticket shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.check.preflight.model import DataPolicy, Fate, FieldOutlook, SeenField, Source, Trial, TrialOutcome
from shared.check.preflight.rules import (
    VALUE_MAX_LENGTH,
    Knowledge,
    names_in,
    outlook,
    refused_fields,
    seen_fields,
)
from shared.connections.columns import Column
from shared.connections.model import TicketKind
from shared.connections.options import Choice
from shared.errors import Failure

SENT = {"sys_id": "a" * 32, "correlation_id": "m365:a", "short_description": "name", "category": "network"}
COLUMNS = {
    "short_description": Column("short_description", "Short description", "string", max_length=160),
    "category": Column("category", "Category", "choice", choices=[Choice("network", "Network")]),
    "cmdb_ci": Column("cmdb_ci", "Configuration item", "reference", reference="cmdb_ci"),
}
MISSING = Failure("mandatory_fields_missing", {"names": "Configuration item"})
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def trial(outcome: TrialOutcome, *fields: SeenField) -> Trial:
    return Trial(TicketKind.INCIDENT, NOW, "settings", outcome, fields=fields)


def fates(known: Knowledge, sent: dict[str, str] | None = None) -> dict[str, Fate]:
    return {each.column or each.label: each.fate for each in outlook(SENT if sent is None else sent, known)}


def changed(name: str, **values: object) -> dict[str, Column]:
    from dataclasses import replace

    return COLUMNS | {name: replace(COLUMNS[name], **values)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "column", "fate"),
    [
        (None, "category", Fate.NOT_KNOWN),
        (COLUMNS, "category", Fate.FINE),
        (changed("category", read_only=True), "category", Fate.READ_ONLY),
        (changed("category", choices=[Choice("x", "X")]), "category", Fate.NOT_A_CHOICE),
        (changed("category", choices=None), "category", Fate.FINE),
        (changed("short_description", max_length=3), "short_description", Fate.SHORTENED),
        (changed("short_description", max_length=4), "short_description", Fate.FINE),
        (changed("cmdb_ci", mandatory=True), "cmdb_ci", Fate.FORMS_ONLY),
        ({"category": COLUMNS["category"]}, "short_description", Fate.NOT_KNOWN),
    ],
)
def test_by_the_columns(columns: dict[str, Column] | None, column: str, fate: Fate) -> None:
    assert fates(Knowledge(columns))[column] is fate


def test_a_column_that_a_customer_would_have_added() -> None:
    assert fates(Knowledge(COLUMNS), {"u_cost": "1"})["u_cost"] is Fate.NO_COLUMN


def test_a_shortened_value_says_to_what() -> None:
    [seen] = [
        each for each in outlook(SENT, Knowledge(changed("short_description", max_length=3))) if each.limit is not None
    ]
    assert (seen.label, seen.limit, seen.value) == ("Short description", 3, "")


@pytest.mark.parametrize(("applies", "fate"), [(True, Fate.REFUSED), (None, Fate.MAY_BE_REFUSED)])
def test_a_data_policy(applies: bool | None, fate: Fate) -> None:
    policy = DataPolicy("CI needed", applies, mandatory=["cmdb_ci", "category"], read_only=["short_description"])
    found = outlook(SENT, Knowledge(COLUMNS, [policy]))
    assert {each.column: each.fate for each in found} == {
        "cmdb_ci": fate,
        "short_description": fate,
        "category": Fate.FINE,
    }
    assert {each.policy for each in found if each.source is Source.POLICY} == {"CI needed"}
    assert Fate.REFUSED not in fates(Knowledge(COLUMNS, [DataPolicy("", False, mandatory=["cmdb_ci"])])).values()


def test_an_unknown_choice_counts_as_missing_for_a_data_policy() -> None:
    policy = DataPolicy("", True, mandatory=["category"])
    columns = changed("category", choices=[Choice("x", "X")])
    assert fates(Knowledge(columns, [policy]))["category"] is Fate.REFUSED


def test_a_refusal_of_the_past() -> None:
    known = Knowledge(COLUMNS, refusals=[MISSING])
    assert fates(known)["cmdb_ci"] is Fate.REFUSED
    assert fates(known, {**SENT, "cmdb_ci": "b" * 32})["cmdb_ci"] is Fate.FINE, "it was added since"
    assert fates(Knowledge(refusals=[MISSING]))["cmdb_ci"] is Fate.REFUSED, "its label names it"
    own = Failure("mandatory_fields_missing", {"names": "Cost center"})
    assert fates(Knowledge(refusals=[own]))["Cost center"] is Fate.REFUSED, "the column is not known"
    proven = Knowledge(COLUMNS, refusals=[MISSING], trial=trial(TrialOutcome.ACCEPTED))
    assert "cmdb_ci" not in fates(proven)


def test_a_test_ticket_knows_best() -> None:
    policy = DataPolicy("", True, mandatory=["cmdb_ci"])
    seen = trial(TrialOutcome.ACCEPTED, SeenField("category", Fate.CHANGED, "Category", value="x"))
    found = outlook(SENT, Knowledge(COLUMNS, [policy], trial=seen))
    assert found[0] == FieldOutlook("category", "Category", Fate.CHANGED, Source.TEST_TICKET, value="x")
    assert {each.column for each in found} == {"category", "short_description"}
    refused = trial(TrialOutcome.REFUSED, SeenField("cmdb_ci", Fate.REFUSED, "Configuration item"))
    assert outlook(SENT, Knowledge(trial=refused))[0].fate is Fate.REFUSED


def test_the_worst_comes_first_and_identifiers_are_left_out() -> None:
    found = outlook(SENT, Knowledge(changed("cmdb_ci", mandatory=True), refusals=[Failure("business_rule_refused")]))
    order = list(Fate)
    assert [order.index(each.fate) for each in found] == sorted(order.index(each.fate) for each in found)
    assert not {"sys_id", "correlation_id"} & {each.column for each in found}


@pytest.mark.parametrize(
    ("column", "sent", "kept", "fate"),
    [
        ("urgency", "3", "3", Fate.FINE),
        ("urgency", "1", "10", Fate.CHANGED),
        ("urgency", "3", "", Fate.DROPPED),
        ("urgency", "3", None, Fate.NOT_KNOWN),
        ("description", "a text\n", "a text", Fate.FINE),
        ("description", "a long text", "a long", Fate.SHORTENED),
        ("description", "a long text", "a short text", Fate.CHANGED),
        ("u_note", "long", "lo", Fate.SHORTENED),
        ("cmdb_ci", "abc", "ab", Fate.CHANGED),
    ],
)
def test_what_a_test_ticket_shows(column: str, sent: str, kept: str | None, fate: Fate) -> None:
    columns = COLUMNS | {"u_note": Column("u_note", "Note", "string")}
    [seen] = seen_fields({column: sent}, {} if kept is None else {column: kept}, Knowledge(columns))
    assert seen.fate is fate
    if column == "description":
        assert not seen.value, "no text is remembered"
    assert seen.limit == (len(kept or "") if fate is Fate.SHORTENED else None)


def test_a_value_is_remembered_in_short() -> None:
    [seen] = seen_fields({"u_note": "x"}, {"u_note": "y" * 1000}, Knowledge())
    assert len(seen.value) == VALUE_MAX_LENGTH


def test_labels_are_mapped_to_columns() -> None:
    columns = {
        "close_code": Column("close_code", "Code"),
        "u_code": Column("u_code", "Code"),
        "u_place": Column("u_place", "Place, building"),
    }
    problem = Failure("mandatory_fields_missing", {"names": "code, Place, building, Nobody knows"})
    assert refused_fields(problem, {"close_code": "x"}, Knowledge(columns)) == (
        SeenField("u_code", Fate.REFUSED, "code"),
        SeenField("u_place", Fate.REFUSED, "Place, building"),
        SeenField("", Fate.REFUSED, "Nobody knows"),
    )
    both_sent = {"close_code": "x", "u_code": "y"}
    assert {each.column for each in refused_fields(problem, both_sent, Knowledge(columns))} >= {"close_code", "u_code"}
    assert names_in(Failure("business_rule_refused", {"names": "A rule"})) == []


@given(st.lists(st.text("abc ,", min_size=1, max_size=8), max_size=6), st.sets(st.text("abc ,", max_size=8)))
def test_no_name_of_a_refusal_is_lost(names: list[str], labels: set[str]) -> None:
    text = ", ".join(names)
    found = names_in(Failure("mandatory_fields_missing", {"names": text}), labels)
    pieces = [piece for piece in text.split(", ") if piece.strip()]
    assert ", ".join(found).split(", ") == (pieces or [""])


@given(
    sent=st.dictionaries(st.sampled_from(["short_description", "category", "u_x", "sys_id"]), st.text(max_size=9)),
    applies=st.none() | st.booleans(),
    mandatory=st.sets(st.sampled_from(["category", "cmdb_ci", "u_x"])),
    accepted=st.booleans(),
)
def test_each_field_has_one_outlook(
    sent: dict[str, str], applies: bool | None, mandatory: set[str], accepted: bool
) -> None:
    known = Knowledge(
        COLUMNS, [DataPolicy("", applies, mandatory)], [MISSING], trial(TrialOutcome.ACCEPTED) if accepted else None
    )
    found = outlook(sent, known)
    columns = [each.column for each in found]
    assert len(columns) == len(set(columns))
    assert sent.keys() - {"sys_id"} <= set(columns)
    if accepted:
        assert not {Fate.REFUSED, Fate.MAY_BE_REFUSED} & {each.fate for each in found}
