"""What a recommendation's tickets mean for the next one: pure rules.

A recommendation has one open ticket at a time unless somebody deliberately creates another. Its claim names the
tickets; whether one of them is open is only in the ticket's own row, and while it is being reopened, in the update that
does so. Whoever makes a ticket an open one (creates it, links it, sends a failed one again, reopens a resolved one)
writes the claim first and then the ticket's row, in the version read before.
Whoever passes over a ticket first changes that row, or ensures that it will never be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from shared.clock import believed
from shared.connections.model import Connection
from shared.recommendations.ports import Claim, ClaimedTicket
from shared.tickets.model import OPEN_PHASES, Delivery, Phase, RecommendationReference, Ticket

HELD_WITHOUT_TICKET: Final = timedelta(seconds=60)
"""How long a claim waits for its ticket to be stored or linked: a host that was not interrupted needs a second."""
MOST_TICKETS: Final = 100
"""How many tickets of a recommendation its claim remembers, the newest ones."""


class Standing(Enum):
    """What a ticket of a recommendation means for the next one."""

    OPEN = "open"
    """Somebody is working on it, or will."""
    BEING_MADE = "being made"
    """Its claim is recent, and it is not stored or not linked yet."""
    NEVER_MADE = "never made"
    """Its claim is old, and it is still not stored."""
    NOT_LINKED = "not linked"
    """It is not for this recommendation: it never was linked, or no longer is."""
    FAILED = "failed"
    """ServiceNow refused it; somebody may send it again."""
    RESOLVED = "resolved"
    """Nobody has to work on it; a policy may reopen it, or is doing so."""
    DONE = "done"
    """Nobody has to work on it, or nothing happens to it any more."""


def standing_of(
    claimed: ClaimedTicket,
    ticket: Ticket | None,
    reference: RecommendationReference,
    connection: Connection | None,
    now: datetime,
) -> Standing:
    """Return what a claimed ticket means.

    Args:
        ticket: As stored; None if it is not.
        connection: The ticket's connection; None if there is none.
    """
    if ticket is None or reference not in ticket.content.references:
        claimed_at = believed(claimed.claimed_at, now)
        if claimed_at is not None and now < claimed_at + HELD_WITHOUT_TICKET:
            return Standing.BEING_MADE
        return Standing.NEVER_MADE if ticket is None else Standing.NOT_LINKED
    if is_busy(ticket, connection):
        return Standing.OPEN
    if ticket.delivery.status is Delivery.FAILED:
        return Standing.FAILED
    is_reopenable = ticket.phase is Phase.RESOLVED and _is_followed(ticket, connection)
    return Standing.RESOLVED if is_reopenable else Standing.DONE


def is_busy(ticket: Ticket, connection: Connection | None) -> bool:
    """Whether somebody is working on the ticket or will.

    Nothing happens to the tickets of a removed connection, nor to those in an instance that it has left.
    """
    if connection is None or connection.is_removed:
        return False
    match ticket.delivery.status:
        case Delivery.PENDING:
            return True
        case Delivery.FAILED:
            return False
    return _is_followed(ticket, connection) and (ticket.phase is None or ticket.phase in OPEN_PHASES)


def _is_followed(ticket: Ticket, connection: Connection | None) -> bool:
    return connection is not None and not connection.is_removed and ticket.is_of(connection)


def with_ticket(claim: Claim, claimed: ClaimedTicket, without: Iterable[str] = ()) -> tuple[ClaimedTicket, ...]:
    """Return the claim's tickets with this one first, and without tickets that never came to be."""
    dropped = {claimed.ticket_id, *without}
    others = [each for each in claim.tickets if each.ticket_id not in dropped]
    return (claimed, *others)[:MOST_TICKETS]


def tickets_of(claim: Claim, tickets: Mapping[str, Ticket]) -> tuple[Ticket, ...]:
    """Return a recommendation's tickets, the last claimed first.

    Args:
        tickets: By id, as stored.
    """
    found = (tickets.get(each.ticket_id) for each in claim.tickets)
    return tuple(ticket for ticket in found if ticket is not None and _is_for(ticket, claim))


def _is_for(ticket: Ticket, claim: Claim) -> bool:
    place = (claim.tenant_id, claim.key)
    return any((each.tenant_id, each.key) == place for each in ticket.content.references)


def ticket_beside(tickets: Iterable[Ticket], connections: Mapping[str, Connection]) -> Ticket | None:
    """Return the ticket that is shown beside a recommendation: the first open one, or else the first."""
    first = None
    for ticket in tickets:
        if is_busy(ticket, connections.get(ticket.connection_id)):
            return ticket
        first = first or ticket
    return first
