"""What callers see of changes that somebody, or a policy, asked for."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pydantic import Field

from shared.tickets.model import EventKind
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus
from shared.views import View
from shared.words.error_words import words_of
from shared.words.language import Language

if TYPE_CHECKING:
    from shared.tickets.updates.people import AskedUpdate


class UpdateView(View):
    """A change of a ticket's record that is not carried out yet."""

    update_id: str
    kind: UpdateKind
    text: str = Field(description="The note or comment, or the notes of a state change; empty if there is none.")
    due_at: datetime | None = Field(description="The wanted due date of a `due_date` change; null removes it.")
    asked_by_id: str = Field(description="Object id in Entra ID, or `policy:` and a policy's name.")
    asked_by_name: str | None = Field(description="Null for a policy.")
    asked_at: datetime
    status: UpdateStatus = Field(
        description="waiting: it is sent automatically. refused: ServiceNow does not accept it; it is kept until "
        "somebody sends it again or discards it."
    )
    attempts: int
    next_attempt_at: datetime | None
    error_code: str | None
    error: str | None = Field(description="Why the last attempt did not succeed.")
    next_step: str | None = Field(description="What to do about it.")


class UpdateResult(StrEnum):
    """What became of a change that was asked for."""

    SENT = "sent"
    WAITING = "waiting"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    """It may or may not have been written, and nothing can show which; it is not sent again."""
    DISCARDED = "discarded"
    OVER = "over"
    """One of these, but the timeline is too long to show which."""


class AskedUpdateView(View):
    """The result of asking for a change."""

    update_id: str
    result: UpdateResult = Field(
        description="sent: it is in ServiceNow. waiting: it is sent later, automatically. refused: it is kept until "
        "somebody sends it again or discards it. uncertain: it may or may not be in ServiceNow, and is not sent again. "
        "discarded, over: it was asked for before, and nothing is left of it."
    )
    update: UpdateView | None = Field(description="Null unless it is waiting or was refused.")


_RESULTS: Final = {
    EventKind.UPDATE_SENT: UpdateResult.SENT,
    EventKind.FOLLOWED_UP: UpdateResult.SENT,
    EventKind.UPDATE_UNCERTAIN: UpdateResult.UNCERTAIN,
    EventKind.UPDATE_DISCARDED: UpdateResult.DISCARDED,
}


def update_view(update: Update, t: Language) -> UpdateView:
    """Return what callers see of an update, in the given language."""
    words = None if update.failure is None else words_of(update.failure, t)
    return UpdateView(
        update_id=update.update_id,
        kind=update.kind,
        text=update.text,
        due_at=update.due_at,
        asked_by_id=update.asked_by_id,
        asked_by_name=update.asked_by_name,
        asked_at=update.asked_at,
        status=update.status,
        attempts=update.attempts,
        next_attempt_at=update.next_attempt_at,
        error_code=None if update.failure is None else update.failure.code,
        error=None if words is None else words.message,
        next_step=None if words is None else words.next_step or None,
    )


def asked_update_view(asked: AskedUpdate, t: Language) -> AskedUpdateView:
    """Return the result of asking for a change, in the given language."""
    return AskedUpdateView(
        update_id=asked.update_id,
        result=result_of(asked),
        update=None if asked.update is None else update_view(asked.update, t),
    )


def result_of(asked: AskedUpdate) -> UpdateResult:
    """Return what became of a change; once it is over, the ticket's timeline shows it."""
    if asked.update is not None:
        return UpdateResult.REFUSED if asked.update.status is UpdateStatus.REFUSED else UpdateResult.WAITING
    about = (event for event in reversed(asked.ticket.timeline) if event.details.get("update_id") == asked.update_id)
    return next((_RESULTS[event.kind] for event in about if event.kind in _RESULTS), UpdateResult.OVER)
