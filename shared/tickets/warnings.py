"""Warnings about a ticket that is worth a second look before it is created. Pure.

A person confirms them; a program reads them in the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from shared.tickets.model import Delivery, Ticket, TicketContent
from shared.value_object import value_object

SHOWN_TICKETS: Final = 3
"""How many open tickets for the same recommendation a warning lists."""


class WarningCode(StrEnum):
    """What a warning is about."""

    DUE_DATE_PAST = "due_date_past"
    RECOMMENDATION_HAS_OPEN_TICKET = "recommendation_has_open_ticket"


@value_object
class TicketWarning:
    """Something about a new ticket that may be a mistake.

    Attributes:
        tickets: The other tickets concerned, newest first.
    """

    code: WarningCode
    tickets: tuple[Ticket, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """What somebody accepts with this warning."""
        return frozenset({f"{self.code}:{each.ticket_id}" for each in self.tickets} or {self.code.value})


def keys_of(warnings: Iterable[TicketWarning]) -> frozenset[str]:
    """Return what somebody accepts with all of these warnings."""
    return frozenset(key for each in warnings for key in each.keys)


def warnings_about(ticket: Ticket, others: Sequence[Ticket]) -> Sequence[TicketWarning]:
    """Return the warnings about a ticket as it is created.

    Args:
        others: Tickets of the same connection that may be about the same recommendation, newest first.
    """
    warnings = []
    if ticket.content.due_at is not None and ticket.content.due_at < ticket.created_at:
        warnings.append(TicketWarning(WarningCode.DUE_DATE_PAST))
    doubled = [each for each in others if _is_undone(each) and _is_of_same_recommendation(each.content, ticket.content)]
    doubled = [each for each in doubled if each.ticket_id != ticket.ticket_id and each.instance == ticket.instance]
    if doubled:
        warnings.append(TicketWarning(WarningCode.RECOMMENDATION_HAS_OPEN_TICKET, tuple(doubled[:SHOWN_TICKETS])))
    return warnings


def recommendation_keys(content: TicketContent) -> Sequence[str]:
    """Return hashes of the recommendation's id, link and name, by which tickets about the same one are found."""
    named = {
        "id": content.recommendation.id,
        "link": content.recommendation.link,
        "name": content.name,
    }
    return [hashlib.sha256(f"{what}\n{_plain(text)}".encode()).hexdigest()[:32] for what, text in named.items() if text]


def _is_undone(ticket: Ticket) -> bool:
    """Whether somebody is working on it or will: it may be on its way to ServiceNow."""
    return ticket.is_open or ticket.delivery.status is Delivery.PENDING


def _is_of_same_recommendation(one: TicketContent, other: TicketContent) -> bool:
    """Whether two tickets seem to be about the same recommendation.

    A link often leads to a list of recommendations, so it does not count when both have an id.
    """
    mine, theirs = one.recommendation, other.recommendation
    if _plain(one.name) == _plain(other.name):
        return True
    if mine.id and theirs.id:
        return _plain(mine.id) == _plain(theirs.id)
    return bool(mine.link) and _plain(mine.link) == _plain(theirs.link)


def _plain(text: str | None) -> str:
    return " ".join((text or "").casefold().split())
