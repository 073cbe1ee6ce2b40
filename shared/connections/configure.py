"""Configuration: an administrator creates or changes a connection.

The stored client secret is sent only to the instance, and with the client id, that it was given for: another instance
or client needs its own secret. While a secret is being replaced, the connection counts as not configured, so that
nobody mixes old and new values. If the request is interrupted there, it can simply be sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.access.current import sees_everything
from shared.access.sight import LimitChange, Sight
from shared.clock import Clock
from shared.connections.changes import change_connection, change_sync_state
from shared.connections.customers import customer_of
from shared.connections.directory import SyncState
from shared.connections.grant.lease import Lease
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from shared.connections.grant.secret_renewal import renewal_after
from shared.connections.grant.target import has_same_target
from shared.connections.instance_address import normalise_instance
from shared.connections.lookup import checked_connection_id, get_known_connection
from shared.connections.model import (
    Connection,
    ConnectionStatus,
    Grant,
    KindSettings,
    LastError,
    consent_end,
    is_same_user,
    without_tokens,
)
from shared.connections.ports import ConnectionStore, RowChanged, SecretStore
from shared.connections.renaming import proved_address, with_address
from shared.connections.requests import ConnectionRequest
from shared.connections.turns import Turns
from shared.errors import Failure, FixRequest, TryLater
from shared.log import log_event
from shared.secret import Secret
from shared.service import service
from shared.value_object import value_object

MAX_CONNECTIONS: Final = 2_000
"""A limit, because the work of the timer and the pages grows with the number of connections. Removed ones count, since
their rows and tickets stay."""
_CHANGED: Final = "configuration_changed"
_UNUSED: Final = frozenset({ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.DISCONNECTED})


@value_object
class Configured:
    """The result of a request.

    Attributes:
        created: Whether the connection is new.
    """

    connection: Connection
    created: bool


@service
class ConnectionConfiguration:
    """Creates and changes connections; see the module's description for what it promises.

    Attributes:
        secret_lifetime: The life of a version of a secret in Key Vault.
        allowed_hosts: Hosts outside ServiceNow's own domains that the operator allows.
        allow_loopback_http: Whether ``http://`` to this machine is allowed.
    """

    connections: ConnectionStore
    secrets: SecretStore
    revocation: TokenRevocation
    lease: Lease
    turns: Turns
    sight: Sight
    clock: Clock
    secret_lifetime: timedelta
    allowed_hosts: Collection[str] = ()
    allow_loopback_http: bool = False

    async def put(
        self,
        connection_id: str,
        request: ConnectionRequest,
        *,
        names: Mapping[str, str] | None = None,
        count: int | None = None,
    ) -> Configured:
        """Create the connection or change it as requested; its tickets stay as they are.

        Whoever may no longer see it does not see what else changes.

        A changed instance, client, client secret, integration user or grant needs a new authorization; the old tokens
        are revoked and removed.

        Args:
            names: What people call the records that the request names, by ``sys_id``; those that are stored are known.
            count: How many connections there are, if the caller has counted them.

        Raises:
            FixRequest: 400 ``invalid_connection_id``, 409 ``too_many_connections`` or ``connection_id_taken``,
                422 ``instance_not_allowed``, ``client_secret_required`` or ``would_lock_you_out``.
            TryLater: Storage does not answer, or somebody else is changing the connection; repeating the request is
                safe.
        """
        checked_connection_id(connection_id)
        instance = normalise_instance(
            request.instance, allowed_hosts=self.allowed_hosts, allow_loopback_http=self.allow_loopback_http
        )
        limit = None
        if request.limited_to is not None:
            limit = await self.sight.change(connection_id, tuple(each.caller for each in request.limited_to) or None)
        before, created = await self._present(connection_id, request, instance, limit, count)
        client_secret = _secret(request)
        if (
            not created
            and client_secret is None
            and before.status not in _UNUSED
            and _is_other_client(before, request, instance)
        ):
            raise FixRequest("client_secret_required", status=422)
        if limit is not None and not created:
            await limit.begin()
        if await self._needs_authorization(before, request, instance):
            after = await self._start_over(before, request, instance, client_secret)
        else:
            after = await change_connection(
                self.connections, before, lambda current: with_details(_unchanged(current, before), request, instance)
            )
        if names:
            after = await change_connection(self.connections, after, lambda current: with_names(current, names))
        log_event(
            "connection_created" if created else "connection_configured",
            connection_id=connection_id,
            status=after.status.value,
        )
        if limit is not None:
            await limit.end()
        await self.turns.wake(connection_id, customer=customer_of(after))
        return Configured(after, created)

    async def _present(
        self,
        connection_id: str,
        request: ConnectionRequest,
        instance: str,
        limit: LimitChange | None,
        count: int | None,
    ) -> tuple[Connection, bool]:
        """Return the present connection, after creating it if necessary, and whether it was created."""
        present = await self.connections.get_connection(connection_id)
        if present is not None:
            return present, False
        if await self.sight.is_hidden(connection_id):
            raise FixRequest("connection_id_taken", status=409)
        # Concurrent requests may exceed the limit: it is not a quota, but keeps a loop or an abuser from filling the
        # table.
        if count is None:
            count = await self.count()
        if count >= MAX_CONNECTIONS:
            raise FixRequest("too_many_connections", status=409, limit=MAX_CONNECTIONS)
        new = Connection(
            connection_id=connection_id,
            display_name=request.display_name,
            instance=instance,
            client_id=request.client_id,
            integration_user=request.integration_user,
            status_since_at=self.clock(),
        )
        if limit is not None:
            await limit.begin()
        try:
            return await self.connections.create_connection(with_details(new, request, instance)), True
        except RowChanged:
            present = await self.connections.get_connection(connection_id)
            if present is None:
                raise TryLater("connection_busy") from None
            return present, False

    @sees_everything
    async def count(self) -> int:
        """Return how many connections there are, removed ones and those that the caller may not see included."""
        return len(await self.connections.list_connections())

    async def _needs_authorization(self, before: Connection, request: ConnectionRequest, instance: str) -> bool:
        if before.status in _UNUSED or _is_other_client(before, request, instance):
            return True
        if with_address(before, instance, request.same_instance).renamed_from != before.renamed_from:
            return True
        if not is_same_user(before.integration_user, request.integration_user):
            return True
        if request.grant not in {None, before.grant}:
            return True
        client_secret = _secret(request)
        return client_secret is not None and client_secret != await self.secrets.get_secret(
            client_secret_name(before.connection_id)
        )

    async def _start_over(
        self, before: Connection, request: ConnectionRequest, instance: str, client_secret: Secret | None
    ) -> Connection:
        connection_id = before.connection_id
        async with self.lease.held(connection_id) as lease:
            # Somebody else may have started over while we waited; then secret and tokens are not those of `before`.
            before = _unchanged(await get_known_connection(self.connections, connection_id), before)
            keeps_secret = (
                client_secret is None and has_secret(before) and not _is_other_client(before, request, instance)
            )
            old_tokens = await self.revocation.stored_tokens(connection_id)

            def unconfigured(current: Connection) -> Connection:
                now = self.clock()
                stripped = without_tokens(with_details(_unchanged(current, before), request, instance))
                return replace(
                    stripped.with_status(ConnectionStatus.NOT_CONFIGURED, now),
                    last_error=_changed(stripped, now) if keeps_secret else None,
                )

            current = await change_connection(self.connections, before, unconfigured)
            lease.require()
            if client_secret is not None:
                await self.secrets.set_secret(client_secret_name(connection_id), client_secret)
            await self.revocation.revoke(before, old_tokens, spare_own=False)
            lease.require()
            for name in (refresh_token_name(connection_id), access_token_name(connection_id)):
                await self.secrets.remove_secret(name)
            if proved_address(current) != proved_address(before):
                # For hosts of release 0.1 only: in the directory, a state names its instance.
                await change_sync_state(self.connections, connection_id, lambda state: SyncState(etag=state.etag))
            if client_secret is None and not keeps_secret:
                return current
            renew_at = current.secrets_renew_at
            if client_secret is not None:
                renew_at = self.clock() + renewal_after(self.secret_lifetime)

            def complete(row: Connection) -> Connection:
                return replace(configured(row, self.clock()), secrets_renew_at=renew_at)

            return await change_connection(self.connections, current, complete)


def with_details(connection: Connection, request: ConnectionRequest, instance: str) -> Connection:
    """Return the connection with all the requested values, but with its status and tokens unchanged."""
    after = replace(
        with_address(connection, instance, request.same_instance),
        display_name=request.display_name,
        client_id=request.client_id,
        integration_user=request.integration_user,
        portals=request.portals,
        kinds={
            kind: wanted.settings_after(connection.kinds.get(kind, KindSettings()))
            for kind, wanted in request.kinds.items()
        },
        outcome_notes=request.outcome_notes or connection.outcome_notes,
        grant=request.grant or connection.grant,
        second_factor_holder=connection.second_factor_holder
        if request.second_factor_holder is None
        else request.second_factor_holder or None,
        shares_requester=connection.shares_requester if request.shares_requester is None else request.shares_requester,
        customer_group=connection.customer_group if request.customer_group is None else request.customer_group or None,
        is_excluded=connection.is_excluded if request.is_excluded is None else request.is_excluded,
        language=request.language or connection.language,
        time_zone=request.time_zone,
        consent_lifetime_s=request.consent_lifetime_s,
    )
    if after.consented_at is not None and after.consent_ends_at is not None:
        after = replace(after, consent_ends_at=consent_end(after, after.consented_at))
    after = with_names(after, {})
    return connection if after == connection else after


def with_names(connection: Connection, names: Mapping[str, str]) -> Connection:
    """Return the connection with these names of records by ``sys_id``, as far as its settings name the records."""
    known = {**connection.record_names, **names}
    used = [
        each
        for settings in connection.kinds.values()
        for each in (settings.assignment_group, settings.default_caller)
        if each is not None
    ]
    after = {each: known[each] for each in used if each in known}
    return connection if after == connection.record_names else replace(connection, record_names=after)


def configured(connection: Connection, now: datetime) -> Connection:
    """Return a connection that has its client secret but no tokens: it waits for an authorization."""
    if not connection.ever_consented:
        return connection.with_status(ConnectionStatus.AWAITING_AUTHORIZATION, now)
    return replace(
        connection.with_status(ConnectionStatus.REAUTHORIZATION_REQUIRED, now),
        last_error=_changed(connection, now),
    )


def _changed(connection: Connection, now: datetime) -> LastError:
    variant = {"variant": connection.grant.value} if connection.grant is Grant.CLIENT_CREDENTIALS else {}
    return LastError(Failure(_CHANGED, variant), now)


def has_secret(connection: Connection) -> bool:
    """Whether Key Vault has the secret of the connection's client.

    While a connection starts over with the secret that it has, its row says so: if that is interrupted, the request can
    be sent again without the secret.
    """
    if connection.status not in _UNUSED:
        return True
    error = connection.last_error
    return connection.status is ConnectionStatus.NOT_CONFIGURED and error is not None and error.code == _CHANGED


def _unchanged(current: Connection, before: Connection) -> Connection:
    """Return the present connection. Raises TryLater if what was decided about the one before does not apply to it."""
    if not has_same_target(current, before):
        raise TryLater("connection_changed")
    return current


def _is_other_client(connection: Connection, request: ConnectionRequest, instance: str) -> bool:
    return (connection.instance, connection.client_id) != (instance, request.client_id)


def _secret(request: ConnectionRequest) -> Secret | None:
    return None if request.client_secret is None else Secret(request.client_secret.get_secret_value())
