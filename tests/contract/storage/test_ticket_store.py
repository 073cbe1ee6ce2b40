"""The contract of the ticket store, for Table Storage and the in-memory store that other tests rely on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.data.tables import TransactionOperation

from shared.connections.model import Portal, TicketKind
from shared.connections.ports import RowChanged
from shared.errors import Failure, StorageUnavailable
from shared.storage import ticket_counts, ticket_writes
from shared.storage import tickets as azure_tickets
from shared.storage.entity_transactions import RowOperation
from shared.storage.listed_rows import entry_of
from shared.storage.tables import Tables
from shared.storage.ticket_rows import ticket_row
from shared.storage.tickets import AzureTicketStore
from shared.tickets.counted import counted_under
from shared.tickets.model import Delivery, DeliveryProgress, Phase, RecommendationReference, Ticket
from shared.tickets.ports import TicketExists, TicketFilter, TicketGivenUp, TicketStore
from shared.tickets.ranges import Range
from shared.tickets.record_effects import delivered, with_record
from shared.tickets.summary import Summary, SummaryChange
from tests.memory.clock import START
from tests.memory.servicenow import as_shown
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket, new_ticket, record_for

ALL = TicketFilter()


@pytest.fixture
async def azure_store(bare_tables: Tables) -> AzureTicketStore:
    await bare_tables.tickets.create_table()
    return AzureTicketStore(bare_tables.tickets, bare_tables.transactions)


@pytest.fixture(params=["memory", "azure"])
def store(request: pytest.FixtureRequest) -> TicketStore:
    if request.param == "memory":
        return MemoryTicketStore()
    chosen: TicketStore = request.getfixturevalue("azure_store")
    return chosen


def ticks() -> itertools.count[int]:
    return itertools.count(1)


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def create_many(store: TicketStore, count: int, **options: Any) -> list[Ticket]:
    """Create delivered tickets, one per second, and return them newest first."""
    made = sorted(
        (delivered_ticket(later(number), **options) for number in range(count)), key=lambda ticket: ticket.ticket_id
    )
    if isinstance(store, MemoryTicketStore):
        return [await store.create_ticket(ticket) for ticket in made]
    return [
        ticket for some in itertools.batched(made, 30, strict=False) for ticket in await create_at_once(store, some)
    ]


async def create_at_once(store: TicketStore, tickets: Sequence[Ticket]) -> list[Ticket]:
    """Create up to thirty tickets in one transaction, which the product never does."""
    assert isinstance(store, AzureTicketStore)
    tickets = [replace(ticket, counted=counted_under(ticket), revision=1) for ticket in tickets]
    operations = [RowOperation(TransactionOperation.CREATE, ticket_row(ticket)) for ticket in tickets]
    for ticket in tickets:
        operations += ticket_writes._side_rows(None, ticket)
    operations += ticket_writes.summary_change(tickets[0].connection_id, [(None, ticket) for ticket in tickets])
    operations += ticket_writes._list_change(tickets[0].connection_id, list(map(entry_of, tickets)))
    etags = await store._submit(operations)
    return [replace(ticket, etag=etag) for ticket, etag in zip(tickets, etags, strict=False)]


def changed(ticket: Ticket, state: str = "2") -> Ticket:
    assert ticket.record is not None
    record = as_shown(replace(ticket.record, state=state, mod_count=ticket.record.mod_count + 1))
    return with_record(ticket, record, later(9_000))


def recount(tickets: list[Ticket]) -> Summary:
    counted = [replace(ticket, counted=counted_under(ticket)) for ticket in tickets]
    return Summary().plus([SummaryChange.between([(None, ticket) for ticket in counted])])


async def listed(store: TicketStore, wanted: TicketFilter = ALL, **options: Any) -> list[str]:
    found = await store.list_tickets([CONNECTION_ID], wanted, limit=options.pop("limit", 100), **options)
    return [ticket.ticket_id for ticket in found]


# One ticket


async def test_create_and_get(store: TicketStore) -> None:
    ticket = delivered_ticket(START, name="“Ümläute” 漢字 😀 '&<>\"", description="a\nb\\c'd''e", due_at=later(0))
    stored = await store.create_ticket(ticket)
    assert stored == ticket
    assert stored.etag
    read = await store.get_ticket(CONNECTION_ID, ticket.ticket_id)
    assert read == ticket
    assert read is not None
    assert read.etag == stored.etag
    assert type(read.created_at) is datetime
    assert await store.get_ticket("other", ticket.ticket_id) is None
    assert await store.get_ticket(CONNECTION_ID, "0" * 32) is None


async def test_create_refuses_an_id_that_is_taken(store: TicketStore) -> None:
    ticket = await store.create_ticket(new_ticket(START))
    with pytest.raises(TicketExists):
        await store.create_ticket(replace(ticket, content=replace(ticket.content, name="other")))
    assert await store.get_ticket(CONNECTION_ID, ticket.ticket_id) == ticket
    assert await store.get_summary(CONNECTION_ID) == recount([ticket])
    # The same id on another connection is another ticket.
    await store.create_ticket(replace(ticket, connection_id="other"))


async def test_one_of_many_creates_with_one_id_wins(store: TicketStore) -> None:
    ticket = new_ticket(START)
    outcomes = await asyncio.gather(*(store.create_ticket(ticket) for _ in range(8)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Ticket"] + ["TicketExists"] * 7
    assert await store.get_summary(CONNECTION_ID) == recount([ticket])


async def test_update_needs_the_present_version(store: TicketStore) -> None:
    first = await store.create_ticket(delivered_ticket(START))
    second = await store.update_ticket(first, changed(first))
    assert second.etag != first.etag
    with pytest.raises(RowChanged):
        await store.update_ticket(first, changed(first, "6"))
    assert await store.get_ticket(CONNECTION_ID, first.ticket_id) == second
    third = await store.update_ticket(second, changed(second, "6"))
    assert third.phase is Phase.RESOLVED
    assert await store.get_summary(CONNECTION_ID) == recount([third])


async def test_update_of_what_is_not_stored_is_refused(store: TicketStore) -> None:
    ticket = replace(delivered_ticket(START), etag="W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\"")
    with pytest.raises(RowChanged):
        await store.update_ticket(ticket, changed(ticket))
    assert await store.get_summary(CONNECTION_ID) == Summary()


async def test_an_update_loses_what_is_no_longer_there(store: TicketStore) -> None:
    ticket = await store.create_ticket(delivered_ticket(START, due_at=later(60)))
    assert ticket.record is not None
    without = replace(ticket, record=replace(ticket.record, due_at=None, state_label=None, mod_count=9))
    await store.update_ticket(ticket, without)
    assert await store.get_ticket(CONNECTION_ID, ticket.ticket_id) == without


async def test_one_of_many_updates_wins(store: TicketStore) -> None:
    ticket = await store.create_ticket(delivered_ticket(START))
    outcomes = await asyncio.gather(
        *(store.update_ticket(ticket, changed(ticket, state)) for state in ("2", "3", "6", "7")), return_exceptions=True
    )
    winners = [outcome for outcome in outcomes if isinstance(outcome, Ticket)]
    assert len(winners) == 1
    assert all(isinstance(outcome, RowChanged) for outcome in outcomes if outcome not in winners)
    assert await store.get_summary(CONNECTION_ID) == recount(winners)


# Many tickets


@pytest.mark.parametrize("conflicts", [(), (170,), (0, 99, 100, 349)], ids=["none", "one in the middle", "several"])
async def test_update_of_350_with_rows_that_somebody_else_changed(
    store: TicketStore, conflicts: tuple[int, ...]
) -> None:
    tickets = await create_many(store, 350)
    meanwhile = {
        number: await store.update_ticket(tickets[number], changed(tickets[number], "3")) for number in conflicts
    }
    changes = [(ticket, changed(ticket)) for ticket in tickets]
    refused = await store.update_tickets(changes)
    assert [before.ticket_id for before, _ in refused] == [tickets[number].ticket_id for number in conflicts]
    expected = [meanwhile.get(number, after) for number, (_, after) in enumerate(changes)]
    stored = await store.get_tickets(CONNECTION_ID, [ticket.ticket_id for ticket in tickets])
    assert [stored[ticket.ticket_id] for ticket in tickets] == expected
    assert await store.get_summary(CONNECTION_ID) == recount(expected)


async def test_update_of_nothing(store: TicketStore) -> None:
    assert list(await store.update_tickets([])) == []


async def test_large_tickets_fit_into_transactions(store: TicketStore) -> None:
    """Four megabytes hold fewer than a hundred long Japanese tickets."""
    tickets = await create_many(store, 100, description="漢" * 3_700)
    label = "進行中" * 60
    changes = []
    for ticket in tickets:
        after = ticket
        for number in range(60):
            assert after.record is not None
            record = replace(after.record, state=str(number % 2 + 1), state_label=label, mod_count=number + 1)
            after = with_record(after, record, later(number))
        changes.append((ticket, after))
    assert list(await store.update_tickets(changes)) == []
    assert await store.get_summary(CONNECTION_ID) == recount([after for _, after in changes])


@pytest.mark.parametrize("count", [0, 1, 30, 60])
async def test_get_tickets_by_id(store: TicketStore, count: int) -> None:
    tickets = await create_many(store, 75)
    wanted = [ticket.ticket_id for ticket in tickets[:: max(1, 75 // (count + 1))]][:count]
    missing = ["0" * 32, "f" * 32, new_ticket(later(5)).ticket_id]
    found = await store.get_tickets(CONNECTION_ID, [*reversed(wanted), *missing])
    assert sorted(found) == sorted(wanted)
    assert all(found[ticket.ticket_id] == ticket for ticket in tickets if ticket.ticket_id in wanted)
    assert await store.get_tickets("other", wanted) == {}


async def test_get_tickets_reads_over_page_borders(store: TicketStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_tickets, "PAGE_ROWS", 7)
    tickets = await create_many(store, 100)
    wanted = [ticket.ticket_id for number, ticket in enumerate(tickets) if number % 2 or 20 < number < 60]
    assert sorted(await store.get_tickets(CONNECTION_ID, wanted)) == wanted
    assert [ticket.ticket_id async for page in store.scan_tickets(CONNECTION_ID) for ticket in page] == [
        ticket.ticket_id for ticket in tickets
    ]


async def test_scan_goes_through_everything_in_order_and_can_go_on(store: TicketStore) -> None:
    tickets = await create_many(store, 20)
    await store.create_ticket(new_ticket(later(50), connection_id="other"))
    ids = [ticket.ticket_id for ticket in tickets]
    assert [ticket.ticket_id async for page in store.scan_tickets(CONNECTION_ID) for ticket in page] == ids
    rest = [ticket.ticket_id async for page in store.scan_tickets(CONNECTION_ID, after=ids[7]) for ticket in page]
    assert rest == ids[8:]
    assert [page async for page in store.scan_tickets("nothing")] == []


# Tickets without what no longer changes

REFUSED = Failure("business_rule_refused", {"variant": "named", "names": "No Fridays"})


@pytest.mark.parametrize("count", [3, 60])
async def test_what_can_change_is_read_without_the_rest(store: TicketStore, count: int) -> None:
    tickets = await create_many(store, count, description="What is to be done", due_at=later(60))
    undelivered = replace(tickets[0], record=None, phase=None, delivery=DeliveryProgress(attempts=3, failure=REFUSED))
    tickets[0] = await store.update_ticket(tickets[0], undelivered)
    ids = [ticket.ticket_id for ticket in tickets]
    whole = await store.get_tickets(CONNECTION_ID, ids)
    parts = await store.get_tickets(CONNECTION_ID, ids, whole=False)
    scanned = {each.ticket_id: each async for page in store.scan_tickets(CONNECTION_ID) for each in page}
    for found in (parts, scanned):
        assert [found[each].made_whole(whole[each]) for each in ids] == tickets
        assert [found[each].etag for each in ids] == [whole[each].etag for each in ids]
        assert found[ids[0]] == tickets[0]
        assert found[ids[0]].is_whole
        assert {(found[each].is_whole, found[each].content.description) for each in ids[1:]} == {(False, "")}
    assert all(ticket.is_whole for ticket in whole.values())


async def changed_in_part(store: TicketStore) -> list[tuple[Ticket, Ticket]]:
    """Return changes of four tickets; the last three remove columns, and all but one were partly read."""
    tickets = await create_many(store, 4, description="What is to be done", due_at=later(60))
    failed = replace(tickets[2], record=None, phase=None, delivery=DeliveryProgress(Delivery.FAILED, failure=REFUSED))
    await store.update_ticket(tickets[2], failed)
    parts = await store.get_tickets(CONNECTION_ID, [ticket.ticket_id for ticket in tickets], whole=False)
    first, second, third, fourth = (parts[ticket.ticket_id] for ticket in tickets)
    without = {"due_at": None, "state_label": None, "mod_count": 5}
    return [
        (first, changed(first)),
        (second, with_record(second, record_for(second, **without), later(9))),
        (third, with_record(third, record_for(third), later(9))),
        (fourth, with_record(fourth, record_for(fourth, **without), later(9))),
    ]


@pytest.mark.parametrize("together", [True, False])
async def test_a_change_of_what_was_read_in_part_loses_nothing(store: TicketStore, together: bool) -> None:
    changes = await changed_in_part(store)
    ids = [after.ticket_id for _, after in changes]
    before = await store.get_tickets(CONNECTION_ID, ids)
    if together:
        assert list(await store.update_tickets(changes)) == []
    else:
        for change in changes:
            await store.update_ticket(*change)
    stored = await store.get_tickets(CONNECTION_ID, ids)
    assert [stored[each] for each in ids] == [
        after if after.is_whole else after.made_whole(before[after.ticket_id]) for _, after in changes
    ]
    assert {each.content.description for each in stored.values()} == {"What is to be done"}
    assert await store.get_summary(CONNECTION_ID) == recount(list(stored.values()))


async def test_a_change_in_part_is_refused_when_somebody_was_faster(store: TicketStore) -> None:
    changes = await changed_in_part(store)
    ids = [after.ticket_id for _, after in changes]
    present = await store.get_tickets(CONNECTION_ID, ids)
    last = await store.update_ticket(present[ids[3]], changed(present[ids[3]], "3"))
    assert [before.ticket_id for before, _ in await store.update_tickets(changes)] == [ids[3]]
    with pytest.raises(RowChanged):
        await store.update_ticket(*changes[3])
    assert await store.get_ticket(CONNECTION_ID, ids[3]) == last


# The outbox


async def test_outbox_is_oldest_first_and_holds_what_is_pending(store: TicketStore) -> None:
    stored = [await store.create_ticket(new_ticket(later(number))) for number in (3, 1, 4, 2, 5)]
    by_age = sorted(stored, key=lambda ticket: ticket.created_at)
    assert list(await store.list_pending(CONNECTION_ID, limit=10)) == by_age
    assert list(await store.list_pending(CONNECTION_ID, limit=2)) == by_age[:2]
    assert list(await store.list_pending(CONNECTION_ID, limit=2, after=by_age[1].ticket_id)) == by_age[2:4]
    assert list(await store.list_pending(CONNECTION_ID, limit=2, after=by_age[4].ticket_id)) == []
    assert list(await store.list_pending("other", limit=10)) == []

    first = by_age[0]
    done = await store.update_ticket(first, delivered(first, record_for(first), later(10)))
    second = by_age[1]
    failed = replace(second, delivery=replace(second.delivery, status=Delivery.FAILED))
    failed = await store.update_ticket(second, failed)
    assert list(await store.list_pending(CONNECTION_ID, limit=10)) == by_age[2:]
    again = await store.update_ticket(failed, replace(failed, delivery=second.delivery))
    assert list(await store.list_pending(CONNECTION_ID, limit=10)) == [again, *by_age[2:]]
    assert await store.get_summary(CONNECTION_ID) == recount([done, again, *by_age[2:]])


async def test_a_delivered_ticket_never_enters_the_outbox(store: TicketStore) -> None:
    await create_many(store, 3)
    assert list(await store.list_pending(CONNECTION_ID, limit=10)) == []


async def test_open_tickets_whose_correlation_id_is_lost_are_listed_newest_first(store: TicketStore) -> None:
    tickets = await create_many(store, 5)
    changes = [(each, with_record(each, record_for(each, correlation_id="TASK-1"), later(9))) for each in tickets[1:]]
    assert await store.update_tickets(changes) == []
    newest_first = sorted((after for _, after in changes), key=lambda ticket: ticket.ticket_id)
    ids = [ticket.ticket_id for ticket in newest_first]

    async def unlinked(connection_id: str = CONNECTION_ID, **options: Any) -> list[str]:
        return [each.ticket_id for each in await store.list_unlinked(connection_id, **{"limit": 10, **options})]

    assert await unlinked() == ids
    assert await unlinked(limit=2) == ids[:2]
    assert await unlinked(after=ids[1]) == ids[2:]
    assert await unlinked("other") == []

    closed, linked = await store.list_unlinked(CONNECTION_ID, limit=10, after=ids[1])
    await store.update_ticket(
        closed, with_record(closed, record_for(closed, correlation_id="TASK-1", state="7", mod_count=2), later(10))
    )
    await store.update_ticket(linked, with_record(linked, record_for(linked, mod_count=2), later(10)))
    assert await unlinked() == ids[:2]
    assert [ticket async for page in store.scan_tickets(CONNECTION_ID) for ticket in page] != []


# Lists


async def test_list_is_newest_first_page_by_page_over_connections(store: TicketStore) -> None:
    number = ticks()
    tickets = [
        await store.create_ticket(delivered_ticket(later(next(number)), connection_id=connection_id))
        for _ in range(8)
        for connection_id in ("one", "two", "three")
    ]
    ids = [ticket.ticket_id for ticket in sorted(tickets, key=lambda ticket: ticket.created_at, reverse=True)]
    seen: list[str] = []
    while True:
        page = await store.list_tickets(["two", "three", "one"], ALL, limit=5, after=seen[-1] if seen else None)
        if not page:
            break
        seen += [ticket.ticket_id for ticket in page]
    assert seen == ids
    assert [t.ticket_id for t in await store.list_tickets(["two"], ALL, limit=3)] == ids[1::3][:3]
    assert list(await store.list_tickets([], ALL, limit=3)) == []


async def test_tickets_of_one_millisecond_have_one_order(store: TicketStore) -> None:
    tickets = [await store.create_ticket(delivered_ticket(START)) for _ in range(10)]
    ids = sorted(ticket.ticket_id for ticket in tickets)
    assert await listed(store) == ids
    assert await listed(store, limit=4) + await listed(store, after=ids[3]) == ids


async def test_filters(store: TicketStore) -> None:
    due = later(3_600).replace(microsecond=0)
    tickets = {
        "incident": await store.create_ticket(delivered_ticket(later(1), due_at=due)),
        "change": await store.create_ticket(
            delivered_ticket(
                later(2), kind=TicketKind.CHANGE, portal=Portal.COMPLIANCE, record={"state": "-5"}, due_at=due
            )
        ),
        "resolved": await store.create_ticket(delivered_ticket(later(3), record={"state": "6"}, due_at=due)),
        "unmapped": await store.create_ticket(delivered_ticket(later(4), record={"state": "77"})),
        "pending": await store.create_ticket(new_ticket(later(5), due_at=due)),
    }
    failed = new_ticket(later(6))
    tickets["failed"] = await store.create_ticket(
        replace(failed, delivery=replace(failed.delivery, status=Delivery.FAILED))
    )
    names = {ticket.ticket_id: name for name, ticket in tickets.items()}

    async def found(**wanted: Any) -> list[str]:
        return [names[ticket_id] for ticket_id in await listed(store, TicketFilter(**wanted))]

    assert await found() == ["failed", "pending", "unmapped", "resolved", "change", "incident"]
    assert await found(kind=TicketKind.CHANGE) == ["change"]
    assert await found(kind=TicketKind.INCIDENT, portal=Portal.COMPLIANCE) == []
    assert await found(portal=Portal.COMPLIANCE) == ["change"]
    assert await found(phase=Phase.NEW) == ["change", "incident"]
    assert await found(phase=Phase.UNMAPPED) == ["unmapped"]
    assert await found(phase=Phase.RESOLVED, open_only=True) == []
    assert await found(open_only=True) == ["unmapped", "change", "incident"]
    assert await found(delivery=Delivery.PENDING) == ["pending"]
    assert await found(delivery=Delivery.FAILED) == ["failed"]
    assert await found(delivery=Delivery.DELIVERED, kind=TicketKind.INCIDENT) == ["unmapped", "resolved", "incident"]
    assert await found(overdue_at=due) == []
    assert await found(overdue_at=due + timedelta(seconds=1)) == ["change", "incident"]
    assert await found(overdue_at=later(10**6), kind=TicketKind.CHANGE) == ["change"]
    assert await found(closed_on=Range(START.date())) == ["resolved"]
    assert await found(opened_on=Range(highest=START.date() - timedelta(days=1))) == []


async def test_overdue_follows_the_due_date_in_servicenow(store: TicketStore) -> None:
    ticket = await store.create_ticket(delivered_ticket(START, due_at=later(60)))
    assert ticket.record is not None
    moved = with_record(ticket, replace(ticket.record, due_at=later(600), mod_count=1), START)
    await store.update_ticket(ticket, moved)
    assert await listed(store, TicketFilter(overdue_at=later(61))) == []
    assert await listed(store, TicketFilter(overdue_at=later(601))) == [ticket.ticket_id]


async def test_text_search(store: TicketStore) -> None:
    audit = await store.create_ticket(
        delivered_ticket(later(1), name="Turn on AUDIT log's search", kind=TicketKind.CHANGE)
    )
    street = await store.create_ticket(delivered_ticket(later(2), name="Straße sperren"))
    japanese = await store.create_ticket(delivered_ticket(later(3), name="監査ログを有効にする"))

    async def found(text: str, **wanted: Any) -> list[str]:
        return await listed(store, TicketFilter(text=text, **wanted))

    assert await found("audit LOG'S") == [audit.ticket_id]
    assert await found("strasse") == [street.ticket_id]
    assert await found("ログ") == [japanese.ticket_id]
    assert await found("nothing' or 'a' eq 'a") == []
    assert await found("s") == [street.ticket_id, audit.ticket_id]
    assert await found("s", kind=TicketKind.CHANGE) == [audit.ticket_id]
    assert await listed(store, TicketFilter(text="s"), limit=1) == [street.ticket_id]
    assert await listed(store, TicketFilter(text="s"), after=street.ticket_id) == [audit.ticket_id]


async def test_a_number_finds_its_ticket(store: TicketStore) -> None:
    tickets = await create_many(store, 5)
    wanted = tickets[2]
    assert wanted.record is not None
    number = wanted.record.number

    async def found(text: str, **options: Any) -> list[str]:
        return await listed(store, TicketFilter(text=text, **options))

    assert await found(number) == [wanted.ticket_id]
    assert await found(f" {number.lower()} ") == [wanted.ticket_id]
    assert await found(number, phase=Phase.NEW) == [wanted.ticket_id]
    assert await found(number, phase=Phase.CLOSED) == []
    assert wanted.ticket_id in await found(number[:-1])
    assert await found(number[-2:]) == [], "too few digits"
    assert await found("/\\#?%\t") == []
    assert await listed(store, TicketFilter(text=number), after=tickets[1].ticket_id) == [wanted.ticket_id]
    assert await listed(store, TicketFilter(text=number), after=wanted.ticket_id) == []


async def test_a_moved_ticket_is_found_by_both_numbers(store: TicketStore) -> None:
    ticket = await store.create_ticket(delivered_ticket(START))
    assert ticket.record is not None
    moved = replace(ticket.record, number="SIR0010001", table="sn_si_incident", mod_count=1)
    await store.update_tickets([(ticket, with_record(ticket, moved, START))])
    for number in (ticket.record.number, "sir0010001"):
        assert await listed(store, TicketFilter(text=number)) == [ticket.ticket_id]


async def test_two_records_with_one_number_are_stored(store: TicketStore) -> None:
    """ServiceNow does not enforce unique numbers."""
    tickets = await create_many(store, 2)
    changes = [(each, with_record(each, record_for(each, number="INC1", mod_count=1), START)) for each in tickets]
    assert list(await store.update_tickets(changes)) == []
    assert (await listed(store, TicketFilter(text="INC1")))[0] in {each.ticket_id for each in tickets}


# Counts


async def test_tickets_of_a_recommendation_are_found_by_few_rows(
    store: TicketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any number of tickets, in any state."""

    def about(name: str, recommendation_id: str | None, second: int) -> Ticket:
        ticket = delivered_ticket(later(second))
        recommendation = replace(ticket.content.recommendation, id=recommendation_id, link=None)
        return replace(ticket, content=replace(ticket.content, name=name, recommendation=recommendation))

    stored = [await store.create_ticket(about(f"Name {number}", "TheSame", number)) for number in range(7)]
    other = await store.create_ticket(about("Another", "Other", 7))
    await store.update_ticket(stored[6], changed(stored[6], "7"))
    rows: list[int] = []
    if isinstance(store, AzureTicketStore):
        read = store._rows

        async def counted(query: str, parameters: dict[str, Any], limit: int) -> list[Any]:
            found = await read(query, parameters, limit)
            rows.append(len(found))
            return found

        monkeypatch.setattr(store, "_rows", counted)
    found = await store.list_of_recommendation(about("NAME  0", "thesame", 99), limit=3)
    assert [each.content.name for each in found] == ["Name 6", "Name 5", "Name 4", "Name 0"]
    assert sum(rows) <= 4
    assert await store.list_of_recommendation(about("another", None, 99), limit=3) == [other]
    assert await store.list_of_recommendation(about("Nobody's", "Nobody's", 99), limit=3) == []
    assert await store.list_of_recommendation(other, limit=3) == [], "neither itself nor later ones"
    assert await store.list_of_recommendation(stored[2], limit=3) == [stored[1], stored[0]]


