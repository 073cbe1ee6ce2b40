"""What the evidence keeps of each write of a ticket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from shared.evidence.model import EvidenceEvent
from shared.evidence.population import Chosen, Collected
from shared.evidence.requests import EvidenceQuestion
from shared.tickets.evidence import events_between, text_hash
from shared.tickets.model import EventKind, Phase, RecommendationReference, Ticket
from shared.tickets.outcomes import Measurement, Outcome, RecommendationOutcome, Verification, closed, reopened
from shared.tickets.timeline import with_event
from tests.memory.clock import START
from tests.unit.tickets.examples import new_ticket

ONE = RecommendationReference("11111111-aaaa-4bbb-8ccc-000000000001", "secure_score", "AdminMFAV2")
OTHER = RecommendationReference("11111111-aaaa-4bbb-8ccc-000000000002", "secure_score", "scid_2012")
MEASURED_AT = datetime(2026, 3, 1, tzinfo=UTC)
BEFORE = Measurement(Decimal("3.50"), Decimal(10), measured_at=MEASURED_AT)


def asked_for(*references: RecommendationReference) -> Ticket:
    """A new ticket for these recommendations."""
    ticket = new_ticket(START)
    items = tuple(RecommendationOutcome(each.tenant_id, each.key, before=BEFORE) for each in references)
    return replace(
        ticket,
        content=replace(ticket.content, references=references),
        timeline=(),
        verification=Verification(START, items) if references else None,
    )


def created(*references: RecommendationReference) -> Ticket:
    return with_event(asked_for(*references), EventKind.CREATED, START)


def test_a_creation_says_who_asked_for_what_and_the_points_of_each_recommendation() -> None:
    ticket = created(ONE, OTHER)
    asked, *links = events_between(None, ticket)
    assert (asked.kind, asked.tenant_id, asked.keys) == ("created", None, (ONE.key, OTHER.key))
    requester = ticket.content.requester
    told = {"requester_id": requester.id, "requester_name": requester.name, "text_sha256": text_hash(ticket.content)}
    assert told.items() <= asked.details.items()
    assert ticket.content.description not in asked.details.values()
    assert [(each.kind, each.tenant_id, each.keys) for each in links] == [
        ("recommendation_linked", reference.tenant_id, (reference.key,)) for reference in (ONE, OTHER)
    ]
    assert links[0].details == {
        "source": "secure_score",
        "source_id": "AdminMFAV2",
        "points": "3.50",
        "max_points": "10",
        "measured_at": MEASURED_AT.isoformat(),
    }


def test_only_what_a_write_adds() -> None:
    ticket = created()
    after = with_event(ticket, EventKind.RETRIED, START + timedelta(minutes=1))
    assert [event.kind for event in events_between(ticket, after)] == ["retried"]
    assert list(events_between(after, after)) == []


def test_a_link_is_about_the_recommendation_that_changed() -> None:
    ticket = created(ONE)
    both = replace(ticket, content=replace(ticket.content, references=(ONE, OTHER)))
    both = with_event(both, EventKind.RECOMMENDATION_LINKED, START, source_id=OTHER.source_id)
    [linked] = events_between(ticket, both)
    assert (linked.kind, linked.tenant_id, linked.keys) == ("recommendation_linked", OTHER.tenant_id, (OTHER.key,))
    one = replace(both, content=replace(both.content, references=(OTHER,)))
    one = with_event(one, EventKind.RECOMMENDATION_UNLINKED, START, source_id=ONE.source_id)
    [unlinked] = events_between(both, one)
    assert (unlinked.kind, unlinked.keys) == ("recommendation_unlinked", (ONE.key,))


def test_what_shows_a_state_says_its_phase() -> None:
    ticket = created(ONE)
    delivered = with_event(replace(ticket, phase=Phase.NEW), EventKind.DELIVERED, START, number="INC1")
    [event] = events_between(ticket, delivered)
    assert event.details == {"number": "INC1", "phase": "new"}
    gone = with_event(replace(delivered, phase=Phase.DELETED), EventKind.DELETED, START)
    [event] = events_between(delivered, gone)
    assert event.details == {"phase": "deleted"}


def test_an_outcome_of_the_closing_is_kept_although_the_timeline_does_not_have_it() -> None:
    ticket = created(ONE, OTHER)
    assert ticket.verification is not None
    later = START + timedelta(days=1)
    waiting = replace(ticket, verification=closed(ticket.verification, later, claims_fix=True))
    outcomes = list(events_between(ticket, waiting))
    assert [(each.kind, each.at, each.keys, each.details) for each in outcomes] == [
        ("outcome", later, (reference.key,), {"outcome": "waiting"}) for reference in (ONE, OTHER)
    ]
    assert waiting.verification is not None
    back = replace(waiting, verification=reopened(waiting.verification, later))
    assert {each.details["outcome"] for each in events_between(waiting, back)} == {"open"}


def test_an_outcome_that_the_timeline_has_is_kept_once() -> None:
    ticket = created(ONE)
    assert ticket.verification is not None
    [item] = ticket.verification.items
    verified = replace(item, outcome=Outcome.VERIFIED, decided_at=START)
    after = replace(ticket, verification=replace(ticket.verification, items=(verified,)))
    after = with_event(
        after, EventKind.OUTCOME, START, tenant_id=ONE.tenant_id, key=ONE.key, outcome="verified", points="10"
    )
    assert [event.details["outcome"] for event in events_between(ticket, after)] == ["verified"]


def test_an_auditor_finds_all_of_it() -> None:
    ticket = created(ONE)
    assert ticket.verification is not None
    delivered = with_event(replace(ticket, phase=Phase.NEW), EventKind.DELIVERED, START, number="INC1")
    later = START + timedelta(days=1)
    ended = replace(delivered, phase=Phase.CLOSED, verification=closed(ticket.verification, later, claims_fix=True))
    ended = with_event(ended, EventKind.STATE_CHANGED, later, to="7", to_label="Closed", phase="closed")
    versions = [None, ticket, delivered, ended]
    events: list[EvidenceEvent] = []
    for before, after in pairwise(versions):
        assert after is not None
        events += events_between(before, after)
    question = EvidenceQuestion(START.date(), date(START.year, START.month, START.day) + timedelta(days=2))
    chosen = Chosen(question)
    chosen.add(events)
    collected = Collected(chosen.tickets, chosen.recommendations)
    collected.add(events)
    [item] = collected.items(question)
    assert (item.number, item.phase, item.closed_at) == ("INC1", "closed", later)
    [recommendation] = item.recommendations
    assert (recommendation.outcome, recommendation.outcome_since) == ("waiting", later)
    assert recommendation.before is not None
    assert (recommendation.before.points, recommendation.source_id) == (3.5, "AdminMFAV2")
