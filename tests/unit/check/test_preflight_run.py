"""What is remembered of a test ticket, and what pages say before the first ticket."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shared.check.preflight.model import Fate, Hint, Trial, TrialOutcome
from shared.check.preflight.run import MAY_APPEAR, MOST_LEFT_BEHIND, NAMED_FOR, TEST_TICKETS, Preflight
from shared.check.preflight.trial import settings_of
from shared.connections.columns import Column
from shared.connections.fixed_fields import FixedField
from shared.connections.grant.lease import Lease
from shared.connections.model import Connection, ConnectionStatus, KindSettings, TicketKind
from shared.errors import (
    ConnectionNotAuthorized,
    InsufficientRights,
    MandatoryFieldsMissing,
    OutcomeUnknown,
    StorageUnavailable,
    TryLater,
)
from shared.servicenow.fields import record_fields
from shared.tenants.companies import TenantCompanies
from shared.tenants.model import Tenant
from shared.tickets.deliver import begin_attempt, failed
from shared.tickets.model import Requester
from tests.memory.clock import START, ManualClock
from tests.memory.columns import MemoryColumns
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.probe import HANGS, MemoryProbe
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.trial_store import MemoryTrialStore
from tests.unit.tickets.examples import CONNECTION_ID, a_connection, delivered_ticket, new_ticket

INCIDENT = TicketKind.INCIDENT
PERSON = Requester(id="object-id", name="Adele Vance", email="adele@contoso.com")
MISSING = MandatoryFieldsMissing(variant="named", names="Configuration item")


@pytest.fixture
def connection() -> Connection:
    return a_connection()


class Surrounded:
    """A pre-flight and everything that it asks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.leases = MemoryLeaseStore(self.clock)
        self.columns = MemoryColumns({"cmdb_ci": Column("cmdb_ci", "Configuration item")})
        self.tickets = MemoryTicketStore()
        self.tenants = MemoryTenantStore()
        self.requesters = MemoryRequesterDirectory()
        self.trials = MemoryTrialStore()
        self.probe = MemoryProbe()
        self.preflight = Preflight(
            columns=self.columns,
            tickets=self.tickets,
            requesters=self.requesters,
            trials=self.trials,
            record_fields=record_fields,
            companies=TenantCompanies(self.tenants, self.clock),
            lease=Lease(self.leases, TEST_TICKETS, sleep=self.wait),
            clock=self.clock,
        )

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def try_out(self, connection: Connection) -> Trial:
        await self.preflight.try_out_unless_just_done(connection, [INCIDENT], self.probe, PERSON)
        return self.trials.trials[connection.connection_id, INCIDENT]


@pytest.fixture
def world() -> Surrounded:
    return Surrounded()


async def test_a_test_ticket_has_the_company_of_the_tenants(world: Surrounded, connection: Connection) -> None:
    tenant = Tenant("0c0ffee0-0000-4000-8000-000000000001", "Contoso", connection.connection_id, "c" * 32)
    await world.tenants.save_tenant(tenant)
    trial = await world.try_out(connection)
    assert "company" in {each.column for each in trial.fields}


async def test_nothing_is_remembered_that_is_nobodys_business(world: Surrounded, connection: Connection) -> None:
    world.probe.changes = {"description": "something else", "short_description": "other", "urgency": "1"}
    trial = await world.try_out(connection)
    assert {each.column: (each.fate, each.value) for each in trial.fields if each.fate is not Fate.FINE} == {
        "description": (Fate.CHANGED, ""),
        "short_description": (Fate.CHANGED, ""),
        "urgency": (Fate.CHANGED, "1"),
    }
    assert PERSON.name not in str(trial)
    assert trial.tried_at == START


@pytest.mark.parametrize(
    ("mishap", "outcome"),
    [
        (MISSING, TrialOutcome.REFUSED),
        (InsufficientRights(), TrialOutcome.FAILED),
        (OutcomeUnknown(), TrialOutcome.UNKNOWN),
    ],
)
async def test_what_went_wrong(
    world: Surrounded, connection: Connection, mishap: Exception, outcome: TrialOutcome
) -> None:
    world.probe.mishaps["create_marked"] = mishap
    trial = await world.try_out(connection)
    assert (trial.outcome, trial.number, bool(trial.sys_id)) == (outcome, "", True)
    assert [each.column for each in trial.refused] == (["cmdb_ci"] if outcome is TrialOutcome.REFUSED else [])


async def test_the_address_is_not_asked_for_where_it_is_not_shared(world: Surrounded, connection: Connection) -> None:
    world.requesters.users = {"adele@contoso.com": "f" * 32}
    await world.try_out(replace(connection, shares_requester=False))
    [kept] = world.probe.found.values()
    assert "caller_id" not in kept.values
    assert "adele" not in kept.values["description"]


