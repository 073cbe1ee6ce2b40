"""How a ticket reads in ServiceNow: the block that says where it comes from, then what the user wrote.

The block comes first, because an instance that keeps less than it was sent loses the end: who asked, from which portal,
and the link survive. Nothing that the user wrote can pass for the block: lines that a reader could take for a part of
it are quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Final

from shared.texts import one_line, skeleton, utf16_length, without_direction
from shared.tickets.model import CORRELATION_DISPLAY, DESCRIPTION_MAX_LENGTH, TicketContent

BLOCK_TITLE: Final = f"-- {CORRELATION_DISPLAY} --"
"""First line of the block, so that people and scripts find it."""
QUOTE: Final = "> "
"""Is put before a line of the user's that looks like one of the block's."""
SEPARATOR: Final = "\n\n"

_LABELS: Final = ("Requested by", "User id", "Portal", "Source", "Category", "Recommendation", "Link")
_TITLE_SKELETON: Final = skeleton(CORRELATION_DISPLAY)
_LABEL_SKELETONS: Final = frozenset(skeleton(label) for label in _LABELS)
_COLONS: Final = dict.fromkeys(map(ord, "：﹕︓꞉∶ː˸׃։፡⁚܃"), ":")


def description_with_block(content: TicketContent) -> str:
    """Return the block and the description: requester, portal, source, category, recommendation and link first."""
    requester, recommendation = content.requester, content.recommendation
    values = (
        f"{requester.name} <{requester.email}>" if requester.email else requester.name,
        requester.id,
        content.portal.value,
        recommendation.source.value,
        recommendation.category.value,
        recommendation.id,
        recommendation.link,
    )
    particulars = [f"{label}: {one_line(value)}" for label, value in zip(_LABELS, values, strict=True) if value]
    block = "\n".join([BLOCK_TITLE, *particulars])
    text = "\n".join(map(_told_apart, without_direction(content.description).splitlines()))
    return f"{block}{SEPARATOR}{text}" if text.strip() else block


def record_texts(content: TicketContent) -> Mapping[str, str]:
    """Return the ticket's texts by ServiceNow's field."""
    return {"short_description": content.name, "description": description_with_block(content)}


def description_overflow(content: TicketContent) -> int:
    """Return by how many characters block and description together exceed ServiceNow's column; 0 when they fit."""
    return max(0, utf16_length(description_with_block(content)) - DESCRIPTION_MAX_LENGTH)


def lost_characters(sent: str, kept: str) -> int:
    """Return how many characters of a text ServiceNow did not keep.

    What it adds does not count, and neither do line breaks in another form or blanks at an end. Of a text that was
    changed in the middle everything between the first and the last change counts.
    """
    sent, kept = _without_margins(sent), _without_margins(kept)
    if sent in kept:
        return 0
    start = _common_length(sent, kept)
    end = _common_length(reversed(sent[start:]), reversed(kept[start:]))
    return len(sent) - start - end


def _told_apart(line: str) -> str:
    """Return a line of the user's, quoted when a reader could take it for one of the block's."""
    label, colon, _ = line.translate(_COLONS).partition(":")
    looks_like_ours = skeleton(line).startswith(_TITLE_SKELETON) or (colon and skeleton(label) in _LABEL_SKELETONS)
    return f"{QUOTE}{line}" if looks_like_ours else line


def _common_length(one: Iterable[str], other: Iterable[str]) -> int:
    """Return how many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _without_margins(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()
