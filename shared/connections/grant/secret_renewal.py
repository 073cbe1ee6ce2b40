"""Renewal: a secret that lives longer than its version in Key Vault is written there again in time.

Every version has an expiry date, because Azure policies ask for one (``Settings.secret_lifetime``). The client secret
does not expire, and a refresh token can outlive the version that holds it. Key Vault still returns an expired version,
so the secrets are renewed even after the app slept for months.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock, believed
from shared.connections.changes import change_connection
from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_names import client_secret_name, refresh_token_name
from shared.connections.held_lease import HeldLease
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.ports import ConnectionStore, SecretStore
from shared.errors import ConnectorError
from shared.log import log_event
from shared.service import service

_WITHOUT_SECRETS: Final = frozenset({ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.DISCONNECTED})


def renewal_after(lifetime: timedelta) -> timedelta:
    """Return how long after it was written a secret is renewed: the last third of its life is left for failures."""
    return lifetime * 2 / 3


def renewal_due_at(connection: Connection, now: datetime, lifetime: timedelta) -> datetime | None:
    """Return when the connection's secrets have to be written again, or None if there are none.

    That is now if nobody knows how old they are, as after a release that gave them no expiry date.
    """
    if connection.status in _WITHOUT_SECRETS:
        return None
    return max(now, believed(connection.secrets_renew_at, now, ahead=renewal_after(lifetime)) or now)


def is_renewal_due(connection: Connection, now: datetime, lifetime: timedelta) -> bool:
    """Whether the connection's secrets have to be written again now."""
    return renewal_due_at(connection, now, lifetime) == now


@service
class SecretRenewal:
    """Renews the secrets of connections.

    Attributes:
        lease: The lease for writing a connection's tokens.
        lifetime: The life of a version in Key Vault.
    """

    connections: ConnectionStore
    secrets: SecretStore
    lease: Lease
    clock: Clock
    lifetime: timedelta

    async def renew_if_due(self, connection: Connection) -> Connection:
        """Renew the connection's secrets if it is time and nobody else is writing its tokens; return it as stored.

        A failure is logged, and the next run of the timer tries again: nothing else has to wait for it.
        """
        if not is_renewal_due(connection, self.clock(), self.lifetime):
            return connection
        try:
            async with self.lease.held_if_free(connection.connection_id) as lease:
                return connection if lease is None else await self._renew(connection.connection_id, lease) or connection
        except ConnectorError as error:
            log_event(
                "secrets_not_renewed", level=logging.WARNING, connection_id=connection.connection_id, code=error.code
            )
            return connection

    async def _renew(self, connection_id: str, lease: HeldLease) -> Connection | None:
        current = await self.connections.get_connection(connection_id)
        now = self.clock()
        if current is None or not is_renewal_due(current, now, self.lifetime):
            return current
        for name, ends_at in _living(current, now):
            value = await self.secrets.get_secret(name)
            lease.require()
            if value is not None:
                await self.secrets.set_secret(name, value, expires_at=ends_at)
        renewed = await change_connection(
            self.connections, current, lambda row: replace(row, secrets_renew_at=now + renewal_after(self.lifetime))
        )
        log_event("secrets_renewed", connection_id=connection_id)
        return renewed


def _living(connection: Connection, now: datetime) -> Iterator[tuple[str, datetime | None]]:
    """Yield the names of the secrets that are still useful, and when their values expire."""
    yield client_secret_name(connection.connection_id), None
    consent_ends_at = connection.consent_ends_at
    if consent_ends_at is not None and consent_ends_at > now:
        yield refresh_token_name(connection.connection_id), consent_ends_at
