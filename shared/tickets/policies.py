"""What an administrator has decided about closed tickets: which ones claim a fix, and what happens if there is none."""

from __future__ import annotations

from shared.connections.model import KindSettings, OutcomePolicy, TicketKind
from shared.tickets.kinds import KINDS
from shared.tickets.outcomes import Outcome


def claims_fix(kind: TicketKind, close_code: str | None, settings: KindSettings) -> bool:
    """Return whether a ticket that was closed with this code claims that the work is done.

    A missing code claims it, too: many instances let people close a record without one. Case and blanks do not matter.
    """
    return spelling(close_code or "") not in map(spelling, not_done_codes(kind, settings))


def not_done_codes(kind: TicketKind, settings: KindSettings) -> tuple[str, ...]:
    """Return the close codes that claim no fix: those of the settings, otherwise the usual ones of the kind."""
    if settings.not_done_codes is not None:
        return settings.not_done_codes
    return KINDS[kind].not_done_codes if kind in KINDS else ()


def spelling(code: str) -> str:
    """Return what two close codes have in common if they mean the same."""
    return " ".join(code.split()).casefold()


def policy_of(kind: TicketKind, outcome: Outcome, settings: KindSettings) -> OutcomePolicy:
    """Return what happens to a ticket with this outcome.

    A kind that ServiceNow never reopens gets a new ticket instead. Any other outcome, and a policy that only another
    release knows, means a note and no more.
    """
    chosen = {Outcome.NOT_FIXED: settings.not_fixed, Outcome.REGRESSED: settings.regressed}.get(outcome)
    return possible_policy(kind, chosen) if chosen in set(OutcomePolicy) else OutcomePolicy.NOTE_ONLY


def possible_policy(kind: TicketKind, chosen: OutcomePolicy) -> OutcomePolicy:
    """Return the policy, or a new ticket where ServiceNow reopens none of the kind."""
    if chosen is OutcomePolicy.REOPEN and not (kind in KINDS and KINDS[kind].can_be_reopened):
        return OutcomePolicy.NEW_TICKET
    return chosen
