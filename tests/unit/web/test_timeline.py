"""The texts of the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tickets.model import EventKind, TimelineEvent
from shared.tickets.updates.ports import NoFollowUp
from shared.web.timeline import event_words
from shared.words.language import languages
from tests.english import ENGLISH
from tests.memory.clock import START

NAMES = {"1": "Neu", "6": "Gelöst", "incident": "no table's name"}
STATES = {"from": "1", "from_label": "New", "to": "6", "to_label": "Resolved", "phase": "resolved"}


NOTHING: Mapping[str, str] = MappingProxyType({})


def words(
    kind: EventKind,
    details: Mapping[str, str],
    names: Mapping[str, str] = NOTHING,
    titles: Mapping[str, str] = NOTHING,
) -> str:
    return event_words(
        TimelineEvent(kind, START, details),
        languages()["en"],
        state_names=names,
        time_zone="Asia/Tokyo",
        titles=titles,
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (NAMES, "State changed from Neu to Gelöst"),
        ({"6": "Gelöst"}, "State changed from New to Gelöst"),
        ({}, "State changed from New to Resolved"),
    ],
)
def test_states_have_the_names_that_the_connection_gives_them(names: dict[str, str], expected: str) -> None:
    assert words(EventKind.STATE_CHANGED, STATES, names) == expected


def test_a_state_without_a_label_is_its_value() -> None:
    assert words(EventKind.STATE_CHANGED, {"from": "1", "to": "21"}) == "State changed from 1 to 21"
    assert words(EventKind.FOUND_AGAIN, {"state": "21"}) == "Visible again in ServiceNow: 21"
    assert words(EventKind.FOUND_AGAIN, {"state": "6", "label": "Resolved"}, NAMES).endswith("Gelöst")


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("2031-05-01T14:59:59+00:00", "2031-05-01"),
        ("2031-05-01T10:00:00+00:00", "2031-05-01 10:00 UTC"),
        (None, "None"),
    ],
)
def test_a_due_date_is_written_as_everywhere_on_the_page(to: str | None, expected: str) -> None:
    details = {} if to is None else {"to": to}
    assert words(EventKind.DUE_DATE_CHANGED, details) == f"Due date changed in ServiceNow: {expected}"


def test_a_table_is_no_state() -> None:
    moved = words(EventKind.MOVED, {"from": "incident", "to": "sn_si_incident"}, NAMES)
    assert moved == "Moved in ServiceNow from incident to sn_si_incident"


def test_an_error_is_told_in_the_persons_language_with_the_fields_it_names() -> None:
    details = {"code": "mandatory_fields_missing", "variant": "named", "names": "Category, Service"}
    refused = TimelineEvent(EventKind.DELIVERY_FAILED, START, details)
    for t in languages().values():
        said = t("error.mandatory_fields_missing.named.message", names="Category, Service")
        assert said in event_words(refused, t, state_names={}, time_zone="UTC", titles={})
    assert "as stored" in words(EventKind.DELIVERY_FAILED, {"code": "of_another_release", "message": "as stored"})


def test_texts_that_were_shortened() -> None:
    assert words(EventKind.SHORTENED, {"description": "300"}).endswith("Characters lost: Description 300")
    both = {"description": "300", "short_description": "12"}
    assert words(EventKind.SHORTENED, both).endswith("Characters lost: Name 12, Description 300")


MEASURED = {
    "source_id": "AdminMFAV2",
    "outcome": "verified",
    "points": "10.00",
    "max_points": "10",
    "measured_at": "2026-12-03T04:05:06+00:00",
    "points_before": "2.5",
    "max_points_before": "10",
}


def test_an_outcome_is_said_with_the_points_that_prove_it() -> None:
    assert words(EventKind.OUTCOME, MEASURED) == (
        "AdminMFAV2: Verified. 10 of 10 points, measured 2026-12-03 04:05 UTC. Before the ticket: 2.5 of 10."
    )
    undated = {
        name: value for name, value in MEASURED.items() if name in {"source_id", "outcome", "points", "max_points"}
    }
    assert words(EventKind.OUTCOME, undated) == "AdminMFAV2: Verified. 10 of 10 points."
    both = {"AdminMFAV2": "Ensure MFA for administrators", "scid_103": "Turn on a firewall"}
    assert words(EventKind.OUTCOME, undated, titles=both).startswith("Ensure MFA for administrators: Verified. 10 ")
    gone = {"source_id": "AdminMFAV2", "outcome": "unknown", "reason": "gone"}
    assert words(EventKind.OUTCOME, gone) == f"AdminMFAV2: Unknown. {ENGLISH('outcome_text.unknown.gone')}"


def test_the_outcome_of_the_only_recommendation_does_not_name_it() -> None:
    assert words(EventKind.OUTCOME, MEASURED, titles={"AdminMFAV2": "Ensure MFA"}).startswith("Verified. 10 of 10 ")
    # It is about one that the ticket is no longer for.
    assert words(EventKind.OUTCOME, MEASURED, titles={"scid_103": "Turn on a firewall"}).startswith("AdminMFAV2: ")


def test_a_linked_recommendation_is_named_by_its_title() -> None:
    linked = {"source_id": "AdminMFAV2"}
    assert words(EventKind.RECOMMENDATION_LINKED, linked, titles={"AdminMFAV2": "Ensure MFA"}).endswith(": Ensure MFA")
    assert words(EventKind.RECOMMENDATION_UNLINKED, linked).endswith(": AdminMFAV2")


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"by_id": "7", "by_name": "Aiko Tanaka"}, "Aiko Tanaka asked for a change in ServiceNow: comment."),
        ({"by_id": "7"}, "Somebody asked for a change in ServiceNow: comment."),
        (
            {"by_id": "policy:regressed"},
            "The policy for recommendations that have regressed asked for a change in ServiceNow: comment.",
        ),
        ({"by_id": "policy:of_another_release"}, "The connector asked for a change in ServiceNow: comment."),
    ],
)
def test_a_change_names_the_person_or_the_policy(details: dict[str, str], expected: str) -> None:
    assert words(EventKind.UPDATE_ASKED, {**details, "update_kind": "comment"}) == expected


def test_a_due_date_that_somebody_asks_for_is_its_last_day() -> None:
    asked = {"update_kind": "due_date", "by_name": "Aiko", "due_at": "2031-05-01T14:59:59+00:00"}
    assert words(EventKind.UPDATE_ASKED, asked).endswith("due date 2031-05-01.")
    assert words(EventKind.UPDATE_ASKED, {**asked, "due_at": ""}).endswith("no due date.")
    assert words(EventKind.UPDATE_DISCARDED, asked).endswith("due date.")


def test_a_refused_change_says_why_and_what_takes_its_place() -> None:
    refused = {"update_kind": "reopen", "code": "reopening_not_possible", "instead": "follow_up"}
    said = words(EventKind.UPDATE_REFUSED, refused)
    assert ENGLISH("error.reopening_not_possible.message") in said
    assert said.endswith("A new ticket takes its place.")


def test_a_note_that_cannot_be_read_back_says_so() -> None:
    note = {"update_kind": "work_note"}
    assert words(EventKind.UPDATE_SENT, note) == "Done in ServiceNow: work note."
    assert words(EventKind.UPDATE_SENT, {**note, "not_read_back": "true"}).endswith("to the integration user.")


def test_a_follow_up_is_named_by_its_number() -> None:
    assert words(EventKind.FOLLOWED_UP, {"follow_up_id": "1", "number": "INC0010007"}).endswith(": INC0010007.")
    assert "on its way" in words(EventKind.FOLLOWED_UP, {"follow_up_id": "1"})
    assert "because INC0010008 is open" in words(EventKind.FOLLOWED_UP, {"open_id": "1", "open_number": "INC0010008"})
    assert "another open ticket already takes care" in words(EventKind.FOLLOWED_UP, {"open_id": "1"})
    assert "nothing is left" in words(EventKind.FOLLOWED_UP, {})
    for why in NoFollowUp:
        assert words(EventKind.FOLLOWED_UP, {"why_none": why}).startswith("No new ticket was made, because")


@given(st.sampled_from(EventKind), st.dictionaries(st.sampled_from(sorted({*MEASURED, "by_id", "due_at"})), st.text()))
def test_whatever_was_stored_is_said(kind: EventKind, details: dict[str, str]) -> None:
    assert words(kind, details)
