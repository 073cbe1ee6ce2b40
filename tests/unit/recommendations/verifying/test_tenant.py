"""After a reading: outcomes, events, notes and what policies ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from shared.connections.model import OutcomeNotes, OutcomePolicy
from shared.connections.ports import RowChanged
from shared.errors import StorageUnavailable
from shared.recommendations.model import ControlPoints, Disposition, Snapshot
from shared.recommendations.verifying.observations import ObservedTenant, Reach
from shared.tickets.model import EventKind
from shared.tickets.outcomes import Outcome, OutcomeReason
from shared.tickets.updates.model import MOST_PRESENT
from tests.memory.servicenow import WriteFault as ServiceNowFault
from tests.memory.steps import Stage
from tests.memory.ticket_store import WriteFault
from tests.unit.recommendations.strategies import TENANT
from tests.unit.recommendations.verifying.story import Story
from tests.unit.recommendations.world import ONE, TWO
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket

REOPEN, NEW_TICKET = OutcomePolicy.REOPEN, OutcomePolicy.NEW_TICKET


async def test_a_new_ticket_knows_what_was_measured_before_it() -> None:
    story = Story()
    verification = story.stored(await story.ticket(ONE, TWO)).verification
    assert verification is not None
    assert [item.key for item in verification.items] == [ONE.key, TWO.key]
    assert all(item.before is not None and item.before.points == 0 for item in verification.items)
    assert verification.outcome is Outcome.OPEN


async def test_a_closed_ticket_waits_and_is_verified() -> None:
    story = Story()
    ticket = await story.ticket()
    story.change_state(ticket)
    assert story.outcomes(ticket) == [Outcome.WAITING]
    await story.read(0)
    assert story.outcomes(ticket) == [Outcome.WAITING]
    assert story.updates == []
    await story.read(10)
    assert story.outcomes(ticket) == [Outcome.VERIFIED]
    [event] = story.events(ticket)
    assert event == {
        "tenant_id": TENANT,
        "source_id": ONE.source_id,
        "key": ONE.key,
        "outcome": "verified",
        "points": "10",
        "max_points": "10",
        "measured_at": story.world.clock().isoformat(),
        "points_before": "0",
        "max_points_before": "10",
    }
    assert story.asked() == [("work_note", "policy:outcome")]
    assert story.updates[0].text == "Verified: 10 of 10 points, measured 2026-03-04."
    assert story.world.directory.entries[CONNECTION_ID].due_at is not None, "the connection has a turn soon"


async def test_the_same_reading_again_changes_nothing() -> None:
    story = Story()
    ticket = await story.ticket()
    await story.read(10)
    before = story.stored(ticket)
    await story.check()
    assert story.stored(ticket) is before


@pytest.mark.parametrize(("points", "outcome"), [(0, Outcome.NOT_FIXED), (4, Outcome.PARTLY)])
async def test_a_ticket_closed_on_paper_is_not_fixed_after_the_wait(points: int, outcome: Outcome) -> None:
    story = Story()
    ticket = await story.ticket()
    story.change_state(ticket)
    await story.read(points)
    assert story.outcomes(ticket) == [Outcome.WAITING]
    await story.read(points, days=2)
    assert story.outcomes(ticket) == [outcome]
    expected = {
        Outcome.NOT_FIXED: "Not fixed: 0 of 10 points, measured 2026-03-05.",
        Outcome.PARTLY: "Partly fixed: 4 of 10 points, measured 2026-03-05; 0 before this ticket.",
    }
    assert [update.text for update in story.updates] == [expected[outcome]]


async def test_a_canceled_ticket_is_not_waited_for() -> None:
    story = Story()
    ticket = await story.ticket()
    story.change_state(ticket, "8")
    await story.read(0, days=3)
    assert story.outcomes(ticket) == [Outcome.NOT_DONE]
    assert story.updates == []


async def test_each_recommendation_of_a_ticket_has_its_own_outcome_and_is_named() -> None:
    story = Story()
    ticket = await story.ticket(ONE, TWO)
    story.change_state(ticket)
    await story.read(10, 0, days=3)
    assert story.outcomes(ticket) == [Outcome.VERIFIED, Outcome.NOT_FIXED]
    assert [event["outcome"] for event in story.events(ticket)] == ["verified", "not_fixed"]
    assert story.updates[0].text == (
        "Turn on Safe Attachments in block mode: Verified: 10 of 10 points, measured 2026-03-05.\n"
        "Require MFA for administrative roles: Not fixed: 0 of 10 points, measured 2026-03-05."
    )
    assert len(story.updates) == 1


@pytest.mark.parametrize(
    ("changes", "reason", "note"),
    [
        ({"disposition": Disposition.THIRD_PARTY}, OutcomeReason.THIRD_PARTY, "through a third party."),
        ({"disposition": Disposition.REVIEWED}, OutcomeReason.REVIEWED, "through an alternate mitigation."),
        ({"disposition": Disposition.IGNORED}, OutcomeReason.RISK_ACCEPTED, "the risk was accepted"),
        ({"gone_at": "now"}, OutcomeReason.GONE, "Microsoft no longer recommends it."),
    ],
)
async def test_what_somebody_decided_or_microsoft_withdrew_is_said(
    changes: dict[str, Any], reason: OutcomeReason, note: str
) -> None:
    story = Story()
    ticket = await story.ticket()
    if "gone_at" in changes:
        changes = {"gone_at": story.world.clock()}
    await story.read(0, **changes)
    assert story.reason(ticket) is reason
    assert note in story.updates[0].text


@pytest.mark.parametrize(
    ("policy", "kinds"), [(REOPEN, ["work_note", "reopen"]), (NEW_TICKET, ["work_note", "follow_up"])]
)
async def test_a_policy_acts_once_when_a_fix_is_missing(policy: OutcomePolicy, kinds: list[str]) -> None:
    story = Story(policy=policy)
    ticket = await story.ticket()
    story.change_state(ticket)
    for _ in range(3):
        await story.read(0, days=2)
    assert [kind for kind, _ in story.asked()] == kinds
    assert story.asked()[1][1] == "policy:not_fixed"
    events = [event.kind for event in story.stored(ticket).timeline]
    assert events.count(EventKind.UPDATE_ASKED) == 2


@pytest.mark.parametrize(("policy", "kind"), [(REOPEN, "reopen"), (NEW_TICKET, "follow_up")])
async def test_a_regression_needs_two_measurements_and_is_acted_on_once(policy: OutcomePolicy, kind: str) -> None:
    story = Story(policy=policy)
    ticket = await story.ticket()
    story.change_state(ticket)
    await story.read(10)
    await story.read(3, days=8)
    assert story.outcomes(ticket) == [Outcome.VERIFIED]
    for _ in range(3):
        await story.read(3)
    assert story.outcomes(ticket) == [Outcome.REGRESSED]
    assert story.asked()[1:] == [("work_note", "policy:outcome"), (kind, "policy:regressed")]


@pytest.mark.parametrize("policy", [REOPEN, NEW_TICKET])
async def test_a_policy_leaves_a_ticket_alone_if_a_newer_one_takes_care(policy: OutcomePolicy) -> None:
    story = Story(policy=policy)
    ticket = await story.ticket()
    story.change_state(ticket, "6")
    await story.ticket()
    await story.read(0, days=3)
    assert story.outcomes(ticket) == [Outcome.NOT_FIXED]
    assert [kind for kind, _ in story.asked()] == ["work_note"]


@pytest.mark.parametrize("policy", [REOPEN, NEW_TICKET])
@pytest.mark.parametrize("goes_to", [None, "fabrikam"])
async def test_a_policy_leaves_tickets_alone_that_a_tenant_has_left_behind(
    policy: OutcomePolicy, goes_to: str | None
) -> None:
    story = Story(policy=policy)
    ticket = await story.ticket()
    story.change_state(ticket, "6")
    tenants = story.world.tenants.tenants
    tenants[TENANT] = replace(tenants[TENANT], connection_id=goes_to)
    await story.read(0, days=3)
    assert story.outcomes(ticket) == [Outcome.NOT_FIXED]
    acted = [kind for kind, _ in story.asked() if kind != "work_note"]
    assert bool(acted) is (goes_to is None), "a tenant without a connection has not moved"
    assert len(story.asked()) == len(acted) + 1, "the note is about this ticket"


async def test_the_note_about_a_ticket_that_is_still_on_its_way_comes_once_it_has_arrived() -> None:
    story = Story()
    story.world.servicenow.write_faults.append(ServiceNowFault.NOT_SENT)
    ticket = await story.ticket()
    await story.read(10)
    assert story.outcomes(ticket) == [Outcome.OPEN]
    deadline = story.world.clock() + timedelta(seconds=50)
    await story.world.delivery.deliver_pending(story.world.connection, deadline=deadline)
    await story.read(10)
    assert story.outcomes(ticket) == [Outcome.VERIFIED]
    assert story.asked() == [("work_note", "policy:outcome")]


async def test_notes_that_are_never_accepted_do_not_become_more_and_more() -> None:
    story = Story(policy=NEW_TICKET)
    ticket = await story.ticket()
    for day in range(2 * MOST_PRESENT):
        await story.read(0, disposition=Disposition.DEFAULT if day % 2 else Disposition.IGNORED)
    notes = [("work_note", "policy:outcome")] * MOST_PRESENT
    assert story.asked() == notes
    assert len(story.events(ticket)) == 2 * MOST_PRESENT, "the timeline has them all"
    story.change_state(ticket)
    await story.read(0, days=12)
    assert story.asked() == [*notes, ("follow_up", "policy:not_fixed")]


async def test_an_open_ticket_is_neither_reopened_nor_followed() -> None:
    story = Story(policy=NEW_TICKET)
    ticket = await story.ticket()
    await story.read(10)
    for _ in range(3):
        await story.read(3, days=8)
    assert story.outcomes(ticket) == [Outcome.REGRESSED]
    assert {kind for kind, _ in story.asked()} == {"work_note"}


async def test_a_connection_decides_where_the_record_says_it() -> None:
    for notes, kinds in [(OutcomeNotes.COMMENT, ["comment"]), (OutcomeNotes.NONE, [])]:
        story = Story(notes=notes)
        ticket = await story.ticket()
        await story.read(10)
        assert [kind for kind, _ in story.asked()] == kinds
        assert story.outcomes(ticket) == [Outcome.VERIFIED]


# Tenants that cannot be read


async def test_a_tenant_that_cannot_be_read_ends_the_wait_but_not_an_open_ticket() -> None:
    story = Story()
    closed, still_open = await story.ticket(ONE), await story.ticket(TWO)
    story.change_state(closed)
    story.world.clock.advance(timedelta(days=3).total_seconds())
    story.set(0, measured_at=None)
    for action in list(story.world.recommendations.actions[TENANT].values()):
        story.world.add(replace(action, points=None))
    await story.check(reach=Reach.UNREADABLE)
    assert (story.outcomes(closed), story.reason(closed)) == ([Outcome.UNKNOWN], OutcomeReason.TENANT_UNREADABLE)
    assert story.outcomes(still_open) == [Outcome.OPEN]
    assert story.updates == [], "nobody who works on the record can do anything about it"
    await story.read(10)
    assert story.outcomes(closed) == [Outcome.VERIFIED]


async def test_the_tickets_of_a_removed_tenant_say_so() -> None:
    story = Story()
    ticket = await story.ticket()
    tenant = story.world.tenants.tenants[TENANT]
    await story.verification.run(tenant, ObservedTenant(TENANT, reach=Reach.REMOVED), ())
    assert (story.outcomes(ticket), story.reason(ticket)) == ([Outcome.UNKNOWN], OutcomeReason.TENANT_REMOVED)


# Several tickets of a recommendation


async def test_a_closed_ticket_is_left_alone_once_a_newer_one_takes_care() -> None:
    story = Story()
    first = await story.ticket()
    story.change_state(first)
    await story.read(0, days=3)
    assert story.outcomes(first) == [Outcome.NOT_FIXED]
    second = await story.ticket()
    await story.read(0)
    watched = await story.world.store.list_watched(CONNECTION_ID, TENANT)
    assert [each.ticket_id for each in watched] == [second.ticket_id]
    await story.read(10)
    assert (story.outcomes(first), story.outcomes(second)) == ([Outcome.NOT_FIXED], [Outcome.VERIFIED])


async def test_a_ticket_that_is_reopened_beside_a_newer_one_is_watched_again_and_no_third_is_made() -> None:
    story = Story(policy=NEW_TICKET)
    first = await story.ticket()
    story.change_state(first)
    await story.read(0, days=3)
    second = await story.ticket()
    await story.read(0)
    story.change_state(first, "2")
    await story.read(10)
    assert (story.outcomes(first), story.outcomes(second)) == ([Outcome.VERIFIED], [Outcome.VERIFIED])
    assert len(story.world.open_tickets()) == 2
    assert (await story.world.refused()).code == "recommendation_has_open_ticket"


async def test_a_closed_ticket_that_still_waits_is_not_left_alone() -> None:
    story = Story()
    first = await story.ticket()
    story.change_state(first)
    await story.ticket()
    await story.read(10)
    assert story.outcomes(first) == [Outcome.VERIFIED]


# Tickets of earlier releases, and linked ones


async def test_a_ticket_of_an_earlier_release_gets_its_verification_from_the_past() -> None:
    story = Story(policy=NEW_TICKET)
    ticket = await story.ticket()
    story.change_state(ticket)
    story.world.put(replace(story.stored(ticket), verification=None))
    day = story.world.clock().date() - timedelta(days=2)
    past = Snapshot("past", day, Decimal(0), Decimal(20), {ONE.source_id: ControlPoints(Decimal(0))})
    story.world.recommendations.snapshots[TENANT][day] = past
    await story.read(10, days=5)
    verification = story.stored(ticket).verification
    assert verification is not None
    assert verification.items[0].before is not None
    assert (verification.items[0].before.points, verification.items[0].before.snapshot_id) == (Decimal(0), "past")
    assert verification.closing is not None
    assert verification.closing.noticed_at == story.stored(ticket).timeline[-2].at
    assert story.outcomes(ticket) == [Outcome.VERIFIED]
    assert story.updates == [], "nobody asked about it when it was made"


async def test_a_linked_ticket_is_verified_by_what_was_measured_before_it() -> None:
    story = Story()
    linked = story.world.put(delivered_ticket(story.world.clock(), record={"number": "INC0000007"}))
    story.world.servicenow.insert(linked.record)  # type: ignore[arg-type]
    await story.read(10, days=5)
    day = linked.created_at.date() - timedelta(days=1)
    past = Snapshot("past", day, Decimal(0), Decimal(20), {ONE.source_id: ControlPoints(Decimal(2), Decimal(10))})
    story.world.recommendations.snapshots[TENANT][day] = past
    await story.world.links.link(ONE, story.world.connection, "INC0000007")
    await story.check()
    assert story.outcomes(linked) == [Outcome.VERIFIED]
    await story.world.links.link(TWO, story.world.connection, "INC0000007")
    assert story.outcomes(linked) == [Outcome.VERIFIED, Outcome.OPEN]
    await story.world.links.unlink(ONE, linked.ticket_id)
    assert story.outcomes(linked) == [Outcome.OPEN]
    await story.world.links.unlink(TWO, linked.ticket_id)
    assert story.stored(linked).verification is None


# Failures


async def test_one_ticket_that_cannot_be_stored_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    story = Story()
    first, second = await story.ticket(ONE), await story.ticket(TWO)
    story.world.store.faults.append(WriteFault.NOT_CARRIED_OUT)
    await story.read(10)
    assert sorted([story.outcomes(first)[0], story.outcomes(second)[0]]) == [Outcome.OPEN, Outcome.VERIFIED]
    assert "outcome_not_stored" in caplog.text
    await story.read(10)
    assert story.outcomes(first) == story.outcomes(second) == [Outcome.VERIFIED]
    assert len(story.updates) == 2


@pytest.mark.parametrize("fault", [WriteFault.ANSWER_LOST, WriteFault.REPEATED])
async def test_a_lost_answer_doubles_nothing(fault: WriteFault) -> None:
    story = Story(policy=NEW_TICKET)
    ticket = await story.ticket()
    story.change_state(ticket)
    story.world.store.faults.append(fault)
    await story.read(0, days=3)
    await story.read(0)
    assert (len(story.events(ticket)), len(story.updates)) == (1, 2)


@contextmanager
def staged() -> Iterator[tuple[Story, Stage]]:
    stage = Stage()
    try:
        yield Story(stage.step, policy=NEW_TICKET), stage
    finally:
        stage.close()


def steps() -> int:
    with staged() as (story, stage):
        stage.run(story.ticket())
        story.change_state(story.world.tickets[0])
        actor = stage.start("host", story.read(0, days=3))
        count = 0
        while not actor.task.done():
            stage.go_on(actor.number, 1)
            count += 1
        return count


@pytest.mark.parametrize("other", [0, 3, 100])
def test_whatever_step_a_host_dies_or_sleeps_at_there_is_one_event_one_note_and_one_follow_up(other: int) -> None:
    for step in range(steps()):
        with staged() as (story, stage):
            stage.run(story.ticket())
            [ticket] = story.world.tickets
            story.change_state(ticket)
            first = stage.start("first", story.read(0, days=3))
            stage.go_on(first.number, step)
            second = stage.start("second", story.check())
            stage.go_on(second.number, other)
            if other:
                stage.go_on(first.number, 100)
            else:
                stage.kill(first)
            stage.go_on(second.number, 100)
            stage.raise_unless((RowChanged, StorageUnavailable))
            assert not stage.living
            assert story.outcomes(ticket) == [Outcome.NOT_FIXED]
            assert (len(story.events(ticket)), len(story.updates)) == (1, 2), f"first stopped at step {step}"
