"""The progress of an update through its attempts: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.errors import AccessRefused, ConnectorError, Failure, Reauthorize, TryLater
from shared.tickets.attempts import (
    COMMIT_MAY_TAKE_S,
    LEASE,
    backoff_s,
    is_leased,
    next_attempt_at,
    wait_for_rights_s,
)
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus

NOTES: Final = frozenset({UpdateKind.WORK_NOTE, UpdateKind.COMMENT})
"""They add an entry to a journal, which must not be repeated; all others can be."""
LETS_OTHERS_FINISH: Final = timedelta(seconds=30)
STATE_CHANGES: Final = frozenset({UpdateKind.RESOLVE, UpdateKind.CANCEL, UpdateKind.REOPEN})


def leased(update: Update, now: datetime) -> Update:
    """Return the update as it must be stored before anybody looks whether another one of the ticket is being sent."""
    return replace(update, leased_until_at=now + LEASE)


def begin_attempt(update: Update, now: datetime) -> Update:
    """Return the leased update as it must be stored before it is sent."""
    return replace(update, attempts=update.attempts + 1, attempt_started_at=now)


def in_order(updates: Iterable[Update]) -> Sequence[Update]:
    """Return the updates of a ticket in the order in which to send them: what is in doubt goes first, then the oldest.

    An update can be older than one that is in doubt: a host's clock was behind, or a request was repeated later.
    """
    return sorted(updates, key=lambda each: (each.attempt_started_at is None, each.update_id))


def may_not_overtake(update: Update, other: Update, now: datetime) -> bool:
    """Whether an update has to wait for another one of its ticket.

    Each write replaces the marker of the one before. So nothing is sent while another update is being sent, or may
    have been written.
    """
    is_in_doubt = other.attempt_started_at is not None and update.attempt_started_at is None
    return other.status is UpdateStatus.WAITING and (is_leased(other, now) or is_in_doubt)


def made_way(update: Update, now: datetime) -> Update:
    """Return a leased update that lets another one go first."""
    return replace(update, leased_until_at=None, next_attempt_at=now + LETS_OTHERS_FINISH)


def is_sendable(update: Update, now: datetime) -> bool:
    """Whether an attempt may begin now: the update is waiting, due, known to this release and not leased."""
    return (
        waits(update)
        and (update.next_attempt_at is None or update.next_attempt_at <= now)
        and not is_leased(update, now)
    )


def waits(update: Update) -> bool:
    """Whether this release sends it sooner or later; another release may have stored a kind unknown to this one."""
    return update.status is UpdateStatus.WAITING and update.kind in set(UpdateKind)


def is_reopening(update: Update) -> bool:
    """Whether it is reopening its ticket, or may have done so."""
    return update.kind is UpdateKind.REOPEN and waits(update) and update.attempt_started_at is not None


def attempt_due_at(update: Update, now: datetime) -> datetime | None:
    """Return when the next attempt may begin, or None if this release makes none."""
    return next_attempt_at(update, now) if waits(update) else None


def postponed(update: Update, error: ConnectorError, now: datetime, *, jitter: float, unknown: bool) -> Update:
    """Return the update after an attempt that will be repeated later.

    Args:
        unknown: The write may have succeeded; the next attempt looks first.
    """
    asked_s = error.retry_after_s if isinstance(error, TryLater) else None
    # A missing consent needs a person, so the update is sent in the first run after re-authorization.
    wait_s = 0.0 if isinstance(error, Reauthorize) else backoff_s(update.attempts, asked_s, jitter)
    return _waiting(update, error, now, wait_s=wait_s, unknown=unknown, refused_since_at=None)


def waiting_for_rights(update: Update, error: AccessRefused, now: datetime, *, unknown: bool) -> Update | None:
    """Return the update after ServiceNow refused the integration user; None if that has lasted too long.

    Args:
        unknown: As for :func:`postponed`.
    """
    since_at = believed(update.refused_since_at, now) or now
    wait_s = wait_for_rights_s(since_at, now)
    if wait_s is None:
        return None
    return _waiting(update, error, now, wait_s=wait_s, unknown=unknown, refused_since_at=since_at)


def _waiting(
    update: Update,
    error: ConnectorError,
    now: datetime,
    *,
    wait_s: float,
    unknown: bool,
    refused_since_at: datetime | None,
) -> Update:
    if unknown:
        wait_s = max(wait_s, COMMIT_MAY_TAKE_S)
    return replace(
        update,
        attempt_started_at=update.attempt_started_at if unknown else None,
        next_attempt_at=now + timedelta(seconds=wait_s),
        leased_until_at=None,
        refused_since_at=refused_since_at,
        failure=error.failure,
    )


def refused(update: Update, failure: Failure) -> Update:
    """Return the update as refused; it is certain that nothing of it was written."""
    return replace(
        update,
        status=UpdateStatus.REFUSED,
        attempt_started_at=None,
        next_attempt_at=None,
        leased_until_at=None,
        refused_since_at=None,
        failure=failure,
    )


def waiting_again(update: Update) -> Update:
    """Return a refused or waiting update as it is sent at a person's request; what is unknown about it stays so."""
    return replace(
        update,
        status=UpdateStatus.WAITING,
        next_attempt_at=update.next_attempt_at if update.attempt_started_at is not None else None,
        refused_since_at=None,
        failure=None,
    )


def as_follow_up(update: Update) -> Update:
    """Return the follow-up ticket that takes the place of reopening."""
    return replace(
        update,
        kind=UpdateKind.FOLLOW_UP,
        status=UpdateStatus.WAITING,
        attempts=0,
        attempt_started_at=None,
        next_attempt_at=None,
        leased_until_at=None,
        refused_since_at=None,
        failure=None,
    )
