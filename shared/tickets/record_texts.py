"""How a ticket reads in ServiceNow: the block that says where it comes from, then what the user wrote.

The block comes first because an instance that shortens a text cuts off its end: the requester, the portal and the link
survive. Nothing that the user wrote can pass for the block: lines that a reader could take for part of it are quoted.
No text has ``[code]`` tags, since a workflow of the instance may copy it into a journal field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import takewhile
from typing import Final

from shared.texts import one_line, skeleton, utf16_length, without_code_tags, without_direction
from shared.tickets.model import CORRELATION_DISPLAY, DESCRIPTION_MAX_LENGTH, TicketContent
from shared.tickets.shared_names import shared_name
from shared.words.language import language_of, languages

BLOCK_TITLE: Final = f"-- {CORRELATION_DISPLAY} --"
"""First line of the block, by which people and scripts find it."""
QUOTE: Final = "> "
"""Goes before a user's line that looks like part of the block."""
SEPARATOR: Final = "\n\n"

_LABELS: Final = (
    "record.requested_by",
    "record.user_id",
    "record.portal",
    "record.source",
    "record.category",
    "record.recommendation",
    "record.link",
)
"""Keys of the particulars' names. The title is the same in every language: scripts look for it."""
_TITLE_SKELETON: Final = skeleton(CORRELATION_DISPLAY)
_COLONS: Final = dict.fromkeys(map(ord, "：﹕︓꞉∶ː˸׃։፡⁚܃"), ":")


def description_with_block(content: TicketContent) -> str:
    """Return the block (requester, portal, source, category, recommendation and link), then the description."""
    t = language_of(content.language)
    recommendation = content.recommendation
    values = (
        *_requester(content),
        t.named("record_value", content.portal),
        t.named("record_value", recommendation.source),
        t.named("record_value", recommendation.category),
        recommendation.id,
        recommendation.link,
    )
    particulars = [
        t.plain("record.line", label=t.plain(key), value=one_line(value))
        for key, value in zip(_LABELS, values, strict=True)
        if value
    ]
    block = "\n".join([BLOCK_TITLE, *particulars])
    text = "\n".join(map(_quoted, without_direction(content.description).splitlines()))
    return without_code_tags(f"{block}{SEPARATOR}{text}" if text.strip() else block)


def record_texts(content: TicketContent) -> Mapping[str, str]:
    """Return the ticket's texts by ServiceNow field."""
    return {"short_description": without_code_tags(content.name), "description": description_with_block(content)}


def description_overflow(content: TicketContent) -> int:
    """Return how many characters too long block and description are together for ServiceNow's column; 0 if they fit."""
    return max(0, utf16_length(description_with_block(content)) - DESCRIPTION_MAX_LENGTH)


def lost_characters(sent: str, kept: str) -> int:
    """Return how many characters of a text ServiceNow lost.

    Additions, other line breaks and blanks at the end of a line or text do not count. If ServiceNow changed the middle,
    everything between the first and the last change counts.
    """
    sent, kept = _without_margins(sent), _without_margins(kept)
    if sent in kept:
        return 0
    start = _common_length(sent, kept)
    end = _common_length(reversed(sent[start:]), reversed(kept[start:]))
    return len(sent) - start - end


def _requester(content: TicketContent) -> tuple[str | None, str | None]:
    """Return what the block says about who asked: name and address, and object id; None for what it leaves out."""
    requester = content.requester
    if not content.shares_requester:
        return shared_name(requester.name, requester.id), None
    return f"{requester.name} <{requester.email}>" if requester.email else requester.name, requester.id


@cache
def _label_skeletons() -> frozenset[str]:
    """Return how the names of particulars look, in every language: a reader may know a record in another one."""
    return frozenset(skeleton(t.plain(key)) for t in languages().values() for key in _LABELS)


def _quoted(line: str) -> str:
    """Return a user's line, quoted if a reader could take it for part of the block."""
    label, colon, _ = line.translate(_COLONS).partition(":")
    looks_like_ours = skeleton(line).startswith(_TITLE_SKELETON) or (colon and skeleton(label) in _label_skeletons())
    return f"{QUOTE}{line}" if looks_like_ours else line


def _common_length(one: Iterable[str], other: Iterable[str]) -> int:
    """Return the length of the beginning that both share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _without_margins(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()