async def test_folding_changes_nothing(store: TicketStore) -> None:
    tickets = await create_many(store, 12, due_at=later(3_600))
    for now in (START, later(7_200), later(7_200)):
        await store.compact_summary(CONNECTION_ID, now)
        summary = await store.get_summary(CONNECTION_ID)
        assert summary.cells == recount(tickets).cells
        assert summary.overdue_count(TicketKind.INCIDENT, later(7_200)) == 12
    tickets[0] = await store.update_ticket(tickets[0], changed(tickets[0], "6"))
    assert (await store.get_summary(CONNECTION_ID)).overdue_count(TicketKind.INCIDENT, later(7_200)) == 11
    await store.compact_summary("nothing there", START)
    assert await store.get_summary("nothing there") == Summary()


async def test_many_changes_are_folded_in_several_transactions(store: TicketStore) -> None:
    tickets = await create_many(store, 230)
    await store.compact_summary(CONNECTION_ID, START)
    assert await store.get_summary(CONNECTION_ID) == recount(tickets).folded(START)


async def test_two_fold_while_others_write_and_read(store: TicketStore) -> None:
    tickets = await create_many(store, 60)
    counted: list[int] = []

    async def write(numbers: range) -> None:
        for number in numbers:
            tickets[number] = await store.update_ticket(tickets[number], changed(tickets[number]))
            summary = await store.get_summary(CONNECTION_ID)
            counted.append(sum(summary.phase_counts(TicketKind.INCIDENT).values()))

    async def fold() -> None:
        for _ in range(5):
            await store.compact_summary(CONNECTION_ID, START)

    await asyncio.gather(write(range(30)), write(range(30, 60)), fold(), fold())
    assert set(counted) == {len(tickets)}
    await store.compact_summary(CONNECTION_ID, START)
    assert await store.get_summary(CONNECTION_ID) == recount(tickets).folded(START)


