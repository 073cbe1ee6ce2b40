"""Creation, delivery and synchronisation while everything goes wrong.

Actors (requests, timers, people who press "retry") run concurrently with a store and an instance that fail in every
possible way. Between any two steps of an actor, the test may let another one go on, let time pass, cancel an actor or
kill it. Whatever happens, no ticket gets a second record and none is forgotten.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.connections.directory import SyncState
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.turns import OpenSyncState, Turns
from shared.errors import FixConfiguration, FixRequest, Reauthorize, TryLater
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.tenants.companies import TenantCompanies
from shared.tickets.attempts import LEASE_S
from shared.tickets.create import TicketCreation
from shared.tickets.deliver import TicketDelivery
from shared.tickets.model import Delivery, Ticket
from shared.tickets.requests import read_ticket_request
from shared.tickets.search import TicketSearch
from shared.tickets.summary import Summary, SummaryChange
from shared.tickets.sync import TicketSync
from tests.memory import servicenow, ticket_store
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.idempotency_store import MemoryIdempotencyStore
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.recommendation_store import MemoryClaimStore
from tests.memory.steps import Actor, Stage
from tests.memory.tenant_store import MemoryTenantStore
from tests.unit.tickets.examples import CONNECTION_ID, REQUESTER, a_connection

REQUEST = read_ticket_request(
    {
        "kind": "incident",
        "portal": "security",
        "name": "Block legacy authentication",
        "priority": "high",
        "recommendation": {"source": "microsoft", "category": "identity"},
    }
)
EXPECTED = (FixRequest, FixConfiguration, TryLater, Reauthorize, asyncio.CancelledError)
"""The errors that a caller may get; anything else is a bug."""
ENOUGH_RUNS = 60
EXAMPLES = 120


STEPS = st.sampled_from([100, 100, 100, 1, 2, 4, 7, 0])
type Fault = servicenow.WriteFault | servicenow.ReadFault | ticket_store.WriteFault
FAULTS: st.SearchStrategy[Fault] = (
    st.sampled_from([servicenow.WriteFault.ANSWER_LOST, servicenow.WriteFault.COMMITTED_LATE])
    | st.sampled_from(servicenow.WriteFault)
    | st.sampled_from(servicenow.ReadFault)
    | st.sampled_from(ticket_store.WriteFault)
)

pytestmark = pytest.mark.timeout(420)
"""Hypothesis takes up to 300 s to shorten a failing example; without the example, a failure says nothing."""


class World(RuleBasedStateMachine):
    """A connection, its instance, and all that work on its tickets."""

    @initialize(honours_sys_id=st.booleans(), skew_s=st.sampled_from([0, -400, 400]))
    def begin(self, honours_sys_id: bool, skew_s: int) -> None:
        self.stage = Stage()
        step = self.stage.step
        self.clock = ManualClock()
        self.store = ticket_store.MemoryTicketStore(step)
        self.servicenow = servicenow.MemoryServiceNow(
            self.clock, skew=timedelta(seconds=skew_s), honours_sys_id=honours_sys_id, step=step
        )
        self.connections = MemoryConnectionStore(a_connection(), step=step)
        self.delivery = TicketDelivery(
            store=self.store,
            records=self.servicenow,
            requesters=MemoryRequesterDirectory(step=step),
            health=MemoryInstanceHealth(step),
            clock=self.clock,
            random=lambda: 0.5,
        )
        self.creation = TicketCreation(
            connections=self.connections,
            store=self.store,
            reservations=MemoryIdempotencyStore(step),
            search=TicketSearch(self.connections, self.store),
            claims=TicketClaims(MemoryClaimStore(step), self.store, self.connections, self.clock),
            turns=Turns(MemoryDirectory(step), self.connections, self.clock),
            delivery=self.delivery,
            companies=TenantCompanies(MemoryTenantStore(step=step), self.clock),
            clock=self.clock,
            sleep=lambda seconds: step("sleep"),
        )
        self.kept = OpenSyncState(SyncState())
        self.sync = TicketSync(
            store=self.store,
            records=self.servicenow,
            clock=self.clock,
            page_size=2,
        )
        self.creating: list[tuple[str | None, Actor]] = []
        self.syncing: Actor | None = None

    @property
    def connection(self) -> Connection:
        return self.connections.connections[CONNECTION_ID]

    @property
    def tickets(self) -> list[Ticket]:
        return list(self.store.tickets[CONNECTION_ID].values())

    # Few rules with much choice in each: hypothesis leaves out some of the rules in every example.

    @rule(who=st.sampled_from(["create", "timer", "timer", "retry", "sync"]), data=st.data(), steps=STEPS)
    def somebody_starts(self, who: str, data: st.DataObject, steps: int) -> None:
        self.clock.advance(0.01)
        deadline = self.clock() + timedelta(seconds=50)
        match who:
            case "timer":
                actor = self.stage.start(who, self.delivery.deliver_pending(self.connection, deadline=deadline))
            case "retry" if self.tickets:
                ticket = data.draw(st.sampled_from(self.tickets))
                actor = self.stage.start(who, self.delivery.retry(self.connection, ticket))
            case "sync" if self.syncing not in self.stage.living:
                actor = self.syncing = self.stage.start(
                    who, self.sync.run(self.connection, self.kept, deadline=deadline)
                )
            case _:
                key = data.draw(st.sampled_from([None, "key"]))
                request = self.creation.create(REQUEST, REQUESTER, caller="caller", idempotency_key=key)
                actor = self.stage.start(who, request)
                self.creating.append((key, actor))
        self.stage.go_on(actor.number, steps)

    @precondition(lambda self: self.stage.living)
    @rule(
        fate=st.sampled_from(["goes on", "goes on", "goes on", "is killed", "is cut off"]), data=st.data(), steps=STEPS
    )
    def somebody(self, fate: str, data: st.DataObject, steps: int) -> None:
        actor = data.draw(st.sampled_from(self.stage.living))
        match fate:
            case "is killed":
                self.stage.kill(actor)
            case "is cut off":
                self.stage.cancel(actor)
            case _:
                self.stage.go_on(actor.number, steps)

    @rule(seconds=st.sampled_from([66, LEASE_S + 1, 4000, 31, 10]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(fault=FAULTS, late_by_s=st.sampled_from([60.0, 45.0, 1.0]))
    def goes_wrong(self, fault: Fault, late_by_s: float) -> None:
        self.servicenow.late_by_s = late_by_s
        match fault:
            case servicenow.WriteFault():
                self.servicenow.write_faults.append(fault)
            case servicenow.ReadFault():
                self.servicenow.read_faults.append(fault)
            case ticket_store.WriteFault():
                self.store.faults.append(fault)

    @precondition(lambda self: self.servicenow.records)
    @rule(data=st.data(), state=st.sampled_from(["2", "3", "6"]))
    def agent_changes_a_record(self, data: st.DataObject, state: str) -> None:
        record = data.draw(st.sampled_from(self.servicenow.records))
        self.servicenow.change(record.sys_id, state=state)

    # Invariants

    @invariant()
    def no_ticket_has_a_second_record(self) -> None:
        for ticket in self.tickets:
            assert len(self.servicenow.records_of(ticket.ticket_id)) <= 1

    @invariant()
    def every_record_belongs_to_a_ticket(self) -> None:
        ids = {ticket.correlation_id for ticket in self.tickets}
        assert {record.correlation_id for record in self.servicenow.records} <= ids

    @invariant()
    def a_delivered_ticket_points_to_its_record(self) -> None:
        for ticket in self.tickets:
            if ticket.delivery.status is Delivery.DELIVERED:
                assert ticket.record is not None
                assert [each.sys_id for each in self.servicenow.records_of(ticket.ticket_id)] == [ticket.record.sys_id]
            else:
                assert ticket.record is None
                assert ticket.phase is None

    @invariant()
    def whoever_was_answered_has_a_ticket(self) -> None:
        for _, actor in self.creating:
            if actor.task.done() and not actor.task.cancelled() and actor.task.exception() is None:
                answered = actor.task.result().ticket
                assert answered.ticket_id in self.store.tickets[CONNECTION_ID]

    @invariant()
    def one_key_makes_one_ticket(self) -> None:
        answers = [
            actor.task.result().ticket.ticket_id
            for key, actor in self.creating
            if key is not None and actor.task.done() and not actor.task.cancelled() and actor.task.exception() is None
        ]
        assert len(set(answers)) <= 1

    @invariant()
    def nobody_hears_of_a_bug(self) -> None:
        self.stage.raise_unless(EXPECTED)

    def teardown(self) -> None:
        """In the end everything works again; then every ticket arrives or has been refused for good."""
        if not hasattr(self, "stage"):
            return
        try:
            self._calm_down()
        finally:
            self.stage.close()

    def _calm_down(self) -> None:
        for actor in self.stage.living:
            self.stage.kill(actor)
        self.servicenow.write_faults.clear()
        self.servicenow.read_faults.clear()
        self.store.faults.clear()
        connection = self.connection
        assert connection.status is ConnectionStatus.CONNECTED
        for _ in range(ENOUGH_RUNS):
            if all(ticket.delivery.status is not Delivery.PENDING for ticket in self.tickets):
                break
            self.clock.advance(3601)
            deadline = self.clock() + timedelta(seconds=50)
            self.stage.run(self.delivery.deliver_pending(connection, deadline=deadline))
        assert {ticket.delivery.status for ticket in self.tickets} <= {Delivery.DELIVERED, Delivery.FAILED}
        for ticket in self.tickets:
            if ticket.delivery.status is Delivery.FAILED:
                self.clock.advance(LEASE_S + 1)
                self.stage.run(self.delivery.retry(connection, ticket))
        for _ in range(2):
            self.clock.advance(300)
            self.stage.run(self.sync.run(connection, self.kept, deadline=self.clock() + timedelta(seconds=50)))
        self.no_ticket_has_a_second_record()
        self.a_delivered_ticket_points_to_its_record()
        for ticket in self.tickets:
            assert ticket.delivery.status is Delivery.DELIVERED
            assert ticket.record == self.servicenow.records_of(ticket.ticket_id)[0]
        recount = Summary().plus([SummaryChange.between([(None, ticket) for ticket in self.tickets])])
        assert self.stage.run(self.store.get_summary(CONNECTION_ID)) == recount


def test_nothing_is_lost_and_nothing_doubled() -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
