"""The lists of a connection's tickets while hosts write, fold, read, check and break down, in any order.

Blocks, pages and transactions are small, so that blocks are divided and a reading takes several answers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.data.tables import TransactionOperation, UpdateMode
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from shared.storage import listed_rows, listed_series, tables, ticket_counts, ticket_lists
from shared.storage.entity_transactions import RowOperation
from shared.storage.ticket_rows import summary_change_row, ticket_of, ticket_row
from shared.storage.tickets import AzureTicketStore
from shared.tickets.listed import ListedTicket, listed
from shared.tickets.model import Phase, RecommendationReference, Ticket
from shared.tickets.outcomes import Outcome, RecommendationOutcome, Verification
from shared.tickets.ports import TicketFilter
from shared.tickets.record_effects import delivered, with_record
from shared.tickets.summary import SummaryChange
from tests.memory.clock import START
from tests.memory.servicenow import as_shown
from tests.memory.steps import Actor, Stage
from tests.memory.table import MemoryTable
from tests.releases.release_0_1 import ticket_rows as old_rows
from tests.releases.stored_rows import StoredRow
from tests.unit.tickets.examples import CONNECTION_ID, new_ticket, record_for

STEPS = st.sampled_from([100, 100, 1, 2, 3, 5, 8])
STATES = {"1": Phase.NEW, "2": Phase.IN_PROGRESS, "6": Phase.RESOLVED, "7": Phase.CLOSED}
ITEM = RecommendationOutcome("t", "k", outcome=Outcome.WAITING)
pytestmark = pytest.mark.timeout(420)


class Lists(RuleBasedStateMachine):
    """A connection's partition and the hosts that use it."""

    @initialize(page_rows=st.sampled_from([1000, 5]), has_release_0_1=st.sampled_from([False, False, True]))
    def begin(self, page_rows: int, has_release_0_1: bool) -> None:
        self.stage = Stage()
        self.table = MemoryTable(self.stage.step, page_rows=page_rows)
        self.table.written = self.note
        self.store: Any = AzureTicketStore(self.table, self.table)  # type: ignore[arg-type]
        self.created = 0
        self.has_release_0_1 = has_release_0_1
        self.versions: defaultdict[str, list[ListedTicket]] = defaultdict(list)
        self.readings: list[tuple[Actor, dict[str, int], bool]] = []

    def note(self, row: StoredRow) -> None:
        if ":" not in row["RowKey"] and row["RowKey"] != "summary":
            self.versions[row["RowKey"]].append(listed(ticket_of(row, None)))

    @property
    def tickets(self) -> list[Ticket]:
        rows = (self.table.rows[CONNECTION_ID, each] for each in sorted(self.versions))
        return [ticket_of(row, row.metadata["etag"]) for row in rows]

    @property
    def now(self) -> list[ListedTicket]:
        return [listed(each) for each in self.tickets]

    # What happens

    @rule(count=st.integers(1, 4), steps=STEPS)
    def create(self, count: int, steps: int) -> None:
        made = []
        for _ in range(count):
            self.created += 1
            references = (RecommendationReference("t", "secure_score", f"id-{self.created}"),)
            ticket = new_ticket(START + timedelta(seconds=self.created), references=references)
            made.append(replace(ticket, verification=Verification(START, (RecommendationOutcome("t", "k"),))))
        self.start(self.store.create_tickets(made), steps)

    @rule(data=st.data(), state=st.sampled_from(sorted(STATES)), outcome=st.sampled_from(Outcome), steps=STEPS)
    def update(self, data: st.DataObject, state: str, outcome: Outcome, steps: int) -> None:
        if not (ids := sorted(self.versions)):
            return
        chosen = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=6, unique=True))

        async def write() -> None:
            found = await self.store.get_tickets(CONNECTION_ID, chosen, whole=False)
            changes = [(each, changed(each, state, outcome)) for each in found.values()]
            await self.store.update_tickets(changes)

        self.start(write(), steps)

    @rule(what=st.sampled_from(["fold", "fold", "check", "read current", "read every"]), steps=STEPS)
    def work(self, what: str, steps: int) -> None:
        match what:
            case "fold":
                self.start(self.store.compact_summary(CONNECTION_ID, START), steps)
            case "check":
                self.start(self.store.check_lists(CONNECTION_ID, START), steps)
            case _ if not self.has_release_0_1:
                before = {ticket_id: len(versions) - 1 for ticket_id, versions in self.versions.items()}
                is_every = what == "read every"
                read = self.store.list_every if is_every else self.store.list_current
                self.readings.append((self.start(read([CONNECTION_ID]), steps), before, is_every))

    @rule(data=st.data(), what=st.sampled_from(["go on"] * 6 + ["break down", "answer", "release 0.1"]), steps=STEPS)
    def happens(self, data: st.DataObject, what: str, steps: int) -> None:
        living = self.stage.living
        match what:
            case "go on" if living:
                self.stage.go_on(data.draw(st.sampled_from(living)).number, steps)
            case "break down" if living:
                self.stage.kill(data.draw(st.sampled_from(living)))
            case "answer":
                self.table.repeats = 1
            case "release 0.1" if self.has_release_0_1:
                self.release_0_1_writes(data)

    def release_0_1_writes(self, data: st.DataObject) -> None:
        """It knows no revision: a merge keeps it, and a replacement loses it, as everything that it does not know."""
        tickets = [ticket for ticket in self.tickets if ticket.phase is not None]
        before = data.draw(st.none() | st.sampled_from(tickets)) if tickets else None
        self.created += 1
        base = before or delivered_one(START + timedelta(seconds=self.created))
        after = changed(base, data.draw(st.sampled_from(sorted(STATES))), None)
        row = old_rows.ticket_row(old_rows.ticket_of(StoredRow(ticket_row(after)), None))
        change = summary_change_row(CONNECTION_ID, f"{self.created:04}", SummaryChange.between([(before, after)]))
        mode = data.draw(st.sampled_from([UpdateMode.REPLACE, UpdateMode.MERGE]))
        self.table.apply(
            [
                RowOperation(TransactionOperation.UPSERT, row, mode),
                RowOperation(TransactionOperation.CREATE, change),
            ]
        )

    def start(self, coroutine: Any, steps: int) -> Actor:
        actor = self.stage.start("host", coroutine)
        self.stage.go_on(actor.number, steps)
        return actor

    # What must be true

    @invariant()
    def lists_are_right(self) -> None:
        self.stage.raise_unless((asyncio.CancelledError,))
        for reading in list(self.readings):
            if reading[0].task.done():
                self.readings.remove(reading)
                self.compare(*reading)
        if not self.has_release_0_1:
            self.compare_now()

    def compare(self, actor: Actor, before: dict[str, int], is_every: bool) -> None:
        """Compare what a reading found with what there was while it read."""
        result = actor.task.result()
        found = {each.ticket_id: each for each in (result if is_every else result[0].tickets)}
        for ticket_id, number in before.items():
            meanwhile = self.versions[ticket_id][number:]
            wanted = [each for each in meanwhile if is_every or each.is_current]
            assert ticket_id in found or wanted != meanwhile, "a ticket is missing"
            assert ticket_id not in found or found[ticket_id] in wanted, "it never was like this"

    def compare_now(self) -> None:
        [current] = self.stage.run(self.store.list_current([CONNECTION_ID]))
        every = self.stage.run(self.store.list_every([CONNECTION_ID]))
        assert by_id(every) == by_id(self.now)
        assert by_id(current.tickets) == by_id([each for each in self.now if each.is_current])
        assert current.is_complete
        assert current.summary == self.stage.run(self.store.get_summary(CONNECTION_ID))

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        for actor in self.stage.living:
            while not actor.task.done():
                self.stage.go_on(actor.number, 1)
        self.table.repeats = 0
        for _ in range(2):  # The first may go on where another one has stopped.
            while not self.stage.run(self.store.check_lists(CONNECTION_ID, START)):
                pass
        self.stage.run(self.store.compact_summary(CONNECTION_ID, START))
        assert not [key for _, key in self.table.rows if key.startswith(listed_rows.CHANGE_PREFIX)]
        self.compare_now()
        for wanted in (TicketFilter(open_only=True), TicketFilter(phase=Phase.CLOSED), TicketFilter(text="id-")):
            found = self.stage.run(self.store.list_tickets([CONNECTION_ID], wanted, limit=3))
            assert [each.ticket_id for each in found] == expected(self.now, wanted)[:3]
        self.stage.close()