# Only Table Storage


async def test_a_missing_table_is_reported(bare_tables: Tables) -> None:
    store = AzureTicketStore(bare_tables.tickets, bare_tables.transactions)
    ticket = replace(delivered_ticket(START), etag='W/"1"')
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "create_ticket": lambda: store.create_ticket(ticket),
        "get_ticket": lambda: store.get_ticket(CONNECTION_ID, ticket.ticket_id),
        "update_ticket": lambda: store.update_ticket(ticket, changed(ticket)),
        "update_tickets": lambda: store.update_tickets([(ticket, changed(ticket))]),
        "list_tickets": lambda: store.list_tickets([CONNECTION_ID], ALL, limit=1),
        "get_summary": lambda: store.get_summary(CONNECTION_ID),
    }
    for name, call in calls.items():
        with pytest.raises(StorageUnavailable) as caught:
            await call()
        assert (name, caught.value.code) == (name, "storage_table_missing")


async def test_times_at_the_ends_of_the_calendar(azure_store: AzureTicketStore) -> None:
    for due_at in (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)):
        ticket = await azure_store.create_ticket(delivered_ticket(START, due_at=due_at))
        assert await azure_store.get_ticket(CONNECTION_ID, ticket.ticket_id) == ticket


async def test_changes_folded_between_two_pages_are_not_missed(
    azure_store: AzureTicketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticket_counts, "PAGE_ROWS", 20)
    tickets = await create_many(azure_store, 40)
    for number, ticket in enumerate(tickets):
        tickets[number] = await azure_store.update_ticket(ticket, changed(ticket))
    reader = AzureTicketStore(InterruptedTable(azure_store), azure_store._transactions)  # type: ignore[arg-type]
    assert await reader.get_summary(CONNECTION_ID) == recount(tickets).folded(START)
    assert await azure_store.get_summary(CONNECTION_ID) == recount(tickets).folded(START)


