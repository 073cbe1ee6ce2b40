"""Reading a tenant: what is stored after each success and failure, and only one reading at a time."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connections.directory import AT_ONCE
from shared.errors import (
    ConnectorError,
    FixRequest,
    GraphRequestRejected,
    GraphThrottled,
    GraphTimeout,
    GraphUnavailable,
    StorageUnavailable,
    TenantRefused,
)
from shared.recommendations.model import Snapshot
from shared.recommendations.overview import percent_of
from shared.recommendations.ports import Claim, ClaimedTicket
from shared.recommendations.reading.read import TenantReading
from shared.recommendations.statuses import points_to_gain
from shared.tenants.configure import TenantConfiguration
from shared.tenants.model import HOLD, Tenant, TenantStatus
from shared.tenants.requests import TenantRequest
from shared.tenants.status import FIRST_RETRY_AFTER
from shared.tickets.model import RecommendationReference
from shared.tickets.outcomes import Closing, Measurement, Outcome, RecommendationOutcome, Verification
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.recommendation_store import MemoryClaimStore, MemoryRecommendationStore
from tests.memory.source import ROLE, MemorySource
from tests.memory.steps import Stage, Step, at_once
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore, WriteFault
from tests.memory.verification import memory_verification
from tests.memory.writes import Writes
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket

TENANT_ID = "11111111-aaaa-4bbb-8ccc-000000000001"
NEW = Tenant(TENANT_ID, "Contoso", due_at=AT_ONCE)

type Result = tuple[tuple[object, ...], Mapping[str, Decimal | None], Sequence[str]]


class World:
    """One tenant, and a host that reads it."""

    def __init__(self, tenant: Tenant = NEW, *, step: Step = at_once) -> None:
        self.clock = ManualClock()
        self.tenants = MemoryTenantStore(tenant, step=step)
        self.store = MemoryRecommendationStore(step=step)
        self.source = MemorySource(self.clock, step=step)
        self.evidence = MemoryEvidenceStore(step)
        self.verification = memory_verification(self.clock)
        self.reading = TenantReading(
            self.tenants,
            self.store,
            self.source,
            self.evidence,
            self.verification,
            self.clock,
            lambda: self.clock.now.timestamp(),
        )
        self.configuration = TenantConfiguration(self.tenants, MemoryConnectionStore(), self.store, self.clock)

    @property
    def tenant(self) -> Tenant:
        """The tenant as stored."""
        return self.tenants.tenants[TENANT_ID]

    async def read_due(self) -> Tenant:
        """What the timer does."""
        await self.reading.read_due(self.tenant)
        return self.tenant

    async def result(self) -> Result:
        """Return what matters of what is stored."""
        tenant = self.tenant
        return (
            (tenant.status, tenant.error, tenant.holder, tenant.snapshot_id, tenant.history_read_at is not None),
            {each.source_id: each.points for each in await self.store.list_actions(TENANT_ID)},
            [each.snapshot_id for each in await self.store.list_snapshots(TENANT_ID)],
        )

    def while_reading(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something while the source is asked."""
        done = False

        async def step(name: str) -> None:
            nonlocal done
            if name == "read" and not done:
                done = True
                await work()

        self.source._step = step


async def test_the_first_reading_takes_the_past_days_and_the_next_one_does_not() -> None:
    world = World()
    first = await world.read_due()
    assert first.status is TenantStatus.READABLE
    assert first.snapshot_id == f"{TENANT_ID}_2026-03-02"
    assert first.snapshot_at == datetime(2026, 3, 2, tzinfo=UTC)
    assert (first.roles, first.roles_seen_at) == ((ROLE,), world.clock.now)
    assert first.read_at == first.history_read_at == world.clock.now
    assert (first.holder, first.held_until_at, first.error) == (None, None, None)
    assert len(await world.store.list_snapshots(TENANT_ID)) == 4
    assert len(await world.store.list_actions(TENANT_ID)) == 2
    assert first.due_at is not None
    world.clock.now = first.due_at
    second = await world.read_due()
    assert world.source.readings == [(TENANT_ID, True), (TENANT_ID, False)]
    assert second.read_at == first.due_at
    assert second.history_read_at == first.history_read_at


