"""Which tickets belong to a period, and what is said about them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import FixRequest
from shared.evidence import population
from shared.evidence.items import PointsMeasured
from shared.evidence.model import EvidenceEvent
from shared.evidence.population import Chosen, Collected
from shared.evidence.requests import Basis, EvidenceQuestion, evidence_question
from tests.unit.evidence.examples import (
    CLOSED_IN_MARCH,
    MARCH,
    OTHER_TENANT,
    TENANT,
    created,
    day,
    decided,
    items_of,
    key_of,
    linked,
    moved,
    of_ticket,
    read,
    story,
)

KINDS = ["created", "delivered", "state_changed", "outcome", "recommendation_linked", "recommendation_unlinked"]
MOMENTS = st.integers(0, 60 * 24).map(lambda hours: day(15, 2) + timedelta(hours=hours))


@st.composite
def any_event(draw: st.DrawFn) -> EvidenceEvent:
    """Any event of three tickets and three recommendations, with details that may make no sense."""
    names = ["phase", "outcome", "points", "max_points", "points_before", "measured_at", "number", "source_id", "key"]
    values = st.sampled_from(
        ["closed", "new", "resolved", "verified", "not_fixed", "3", "nan", "1e999", "", "2026-03-02"]
    )
    kind = draw(st.sampled_from(KINDS))
    ticket = draw(st.none() | st.integers(1, 3))
    return EvidenceEvent(
        kind if ticket is not None else draw(st.sampled_from(["points_up", "gone"])),
        draw(MOMENTS),
        None if ticket is None else "contoso",
        None if ticket is None else f"{ticket:032x}",
        draw(st.sampled_from([TENANT, OTHER_TENANT, None])),
        tuple(key_of(number) for number in draw(st.sets(st.integers(1, 3), max_size=2))),
        draw(st.dictionaries(st.sampled_from(names), values, max_size=4)),
    )


QUESTIONS = st.builds(
    EvidenceQuestion,
    st.just(date(2026, 3, 1)),
    st.dates(date(2026, 3, 1), date(2026, 3, 31)),
    st.sampled_from(Basis),
    st.sampled_from([None, TENANT]),
)


@given(events=st.lists(any_event(), max_size=25), question=QUESTIONS, seed=st.integers())
def test_neither_the_order_nor_a_repetition_of_events_matters(
    events: list[EvidenceEvent], question: EvidenceQuestion, seed: int
) -> None:
    again = [*events, *events]
    random.Random(seed).shuffle(again)
    assert items_of(again, question) == items_of(events, question)


@given(events=st.lists(any_event(), max_size=25), question=QUESTIONS)
def test_what_happens_after_the_period_changes_no_answer(
    events: list[EvidenceEvent], question: EvidenceQuestion
) -> None:
    known_then = [event for event in events if event.at < question.end_at]
    assert items_of(events, question) == items_of(known_then, question)


def test_each_ticket_created_in_the_period_is_there_with_its_state_at_the_end() -> None:
    first, second, third = items_of(story(), MARCH)
    assert [item.number for item in (first, second, third)] == ["INC1", "INC2", "INC3"]
    assert (first.requester_id, first.requester_name, first.requested_at) == ("megan", "Megan Bowen", day(2))
    assert (first.kind, first.name, first.text_sha256) == ("incident", "Turn on MFA", "ab" * 32)
    assert [(state.phase, state.at) for state in first.states] == [
        ("new", day(2) + timedelta(seconds=2)),
        ("in_progress", day(5)),
        ("resolved", day(10)),
        ("closed", day(17)),
    ]
    assert first.closed_at == day(10)  # That it is closed a week later is no second end.
    assert (third.phase, third.closed_at) == ("new", None)  # It was closed in April.


def test_each_recommendation_has_its_points_before_and_after_and_its_own_outcome() -> None:
    first, second, _ = items_of(story(), MARCH)
    [verified] = first.recommendations
    assert verified.before == PointsMeasured(3.0, 10.0, day(28, 2))
    assert verified.after == PointsMeasured(10.0, 10.0, day(11))
    assert (verified.outcome, verified.outcome_since, verified.source_id) == ("verified", day(12), "Control1")
    assert [event.kind for event in verified.events] == ["points_up"]
    # The first one was verified in April; of the second, no event says the outcome.
    assert [each.outcome for each in second.recommendations] == ["not_fixed", "unknown"]
    assert second.recommendations[0].outcome_since == day(14)


def test_the_closed_tickets_of_a_period_include_older_ones() -> None:
    found = items_of(story(), CLOSED_IN_MARCH)
    assert [item.number for item in found] == ["INC4", "INC1", "INC2"]
    assert found[0].requested_at == day(20, 2)
    assert "update_sent" in [event.kind for event in found[0].events]


def test_a_ticket_is_closed_once_although_servicenow_closes_what_is_resolved_later() -> None:
    events = [*created(1, day(20, 2)), moved(1, day(27, 2), "resolved"), moved(1, day(6), "closed")]
    assert items_of(events, CLOSED_IN_MARCH) == []
    reopened = [*events, moved(1, day(8), "in_progress"), moved(1, day(9), "resolved")]
    [item] = items_of(reopened, CLOSED_IN_MARCH)
    assert item.closed_at == day(9)


def test_a_ticket_that_was_closed_in_the_period_and_reopened_belongs_to_it() -> None:
    events = [*created(1, day(2)), moved(1, day(3), "closed"), moved(1, day(5), "in_progress")]
    [item] = items_of(events, CLOSED_IN_MARCH)
    assert (item.phase, item.closed_at) == ("in_progress", None)


def test_only_tickets_of_the_tenant() -> None:
    events = [*created(1, day(2)), *created(2, day(3), tenant_id=OTHER_TENANT)]
    [item] = items_of(events, replace(MARCH, tenant_id=OTHER_TENANT))
    assert item.ticket_id == f"{2:032x}"


def test_what_a_reading_of_another_tenant_found_is_not_about_this_ones_recommendation() -> None:
    events = [*created(1, day(2)), read(day(4), "points_up", tenant_id=OTHER_TENANT, points="10")]
    [item] = items_of(events, MARCH)
    assert item.recommendations[0].after is None


def test_what_was_measured_before_the_ticket_is_not_after_it() -> None:
    events = [*created(1, day(9)), read(day(4), "points_down", points="2")]
    [item] = items_of(events, MARCH)
    assert item.recommendations[0].after is None
    assert item.recommendations[0].events == ()


def test_a_recommendation_that_was_linked_later_and_one_that_is_no_longer_linked() -> None:
    events = [
        *created(1, day(2)),
        linked(1, day(5), 7),
        of_ticket(1, "recommendation_unlinked", day(6), keys=(1,), source_id="Control1"),
    ]
    [item] = items_of(events, MARCH)
    unlinked, later = item.recommendations
    assert (unlinked.source_id, unlinked.unlinked_at) == ("Control1", day(6))
    assert (later.source_id, later.linked_at, later.unlinked_at) == ("Control7", day(5), None)


def test_a_ticket_whose_creation_is_not_in_the_evidence_says_so() -> None:
    [item] = items_of([moved(1, day(3), "closed")], CLOSED_IN_MARCH)
    assert (item.requested_at, item.requester_id, item.text_sha256) == (None, None, None)
    assert [each.recommendation_id for each in item.recommendations] == [key_of(1)]


def test_the_number_of_another_record_is_not_the_tickets() -> None:
    events = [*created(1, day(2)), of_ticket(1, "doubled", day(3), number="INC99")]
    assert items_of(events, MARCH)[0].number == "INC1"


def test_an_outcome_that_is_said_again_has_its_first_time() -> None:
    events = [*created(1, day(2)), decided(1, day(4), "waiting"), decided(1, day(6), "waiting")]
    assert items_of(events, MARCH)[0].recommendations[0].outcome_since == day(4)


def test_a_population_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(population, "MOST_TICKETS", 2)
    monkeypatch.setattr(population, "MOST_EVENTS", 5)
    events = [event for number in range(1, 4) for event in created(number, day(2))]
    with pytest.raises(FixRequest) as refused:
        Chosen(MARCH).add(events)
    assert (refused.value.code, refused.value.values["limit"]) == ("evidence_too_large", 2)
    collected = Collected({("contoso", f"{1:032x}"), ("contoso", f"{2:032x}")}, ())
    with pytest.raises(FixRequest) as refused:
        collected.add(events)
    assert refused.value.values["limit"] == 5


def test_an_event_of_a_reading_is_the_same_when_the_reading_is_repeated() -> None:
    found, again = read(day(4), "points_up", points="4"), read(day(5), "points_up", points="4")
    assert found.event_id == again.event_id != read(day(4), "points_up", points="5").event_id
    assert moved(1, day(4), "closed").event_id != moved(1, day(5), "closed").event_id
    [item] = items_of([*created(1, day(2)), again, found], MARCH)
    assert [event.at for event in item.recommendations[0].events] == [day(4)]


TODAY = date(2026, 11, 26)


@given(since=st.none() | st.dates(), until=st.none() | st.dates())
def test_a_period_is_bounded_and_never_in_the_future(since: date | None, until: date | None) -> None:
    try:
        question = evidence_question(
            since=since, until=until, basis=None, tenant_id=None, sample=None, seed=None, today=TODAY
        )
    except FixRequest as error:
        assert error.code == "invalid_period"
    else:
        assert question.first_day <= question.last_day <= TODAY
        assert (question.end_at - question.begin_at).days <= 366


def test_without_a_period_it_is_the_last_90_days_and_without_a_seed_the_period() -> None:
    question = evidence_question(since=None, until=None, basis=None, tenant_id=None, sample=5, seed=None, today=TODAY)
    assert (question.end_at - question.begin_at).days == 90
    assert (question.last_day, question.seed) == (TODAY, "2026-08-29/2026-11-26")
