"""What an administrator has decided about closed tickets: which ones claim a fix, and what happens if there is none."""

from __future__ import annotations

from shared.connections.model import KindSettings, OutcomePolicy, TicketKind
from shared.tickets.kinds import KINDS
from shared.tickets.outcomes import Outcome


def claims_fix(kind: TicketKind, close_code: str | None, settings: KindSettings) -> bool:
    """Return whether a ticket that was closed with this code claims that the work is done.

    A missing code claims it, too: many instances let people close a record without one. Case and blanks do not matter.
    """
    return _spelling(close_code or "") not in map(_spelling, not_done_codes(kind, settings))


def not_done_codes(kind: TicketKind, settings: KindSettings) -> tuple[str, ...]:
    """Return the close codes that claim no fix: those of the settings, otherwise the usual ones of the kind."""
    if settings.not_done_codes is not None:
        return settings.not_done_codes
    return KINDS[kind].not_done_codes if kind in KINDS else ()


def policy_of(kind: TicketKind, outcome: Outcome, settings: KindSettings) -> OutcomePolicy:
    """Return what happens to a ticket with this outcome.

    A kind that ServiceNow never reopens gets a new ticket instead. Any other outcome, and a policy that only another
    release knows, means a note and no more.
    """
    chosen = {Outcome.NOT_FIXED: settings.not_fixed, Outcome.REGRESSED: settings.regressed}.get(outcome)
    if chosen is OutcomePolicy.REOPEN:
        return chosen if kind in KINDS and KINDS[kind].can_be_reopened else OutcomePolicy.NEW_TICKET
    return chosen if chosen is OutcomePolicy.NEW_TICKET else OutcomePolicy.NOTE_ONLY


def _spelling(code: str) -> str:
    return " ".join(code.split()).casefold()
