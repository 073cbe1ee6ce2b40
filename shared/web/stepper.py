"""How far a ticket has come, as steps: New, In progress, Resolved, Closed, Verified."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

from shared.tickets.model import OPEN_PHASES, Phase, Ticket
from shared.tickets.outcomes import Outcome, Verification
from shared.value_object import value_object
from shared.web.outcome_tones import outcome_tone
from shared.web.states import state_words
from shared.words.language import Language

_LIFE: Final = (Phase.NEW, Phase.IN_PROGRESS, Phase.RESOLVED, Phase.CLOSED)
_IN_PLACE_OF: Final = {Phase.ON_HOLD: Phase.IN_PROGRESS, Phase.UNMAPPED: Phase.IN_PROGRESS}
"""Phases that take the place of another one."""


class Progress(StrEnum):
    """Where a step is, seen from the ticket."""

    BEHIND = "behind"
    """It is over, or was skipped."""
    NOW = "now"
    AHEAD = "ahead"


@value_object
class Step:
    """One step.

    Attributes:
        tone: ``good``, ``warn`` or ``bad``; empty for a neutral one.
    """

    name: str
    progress: Progress
    tone: str = ""


def steps(ticket: Ticket, state_name: str | None, phases: Collection[Phase], t: Language) -> Sequence[Step]:
    """Return the steps of a ticket, of which one is now.

    The present step has the name that people see in ServiceNow. A ticket that is for no stored recommendation has no
    last step, because nothing can prove it.

    Args:
        state_name: The state's name for people; None until the ticket is in ServiceNow.
        phases: Those that records of the ticket's kind go through.
    """
    phase = ticket.phase
    life = [each for each in _LIFE if each in phases or each is phase]
    if phase is None:
        status = ticket.delivery.status
        now = Step(t.named("delivery", status), Progress.NOW, "bad" if status == "failed" else "warn")
        return [now, *(_of_phase(each, Progress.AHEAD, t) for each in life), *_proof(ticket, t)]
    if phase in {Phase.CANCELED, Phase.DELETED}:
        life = [Phase.NEW, phase]
    # A phase that only another release knows is like a state that nobody knows.
    known = phase if phase in set(Phase) else Phase.UNMAPPED
    place = life.index(_IN_PLACE_OF.get(known, known))
    proof = _proof(ticket, t)
    # A closed ticket is where its proof is; one that is only resolved is still closed later.
    is_over = place == len(life) - 1 and phase not in OPEN_PHASES and bool(proof) and proof[0].progress is Progress.NOW
    name = state_words(phase, state_name, t)
    tone = "warn" if phase is Phase.ON_HOLD else ""
    now = Step(name, Progress.BEHIND if is_over else Progress.NOW, tone)
    return [
        *(_of_phase(each, Progress.BEHIND, t) for each in life[:place]),
        now,
        *(_of_phase(each, Progress.AHEAD, t) for each in life[place + 1 :]),
        *proof,
    ]


def _of_phase(phase: Phase, progress: Progress, t: Language) -> Step:
    return Step(t(f"phase.{phase}"), progress)


def _proof(ticket: Ticket, t: Language) -> Sequence[Step]:
    """Return the last step: what became of the recommendations."""
    verification = ticket.verification
    if verification is None or not verification.items:
        return []
    outcome, tone = verification.outcome, outcome_tone(verification.outcome)
    name = t.named("ticket_outcome", outcome)
    if ticket.phase is None or ticket.phase in OPEN_PHASES:
        # What went wrong before is being worked on: the proof is ahead again.
        is_verified = outcome is Outcome.VERIFIED
        verified = t("ticket_outcome.verified")
        return [Step(verified, Progress.BEHIND, tone) if is_verified else Step(verified, Progress.AHEAD)]
    if _is_closed_again(verification):
        name = t("stepper.closed_again")
    if ticket.phase is Phase.RESOLVED:
        return [Step(name, Progress.BEHIND if outcome is Outcome.VERIFIED else Progress.AHEAD, tone)]
    return [Step(name, Progress.NOW, tone)]


def _is_closed_again(verification: Verification) -> bool:
    """Whether the ticket was closed again after its fix had regressed: nothing has proved the new fix."""
    closing = verification.closing
    lost = [each.decided_at for each in verification.items if each.outcome is Outcome.REGRESSED]
    return closing is not None and any(at is not None and at < closing.noticed_at for at in lost)