async def test_a_reading_keeps_the_score_for_lists_of_tenants() -> None:
    world = World()
    world.source.past_days, world.source.max_points = 40, Decimal(10)
    first = await world.read_due()
    assert first.score is not None
    newest, *_, former = reversed([each for each in await world.store.list_snapshots(TENANT_ID) if _days(each) <= 30])
    assert _days(former) == 30
    assert (first.score.points, first.score.max_points) == (newest.score, newest.max_score)
    assert first.score.former_percent == percent_of(former.score, former.max_score)
    actions = await world.store.list_actions(TENANT_ID)
    assert first.score.points_to_gain == sum(points_to_gain(each) or 0 for each in actions) > 0
    world.source.answers.append(GraphTimeout())
    world.clock.now += timedelta(days=1)
    after = await world.read_due()
    assert (after.score, after.error is None) == (first.score, False)


@pytest.mark.parametrize(("past_days", "is_known"), [(29, False), (30, True)])
async def test_a_trend_needs_a_score_of_30_days_ago(past_days: int, is_known: bool) -> None:
    world = World()
    world.source.past_days = past_days
    first = await world.read_due()
    assert first.score is not None
    assert (first.score.former_percent is not None) is is_known


def _days(snapshot: Snapshot) -> int:
    return (date(2026, 3, 2) - snapshot.day).days


async def test_the_same_snapshot_may_have_changed() -> None:
    world = World()
    before = await world.read_due()
    world.source.points["mdo_safeattachments"] = Decimal(8)
    after = await world.reading.read_now(world.tenant)
    assert after is not None
    assert after.snapshot_id == before.snapshot_id
    points = {each.source_id: each.points for each in await world.store.list_actions(TENANT_ID)}
    assert points["mdo_safeattachments"] == Decimal(8)
    (*_, newest) = await world.store.list_snapshots(TENANT_ID)
    assert newest.score == Decimal("15.5")


async def test_a_tenant_that_is_not_due_or_whose_files_only_count_is_left_alone() -> None:
    for tenant in (replace(NEW, due_at=ManualClock().now + timedelta(hours=1)), replace(NEW, due_at=None)):
        world = World(tenant)
        assert await world.read_due() == tenant
    with pytest.raises(FixRequest, match="tenant_files_only"):
        await world.reading.read_now(tenant)
    assert world.source.readings == []


async def test_a_partial_answer_concludes_nothing_and_the_past_is_asked_for_again() -> None:
    world = World()
    world.source.is_complete = False
    partly = await world.read_due()
    assert (partly.status, partly.error, partly.history_read_at) == (TenantStatus.PARTLY_READABLE, None, None)
    await world.reading.read_now(world.tenant)
    assert world.source.readings == [(TENANT_ID, True), (TENANT_ID, True)]


async def test_past_days_that_could_not_be_read_are_asked_for_again() -> None:
    world = World()
    world.source.is_history_complete = False
    first = await world.read_due()
    assert (first.status, first.history_read_at) == (TenantStatus.READABLE, None)
    world.source.is_history_complete = True
    assert await world.reading.read_now(world.tenant)
    assert world.tenant.history_read_at == world.clock.now
    assert world.source.readings == [(TENANT_ID, True), (TENANT_ID, True)]


async def test_days_without_a_reading_are_asked_for_by_the_next_one() -> None:
    world = World()
    await world.read_due()
    for days, asks_for_the_past in ((1, False), (3, False), (0, True), (1, False)):
        world.clock.advance(days * 86_400)
        assert await world.reading.read_now(world.tenant)
        assert world.source.readings[-1] == (TENANT_ID, asks_for_the_past)
    assert world.tenant.history_read_at is not None