def changed(ticket: Ticket, state: str, outcome: Outcome | None) -> Ticket:
    """Return a ticket in another state, or delivered, and with another outcome of its recommendation."""
    if ticket.record is None:
        return delivered(ticket, record_for(ticket, state=state), START)
    record = as_shown(replace(ticket.record, state=state, mod_count=ticket.record.mod_count + 1))
    after = with_record(ticket, record, START)
    if outcome is None or after.verification is None:
        return after
    items = tuple(replace(item, outcome=outcome) for item in after.verification.items)
    return replace(after, verification=replace(after.verification, items=items))


def delivered_one(now: Any) -> Ticket:
    ticket = new_ticket(now)
    return delivered(ticket, record_for(ticket), now)


def by_id(tickets: Any) -> dict[str, ListedTicket]:
    found = {each.ticket_id: each for each in tickets}
    assert len(found) == len(tickets), "each ticket once"
    return found


def expected(tickets: list[ListedTicket], wanted: TicketFilter) -> list[str]:
    return sorted(
        each.ticket_id
        for each in tickets
        if (each.is_open or not wanted.open_only)
        and wanted.phase in {None, each.phase}
        and (wanted.text is None or any(wanted.text in some for some in each.recommendation_ids))
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tables, ticket_counts, ticket_lists):
        monkeypatch.setattr(module, "PAGE_ROWS", 5)
    monkeypatch.setattr(listed_rows, "MOST_ENTRIES", 3)
    monkeypatch.setattr(listed_series, "MOST_ROWS", 5)
    monkeypatch.setattr(ticket_lists, "CORRECTED_TOGETHER", 2)
    monkeypatch.setattr(ticket_lists, "MOVED_TOGETHER", 3)


@pytest.mark.usefixtures("small")
def test_lists_show_every_ticket_as_it_is() -> None:
    run_state_machine_as_test(
        Lists,
        settings=settings(
            max_examples=40, stateful_step_count=30, suppress_health_check=list(HealthCheck), derandomize=True
        ),
    )
