"""The consent clock.

A refresh token ends a fixed time after the consent, however often it is used (wire document 1.5).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.connections.model import Connection


def consent_end(connection: Connection, consented_at: datetime) -> datetime:
    """Return when a consent given at that time ends."""
    return consented_at + timedelta(seconds=connection.consent_lifetime_s)


def consent_days_left(connection: Connection, now: datetime) -> int | None:
    """Return how many whole days are left of the consent, 0 when it has ended; None when there is none."""
    if connection.consent_ends_at is None:
        return None
    return max(0, (connection.consent_ends_at - now).days)
