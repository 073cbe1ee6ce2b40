"""One run of the timer on a host whose clock is a day ahead stops nothing and delays nothing on the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import CLOCKS_DIFFER, believed
from shared.connections.directory import SyncState
from shared.connections.grant.authorize import ConnectionAuthorization
from shared.connections.grant.lease import TOKENS, Lease
from shared.connections.grant.secret_renewal import SecretRenewal
from shared.connections.grant.tokens import AccessTokens, is_refresh_due
from shared.connections.model import ConnectionStatus, LastError
from shared.connections.status import ConnectionHealth
from shared.errors import Failure
from shared.maintenance.run import Maintenance
from shared.recommendations.files.last_file import missing_from_last_file
from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.ports import Reading
from shared.recommendations.reading.changes import changes_of
from shared.recommendations.reading.read import TenantReading
from shared.tenants.model import LATEST_DUE, Tenant
from shared.tickets.attempts import LEASE, LEASE_S, LONGEST_WAIT
from shared.tickets.deliver import begin_attempt, is_deliverable
from shared.tickets.model import Delivery, Ticket
from shared.tickets.reconcile import is_reconciliation_due
from shared.tickets.summary import FOLD_AFTER, Summary
from shared.tickets.sync import completed, first_bound, is_sync_due
from shared.tickets.wrong_times import without_wrong_times
from tests.memory.clock import START, ManualClock
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.maintenance import memory_maintenance
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.servicenow import MemoryServiceNow, WriteFault
from tests.memory.source import MemorySource
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.verification import memory_verification
from tests.unit.connections.surroundings import INTEGRATION_USER, SECRET_LIFETIME, Surroundings
from tests.unit.tickets.examples import new_ticket

DAY = timedelta(days=1)
TOMORROW = START + DAY
INTERVAL_S = 300.0


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)), st.timedeltas(timedelta(), timedelta(days=2)))
def test_a_time_is_believed_unless_it_lies_further_ahead_than_it_can(off: timedelta, ahead: timedelta) -> None:
    found = believed(START + off, START, ahead=ahead)
    assert found == (START + off if off <= ahead + CLOCKS_DIFFER else None)


def test_a_synchronisation_that_began_tomorrow_is_none() -> None:
    assert is_sync_due(SyncState(last_started_at=TOMORROW), START, INTERVAL_S)
    assert not is_sync_due(SyncState(last_started_at=START + timedelta(seconds=30)), START, INTERVAL_S)


def test_a_watermark_is_settled_only_by_times_that_have_passed() -> None:
    old = START - timedelta(hours=1)
    state = SyncState(watermark="2026-03-02 09:00:00", watermark_seen_at=old, last_completed_at=START)
    assert first_bound(state, START) == ("2026-03-02 09:00:00", False)
    for wrong in (replace(state, last_completed_at=TOMORROW), replace(state, watermark_seen_at=TOMORROW)):
        assert first_bound(wrong, START)[1], "late records are read"
        healed = completed(wrong, None, START, START)
        assert healed.last_completed_at == START
        assert healed.watermark_seen_at is not None
        assert healed.watermark_seen_at <= START


def test_a_comparison_is_neither_done_nor_put_off_tomorrow() -> None:
    at = time(2, 0)
    assert is_reconciliation_due(SyncState(reconciled_at=TOMORROW), START, at)
    assert is_reconciliation_due(SyncState(reconcile_again_at=TOMORROW), START, at)
    assert not is_reconciliation_due(SyncState(reconcile_again_at=START + timedelta(hours=1)), START, at)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=1), timedelta(minutes=2), DAY])
def test_a_ticket_waits_no_longer_than_it_can_have_been_meant_to(ahead: timedelta) -> None:
    def own(ticket: Ticket) -> Ticket:
        return without_wrong_times(ticket, START)

    wrong = begin_attempt(new_ticket(START), START + ahead)
    known = ahead <= CLOCKS_DIFFER
    assert (own(wrong) is wrong) is known
    leased_until_at = own(wrong).delivery.leased_until_at
    assert leased_until_at is not None
    assert leased_until_at <= START + LEASE + CLOCKS_DIFFER, "the holder keeps it for a whole lease"
    assert leased_until_at >= START + LEASE
    waiting = replace(wrong, delivery=replace(wrong.delivery, leased_until_at=None, next_attempt_at=START + ahead * 61))
    assert is_deliverable(own(waiting), START) is (ahead * 61 > LONGEST_WAIT + CLOCKS_DIFFER or not ahead)


def test_minutes_are_merged_only_when_they_are_over_for_everybody() -> None:
    due = {("incident", "2026-03-02T12:00"): 1}
    assert Summary(due=due).folded(START + FOLD_AFTER - timedelta(hours=1)).due == due


TENANT_ID = "11111111-aaaa-4bbb-8ccc-000000000001"
ACTION = ImprovementAction(TENANT_ID, SourceName.SECURE_SCORE, "AdminMFAV2", "Require MFA")


@pytest.mark.parametrize(
    "stored",
    [
        replace(ACTION, file_at=TOMORROW, first_seen_at=TOMORROW, seen_at=TOMORROW),
        replace(ACTION, first_seen_at=TOMORROW, seen_at=TOMORROW),
    ],
)
def test_what_was_seen_tomorrow_keeps_no_file_out(stored: ImprovementAction) -> None:
    """Neither a file that was imported tomorrow, nor a reading of tomorrow."""
    said = replace(ACTION, has_licence=True, file_at=START)
    file = Reading(SourceName.SECURE_SCORE, is_complete=False, actions=[said])
    (row,) = changes_of([stored], file, START).rows
    assert (row.has_licence, row.file_at, row.seen_at) == (True, START, START)


def test_a_reading_heals_when_something_was_seen() -> None:
    stored = replace(ACTION, first_seen_at=TOMORROW, seen_at=TOMORROW)
    (row,) = changes_of([stored], Reading(SourceName.SECURE_SCORE, is_complete=True, actions=[ACTION]), START).rows
    assert (row.first_seen_at, row.seen_at) == (START, START)


def test_the_last_file_is_not_the_one_of_tomorrow() -> None:
    known, lost = replace(ACTION, file_at=START), replace(ACTION, source_id="lost", file_at=TOMORROW)
    assert missing_from_last_file([known, lost], START) == [lost]
    assert missing_from_last_file([lost], START) == []


@pytest.mark.parametrize("fails", [False, True])
async def test_tenants_are_read_as_if_it_had_never_run(fails: bool) -> None:
    """It takes the tenant, plans the next reading, or dies while it reads."""
    right, wrong = ManualClock(START), ManualClock(TOMORROW)
    tenants, store = MemoryTenantStore(Tenant(TENANT_ID, "Contoso", due_at=START)), MemoryRecommendationStore()
    sources = {clock: MemorySource(clock) for clock in (right, wrong)}
    evidence = MemoryEvidenceStore()
    readings = {
        clock: TenantReading(tenants, store, source, evidence, memory_verification(clock), clock)
        for clock, source in sources.items()
    }
    if fails:
        sources[wrong].answers.append(ValueError())
    await readings[wrong].read_due(tenants.tenants[TENANT_ID])
    assert tenants.tenants[TENANT_ID].holder is None
    await readings[right].read_due(tenants.tenants[TENANT_ID])
    after = tenants.tenants[TENANT_ID]
    assert (after.read_at, after.error) == (START, None)
    assert after.due_at is not None
    assert START < after.due_at <= START + LATEST_DUE
    held = replace(after, due_at=TOMORROW, requested_at=TOMORROW, holder="wrong", held_until_at=wrong.now)
    await tenants.save_tenant(held)
    await readings[right].read_due(tenants.tenants[TENANT_ID])
    assert tenants.tenants[TENANT_ID].holder is None
    assert tenants.tenants[TENANT_ID].requested_at is None
    assert len(sources[right].readings) == 2


class Hosts:
    """Hosts with their own clocks and the same stores."""

    def __init__(self) -> None:
        self.app = Surroundings()
        self.tickets = MemoryTicketStore()
        self.servicenow = MemoryServiceNow(self.app.clock)
        self.right = self._host(self.app.clock)
        self.wrong_clock = ManualClock(self.app.clock.now + DAY)
        self.wrong = self._host(self.wrong_clock)

    def _host(self, clock: ManualClock) -> Maintenance:
        app = self.app
        leases = MemoryLeaseStore(clock, leases=app.leases.leases)
        health = ConnectionHealth(app.store, clock)
        token_lease = Lease(leases, TOKENS, app.sleep)
        tokens = AccessTokens(
            connections=app.store,
            lease=token_lease,
            secrets=app.secrets,
            requests=replace(app.requests, clock=clock),
            health=health,
            clock=clock,
        )
        return memory_maintenance(
            connections=app.store,
            directory=app.directory,
            authorizations=app.authorizations,
            tokens=tokens,
            renewal=SecretRenewal(app.store, app.secrets, token_lease, clock, SECRET_LIFETIME),
            health=health,
            store=self.tickets,
            servicenow=self.servicenow,
            clock=clock,
        )

    async def minutes_pass(self, minutes: float) -> None:
        """Let time pass, with the timer of the host whose clock is right."""
        for _ in range(int(minutes)):
            self.app.clock.advance(60)
            self.wrong_clock.advance(60)
            await self.right.run()

    async def create(self) -> Ticket:
        return await self.tickets.create_ticket(new_ticket(self.app.clock.now))

    def stored(self, ticket: Ticket) -> Ticket:
        return self.tickets.tickets[ticket.connection_id][ticket.ticket_id]


@pytest.fixture
async def hosts() -> Hosts:
    hosts = Hosts()
    await hosts.app.connected()
    await hosts.minutes_pass(6)
    return hosts


async def test_the_synchronisation_goes_on(hosts: Hosts) -> None:
    ticket = await hosts.create()
    await hosts.minutes_pass(6)
    await hosts.wrong.run()
    hosts.servicenow.change(ticket.ticket_id, state="2")
    await hosts.minutes_pass(INTERVAL_S / 60 + 1)
    record = hosts.stored(ticket).record
    assert record is not None
    assert record.state == "2"


@pytest.mark.parametrize("fault", list(WriteFault))
async def test_a_ticket_that_it_had_is_delivered(hosts: Hosts, fault: WriteFault) -> None:
    ticket = await hosts.create()
    hosts.servicenow.write_faults.append(fault)
    await hosts.wrong.run()
    await hosts.minutes_pass(LEASE_S / 60 + 3)
    stored = hosts.stored(ticket)
    refused = {WriteFault.VALUES_REFUSED}
    assert stored.delivery.status is (Delivery.FAILED if fault in refused else Delivery.DELIVERED)
    assert len(hosts.servicenow.records_of(ticket.ticket_id)) == (fault not in refused)


async def test_the_tokens_that_it_got_are_not_used_past_their_end(hosts: Hosts) -> None:
    await hosts.wrong.run()
    stored = hosts.app.stored()
    assert is_refresh_due(stored, hosts.app.clock.now)
    await hosts.minutes_pass(90)
    stored = hosts.app.stored()
    assert stored.status is ConnectionStatus.CONNECTED
    assert hosts.app.servicenow.accepts(await hosts.right.work.tokens.access_token(stored))
    refreshes = hosts.app.servicenow.refreshes
    await hosts.minutes_pass(5)
    assert hosts.app.servicenow.refreshes <= refreshes + 1


async def test_a_lease_with_which_it_died_holds_nobody_up(hosts: Hosts) -> None:
    leases = hosts.app.leases.leases
    await MemoryLeaseStore(hosts.wrong_clock, leases=leases).acquire_lease("contoso", TOKENS, duration_s=30)
    before = hosts.app.clock.now
    async with hosts.app.lease.held("contoso"):
        assert hosts.app.clock.now == before


async def test_a_turn_with_which_it_died_holds_nobody_up(hosts: Hosts) -> None:
    directory, served_at = hosts.app.directory, hosts.app.clock.now
    entry = directory.entries["contoso"]
    ends_at = hosts.wrong_clock.now + timedelta(seconds=30)
    await directory.save_entry(replace(entry, holder="wrong", held_until_at=ends_at, due_at=ends_at))
    await hosts.minutes_pass(1)
    after = directory.entries["contoso"]
    assert (after.holder, after.served_at) == (None, served_at + timedelta(minutes=1))


async def test_an_authorization_under_way_can_be_completed(hosts: Hosts) -> None:
    start, cookies = await hosts.app.begun()
    parameters = hosts.app.servicenow.consent(start.location, INTEGRATION_USER)
    await hosts.wrong.run()
    authorization: ConnectionAuthorization = hosts.app.authorization
    assert (await authorization.complete(parameters, cookies)).status is ConnectionStatus.CONNECTED


@pytest.mark.parametrize("error_at", [TOMORROW, START])
async def test_a_failure_of_tomorrow_is_not_todays(hosts: Hosts, error_at: datetime) -> None:
    """A caller that waited for the lease gets its result, not what a wrong clock wrote."""
    app = hosts.app
    error = LastError(Failure("servicenow_unavailable"), error_at)
    failing = replace(app.stored(), status=ConnectionStatus.UNAVAILABLE, last_error=error)
    stored = await app.store.update_connection(failing)
    await app.leases.acquire_lease("contoso", TOKENS, duration_s=5)
    assert (await app.tokens.refresh(stored)).status is ConnectionStatus.CONNECTED
