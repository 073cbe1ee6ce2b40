"""Changing a connection's reminders: addresses go to Key Vault, everything else to its row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from shared.clock import Clock
from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_names import signing_secret_name, teams_address_name, webhook_address_name
from shared.connections.grant.secret_renewal import renewal_after
from shared.connections.held_lease import HeldLease
from shared.connections.lookup import get_present_connection
from shared.connections.ports import ConnectionStore, RowChanged, SecretStore
from shared.connections.turns import Turns
from shared.errors import TryLater
from shared.log import log_event
from shared.reminders.addresses import new_signing_secret
from shared.reminders.model import Receiver, Reminders, ReminderSettings
from shared.reminders.ports import ReminderStore
from shared.reminders.requests import RemindersRequest
from shared.request_faults import refused
from shared.secret import Secret
from shared.service import service
from shared.value_object import value_object

TRIES: Final = 5
REMINDER_SECRETS: Final = "reminder_secrets"
"""Purpose of the lease for writing the addresses and the signing secret of a connection."""
SECRET_NAMES: Final[tuple[Callable[[str], str], ...]] = (
    teams_address_name,
    webhook_address_name,
    signing_secret_name,
)
"""Everything in Key Vault that reminders have."""


@value_object
class Changed:
    """Reminders after a change.

    Attributes:
        new_secret: A signing secret that was made; shown once.
    """

    reminders: Reminders
    new_secret: Secret | None = None


@service
class ReminderConfiguration:
    """Changes the reminders of connections."""

    connections: ConnectionStore
    store: ReminderStore
    secrets: SecretStore
    turns: Turns
    lease: Lease
    clock: Clock
    secret_lifetime: timedelta

    async def put(self, connection_id: str, request: RemindersRequest) -> Changed:
        """Store what an administrator wants.

        Secrets are written before the settings say that they are there, and removed after the settings say that they
        are gone. So nobody sends to an address that is not there, and a request that breaks off can be repeated.

        Two requests at once come one after the other, and no turn writes an old secret again meanwhile.

        Raises:
            FixRequest: 404 ``connection_not_found``, or 422 ``invalid_reminders``.
            TryLater: Storage or Key Vault does not answer, or another request takes too long.
        """
        await get_present_connection(self.connections, connection_id)
        async with self.lease.held(connection_id) as lease:
            return await self._put(connection_id, request, lease)

    async def _put(self, connection_id: str, request: RemindersRequest, lease: HeldLease) -> Changed:
        before = (await self.store.get(connection_id)).settings
        given = {Receiver.TEAMS: request.teams_address, Receiver.WEBHOOK: request.webhook_address}
        named = {Receiver.TEAMS: "teams_address", Receiver.WEBHOOK: "webhook_address"}
        kept = {each for each in before.receivers if named.get(each) not in request.model_fields_set}
        receivers = tuple(each for each in Receiver if given[each] is not None or each in kept)
        wants_secret = request.signing_secret is not None or request.new_signing_secret
        if wants_secret and Receiver.WEBHOOK not in receivers:
            fault = "signing_secret_without_address"
            raise refused("invalid_reminders", [{"pointer": "/signing_secret", "code": fault, "values": {}}])
        is_new = Receiver.WEBHOOK in receivers and Receiver.WEBHOOK not in before.receivers
        new_secret = (
            new_signing_secret() if request.signing_secret is None and (request.new_signing_secret or is_new) else None
        )
        lease.require()
        await self._write(connection_id, teams_address_name, request.teams_address)
        await self._write(connection_id, webhook_address_name, request.webhook_address)
        await self._write(connection_id, signing_secret_name, request.signing_secret)
        if new_secret is not None:
            await self.secrets.set_secret(signing_secret_name(connection_id), new_secret)
        lease.require()
        await self._save(connection_id, request, receivers)
        if Receiver.TEAMS not in receivers:
            await self.secrets.remove_secret(teams_address_name(connection_id))
        if Receiver.WEBHOOK not in receivers:
            await self.secrets.remove_secret(webhook_address_name(connection_id))
            await self.secrets.remove_secret(signing_secret_name(connection_id))
        await self.turns.wake(connection_id, reminders=True)
        log_event("reminders_changed", connection_id=connection_id, receivers=",".join(receivers))
        return Changed(await self.store.get(connection_id), new_secret)

    async def _write(self, connection_id: str, name: Callable[[str], str], value: SecretStr | None) -> None:
        if value is not None:
            await self.secrets.set_secret(name(connection_id), Secret(value.get_secret_value()))

    async def _save(self, connection_id: str, request: RemindersRequest, receivers: tuple[Receiver, ...]) -> None:
        for _ in range(TRIES):
            present = (await self.store.get(connection_id)).settings
            try:
                await self.store.save_settings(connection_id, self._settings(present, request, receivers))
            except RowChanged:
                continue
            return
        raise TryLater("connection_busy")

    def _settings(
        self, present: ReminderSettings, request: RemindersRequest, receivers: tuple[Receiver, ...]
    ) -> ReminderSettings:
        digest, quiet, now = request.digest, request.quiet_hours, self.clock()
        weekday, at = (digest.weekday, digest.at) if digest else (present.digest_weekday, present.digest_at)
        is_same = present.has_digest and present.receivers and (weekday, at) == _digest_of(present)
        has_new_way = any((request.teams_address, request.webhook_address, request.signing_secret))
        return replace(
            present,
            receivers=receivers,
            has_digest=digest is not None,
            digest_weekday=weekday,
            digest_at=at,
            digest_since_at=present.digest_since_at if is_same else now,
            causes=request.urgent,
            quiet_from=None if quiet is None else quiet.begin_at,
            quiet_to=None if quiet is None else quiet.end_at,
            tested_at=None if has_new_way else present.tested_at,
            # Whichever secret was written before is renewed a little too early.
            secrets_renew_at=present.secrets_renew_at or now + renewal_after(self.secret_lifetime),
        )


def _digest_of(settings: ReminderSettings) -> tuple[int, str]:
    return settings.digest_weekday, settings.digest_at


async def forget_reminders(store: ReminderStore, secrets: SecretStore, connection_id: str) -> None:
    """Remove everything about the reminders of a connection. Raises StorageUnavailable."""
    for name in SECRET_NAMES:
        await secrets.remove_secret(name(connection_id))
    await store.forget(connection_id)
