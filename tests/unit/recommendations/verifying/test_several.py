"""Tickets for several recommendations."""

from __future__ import annotations

from dataclasses import replace

from shared.recommendations.verification import assessed, new_verification, with_references
from shared.recommendations.verifying.observations import Observation, ObservedTenant
from shared.tickets.model import RecommendationReference
from shared.tickets.outcome_events import changed_items
from shared.tickets.outcomes import Measurement, Outcome, closed
from tests.unit.recommendations.strategies import TENANT
from tests.unit.recommendations.verifying.examples import ASKED_AT, ONE, WAITS, at, measured

TWO = RecommendationReference(TENANT, "secure_score", "AdminMFAV2")


def tenant(one: Measurement, two: Measurement) -> ObservedTenant:
    return ObservedTenant(TENANT, {ONE.key: Observation(one), TWO.key: Observation(two)})


BEFORE = tenant(measured(0, -1), measured(4, -1))


def test_a_ticket_is_verified_when_all_its_recommendations_are() -> None:
    asked = new_verification([ONE, TWO, ONE], [BEFORE], ASKED_AT)
    assert [item.before for item in asked.items] == [measured(0, -1), measured(4, -1)]
    half = assessed(asked, tenant(measured(10, 1), measured(4, 1)), at(1.1), WAITS)
    assert half.outcome is Outcome.OPEN
    assert [change.after.key for change in changed_items(asked, half)] == [ONE.key]
    whole = assessed(half, tenant(measured(10, 2), measured(10, 2)), at(2.1), WAITS)
    assert whole.outcome is Outcome.VERIFIED
    assert [change.after.key for change in changed_items(half, whole)] == [TWO.key]
    assert [change.before for change in changed_items(None, whole)] == [None, None]


def test_what_is_linked_later_has_to_be_fixed_after_that() -> None:
    asked = new_verification([ONE], [BEFORE], ASKED_AT)
    linked = with_references(asked, [ONE, TWO], [tenant(measured(0, 5), measured(4, 5))], at(5.1))
    assert linked.items[0] is asked.items[0]
    assert linked.items[1].before == measured(4, 5)
    older = assessed(linked, tenant(measured(0, 4), measured(10, 4)), at(5.2), WAITS)
    assert older.items[1].outcome is Outcome.OPEN
    assert assessed(older, tenant(measured(0, 6), measured(10, 6)), at(6.1), WAITS).items[1].outcome is Outcome.VERIFIED
    assert with_references(linked, [TWO], [], at(7)).items == linked.items[1:]


def test_what_is_linked_to_a_closed_ticket_waits() -> None:
    asked = closed(new_verification([ONE], [BEFORE], ASKED_AT), at(1), claims_fix=True)
    assert with_references(asked, [TWO], [BEFORE], at(2)).outcome is Outcome.WAITING


def test_a_superseded_ticket_no_longer_changes() -> None:
    asked = replace(new_verification([ONE], [BEFORE], ASKED_AT), is_superseded=True)
    assert assessed(asked, tenant(measured(10, 1), measured(10, 1)), at(1.1), WAITS) is asked
