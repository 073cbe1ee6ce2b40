"""Attempts to write something to ServiceNow, once: how long they take, and when the next one may begin. Pure.

After a write with an unknown outcome, a look-up comes before the next write, and it waits until the first write can no
longer be committed (ServiceNow cancels a transaction after 60 s, ServiceNow §3). Only one sender at a time works on
what is to be written: the lease is in its row and is taken with the row's etag.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.tickets.model import DeliveryProgress
from shared.tickets.updates.model import Update

COMMIT_MAY_TAKE_S: Final = 65.0
"""ServiceNow's 60 s transaction quota, and a little for the request to get there."""
WRITE_MAY_TAKE_S: Final = 30.0
"""How long a write may take before the client gives up."""
LEASE_S: Final = 150.0
"""How long one sender has a ticket or an update. It sends nothing that could still be committed after that, so that the
next sender does not look it up too early, even after a crash."""
LEASE: Final = timedelta(seconds=LEASE_S)
FIRST_BACKOFF_S: Final = 30.0
LONGEST_BACKOFF_S: Final = 3600.0
LONGEST_WAIT: Final = timedelta(seconds=LONGEST_BACKOFF_S)
"""The longest wait there is: after a 429, too, we wait at most an hour, even if ServiceNow asks for more."""
RIGHTS_PATIENCE_S: Final = 900.0
"""How long to try again after a refusal for lack of rights: people grant them, and they reach the nodes of an instance
one after the other."""
LEFT_PATIENCE_S: Final = 3600.0
"""How long what belongs to the former instance waits for it after the connection was authorized for another one."""


def backoff_s(attempts: int, retry_after_s: float | None, jitter: float) -> float:
    """Return how long to wait after this many attempts: it doubles up to an hour, but is never less than asked for.

    Args:
        jitter: A number between 0 and 1, which shortens the wait by up to half so that attempts spread out.
    """
    wait = min(FIRST_BACKOFF_S * 2.0 ** min(max(attempts - 1, 0), 20), LONGEST_BACKOFF_S) * (1 - jitter / 2)
    return max(wait, retry_after_s or 0.0)


def wait_for_rights_s(refused_since_at: datetime, now: datetime) -> float | None:
    """Return how long to wait after ServiceNow refused the integration user, or None if we have waited long enough.

    The waits double (30 s, 30 s, 1 min, 2 min, and so on) until ``RIGHTS_PATIENCE_S`` is over.
    """
    refused_for_s = (now - refused_since_at).total_seconds()
    if refused_for_s >= RIGHTS_PATIENCE_S:
        return None
    return min(max(refused_for_s, FIRST_BACKOFF_S), RIGHTS_PATIENCE_S - refused_for_s)


def is_leased(progress: DeliveryProgress | Update, now: datetime) -> bool:
    """Whether somebody is working on it."""
    return progress.leased_until_at is not None and progress.leased_until_at > now


def next_attempt_at(progress: DeliveryProgress | Update, now: datetime) -> datetime:
    """Return when the next attempt may begin, now at the earliest.

    A time further ahead than we ever store counts as past; the next run corrects it.
    """
    waits_until_at = believed(progress.next_attempt_at, now, ahead=LONGEST_WAIT)
    leased_until_at = believed(progress.leased_until_at, now, ahead=LEASE)
    return max(now, waits_until_at or now, leased_until_at or now)


def send_by(leased_until_at: datetime | None) -> datetime:
    """Return the latest time to send a write: a later one could be committed after the lease ends."""
    assert leased_until_at is not None, "an attempt has the lease"
    return leased_until_at - timedelta(seconds=WRITE_MAY_TAKE_S + COMMIT_MAY_TAKE_S)


def without_wrong_times[Progress: (DeliveryProgress, Update)](progress: Progress, now: datetime) -> Progress:
    """Return the progress without future times that only a wrong clock can have written.

    Somebody may be working under a lease that ends too far in the future, and a write that began in the future may
    still be committed, so both count as if they began now. A next attempt too far in the future is due now.
    """
    after = progress
    if progress.leased_until_at != believed(progress.leased_until_at, now, ahead=LEASE):
        after = replace(after, leased_until_at=now + LEASE)
    if progress.attempt_started_at != believed(progress.attempt_started_at, now):
        after = replace(after, attempt_started_at=now)
    if progress.next_attempt_at != believed(progress.next_attempt_at, now, ahead=LONGEST_WAIT):
        after = replace(after, next_attempt_at=None)
    return after
