"""Which tickets a list shows, as the query parameters of the API ask for them. Pages ask in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Final

from shared.connections.model import Portal, TicketKind
from shared.tickets.model import NAME_MAX_LENGTH, Delivery, Phase, Priority
from shared.tickets.outcomes import Outcome
from shared.tickets.ports import TicketFilter
from shared.tickets.ranges import Range, times_of_age
from shared.triggers.parameters import choice, day, days, flag, short_text

_KIND: Final = choice("kind", "Only this kind.", TicketKind)
_PHASE: Final = choice("phase", "Only tickets in this phase.", Phase)
_PORTAL: Final = choice("portal", "Only this portal.", Portal)
_DELIVERY: Final = choice("delivery", "Only this delivery status.", Delivery)
_OUTCOME: Final = choice("outcome", "Only tickets of which this became.", Outcome)
_OPEN: Final = flag("open", "true: only tickets somebody still has to work on.")
_OVERDUE: Final = flag("overdue", "true: only open tickets past their due date.")
_PRIORITY: Final = choice("priority", "Only this priority.", Priority)
_DUE_BEFORE: Final = day("due_before", "Only tickets that are due before this day begins, in UTC, open or not.")
_TEXT: Final = short_text(
    "text",
    "Words that are part of the name, the requester's name, a recommendation's id or the number (at least three "
    "digits of it).",
    max_length=NAME_MAX_LENGTH,
)

_OPENED_FROM: Final = day(
    "opened_from", "Only tickets that are in ServiceNow and were created on this day (UTC) or later."
)
_OPENED_TO: Final = day("opened_to", "The same, on this day or earlier.")
_CLOSED_FROM: Final = day("closed_from", "Only tickets that were closed on this day (UTC) or later, and not reopened.")
_CLOSED_TO: Final = day("closed_to", "The same, on this day or earlier.")
_AGE_FROM: Final = days("age_from", "Only tickets that were created at least this many whole days ago.")
_AGE_TO: Final = days("age_to", "The same, at most.")
_PROOF_DAYS_FROM: Final = days(
    "proof_days_from", "Only verified tickets with at least this many whole days from the ticket to the proof."
)
_PROOF_DAYS_TO: Final = days("proof_days_to", "The same, at most.")

FILTER_PARAMETERS: Final = (
    *(_KIND, _PHASE, _PORTAL, _DELIVERY, _OUTCOME, _OPEN, _OVERDUE, _PRIORITY, _DUE_BEFORE, _TEXT),
    *(_OPENED_FROM, _OPENED_TO, _CLOSED_FROM, _CLOSED_TO, _AGE_FROM, _AGE_TO, _PROOF_DAYS_FROM, _PROOF_DAYS_TO),
)


def read_ticket_filter(query: Mapping[str, str], now: datetime) -> TicketFilter:
    """Return the filter that a query asks for. Raises FixRequest (400 ``invalid_parameter``)."""
    due_before = _DUE_BEFORE.read(query)
    return TicketFilter(
        kind=_KIND.read(query),
        phase=_PHASE.read(query),
        portal=_PORTAL.read(query),
        delivery=_DELIVERY.read(query),
        outcome=_OUTCOME.read(query),
        open_only=_OPEN.read(query),
        overdue_at=now if _OVERDUE.read(query) else None,
        text=_TEXT.read(query),
        priority=_PRIORITY.read(query),
        due_before=None if due_before is None else datetime.combine(due_before, time.min, UTC),
        opened_on=Range(_OPENED_FROM.read(query), _OPENED_TO.read(query)),
        closed_on=Range(_CLOSED_FROM.read(query), _CLOSED_TO.read(query)),
        created_at=times_of_age(Range(_AGE_FROM.read(query), _AGE_TO.read(query)), now),
        proof_days=Range(_PROOF_DAYS_FROM.read(query), _PROOF_DAYS_TO.read(query)),
    )
