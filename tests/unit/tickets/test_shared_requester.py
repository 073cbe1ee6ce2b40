"""What ServiceNow learns about a person if the connection does not share e-mail addresses and object ids."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tickets.attempts import COMMIT_MAY_TAKE_S
from shared.tickets.create import waiting_ticket
from shared.tickets.model import Delivery, EventKind, Requester, Ticket
from shared.tickets.record_effects import delivered
from shared.tickets.record_texts import record_texts
from shared.tickets.updates.model import Update, UpdateKind
from shared.tickets.updates.texts import is_in_journal, record_text
from tests.memory.clock import START
from tests.memory.servicenow import WriteFault
from tests.unit.tickets.examples import REQUESTER, content, new_ticket, record_for
from tests.unit.tickets.test_deliver import World

ADDRESS, OBJECT_ID = REQUESTER.email or "", REQUESTER.id
NAMES = ["Aiko Tanaka", ADDRESS, ADDRESS.upper(), "Ａiko＠contoso.com", OBJECT_ID.upper(), f"App {OBJECT_ID}"]

names = st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def tells(text: str) -> bool:
    plain = text.casefold().replace("＠", "@").replace("ａ", "a")
    return ADDRESS in plain or OBJECT_ID in plain


def note(name: str) -> Update:
    return Update("contoso", "0" * 32, "1" * 32, UpdateKind.WORK_NOTE, OBJECT_ID, START, name, "Please look at this.")


@given(names)
def test_no_text_tells_address_or_object_id_whatever_the_name_is(name: str) -> None:
    asked = content(requester=Requester(OBJECT_ID, name, ADDRESS), shares_requester=False)
    assert not any(map(tells, record_texts(asked).values()))
    assert tells(record_texts(replace(asked, shares_requester=True))["description"])
    assert not tells(record_text(note(name), shares_requester=False, language="en"))


def test_a_name_that_is_only_a_name_is_shared() -> None:
    assert "Requested by: Aiko Tanaka\nPortal:" in record_texts(content(shares_requester=False))["description"]
    assert record_text(note("Aiko Tanaka"), shares_requester=False, language="en").startswith("Aiko Tanaka, in the")
    assert record_text(note(ADDRESS), shares_requester=False, language="en").startswith("A user, in the")


@pytest.mark.parametrize("sent_with", [True, False])
def test_a_note_is_found_whatever_was_shared_when_it_was_sent(sent_with: bool) -> None:
    assert is_in_journal(
        note(ADDRESS), f"Somebody:\n{record_text(note(ADDRESS), shares_requester=sent_with, language='en')}\n"
    )
    assert not is_in_journal(note(ADDRESS), "Please look at this.")


class Directory:
    """Notes which addresses it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def sys_id_of(self, connection: object, email: str, *, afresh: bool = False) -> str | None:
        self.asked.append(email)
        return "a" * 32


class Sending(World):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Directory()
        self.delivery = replace(self.delivery, requesters=self.directory)

    def switch_off(self) -> None:
        self.connection = replace(self.connection, shares_requester=False)

    async def waiting(self) -> Ticket:
        return await self.store.create_ticket(waiting_ticket(new_ticket(self.clock()), self.connection))


async def test_a_ticket_that_waits_keeps_to_what_was_switched_off_since() -> None:
    world = Sending()
    ticket = await world.waiting()
    world.switch_off()
    await world.run()
    stored = world.stored(ticket)
    assert (stored.delivery.status, stored.content.shares_requester) == (Delivery.DELIVERED, False)
    assert stored.content.requester == REQUESTER, "our own side still knows who asked"
    assert world.directory.asked == []


async def test_a_ticket_that_is_sent_again_keeps_to_what_was_switched_off_since() -> None:
    world = Sending()
    world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    ticket = await world.create()
    assert (ticket.delivery.status, world.directory.asked) == (Delivery.FAILED, [ADDRESS])
    world.switch_off()
    again = await world.delivery.retry(world.connection, ticket)
    assert (again.delivery.status, again.content.shares_requester) == (Delivery.DELIVERED, False)
    assert world.directory.asked == [ADDRESS]


async def test_switching_on_again_tells_nothing_about_tickets_made_before() -> None:
    world = Sending()
    ticket = new_ticket(world.clock(), shares_requester=False)
    await world.store.create_ticket(waiting_ticket(ticket, world.connection))
    await world.run()
    assert world.stored(ticket).content.shares_requester is False
    assert world.directory.asked == []


@pytest.mark.parametrize("sent_with", [True, False])
def test_a_record_that_an_earlier_attempt_wrote_counts_as_whole_whatever_it_shared(sent_with: bool) -> None:
    ticket = new_ticket(START, shares_requester=False)
    texts = record_texts(replace(ticket.content, shares_requester=sent_with))
    found = delivered(ticket, record_for(ticket, texts=texts), START, found=True)
    assert EventKind.SHORTENED not in {event.kind for event in found.timeline}
    cut = {**texts, "description": texts["description"][:-4]}
    shortened = delivered(ticket, record_for(ticket, texts=cut), START, found=True)
    assert [each.details for each in shortened.timeline if each.kind is EventKind.SHORTENED] == [{"description": "4"}]


async def test_an_unknown_outcome_before_the_switch_is_looked_up_and_not_doubled() -> None:
    world = Sending()
    world.servicenow.write_faults.append(WriteFault.ANSWER_LOST)
    ticket = await world.create()
    world.switch_off()
    world.clock.advance(COMMIT_MAY_TAKE_S)
    await world.run()
    assert (world.records(ticket), world.stored(ticket).content.shares_requester) == (1, False)
