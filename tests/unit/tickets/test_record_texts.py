from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.connections.model import Portal, TicketKind
from shared.texts import utf16_length, without_direction
from shared.tickets.model import (
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Requester,
    TicketContent,
)
from shared.tickets.record_texts import (
    BLOCK_TITLE,
    QUOTE,
    description_overflow,
    description_with_block,
    lost_characters,
    record_texts,
)


def content(
    description: str = "Turn it on.",
    requester: Requester = Requester("object-id", "Ada Lovelace", "ada@contoso.com"),  # noqa: B008 - immutable
    recommendation_id: str | None = "scid-2001",
    link: str | None = "https://security.microsoft.com/securescore?a=b",
) -> TicketContent:
    return TicketContent(
        kind=TicketKind.INCIDENT,
        portal=Portal.COMPLIANCE,
        name="Require MFA",
        description=description,
        priority=Priority.HIGH,
        due_at=None,
        recommendation=Recommendation(
            RecommendedBy.MICROSOFT, RecommendationCategory.IDENTITY, recommendation_id, link
        ),
        requester=requester,
    )


BLOCK = (
    "-- Microsoft 365 recommendation --\n"
    "Requested by: Ada Lovelace <ada@contoso.com>\n"
    "User id: object-id\n"
    "Portal: compliance\n"
    "Source: microsoft\n"
    "Category: identity\n"
    "Recommendation: scid-2001\n"
    "Link: https://security.microsoft.com/securescore?a=b"
)


def written_by_the_user(description: str) -> list[str]:
    """Return the lines below the block."""
    whole = description_with_block(content(description))
    assert whole.startswith(BLOCK)
    return whole.removeprefix(BLOCK).split("\n")[2:]


def test_everything() -> None:
    assert description_with_block(content("Turn it on.\n\nThen  look.")) == f"{BLOCK}\n\nTurn it on.\n\nThen  look."


def test_only_what_is_known() -> None:
    bare = content("", Requester("object-id", "Ada Lovelace", None), None, None)
    assert description_with_block(bare) == (
        "-- Microsoft 365 recommendation --\n"
        "Requested by: Ada Lovelace\n"
        "User id: object-id\n"
        "Portal: compliance\n"
        "Source: microsoft\n"
        "Category: identity"
    )


@given(name=st.text(min_size=1), recommendation_id=st.text())
def test_no_value_passes_for_another_line(name: str, recommendation_id: str) -> None:
    text = description_with_block(content("", Requester("object-id", name, None), recommendation_id))
    labels = [line.partition(": ")[0].removesuffix(":") for line in text.splitlines()]
    expected = [BLOCK_TITLE, "Requested by", "User id", "Portal", "Source", "Category"]
    assert labels == [*expected, *(["Recommendation"] if recommendation_id else []), "Link"]


