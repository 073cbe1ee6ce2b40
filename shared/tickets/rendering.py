"""How a ticket reads in ServiceNow: the description and the block that closes it."""

from __future__ import annotations

from typing import Final

from shared.tickets.model import CORRELATION_DISPLAY, DESCRIPTION_MAX_LENGTH, TicketContent

BLOCK_TITLE: Final = f"-- {CORRELATION_DISPLAY} --"
"""First line of the block, so that people and scripts find it."""


def description_with_block(content: TicketContent) -> str:
    """Return the description followed by the block: requester, portal, source, category, recommendation and link."""
    block = "\n".join([BLOCK_TITLE, *(f"{label}: {_one_line(value)}" for label, value in _particulars(content))])
    return f"{content.description}\n\n{block}" if content.description else block


def description_overflow(content: TicketContent) -> int:
    """Return by how many characters description and block together exceed ServiceNow's column; 0 when they fit."""
    return max(0, len(description_with_block(content)) - DESCRIPTION_MAX_LENGTH)


def _particulars(content: TicketContent) -> list[tuple[str, str]]:
    requester, recommendation = content.requester, content.recommendation
    particulars = [
        ("Requested by", f"{requester.name} <{requester.email}>" if requester.email else requester.name),
        ("User id", requester.object_id),
        ("Portal", content.portal.value),
        ("Source", recommendation.source.value),
        ("Category", recommendation.category.value),
    ]
    if recommendation.recommendation_id:
        particulars.append(("Recommendation", recommendation.recommendation_id))
    if recommendation.link:
        particulars.append(("Link", recommendation.link))
    return particulars


def _one_line(value: str) -> str:
    """Keep a value on its line, so that none can pass for another line of the block."""
    return " ".join(value.split())