async def test_without_a_consent_nothing_is_asked(world: Surrounded, connection: Connection) -> None:
    bare = replace(connection, consented_at=None, status=ConnectionStatus.AWAITING_AUTHORIZATION)
    with pytest.raises(ConnectionNotAuthorized):
        await world.try_out(bare)
    outlooks = await world.preflight.look(bare, world.probe, PERSON)
    assert world.probe.asked == []
    assert {each.fate for outlook in outlooks for each in outlook.fields} == {Fate.NOT_KNOWN}


async def test_an_instance_that_does_not_answer_is_not_known(world: Surrounded, connection: Connection) -> None:
    world.columns.error = InsufficientRights()
    world.probe.mishaps["data_policies"] = InsufficientRights()
    [outlook, _] = await world.preflight.look(connection, world.probe, PERSON)
    assert (outlook.columns_readable, outlook.policies_readable) == (False, False)
    world.trials.error = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await world.preflight.look(connection, world.probe, PERSON)


class TestInterrupted:
    """Wherever the making of a test ticket is interrupted, it is named, and the next one begins with canceling it."""

    @pytest.mark.parametrize("step", ["create_marked", "find_marked", "visible", "cancel_marked"])
    async def test_a_test_ticket_that_was_interrupted_is_named_and_canceled_by_the_next(
        self, world: Surrounded, connection: Connection, step: str
    ) -> None:
        world.probe.loses_answers = True
        world.probe.mishaps[step] = HANGS
        making = asyncio.create_task(world.try_out(connection))
        while step not in world.probe.asked:
            await asyncio.sleep(0)
        making.cancel()
        await asyncio.wait({making})
        [left] = world.probe.records
        trial = world.trials.trials[connection.connection_id, INCIDENT]
        assert [each.sys_id for each in trial.may_be_open] == [left]
        world.probe.mishaps.clear()
        world.probe.loses_answers = False
        after = await world.try_out(connection)
        assert list(world.probe.records.values()) == [True, True]
        assert (after.outcome, after.may_be_open) == (TrialOutcome.ACCEPTED, ())

    async def test_one_that_cannot_be_canceled_is_named_until_it_is_closed(
        self, world: Surrounded, connection: Connection
    ) -> None:
        world.probe.mishaps["cancel_marked"] = InsufficientRights()
        first = await world.try_out(connection)
        second = await world.try_out(connection)
        assert [each.number for each in second.may_be_open] == [second.number, first.number]
        world.probe.closed_by_people.update(world.probe.records)
        third = await world.try_out(connection)
        assert [each.number for each in third.may_be_open] == [third.number]
        world.probe.mishaps.clear()
        assert (await world.try_out(connection)).may_be_open == ()

    async def test_one_that_the_instance_hides_is_named_for_a_while(
        self, world: Surrounded, connection: Connection
    ) -> None:
        world.probe.mishaps["cancel_marked"] = InsufficientRights()
        first = await world.try_out(connection)
        world.probe.mishaps.clear()
        del world.probe.found[first.sys_id]
        assert [each.number for each in (await world.try_out(connection)).may_be_open] == [first.number]
        world.clock.advance(NAMED_FOR.total_seconds())
        assert (await world.try_out(connection)).may_be_open == ()

    async def test_one_that_a_person_has_closed_is_left_alone(self, world: Surrounded, connection: Connection) -> None:
        world.probe.mishaps["cancel_marked"] = InsufficientRights()
        first = await world.try_out(connection)
        world.probe.mishaps.clear()
        world.probe.closed_by_people.add(first.sys_id)
        await world.try_out(connection)
        assert world.probe.records[first.sys_id] is False, "nobody has canceled it again"

    async def test_one_that_may_still_appear_is_not_forgotten(self, world: Surrounded, connection: Connection) -> None:
        world.probe.mishaps["create_marked"] = OutcomeUnknown()
        first = await world.try_out(connection)
        world.probe.mishaps.clear()
        second = await world.try_out(connection)
        assert [each.sys_id for each in second.may_be_open] == [first.sys_id]
        world.clock.advance(MAY_APPEAR.total_seconds())
        assert (await world.try_out(connection)).may_be_open == ()

    async def test_one_on_another_instance_is_neither_looked_for_nor_forgotten(
        self, world: Surrounded, connection: Connection
    ) -> None:
        world.probe.mishaps["cancel_marked"] = InsufficientRights()
        first = await world.try_out(connection)
        world.probe.mishaps.clear()
        second = await world.try_out(replace(connection, instance="https://fabrikam.service-now.com"))
        assert [each.number for each in second.may_be_open] == [first.number]

    async def test_how_many_are_named_is_bounded(self, world: Surrounded, connection: Connection) -> None:
        world.probe.mishaps["cancel_marked"] = InsufficientRights()
        for _ in range(MOST_LEFT_BEHIND + 3):
            trial = await world.try_out(connection)
        assert len(trial.left_behind) == MOST_LEFT_BEHIND

    async def test_one_that_cannot_be_remembered_is_not_created(
        self, world: Surrounded, connection: Connection
    ) -> None:
        world.trials.unwritable = True
        with pytest.raises(StorageUnavailable):
            await world.try_out(connection)
        assert world.probe.records == {}


