"""When a connection next has work to do: the earliest time at which any of it becomes due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from shared.connections.directory import LOOK_EVERY, SyncState
from shared.connections.grant.secret_renewal import renewal_due_at
from shared.connections.grant.tokens import access_from, refresh_due_at
from shared.connections.model import Connection, ConnectionStatus
from shared.settings import Settings
from shared.tickets.reconcile import reconciliation_due_at
from shared.tickets.sync import sync_due_at


def due_at(
    connection: Connection,
    state: SyncState,
    settings: Settings,
    now: datetime,
    *,
    next_attempt_at: datetime | None = None,
) -> datetime | None:
    """Return when the connection is next due, now at the earliest; None if it was removed.

    Args:
        next_attempt_at: When the next waiting ticket or change of a record may be sent; None if none is waiting.
    """
    if connection.is_removed:
        return None
    return min(_times(connection, state, settings, now, next_attempt_at))


def _times(
    connection: Connection, state: SyncState, settings: Settings, now: datetime, next_attempt_at: datetime | None
) -> Iterator[datetime]:
    yield now + LOOK_EVERY
    if (renewal_at := renewal_due_at(connection, now, settings.secret_lifetime)) is not None:
        yield renewal_at
    if not connection.ever_consented:
        return
    if connection.refresh_token_outdated_until_at is not None:
        yield now  # The instance of the app that holds the newer token offers it to Key Vault again.
    if (refresh_at := refresh_due_at(connection, now)) is not None:
        yield refresh_at
    if (begins_at := access_from(connection, now)) is not None:
        if connection.status is ConnectionStatus.UNAVAILABLE:
            yield begins_at  # Each run checks whether ServiceNow is back.
        yield max(begins_at, sync_due_at(state, now, settings.sync_interval_s))
        yield max(begins_at, reconciliation_due_at(state, now, settings.reconcile_at))
        if next_attempt_at is not None:
            yield max(begins_at, next_attempt_at)