class InterruptedTable:
    """Makes another process fold the summary after the first page of the first query."""

    def __init__(self, store: AzureTicketStore) -> None:
        self._store = store
        self._is_interrupted = False

    def query_entities(self, *arguments: Any, **options: Any) -> InterruptedQuery:
        return InterruptedQuery(self._store._table.query_entities(*arguments, **options), self._interrupt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store._table, name)

    async def _interrupt(self) -> None:
        if not self._is_interrupted:
            self._is_interrupted = True
            await self._store.compact_summary(CONNECTION_ID, START)


class InterruptedQuery:
    def __init__(self, query: Any, interrupt: Callable[[], Awaitable[None]]) -> None:
        self._query = query
        self._interrupt = interrupt

    async def by_page(self) -> AsyncIterator[Any]:
        async for page in self._query.by_page():
            rows = [row async for row in page]
            await self._interrupt()
            yield each(rows)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for row in self._query:
            yield row


async def each(rows: list[Any]) -> AsyncIterator[Any]:
    for row in rows:
        yield row


# Tickets for stored recommendations

REFERENCE = RecommendationReference("11111111-aaaa-4bbb-8ccc-000000000001", "secure_score", "mdo_safeattachments")


async def test_a_ticket_that_was_given_up_is_never_stored(store: TicketStore) -> None:
    ticket = new_ticket(START, references=(REFERENCE,))
    for _ in range(2):
        assert await store.give_up(CONNECTION_ID, ticket.ticket_id) is None
    with pytest.raises(TicketGivenUp):
        await store.create_ticket(ticket)
    assert await store.create_tickets([ticket]) == []
    assert await store.get_ticket(CONNECTION_ID, ticket.ticket_id) is None
    assert await store.get_summary(CONNECTION_ID) == Summary()


