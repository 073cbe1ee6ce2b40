"""Changes of a ticket's record over the API."""

from __future__ import annotations

import pytest

from shared.errors import FixRequest, StorageUnavailable
from shared.tickets.model import EventKind, Ticket
from shared.tickets.timeline import MAX_EVENTS, with_event
from shared.tickets.updates.model import MOST_PRESENT
from shared.tickets.updates.requests import read_update_request
from shared.tickets.updates.views import AskedUpdateView, UpdateResult
from shared.tickets.views import TicketDetailView
from shared.triggers.ticket_updates_api import ask_for_update, discard_update, retry_update
from shared.triggers.tickets_api import show_ticket
from tests.memory.servicenow import WriteFault
from tests.memory.ticket_store import WriteFault as StoreFault
from tests.unit.triggers.page_calls import Pages, pages

__all__ = ["pages"]


@pytest.fixture
async def ticket(pages: Pages) -> Ticket:
    return (await pages.world.create()).ticket


async def asked(pages: Pages, ticket: Ticket, body: object, key: str | None = None) -> tuple[int, AskedUpdateView]:
    answer = await pages.ask(ask_for_update, "POST", body, key=key, ticket_id=ticket.ticket_id)
    assert isinstance(answer.body, AskedUpdateView)
    return answer.status, answer.body


async def shown(pages: Pages, ticket: Ticket) -> TicketDetailView:
    answer = await pages.ask(show_ticket, "GET", ticket_id=ticket.ticket_id)
    assert isinstance(answer.body, TicketDetailView)
    return answer.body


async def test_a_repeated_request_comments_once_and_says_so(pages: Pages, ticket: Ticket) -> None:
    for number in range(2):
        answer = await pages.ask(
            ask_for_update, "POST", {"comment": "Please look."}, key="one", ticket_id=ticket.ticket_id
        )
        assert ("Idempotency-Replayed" in answer.headers) == (number > 0)
        assert isinstance(answer.body, AskedUpdateView)
        assert (answer.status, answer.body.result, answer.body.update) == (200, UpdateResult.SENT, None)
    assert len(pages.record_updates.journals[ticket.ticket_id]) == 1
    with pytest.raises(FixRequest) as caught:
        await asked(pages, ticket, {"comment": "Something else."}, "one")
    assert caught.value.code == "idempotency_key_reused"


async def test_a_repeated_request_whose_end_the_timeline_no_longer_shows_is_refused(
    pages: Pages, ticket: Ticket
) -> None:
    await asked(pages, ticket, {"comment": "Please look."}, "old")
    for number in range(MAX_EVENTS):
        pages.world.clock.advance(3600)
        await changed(pages, ticket)
        if number == 40:
            await asked(pages, ticket, {"comment": "Please look again."}, "newer")
    with pytest.raises(FixRequest) as caught:
        await asked(pages, ticket, {"comment": "Please look."}, "old")
    assert (caught.value.code, caught.value.status) == ("request_forgotten", 409)
    assert (await asked(pages, ticket, {"comment": "Please look again."}, "newer"))[1].result is UpdateResult.SENT
    assert len(pages.record_updates.journals[ticket.ticket_id]) == 2


async def test_an_interrupted_request_is_carried_out_later_if_the_timeline_shows_that_it_was_not(
    pages: Pages, ticket: Ticket
) -> None:
    for _ in range(MAX_EVENTS):
        await changed(pages, ticket)
    pages.world.clock.advance(3600)
    pages.world.store.faults.append(StoreFault.NOT_CARRIED_OUT)
    with pytest.raises(StorageUnavailable):
        await asked(pages, ticket, {"comment": "Please look."}, "one")
    pages.world.clock.advance(3600)
    await changed(pages, ticket)
    assert (await asked(pages, ticket, {"comment": "Please look."}, "one"))[1].result is UpdateResult.SENT
    assert len(pages.record_updates.journals[ticket.ticket_id]) == 1


async def changed(pages: Pages, ticket: Ticket) -> None:
    """Let one more event happen to the ticket."""
    store = pages.world.store
    stored = await store.get_ticket(ticket.connection_id, ticket.ticket_id)
    assert stored is not None
    await store.update_ticket(stored, with_event(stored, EventKind.STATE_CHANGED, pages.world.clock()))