class TestSeveralPeople:
    """Two people who press the button at once get one test ticket."""

    async def test_two_at_once_make_one(self, world: Surrounded, connection: Connection) -> None:
        await asyncio.gather(world.try_out(connection), world.try_out(connection))
        assert list(world.probe.records.values()) == [True]
        await world.try_out(connection)
        assert len(world.probe.records) == 2, "one after the other, each gets one"

    async def test_whoever_waited_for_a_host_that_died_makes_one(
        self, world: Surrounded, connection: Connection
    ) -> None:
        await world.leases.acquire_lease(connection.connection_id, TEST_TICKETS, duration_s=10)
        assert (await world.try_out(connection)).outcome is TrialOutcome.ACCEPTED

    async def test_whoever_waited_too_long_is_told(self, world: Surrounded, connection: Connection) -> None:
        await world.leases.acquire_lease(connection.connection_id, TEST_TICKETS, duration_s=30)
        with pytest.raises(TryLater) as caught:
            await world.try_out(connection)
        assert caught.value.code == "connection_busy"


class TestHints:
    """Before the first ticket of a kind."""

    async def hint(self, world: Surrounded, connection: Connection) -> tuple[Hint, list[str]] | None:
        found = await world.preflight.hint(connection, INCIDENT)
        return None if found is None else (found.hint, list(found.names))

    async def test_nobody_has_tried(self, world: Surrounded, connection: Connection) -> None:
        assert await self.hint(world, connection) == (Hint.UNTRIED, [])

    async def test_a_delivered_ticket_proves_enough(self, world: Surrounded, connection: Connection) -> None:
        await world.tickets.create_ticket(delivered_ticket(START))
        assert await self.hint(world, connection) is None

    async def test_a_refused_ticket(self, world: Surrounded, connection: Connection) -> None:
        await world.tickets.create_ticket(
            failed(begin_attempt(new_ticket(START), START), MISSING, START, unknown=False)
        )
        assert await self.hint(world, connection) == (Hint.REFUSED, ["Configuration item"])

    async def test_a_refused_test_ticket(self, world: Surrounded, connection: Connection) -> None:
        world.probe.mishaps["create_marked"] = MISSING
        await world.try_out(connection)
        assert await self.hint(world, connection) == (Hint.REFUSED, ["Configuration item (cmdb_ci)"])

    async def test_an_accepted_test_ticket(self, world: Surrounded, connection: Connection) -> None:
        await world.try_out(connection)
        assert await self.hint(world, connection) is None
        assert "create_marked" in world.probe.asked

    async def test_a_test_ticket_with_older_settings(self, world: Surrounded, connection: Connection) -> None:
        await world.try_out(connection)
        settings = KindSettings(fixed_fields=(FixedField("contact_type", "monitoring"),))
        changed = replace(connection, kinds={**connection.kinds, INCIDENT: settings})
        assert await self.hint(world, changed) == (Hint.OLDER, [])

    async def test_a_test_ticket_that_says_nothing(self, world: Surrounded, connection: Connection) -> None:
        world.probe.mishaps["create_marked"] = OutcomeUnknown()
        await world.try_out(connection)
        assert await self.hint(world, connection) == (Hint.UNTRIED, [])


def test_only_deciding_settings_make_a_result_older(connection: Connection) -> None:
    assert connection.connection_id == CONNECTION_ID
    before = settings_of(connection, INCIDENT)
    named = replace(connection.kinds[INCIDENT], state_names={"1": "Open"})
    same = replace(connection, display_name="Other", kinds={**connection.kinds, INCIDENT: named})
    assert settings_of(same, INCIDENT) == before
    for changed in (
        replace(connection, instance="https://other.service-now.com"),
        replace(connection, integration_user="somebody"),
        replace(connection, shares_requester=False),
        replace(connection, kinds={**connection.kinds, INCIDENT: replace(named, category="network")}),
    ):
        assert settings_of(changed, INCIDENT) != before