async def test_a_stored_ticket_is_not_given_up(store: TicketStore) -> None:
    ticket = await store.create_ticket(new_ticket(START, references=(REFERENCE,)))
    assert await store.give_up(CONNECTION_ID, ticket.ticket_id) == ticket
    with pytest.raises(TicketExists):
        await store.create_ticket(ticket)


async def test_giving_up_and_storing_at_once_agree(store: TicketStore) -> None:
    for number in range(5):
        ticket = new_ticket(later(number), references=(REFERENCE,))
        stored, found = await asyncio.gather(
            store.create_ticket(ticket), store.give_up(CONNECTION_ID, ticket.ticket_id), return_exceptions=True
        )
        assert isinstance(stored, TicketGivenUp) is (found is None)


async def test_many_tickets_are_stored_at_once(store: TicketStore) -> None:
    wanted = [new_ticket(later(number), references=(REFERENCE,)) for number in range(45)]
    taken = await store.create_ticket(wanted[3])
    await store.give_up(CONNECTION_ID, wanted[40].ticket_id)
    stored = await store.create_tickets(wanted)
    assert stored == [*wanted[:3], *wanted[4:40], *wanted[41:]]
    assert all(each.etag for each in stored)
    assert await store.list_pending(CONNECTION_ID, limit=100) == [*wanted[:40], *wanted[41:]]
    assert await store.get_summary(CONNECTION_ID) == recount([taken, *stored])
    assert await store.create_tickets([]) == []