async def test_what_is_refused_is_shown_with_the_ticket_until_it_is_sent_or_discarded(
    pages: Pages, ticket: Ticket
) -> None:
    pages.world.servicenow.write_faults += [WriteFault.VALUES_REFUSED, WriteFault.VALUES_REFUSED]
    status, first = await asked(pages, ticket, {"comment": "Please look."})
    assert (status, first.result) == (202, UpdateResult.REFUSED)
    pages.world.clock.advance(1)  # They are in the order of their times.
    _, second = await asked(pages, ticket, {"due_date": "2031-05-01"})
    found = (await shown(pages, ticket)).updates
    assert [each.update_id for each in found] == [first.update_id, second.update_id]
    assert [each.error_code for each in found] == ["data_policy_refused"] * 2
    ids = {"ticket_id": ticket.ticket_id}
    again = await pages.ask(retry_update, "POST", update_id=first.update_id, **ids)  # type: ignore[arg-type]
    assert again.status == 200
    gone = await pages.ask(discard_update, "DELETE", update_id=second.update_id, **ids)  # type: ignore[arg-type]
    assert gone.status == 204
    assert (await shown(pages, ticket)).updates == ()
    with pytest.raises(FixRequest) as caught:
        await pages.ask(discard_update, "DELETE", update_id=second.update_id, **ids)  # type: ignore[arg-type]
    assert caught.value.code == "update_not_found"


async def test_what_waits_says_so_and_a_canceled_record_is_not_canceled_again(pages: Pages, ticket: Ticket) -> None:
    pages.world.servicenow.write_faults.append(WriteFault.NOT_SENT)
    status, waiting = await asked(pages, ticket, {"resolve": {"notes": "Done."}})
    assert (status, waiting.result) == (202, UpdateResult.WAITING)
    assert waiting.update is not None
    assert waiting.update.next_attempt_at is not None
    await pages.ask(discard_update, "DELETE", ticket_id=ticket.ticket_id, update_id=waiting.update_id)
    assert (await asked(pages, ticket, {"cancel": {"notes": "A duplicate."}}))[1].result is UpdateResult.SENT
    with pytest.raises(FixRequest) as caught:
        await asked(pages, ticket, {"cancel": {}})
    assert caught.value.code == "record_already_closed"


async def test_a_request_whose_own_write_was_repeated_is_carried_out_once(pages: Pages, ticket: Ticket) -> None:
    pages.world.store.faults.append(StoreFault.REPEATED)
    status, sent = await asked(pages, ticket, {"comment": "Please look."})
    assert (status, sent.result) == (200, UpdateResult.SENT)
    assert len(pages.record_updates.journals[ticket.ticket_id]) == 1
    pages.world.servicenow.write_faults.append(WriteFault.NOT_SENT)
    _, waiting = await asked(pages, ticket, {"comment": "Never mind."})
    pages.world.store.faults.append(StoreFault.REPEATED)
    gone = await pages.ask(discard_update, "DELETE", ticket_id=ticket.ticket_id, update_id=waiting.update_id)
    assert gone.status == 204


async def test_a_request_is_stored_although_somebody_else_has_just_changed_the_ticket(
    pages: Pages, ticket: Ticket
) -> None:
    store, now = pages.world.store, pages.world.clock()
    await store.update_ticket(ticket, with_event(ticket, EventKind.RETRIED, now))
    connection = await pages.world.connections.get_connection(ticket.connection_id)
    assert connection is not None
    request = read_update_request({"comment": "Please look."})
    told = await pages.application.updates.ask(connection, ticket, request, ticket.content.requester, caller="caller")
    assert told.update is None
    kinds = [event.kind for event in told.ticket.timeline]
    assert kinds[-3:] == [EventKind.RETRIED, EventKind.UPDATE_ASKED, EventKind.UPDATE_SENT]


async def test_waiting_and_refused_changes_of_a_ticket_are_bounded(pages: Pages, ticket: Ticket) -> None:
    pages.world.servicenow.write_faults += [WriteFault.VALUES_REFUSED] * MOST_PRESENT
    for number in range(MOST_PRESENT):
        assert (await asked(pages, ticket, {"comment": f"Comment {number}."}))[1].result is UpdateResult.REFUSED
    with pytest.raises(FixRequest) as caught:
        await asked(pages, ticket, {"comment": "One more."})
    assert (caught.value.code, caught.value.status) == ("too_many_updates", 409)
    first = (await shown(pages, ticket)).updates[0]
    await pages.ask(discard_update, "DELETE", ticket_id=ticket.ticket_id, update_id=first.update_id)
    assert (await asked(pages, ticket, {"comment": "One more."}))[1].result is UpdateResult.SENT
