"""Which closed tickets claim a fix, and what happens if there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import KindSettings, OutcomePolicy, TicketKind
from shared.storage.rows import open_value
from shared.tickets.outcomes import Outcome
from shared.tickets.policies import claims_fix, not_done_codes, policy_of
from tests.unit.tickets.strategies import words

USUAL = KindSettings()
LATER_KIND = open_value(TicketKind, "later_kind")
blanks = st.text(" \t\n\u00a0", max_size=3)
kinds = st.sampled_from([*TicketKind, LATER_KIND])
chosen = st.builds(
    KindSettings,
    not_fixed=st.sampled_from(OutcomePolicy),
    regressed=st.sampled_from(OutcomePolicy),
    not_done_codes=st.none() | st.lists(words, max_size=3).map(tuple),
)


@pytest.mark.parametrize(
    "code",
    [
        *("Solved (Permanently)", "Solved (Work Around)", "Closed/Resolved by Caller"),
        *(
            "Solution provided",
            "Workaround provided",
            "Resolved by caller",
            "Resolved by change",
            "Resolved by problem",
        ),
        *("Resolved by request", "unsuccessful", "Something of our own", "", None),
    ],
)
def test_an_incident_claims_a_fix_unless_its_code_says_otherwise(code: str | None) -> None:
    assert claims_fix(TicketKind.INCIDENT, code, USUAL)


@pytest.mark.parametrize("code", ["Duplicate", "No resolution provided", "Not Solved (Too Costly)", "User error"])
def test_an_incident_that_was_not_solved_claims_none(code: str) -> None:
    assert not claims_fix(TicketKind.INCIDENT, code, USUAL)
    assert claims_fix(TicketKind.CHANGE, code, USUAL)


@pytest.mark.parametrize(
    ("code", "claims"), [("successful", True), ("successful_issues", True), ("unsuccessful", False), (None, True)]
)
def test_a_change_claims_a_fix_unless_it_was_unsuccessful(code: str | None, claims: bool) -> None:
    assert claims_fix(TicketKind.CHANGE, code, USUAL) is claims


@given(kinds, chosen, st.data())
def test_case_and_blanks_do_not_matter(kind: TicketKind, settings: KindSettings, data: st.DataObject) -> None:
    for code in not_done_codes(kind, settings):
        spelling = data.draw(st.sampled_from([code, code.upper(), code.lower(), code.replace(" ", "  ")]))
        assert not claims_fix(kind, data.draw(blanks) + spelling + data.draw(blanks), settings)


@given(kinds, words, chosen)
def test_the_codes_of_the_settings_take_the_place_of_the_usual_ones(
    kind: TicketKind, code: str, settings: KindSettings
) -> None:
    assert not claims_fix(kind, code, replace(settings, not_done_codes=(code,)))
    for usual in (code, *not_done_codes(kind, USUAL)):
        assert claims_fix(kind, usual, replace(settings, not_done_codes=()))


@given(kinds, st.sampled_from(Outcome), chosen)
def test_only_a_fix_that_failed_or_was_lost_needs_more_than_a_note(
    kind: TicketKind, outcome: Outcome, settings: KindSettings
) -> None:
    policy = policy_of(kind, outcome, settings)
    wanted = {Outcome.NOT_FIXED: settings.not_fixed, Outcome.REGRESSED: settings.regressed}.get(outcome)
    if policy is OutcomePolicy.REOPEN:
        assert kind is TicketKind.INCIDENT
    assert (policy is OutcomePolicy.NOTE_ONLY) == (wanted in {None, OutcomePolicy.NOTE_ONLY})


def test_a_change_is_never_reopened() -> None:
    settings = KindSettings(not_fixed=OutcomePolicy.REOPEN, regressed=OutcomePolicy.REOPEN)
    for outcome in (Outcome.NOT_FIXED, Outcome.REGRESSED):
        assert policy_of(TicketKind.CHANGE, outcome, settings) is OutcomePolicy.NEW_TICKET
        assert policy_of(TicketKind.INCIDENT, outcome, settings) is OutcomePolicy.REOPEN


def test_a_policy_of_the_next_release_does_nothing_that_this_one_does_not_know() -> None:
    settings = KindSettings(not_fixed=open_value(OutcomePolicy, "next_policy"))
    assert policy_of(TicketKind.INCIDENT, Outcome.NOT_FIXED, settings) is OutcomePolicy.NOTE_ONLY
