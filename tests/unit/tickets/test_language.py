"""The language of what the connector writes in ServiceNow: the connection's, kept by each ticket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.tickets.create import waiting_ticket
from shared.tickets.model import Delivery, EventKind, TicketContent
from shared.tickets.record_effects import delivered
from shared.tickets.record_texts import BLOCK_TITLE, record_texts
from shared.tickets.requests import read_ticket_request, ticket_content
from shared.tickets.updates.model import Update, UpdateKind
from shared.tickets.updates.texts import is_in_journal, record_text
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.tickets.examples import REQUESTER, a_connection, content, new_ticket, record_for
from tests.unit.tickets.test_create import BODY
from tests.unit.tickets.test_deliver import World
from tests.unit.tickets.test_shared_requester import note


def block(asked: TicketContent) -> list[str]:
    """Return the lines of the block before the description."""
    return record_texts(asked)["description"].partition("\n\n")[0].split("\n")


def test_the_block_is_in_the_language_of_the_ticket() -> None:
    title, *particulars = block(content(language="ja"))
    assert title == BLOCK_TITLE, "scripts look for it"
    assert particulars[0] == f"依頼者：{REQUESTER.name} <{REQUESTER.email}>"
    assert "ポータル：セキュリティ" in particulars
    assert "カテゴリ：ID" in particulars


def test_a_language_that_only_another_release_has_is_written_in_english() -> None:
    assert record_texts(content(language="eo")) == record_texts(content())


@pytest.mark.parametrize("written", languages())
@pytest.mark.parametrize("imitated", languages())
def test_no_line_of_a_user_passes_for_the_block_in_any_language(written: str, imitated: str) -> None:
    line = block(content(language=imitated))[1]
    text = record_texts(content(language=written, description=line))["description"]
    assert text.endswith(f"\n> {line}")


def test_a_ticket_is_made_in_the_language_of_its_connection() -> None:
    assert ticket_content(read_ticket_request(BODY), REQUESTER, a_connection(language="ja")).language == "ja"


async def test_a_ticket_that_waits_keeps_its_language() -> None:
    world = World()
    ticket = await world.store.create_ticket(waiting_ticket(new_ticket(world.clock(), language="ja"), world.connection))
    assert world.connection.language == "en"
    await world.run()
    stored = world.stored(ticket)
    assert (stored.delivery.status, stored.content.language) == (Delivery.DELIVERED, "ja")


@pytest.mark.parametrize("sent_in", languages())
def test_a_record_that_the_release_before_wrote_in_english_counts_as_whole(sent_in: str) -> None:
    ticket = new_ticket(START, language="ja")
    texts = record_texts(replace(ticket.content, language=sent_in))
    found = delivered(ticket, record_for(ticket, texts=texts), START, found=True)
    assert EventKind.SHORTENED not in {event.kind for event in found.timeline}
    cut = {**texts, "description": texts["description"][:-4]}
    shortened = delivered(ticket, record_for(ticket, texts=cut), START, found=True)
    assert [each.details for each in shortened.timeline if each.kind is EventKind.SHORTENED] == [{"description": "4"}]


@pytest.mark.parametrize("code", languages())
def test_a_note_is_found_whatever_the_language_was_when_it_was_sent(code: str) -> None:
    sent = record_text(note("Aiko Tanaka"), shares_requester=True, language=code)
    assert is_in_journal(note("Aiko Tanaka"), f"Somebody:\n{sent}\n")


def test_a_note_names_its_author_in_the_language_of_the_connection() -> None:
    update = Update("contoso", "0" * 32, "1" * 32, UpdateKind.COMMENT, "id", START, "田中 愛子", "確認しました。")
    sent = record_text(update, shares_requester=True, language="ja")
    assert sent == "田中 愛子 (Microsoft 365 コネクタから入力)：\n確認しました。"