async def test_a_new_tenant_without_a_score_is_readable() -> None:
    world = World()
    world.source.has_score = False
    read_once = await world.read_due()
    assert (read_once.status, read_once.snapshot_id, read_once.history_read_at) == (TenantStatus.READABLE, None, None)


async def test_a_score_that_is_missing_once_keeps_the_snapshot() -> None:
    world = World()
    before = await world.read_due()
    world.source.has_score = False
    after = await world.reading.read_now(world.tenant)
    assert after is not None
    assert (after.snapshot_id, after.snapshot_at) == (before.snapshot_id, before.snapshot_at)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TenantRefused("graph_permission_missing", wanted=ROLE), TenantStatus.NO_PERMISSION),
        (GraphThrottled(retry_after_s=10_000), TenantStatus.UNREADABLE),
        (GraphUnavailable("graph_access_blocked"), TenantStatus.UNREADABLE),
        (GraphUnavailable("graph_answer_unusable"), TenantStatus.UNREADABLE),
        (GraphUnavailable("graph_list_endless"), TenantStatus.UNREADABLE),
        (GraphUnavailable("graph_link_refused"), TenantStatus.UNREADABLE),
        (GraphRequestRejected("secure_score_not_available"), TenantStatus.UNREADABLE),
        (ValueError("secret"), TenantStatus.UNREADABLE),
    ],
)
async def test_a_failure_is_shown_and_keeps_what_was_read(
    error: Exception, status: TenantStatus, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    before = await world.read_due()
    actions = await world.store.list_actions(TENANT_ID)
    assert before.due_at is not None
    world.clock.now = before.due_at
    world.source.answers.append(error)
    after = await world.read_due()
    assert after.status is status
    assert after.error is not None
    assert after.error.at == world.clock.now
    assert after.error.failure.code == (error.code if isinstance(error, ConnectorError) else "internal_error")
    assert (after.holder, after.snapshot_id, after.read_at) == (None, before.snapshot_id, before.read_at)
    assert await world.store.list_actions(TENANT_ID) == actions
    assert after.due_at is not None
    wait = after.due_at - world.clock.now
    assert wait == timedelta(seconds=10_000 if isinstance(error, GraphThrottled) else 300)
    logged = [json.loads(record.getMessage()) for record in caplog.records if "tenant_not_read" in record.getMessage()]
    assert [each["code"] for each in logged] == [after.error.failure.code]
    assert logged[0]["unread_s"] == pytest.approx((world.clock.now - before.read_at).total_seconds())  # type: ignore[operator]
    assert "secret" not in caplog.text


async def test_the_page_can_show_what_the_token_holds_when_the_permission_is_missing() -> None:
    world = World()
    world.source.answers.append(TenantRefused("graph_permission_missing", wanted=ROLE))
    world.source.token_roles = ("Organization.Read.All",)
    assert (await world.read_due()).roles == ("Organization.Read.All",)
    world.clock.advance(86_400)
    world.source.answers.append(TenantRefused("identity_missing"))
    world.source.token_roles = TenantRefused("identity_missing")
    without_token = await world.read_due()
    assert without_token.roles == ("Organization.Read.All",)
    assert without_token.roles_seen_at == world.clock.now - timedelta(days=1)


async def test_a_mistake_of_ours_in_looking_at_the_token_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.source.answers.append(TenantRefused("graph_permission_missing", wanted=ROLE))
    world.source.token_roles = ValueError("secret")
    after = await world.read_due()
    assert (after.status, after.roles, after.holder) == (TenantStatus.NO_PERMISSION, None, None)
    assert "unexpected_error" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("at", ["save_tenant", "save_tenant answers"])
async def test_a_mistake_of_ours_in_storing_the_tenant_leaves_no_trace_but_in_the_log(
    at: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()

    async def step(name: str) -> None:
        if name == at:
            raise ValueError("secret")

    world.tenants.writes._step = step
    await world.reading.read_due(world.tenant)
    assert "unexpected_error" in caplog.text
    assert "secret" not in caplog.text


async def test_storage_that_fails_says_nothing_about_the_tenant() -> None:
    world = World()
    await world.read_due()
    world.source.points["new"] = Decimal(1)
    world.store.writes.faults.append(WriteFault.NOT_CARRIED_OUT)
    after = await world.reading.read_now(world.tenant)
    assert after is not None
    assert after.status is TenantStatus.READABLE
    assert after.error is not None
    assert after.error.failure.code == "storage_unavailable"
    world.clock.advance(301)
    assert (await world.read_due()).error is None
    assert len(await world.store.list_actions(TENANT_ID)) == 3


WRITES = ("take", "texts and snapshots", "actions", "end")


@pytest.mark.parametrize("lost", range(len(WRITES)), ids=WRITES)
@pytest.mark.parametrize("fault", [WriteFault.NOT_CARRIED_OUT, WriteFault.ANSWER_LOST])
async def test_after_a_write_that_fails_a_later_reading_does_the_rest(lost: int, fault: WriteFault) -> None:
    world, passed = World(), 0

    def failing(writes: Writes) -> Step:
        async def step(name: str) -> None:
            nonlocal passed
            if name.endswith("answers"):
                return
            if passed == lost:
                writes.faults.append(fault)
            passed += 1

        return step

    for writes in (world.tenants.writes, world.store.writes):
        writes._step = failing(writes)
    await world.read_due()
    assert world.tenant.status in {None, TenantStatus.READABLE}, "our storage says nothing about the tenant"
    world.clock.advance(max(HOLD, FIRST_RETRY_AFTER).total_seconds() + 1)
    await world.read_due()
    assert await world.result() == await read_once()


async def test_whenever_a_host_dies_another_one_does_the_rest_when_its_hold_is_over() -> None:
    expected, deaths = await read_once(), 0
    for step in itertools.count(1):
        outcome = await asyncio.to_thread(read_after_death, step)
        if outcome is None:
            break
        assert outcome == expected, step
        deaths += 1
    assert deaths >= 2 * len(WRITES) + 2, "before and after each write, and while it reads"


def read_after_death(step: int) -> Result | None:
    """Return what is stored when a host has died at this step and another has read; None if the first has ended."""
    stage = Stage()
    world = World(step=stage.step)
    try:
        first = stage.start("host", world.reading.read_due(world.tenant))
        stage.go_on(first.number, step - 1)
        if first.task.done():
            return None
        stage.kill(first)
        if world.tenant.holder is not None:
            readings = len(world.source.readings)
            stage.run(world.reading.read_due(world.tenant))
            assert len(world.source.readings) == readings, "nobody else reads it while it is held"
        world.clock.advance(HOLD.total_seconds() + 1)
        stage.run(world.reading.read_due(world.tenant))
        return stage.run(world.result())  # type: ignore[no-any-return]
    finally:
        stage.close()


async def read_once() -> Result:
    """What is stored after a reading in which nothing goes wrong."""
    world = World()
    await world.read_due()
    return await world.result()


@pytest.mark.usefixtures("waits_end_at_once")
async def test_a_reading_that_takes_too_long_is_cut_off() -> None:
    world = World()
    world.source.answers.append(None)
    after = await world.read_due()
    assert after.error is not None
    assert after.error.failure.code == GraphTimeout().code
    assert (after.status, after.holder) == (TenantStatus.UNREADABLE, None)


@pytest.mark.usefixtures("waits_end_at_once")
async def test_nobody_waits_longer_than_a_request_may_take() -> None:
    world = World()
    world.source.answers.append(None)
    assert await world.reading.read_now(world.tenant) is None
    waiting = world.tenant
    assert (waiting.due_at, waiting.requested_at, waiting.holder) == (AT_ONCE, world.clock.now, None)
    assert (waiting.status, waiting.error) == (None, None)
    after = await world.read_due()
    assert (after.status, after.requested_at) == (TenantStatus.READABLE, None)
    assert after.due_at != AT_ONCE


async def test_a_process_that_was_paused_stores_nothing() -> None:
    world = World()

    async def pause() -> None:
        world.clock.advance(HOLD.total_seconds() + 60)
        other = TenantReading(
            world.tenants, world.store, MemorySource(world.clock), world.evidence, world.verification, world.clock
        )
        await other.read_due(world.tenant)
        world.source.points["stale"] = Decimal(1)

    world.while_reading(pause)
    after = await world.read_due()
    assert after.status is TenantStatus.READABLE
    assert "stale" not in {each.source_id for each in await world.store.list_actions(TENANT_ID)}


async def test_asking_during_a_reading_makes_another_one_follow() -> None:
    world = World()
    answers: list[Tenant | None] = []

    async def ask() -> None:
        answers.append(await world.reading.read_now(world.tenant))

    world.while_reading(ask)
    after = await world.read_due()
    assert answers == [None]
    assert (after.due_at, after.requested_at) == (AT_ONCE, world.clock.now)
    assert (await world.read_due()).requested_at is None
    assert len(world.source.readings) == 2


async def test_settings_that_are_saved_during_a_reading_stay() -> None:
    world = World()
    request = TenantRequest(name="Fabrikam", files_only=True)
    world.while_reading(lambda: world.configuration.put(TENANT_ID, request))
    after = await world.read_due()
    assert (after.name, after.due_at, after.status) == ("Fabrikam", None, TenantStatus.READABLE)


async def test_nothing_is_left_of_a_tenant_that_is_removed_during_a_reading() -> None:
    world = World()
    world.while_reading(lambda: world.configuration.remove(TENANT_ID))
    await world.reading.read_due(world.tenant)
    assert world.tenants.tenants == {}
    assert await world.store.list_actions(TENANT_ID) == []
    assert await world.store.list_snapshots(TENANT_ID) == []


async def test_nobody_waits_for_a_host_that_died() -> None:
    world = World()
    world.source.answers.append(None)
    task = asyncio.create_task(world.reading.read_due(world.tenant))
    while world.source.answers:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await world.read_due()
    assert len(world.source.readings) == 1
    world.clock.advance(HOLD.total_seconds() + 1)
    assert (await world.read_due()).status is TenantStatus.READABLE


@settings(max_examples=40)
@given(st.data())
def test_in_any_order_one_reads_at_a_time_and_no_change_is_lost(data: st.DataObject) -> None:
    """Two hosts, a person who asks for a reading, and an administrator who saves the form or removes the tenant."""
    stage = Stage()
    world = World(step=stage.step)
    removes = data.draw(st.booleans())
    reading_at_once = 0

    async def step(name: str) -> None:
        nonlocal reading_at_once
        if name == "read":
            reading_at_once += 1
            assert reading_at_once == 1
        await stage.step(name)
        if name == "roles":
            reading_at_once -= 1

    world.source._step = step
    start = world.tenant
    try:
        stage.start("timer", world.reading.read_due(start))
        stage.start("other timer", world.reading.read_due(start))
        stage.start("person", world.reading.read_now(start))
        change: Any = (
            world.configuration.remove(TENANT_ID)
            if removes
            else world.configuration.put(TENANT_ID, TenantRequest(name="Fabrikam"))
        )
        stage.start("administrator", change)
        while stage.living:
            stage.go_on(data.draw(st.sampled_from([each.actor for each in stage.waiting])), 1)
        stage.raise_unless((FixRequest,))
    finally:
        stage.close()
    assert removes or world.source.readings
    if removes:
        assert world.tenants.tenants == {}
        assert not world.store.actions.get(TENANT_ID)
    else:
        after = world.tenant
        assert (after.name, after.holder, after.status) == ("Fabrikam", None, TenantStatus.READABLE)
        assert (after.due_at == AT_ONCE) is (after.requested_at is not None)


# The tickets that are for the tenant's recommendations


def with_ticket(world: World) -> tuple[MemoryTicketStore, str]:
    """Give the world a ticket for a recommendation whose wait has been over for long."""
    reference = RecommendationReference(TENANT_ID, "secure_score", "mdo_safeattachments")
    tickets, claims = MemoryTicketStore(), MemoryClaimStore()
    ticket = delivered_ticket(world.clock() - timedelta(days=30), references=(reference,))
    before = Measurement(Decimal(0), Decimal(10), day=ticket.created_at.date())
    item = RecommendationOutcome(TENANT_ID, reference.key, before=before, outcome=Outcome.WAITING)
    closing = Closing(noticed_at=ticket.created_at, is_read=True)
    [stored] = tickets._put([(None, replace(ticket, verification=Verification(ticket.created_at, (item,), closing)))])
    claimed = ClaimedTicket(CONNECTION_ID, stored.ticket_id, stored.created_at)
    claims.claims[TENANT_ID, reference.key] = Claim(TENANT_ID, reference.key, (claimed,), etag="1")
    connections = MemoryConnectionStore(a_connection())
    verification = memory_verification(world.clock, claims=claims, tickets=tickets, connections=connections)
    world.reading = replace(world.reading, verification=verification)
    world.source.max_points = Decimal(10)
    return tickets, stored.ticket_id


def outcome_in(tickets: MemoryTicketStore, ticket_id: str) -> Outcome:
    verification = tickets.tickets[CONNECTION_ID][ticket_id].verification
    assert verification is not None
    return verification.outcome


async def test_a_reading_decides_what_became_of_tickets_with_two_requests() -> None:
    world = World()
    tickets, ticket_id = with_ticket(world)
    world.source.points["mdo_safeattachments"] = Decimal(10)
    await world.read_due()
    assert outcome_in(tickets, ticket_id) is Outcome.VERIFIED
    asked: list[str] = []

    async def step(name: str) -> None:
        asked.append(name)

    tickets._step = step
    world.reading.verification.claims._step = step  # type: ignore[attr-defined]
    await world.reading.read_now(world.tenant)
    assert asked == ["list_claims", "list_watched"]


async def test_a_reading_counts_although_its_tickets_could_not_be_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    tickets, ticket_id = with_ticket(world)
    failures: list[Exception] = [StorageUnavailable(), ValueError("a fault of ours")]

    async def step(name: str) -> None:
        if name == "list_watched" and failures:
            raise failures.pop()

    tickets._step = step
    world.source.points["mdo_safeattachments"] = Decimal(10)
    for _ in range(2):
        tenant = await world.reading.read_now(world.tenant)
        assert tenant is not None
        assert tenant.status is TenantStatus.READABLE
        assert outcome_in(tickets, ticket_id) is Outcome.WAITING
    assert "outcomes_not_checked" in caplog.text
    assert "unexpected_error" in caplog.text
    await world.reading.read_now(world.tenant)
    assert outcome_in(tickets, ticket_id) is Outcome.VERIFIED


async def test_a_tenant_counts_as_unreadable_after_two_days() -> None:
    world = World()
    tickets, ticket_id = with_ticket(world)
    world.tenants.tenants[TENANT_ID] = replace(world.tenant, read_at=world.clock())
    for days, outcome in [(1, Outcome.WAITING), (1, Outcome.UNKNOWN)]:
        world.clock.advance(timedelta(days=days).total_seconds())
        world.source.answers.append(GraphUnavailable())
        await world.read_due()
        assert outcome_in(tickets, ticket_id) is outcome
