"""How a record is resolved or canceled, whatever an instance asks for (ServiceNow §5.3, §5.4): pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from shared.connections.model import TicketKind
from shared.servicenow.kinds import RECORD_KINDS

_NOT_DONE: Final = re.compile(r"cancel|duplicate|not solved|no resolution|unsuccessful", re.IGNORECASE)
_DONE: Final = (
    re.compile(r"^(solution provided|solved \(permanently\)|successful)$", re.IGNORECASE),
    re.compile(r"^(?!.*(not |un|work ?around)).*(solved|solution|success|resolved by)", re.IGNORECASE),
)
"""Close codes that say that the work is done; the best ones first."""
_USUAL_CODES: Final[Mapping[TicketKind, Sequence[str]]] = {
    TicketKind.INCIDENT: ("Solution provided", "Solved (Permanently)"),
    TicketKind.CHANGE: ("successful",),
}
"""Codes of unchanged instances, new and old, for an instance that does not let us read its own."""


def ways_to_cancel(kind: TicketKind, codes: Sequence[str], notes: str) -> Sequence[Mapping[str, str]]:
    """Return the changes that may cancel a record: without a resolution, and with one where a data policy asks for it.

    Args:
        kind: Kind of the ticket.
        codes: The instance's close codes; none if it does not let us read them.
        notes: The notes of the resolution.
    """
    canceled = RECORD_KINDS[kind].canceled_state
    return ({"state": canceled}, {"state": canceled, **_not_done(codes, notes)})


def way_to_close(kind: TicketKind, codes: Sequence[str], notes: str) -> Mapping[str, str]:
    """Return the change that closes a record whose work was not done; arguments as for :func:`ways_to_cancel`."""
    return {"state": RECORD_KINDS[kind].closed_state, **_not_done(codes, notes)}


def ways_to_resolve(kind: TicketKind, codes: Sequence[str], notes: str) -> Sequence[Mapping[str, str]]:
    """Return the changes that may resolve a record, in the order in which to try them.

    A state, its code and its notes must come in the same request. A code that the instance does not have counts as
    missing (ServiceNow §2.8).
    """
    fitting = [code for done in _DONE for code in codes if done.search(code)]
    chosen = dict.fromkeys((*fitting[:2], *_USUAL_CODES[kind]))
    state = RECORD_KINDS[kind].resolved_state
    return [{"state": state, "close_code": code, "close_notes": notes} for code in chosen]


def _not_done(codes: Sequence[str], notes: str) -> Mapping[str, str]:
    fitting = [code for code in codes if _NOT_DONE.search(code)]
    return {"close_notes": notes, **({"close_code": (fitting or codes)[0]} if codes else {})}