async def test_a_hundred_tickets_take_few_transactions(
    azure_store: AzureTicketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    submit = azure_store._submit

    async def counted(operations: Sequence[RowOperation]) -> Sequence[str | None]:
        sizes.append(len(operations))
        return await submit(operations)

    monkeypatch.setattr(azure_store, "_submit", counted)
    wanted = [new_ticket(later(number), references=(REFERENCE,)) for number in range(100)]
    assert await azure_store.create_tickets(wanted) == wanted
    assert len(sizes) <= 7
    assert max(sizes) <= 100


async def test_many_tickets_whose_answer_is_lost_are_stored_once(
    azure_store: AzureTicketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = azure_store._submit

    async def repeated(operations: Sequence[RowOperation]) -> Sequence[str | None]:
        monkeypatch.setattr(azure_store, "_submit", submit)
        await submit(operations)
        return await submit(operations)

    monkeypatch.setattr(azure_store, "_submit", repeated)
    wanted = [new_ticket(later(number), references=(REFERENCE,)) for number in range(3)]
    assert await azure_store.create_tickets(wanted) == wanted
    assert await azure_store.get_summary(CONNECTION_ID) == recount(wanted)


async def test_a_partly_read_ticket_knows_its_recommendations(store: TicketStore) -> None:
    ticket = await store.create_ticket(delivered_ticket(START, references=(REFERENCE,)))
    part = (await store.get_tickets(CONNECTION_ID, [ticket.ticket_id], whole=False))[ticket.ticket_id]
    assert part.content.references == (REFERENCE,)
    without = replace(part, content=replace(part.content, references=()))
    await store.update_ticket(part, without)
    read = await store.get_ticket(CONNECTION_ID, ticket.ticket_id)
    assert read == replace(ticket, content=replace(ticket.content, references=()))


async def test_a_ticket_is_found_by_its_number(store: TicketStore) -> None:
    ticket = await store.create_ticket(delivered_ticket(START, record={"number": "INC0012345"}))
    assert await store.find_by_number(CONNECTION_ID, " inc0012345 ") == ticket
    for unknown in ("INC0012346", "INC/1", "", ticket.content.name):
        assert await store.find_by_number(CONNECTION_ID, unknown) is None
    assert await store.find_by_number("other", "INC0012345") is None


async def test_writing_a_ticket_as_it_is_makes_a_new_version(store: TicketStore) -> None:
    ticket = await store.create_ticket(delivered_ticket(START))
    await store.update_ticket(ticket, ticket)
    with pytest.raises(RowChanged):
        await store.update_ticket(ticket, changed(ticket))
    assert await store.get_ticket(CONNECTION_ID, ticket.ticket_id) == ticket
