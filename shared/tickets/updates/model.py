"""An update: a change of a record in ServiceNow that somebody, or a policy, asked for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.errors import Failure
from shared.value_object import value_object

TEXT_MAX_LENGTH: Final = 4000
"""UTF-16 code units of a comment or a work note: an instance may cut off more (ServiceNow §5.1)."""
MOST_PRESENT: Final = 20
"""How many updates of one ticket can wait or be refused; a person who wants more has to wait, too, or discards some."""


class UpdateKind(StrEnum):
    """What an update does."""

    WORK_NOTE = "work_note"
    COMMENT = "comment"
    DUE_DATE = "due_date"
    RESOLVE = "resolve"
    CANCEL = "cancel"
    REOPEN = "reopen"
    """A resolved incident goes back to work. Where that is not possible, a follow-up ticket takes its place."""
    FOLLOW_UP = "follow_up"
    """A new ticket for the same recommendations, which names this one."""


class UpdateStatus(StrEnum):
    """How far an update has come. One that is carried out is deleted; the ticket's timeline shows it."""

    WAITING = "waiting"
    REFUSED = "refused"
    """ServiceNow does not accept it. It is kept until somebody tries again or discards it."""


@value_object
class Update:
    """A change of a ticket's record that is not carried out yet.

    Attributes:
        update_id: 32 hexadecimal digits, oldest first in text order; ``correlation_display`` ends in it once sent.
        text: The note or comment, or the notes of a state change; empty if there is none.
        due_at: The wanted due date of a ``DUE_DATE`` update; None removes it.
        asked_by_id: The caller's object id, or the name of a policy, ``policy:<name>``.
        asked_by_name: The person's name; None for a policy, whose name is said in the reader's language.
        attempts: How many times it was sent or was about to be sent.
        attempt_started_at: When the last attempt with an unknown outcome began; None when it is known that nothing was
            written.
        next_attempt_at: The earliest time for the next attempt.
        leased_until_at: Until then only one sender works on it.
        refused_since_at: When ServiceNow began to refuse it for lack of rights; None if it does not.
        failure: Why the last attempt did not succeed.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
        etag: Version of the stored row, None before it is stored.
    """

    connection_id: str
    ticket_id: str
    update_id: str
    kind: UpdateKind
    asked_by_id: str
    asked_at: datetime
    asked_by_name: str | None = None
    text: str = ""
    due_at: datetime | None = None
    status: UpdateStatus = UpdateStatus.WAITING
    attempts: int = 0
    attempt_started_at: datetime | None = None
    next_attempt_at: datetime | None = None
    leased_until_at: datetime | None = None
    refused_since_at: datetime | None = None
    failure: Failure | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)


def new_update_id(now: datetime) -> str:
    """Return a new id: 12 hexadecimal digits that grow with time, and 20 random ones."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