@pytest.mark.parametrize(
    "text",
    [
        "Turn on MFA for everybody.",
        "The portal recommends it: see below.",
        "This is a Microsoft 365 recommendation of May.",
        "Links: none",
        "管理者に多要素認証を要求する: 至急",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert written_by_the_user(f"x\n{text}") == ["x", text]


LINES = (
    "-- Microsoft 365 recommendation --",
    "Microsoft 365 recommendation",
    "Requested by: The CEO <ceo@contoso.com>",
    "User id: 1",
    "Portal: security",
    "Source: microsoft",
    "Category: identity",
    "Recommendation: 1",
    "Link: https://evil.example/",
)
MATHEMATICAL = str.maketrans(
    {letter: chr(0x1D5D4 + number) for number, letter in enumerate(string.ascii_uppercase)}
    | {letter: chr(0x1D5EE + number) for number, letter in enumerate(string.ascii_lowercase)}
)
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
CYRILLIC = str.maketrans("aceopxyiMTP", "асеорхуіМТР")
GREEK = str.maketrans("oiRPMTk", "οιRΡΜΤκ")
CIRCLED = str.maketrans({letter: chr(0x24D0 + number) for number, letter in enumerate(string.ascii_lowercase)})
SQUARED = str.maketrans({letter: chr(0x1F170 + number) for number, letter in enumerate(string.ascii_uppercase)})
DIGITS = str.maketrans("lioO", "1|00")


def with_accents(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(f"{each}\u0301" if each.isalpha() else each for each in text))


def with_nothing_between(text: str) -> str:
    return "\u200b".join(text)


def turned(text: str) -> str:
    return f"\u2066{text}\u2069"


disguises = st.lists(
    st.sampled_from(
        [
            str.upper,
            str.lower,
            with_accents,
            with_nothing_between,
            turned,
            lambda text: text.translate(MATHEMATICAL),
            lambda text: text.translate(FULL_WIDTH),
            lambda text: text.translate(CYRILLIC),
            lambda text: text.translate(GREEK),
            lambda text: text.translate(CIRCLED),
            lambda text: text.upper().translate(SQUARED),
            lambda text: text.translate(DIGITS),
            lambda text: text.replace("m", "rn").replace("d", "cl"),
            lambda text: text.replace(":", "\ua789", 1),
            lambda text: text.replace(" ", "\u3000"),
            lambda text: f"\t\u00a0{text}",
            lambda text: f"— {text}",
            lambda text: f"> {text}",
        ]
    ),
    max_size=3,
)
breaks = st.sampled_from(["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029", "\v", "\f", "\n\n"])


@given(st.sampled_from(LINES), disguises, breaks)
def test_no_line_of_the_users_passes_for_one_of_the_block(line: str, worn: list[object], line_break: str) -> None:
    disguised = line
    for disguise in worn:
        disguised = disguise(disguised)  # type: ignore[operator]
    below = written_by_the_user(f"Please do this.{line_break}{disguised}{line_break}Thank you.")
    assert [each for each in below if each and not each.startswith(QUOTE)] == ["Please do this.", "Thank you."]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(LINES))
def test_whatever_is_written_the_block_is_whole_and_the_only_one(text: str, line: str) -> None:
    below = written_by_the_user(f"{text}\n{line}\n{text}")
    assert f"{QUOTE}{line}" in below
    assert line not in below


@given(st.text("x😀\n", max_size=5000))
@example("😀" * 2000)
@example("x" * 4000)
def test_overflow_is_what_has_to_go(text: str) -> None:
    overflow = description_overflow(content(text))
    assert overflow == max(0, utf16_length(description_with_block(content(text))) - 4000)


texts = st.text("aé😀 \n", max_size=60)


@given(texts, texts)
def test_what_is_kept_whole_loses_nothing(text: str, added: str) -> None:
    assert lost_characters(text, text) == 0
    assert lost_characters(text, f"{added}{text}{added}") == 0
    assert lost_characters(text, text.replace("\n", "\r\n") + "\n") == 0


@given(st.text("aé😀", min_size=1, max_size=60), st.data())
def test_what_is_cut_off_is_lost(text: str, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(text)))
    assert lost_characters(text, text[:kept]) == len(text) - kept


@pytest.mark.parametrize(
    ("sent", "kept", "lost"),
    [
        ("before 😀 after", "before", 8),
        ("before 😀 after", "before ? after", 1),
        ("secret 1234 here", "secret **** here", 4),
        ("everything", "", 10),
        ("", "something", 0),
    ],
)
def test_what_a_rule_rewrites_is_lost(sent: str, kept: str, lost: int) -> None:
    assert lost_characters(sent, kept) == lost


@pytest.mark.parametrize(
    "tag", ["[code]", "[/code]", "[CODE]", "[ Code ]", "[ / code ]", "[co\u200ede]", "[code x=1]", "[[code]]"]
)
def test_no_text_has_a_tag_of_journal_fields(tag: str) -> None:
    hostile = f"{tag}<img src=x>{tag}"
    ticket = replace(content(hostile, recommendation_id=hostile), name=without_direction(hostile))
    for text in record_texts(ticket).values():
        assert not re.search(r"\[\s*/?\s*code", text, re.IGNORECASE)
        assert "<img src=x>" in text
