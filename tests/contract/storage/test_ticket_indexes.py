"""What a ticket's transaction writes beside it: verification, updates and events, in Table Storage and in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.connections.ports import RowChanged
from shared.errors import Failure
from shared.storage.tables import Tables
from shared.storage.tickets import AzureTicketStore
from shared.tickets.evidence import events_between
from shared.tickets.model import EventKind, RecommendationReference, Ticket
from shared.tickets.outcomes import Closing, Measurement, Outcome, RecommendationOutcome, Verification
from shared.tickets.ports import TicketFilter, TicketStore, UpdateChange
from shared.tickets.record_effects import with_record
from shared.tickets.timeline import with_event
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus
from tests.memory.clock import START
from tests.memory.servicenow import as_shown
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
OTHER_TENANT = "11111111-aaaa-4bbb-8ccc-000000000002"
HALF = Measurement(Decimal("5"), Decimal("10"), measured_at=START - timedelta(days=1), snapshot_id="before")


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


def for_recommendations(*tenant_ids: str, second: int = 0) -> Ticket:
    ticket = delivered_ticket(START + timedelta(seconds=second))
    references = tuple(RecommendationReference(each, "secure_score", "AdminMFAV2") for each in tenant_ids)
    items = tuple(RecommendationOutcome(each.tenant_id, each.key, before=HALF) for each in references)
    ticket = replace(ticket, content=replace(ticket.content, references=references))
    return replace(ticket, verification=Verification(START, items))


def update_of(ticket: Ticket, number: int = 1) -> Update:
    return Update(
        ticket.connection_id,
        ticket.ticket_id,
        f"{number:032x}",
        UpdateKind.WORK_NOTE,
        "policy:note",
        START,
        text="Ja 漢",
    )


async def test_a_verification_is_stored_with_its_ticket(store: TicketStore) -> None:
    ticket = await store.create_ticket(for_recommendations(TENANT))
    assert ticket.verification is not None
    closing = Closing(START, START - timedelta(hours=1), "Solved", is_read=True)
    (item,) = ticket.verification.items
    item = replace(item, outcome=Outcome.VERIFIED, proof=replace(HALF, points=Decimal("10.00")), decided_at=START)
    after = replace(ticket, verification=replace(ticket.verification, items=(item,), closing=closing))
    await store.update_ticket(ticket, after)
    for whole in (True, False):
        found = (await store.get_tickets(CONNECTION_ID, [ticket.ticket_id], whole=whole))[ticket.ticket_id]
        assert found.verification == after.verification
    verified = TicketFilter(outcome=Outcome.VERIFIED)
    assert [each.ticket_id for each in await store.list_tickets([CONNECTION_ID], verified, limit=9)] == [
        ticket.ticket_id
    ]
    assert not await store.list_tickets([CONNECTION_ID], TicketFilter(outcome=Outcome.OPEN), limit=9)


async def test_watched_tickets_are_found_by_tenant_until_they_are_superseded(store: TicketStore) -> None:
    first = await store.create_ticket(for_recommendations(TENANT))
    second = await store.create_ticket(for_recommendations(TENANT, OTHER_TENANT, second=1))
    await store.create_ticket(delivered_ticket(START + timedelta(seconds=2)))
    watched = await store.list_watched(CONNECTION_ID, TENANT)
    assert [(each.ticket_id, each.verification) for each in watched] == [
        (second.ticket_id, second.verification),
        (first.ticket_id, first.verification),
    ]
    assert first.verification is not None
    await store.update_ticket(first, replace(first, verification=replace(first.verification, is_superseded=True)))
    assert [each.ticket_id for each in await store.list_watched(CONNECTION_ID, TENANT)] == [second.ticket_id]
    assert [each.ticket_id for each in await store.list_watched(CONNECTION_ID, OTHER_TENANT)] == [second.ticket_id]


async def test_a_closing_is_listed_until_it_is_read(store: TicketStore) -> None:
    ticket = await store.create_ticket(for_recommendations(TENANT))
    assert ticket.record is not None
    assert not (await store.get_overview(CONNECTION_ID)).has_unread_closings
    closed = with_record(ticket, as_shown(replace(ticket.record, state="7", mod_count=9)), START)
    assert closed.verification is not None
    assert closed.verification.outcome is Outcome.WAITING
    assert closed.verification.closing is not None
    closed = await store.update_ticket(ticket, closed)
    assert (await store.get_overview(CONNECTION_ID)).has_unread_closings
    (unread,) = await store.list_unread_closings(CONNECTION_ID, limit=5)
    assert unread.verification is not None
    assert unread.verification.closing is not None
    read = replace(unread.verification, closing=replace(unread.verification.closing, is_read=True))
    await store.update_ticket(unread, replace(unread, verification=read))
    assert not await store.list_unread_closings(CONNECTION_ID, limit=5)
    assert not (await store.get_overview(CONNECTION_ID)).has_unread_closings


async def test_a_reopened_ticket_has_no_closing(store: TicketStore) -> None:
    ticket = await store.create_ticket(for_recommendations(TENANT))
    assert ticket.record is not None
    canceled = with_record(ticket, as_shown(replace(ticket.record, state="8", mod_count=9)), START)
    assert canceled.verification is not None
    assert canceled.verification.outcome is Outcome.NOT_DONE
    canceled = await store.update_ticket(ticket, canceled)
    reopened = with_record(canceled, as_shown(replace(ticket.record, state="2", mod_count=10)), START)
    await store.update_ticket(canceled, reopened)
    found = await store.get_ticket(CONNECTION_ID, ticket.ticket_id)
    assert found is not None
    assert found.verification is not None
    assert (found.verification.outcome, found.verification.closing) == (Outcome.OPEN, None)
    assert not await store.list_unread_closings(CONNECTION_ID, limit=5)


async def test_updates_change_with_their_ticket_or_not_at_all(store: TicketStore) -> None:
    ticket = await store.create_ticket(for_recommendations(TENANT))
    first, second = update_of(ticket), update_of(ticket, 2)
    changed = with_event(ticket, EventKind.UPDATE_ASKED, START, update_id=first.update_id)
    stored = await store.update_ticket(ticket, changed, [UpdateChange(None, first), UpdateChange(None, second)])
    assert (await store.get_overview(CONNECTION_ID)).has_updates
    waiting = await store.list_updates_of(CONNECTION_ID, ticket.ticket_id)
    assert list(waiting) == [first, second]
    assert list(await store.list_updates(CONNECTION_ID, limit=1)) == [first]
    assert list(await store.list_updates(CONNECTION_ID, limit=9, after=waiting[0])) == [second]
    refused = replace(
        waiting[0], status=UpdateStatus.REFUSED, attempts=3, failure=Failure("values_refused", {"a": "b"})
    )
    refused = await store.save_update(waiting[0], refused)
    with pytest.raises(RowChanged):
        await store.save_update(waiting[0], refused)
    sent = with_event(stored, EventKind.UPDATE_SENT, START)
    with pytest.raises(RowChanged):
        await store.update_ticket(stored, sent, [UpdateChange(waiting[0], None)])
    with pytest.raises(RowChanged):
        await store.update_ticket(ticket, sent, [UpdateChange(refused, None)])
    assert list(await store.list_updates_of(CONNECTION_ID, ticket.ticket_id)) == [refused, second]
    stored = await store.update_ticket(stored, sent, [UpdateChange(refused, None)])
    with pytest.raises(RowChanged):
        await store.update_ticket(
            stored, with_event(stored, EventKind.UPDATE_SENT, START), [UpdateChange(refused, None)]
        )
    assert list(await store.list_updates_of(CONNECTION_ID, ticket.ticket_id)) == [second]
    await store.update_ticket(stored, sent, [UpdateChange(waiting[1], None)])
    assert not (await store.get_overview(CONNECTION_ID)).has_updates


async def test_each_new_event_waits_for_the_evidence(store: TicketStore) -> None:
    made = with_event(for_recommendations(TENANT), EventKind.CREATED, START)
    ticket = await store.create_ticket(made)
    assert ticket.content.references[0].key
    noted = with_event(ticket, EventKind.OUTCOME, START + timedelta(days=1), outcome="verified", points="10")
    await store.update_ticket(ticket, noted)
    assert (await store.get_overview(CONNECTION_ID)).has_unrecorded
    batches = await store.list_unrecorded(CONNECTION_ID, limit=9)
    assert [[event.kind for event in batch.events] for batch in batches] == [
        [event.kind for event in events_between(None, made)],
        ["outcome"],
    ]
    created, outcome = batches[0].events[-2], batches[1].events[0]
    assert (created.ticket_id, created.tenant_id) == (ticket.ticket_id, TENANT)
    assert created.keys == (ticket.content.references[0].key,)
    assert created.details["requester_id"] == ticket.content.requester.id
    assert len(created.details["text_sha256"]) == 64
    assert (outcome.details, outcome.at) == ({"outcome": "verified", "points": "10"}, START + timedelta(days=1))
    await store.delete_unrecorded(CONNECTION_ID, batches[:1])
    await store.delete_unrecorded(CONNECTION_ID, batches)
    assert not await store.list_unrecorded(CONNECTION_ID, limit=9)
    assert not (await store.get_overview(CONNECTION_ID)).has_unrecorded
