"""What is remembered of a test ticket, and what pages say before the first ticket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.check.preflight.model import Fate, Hint, Trial, TrialOutcome
from shared.check.preflight.run import Preflight
from shared.check.preflight.trial import settings_of
from shared.connections.columns import Column
from shared.connections.fixed_fields import FixedField
from shared.connections.model import Connection, ConnectionStatus, KindSettings, TicketKind
from shared.errors import (
    ConnectionNotAuthorized,
    InsufficientRights,
    MandatoryFieldsMissing,
    OutcomeUnknown,
    StorageUnavailable,
)
from shared.servicenow.fields import record_fields
from shared.tickets.deliver import begin_attempt, failed
from shared.tickets.model import Requester
from tests.memory.clock import START, ManualClock
from tests.memory.columns import MemoryColumns
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.probe import MemoryProbe
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
        self.columns = MemoryColumns({"cmdb_ci": Column("cmdb_ci", "Configuration item")})
        self.tickets = MemoryTicketStore()
        self.requesters = MemoryRequesterDirectory()
        self.trials = MemoryTrialStore()
        self.probe = MemoryProbe()
        self.preflight = Preflight(
            columns=self.columns,
            tickets=self.tickets,
            requesters=self.requesters,
            trials=self.trials,
            record_fields=record_fields,
            clock=ManualClock(),
        )

    async def try_out(self, connection: Connection) -> Trial:
        await self.preflight.try_out_and_remember(connection, [INCIDENT], self.probe, PERSON)
        return self.trials.trials[connection.connection_id, INCIDENT]


@pytest.fixture
def world() -> Surrounded:
    return Surrounded()


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
