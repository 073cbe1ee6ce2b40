"""What connections need from outside: storage, Key Vault, ServiceNow's OAuth and user APIs.

Verbs mean what they mean in the Azure SDK: ``get_`` raises or returns None as stated, ``create_`` fails if present,
``update_`` fails if absent or changed, ``upsert_`` replaces, ``delete_`` succeeds if absent, ``list_`` never returns
None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.connections.customers import Customer, ListedCustomer
from shared.connections.directory import DirectoryEntry, SyncState
from shared.connections.model import Connection, TicketKind
from shared.secret import Secret
from shared.value_object import value_object


class RowChanged(Exception):
    """Somebody else has changed the row since it was read; read it again."""


@value_object
class AuthorizationTarget:
    """What an authorization is for: its code may not be used with another instance, client or user.

    The members are the same as those of :class:`shared.connections.model.Connection`.
    """

    instance: str
    client_id: str
    integration_user: str


@value_object
class PendingAuthorization:
    """An authorization that a browser has begun.

    Attributes:
        state_hash: SHA-256 of the ``state`` parameter, hexadecimal. The state itself is never stored.
        connection_id: The connection to authorize.
        code_challenge: PKCE challenge (S256). The verifier is only in the browser's cookie, so the cookie both binds
            the browser and completes the exchange.
        expires_at: When it can no longer be used.
        started_by: Object id of the administrator who began it.
        target: What it is for; None if a release that did not store that began it.
    """

    state_hash: str
    connection_id: str
    code_challenge: str
    expires_at: datetime
    started_by: str
    target: AuthorizationTarget | None


@value_object
class TokenSet:
    """The answer of the token endpoint.

    Attributes:
        refresh_token: None if the answer has none: keep the present one (ServiceNow §1.5).
        expires_in_s: Life of the access token in seconds.
    """

    access_token: Secret
    refresh_token: Secret | None
    expires_in_s: int

    @property
    def every(self) -> Sequence[Secret]:
        """The refresh token, if there is one, and the access token."""
        return [token for token in (self.refresh_token, self.access_token) if token is not None]


@value_object
class ServiceNowUser:
    """A ServiceNow user as the API showed it; None means "unknown"."""

    sys_id: str
    user_name: str
    email: str | None = None
    active: bool | None = None
    locked_out: bool | None = None
    time_zone: str | None = None


@value_object
class UserRoles:
    """The roles of a ServiceNow user.

    Attributes:
        names: The roles the user has.
        missing: For each kind of ticket that the user may not create, the roles that would each allow it.
    """

    names: frozenset[str]
    missing: Mapping[TicketKind, Sequence[str]]

    def wanted(self, kinds: Iterable[TicketKind]) -> str:
        """Return the missing roles for these kinds, in a form for people: one role of each group is needed."""
        return "; ".join(", ".join(self.missing[kind]) for kind in kinds)


class ConnectionStore(Protocol):
    """Connections in Table Storage, and their synchronisation state in the place where release 0.1 keeps it."""

    async def get_connection(self, connection_id: str) -> Connection | None:
        """Return the connection, or None."""
        ...

    async def list_connections(self) -> Sequence[Connection]:
        """Return all connections, removed ones included, ordered by id."""
        ...

    async def create_connection(self, connection: Connection) -> Connection:
        """Store a new connection. Raises RowChanged if the id is taken."""
        ...

    async def update_connection(self, connection: Connection) -> Connection:
        """Replace a connection if its etag is still the stored one. Raises RowChanged otherwise."""
        ...

    async def get_sync_state(self, connection_id: str) -> SyncState:
        """Return the state as release 0.1 keeps it, or a new one if there is none."""
        ...

    async def save_sync_state(self, connection_id: str, state: SyncState) -> SyncState:
        """Store the state for release 0.1 if its etag is still the stored one (None: not stored yet).

        Raises RowChanged otherwise.
        """
        ...

    async def list_sync_requests(self) -> Mapping[str, datetime]:
        """Return the times of open requests to hosts of release 0.1 for a synchronisation, by connection id."""
        ...


class ConnectionDirectory(Protocol):
    """The directory of connections (see :mod:`shared.connections.directory`)."""

    async def list_entries(self) -> Sequence[DirectoryEntry]:
        """Return all entries, ordered by connection id."""
        ...

    async def list_customers(self) -> Sequence[ListedCustomer]:
        """Return all customers, removed ones included, ordered by connection id.

        One that this release has not served yet is left out; its next turn adds it.
        """
        ...

    async def get_entry(self, connection_id: str) -> DirectoryEntry:
        """Return the entry, or a new one if there is none."""
        ...

    async def save_entry(self, entry: DirectoryEntry) -> DirectoryEntry:
        """Store the entry if its etag is still the stored one (None: not stored yet).

        Raises RowChanged otherwise; a repeated write may raise it because of its own first try.
        """
        ...

    async def wake(
        self,
        connection_id: str,
        *,
        requested_at: datetime | None = None,
        reminders: bool = False,
        customer: Customer | None = None,
    ) -> None:
        """Make the connection due at once, even if somebody has its turn.

        Args:
            requested_at: When somebody asked for a synchronisation.
            reminders: Whether its reminders have changed.
            customer: What the connection is now, if somebody changed it.
        """
        ...


class LeaseStore(Protocol):
    """Leases with one holder at a time, across all instances of the app."""

    async def acquire_lease(self, connection_id: str, purpose: str, *, duration_s: float) -> str | None:
        """Return a lease id, or None when somebody else holds an unexpired lease for that purpose."""
        ...

    async def renew_lease(self, connection_id: str, purpose: str, lease_id: str, *, duration_s: float) -> bool:
        """Make the lease last this long from now; return False if somebody else has it."""
        ...

    async def release_lease(self, connection_id: str, purpose: str, lease_id: str) -> None:
        """Release the lease; do nothing if it has been lost."""
        ...


class AuthorizationStore(Protocol):
    """Authorizations under way."""

    async def create_authorization(self, authorization: PendingAuthorization) -> None:
        """Store the authorization."""
        ...

    async def get_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """Return the authorization and keep it; None if it is unknown or already taken."""
        ...

    async def take_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """Return and delete the authorization in one step, so that a state works once; None if unknown or taken."""
        ...

    async def delete_expired_authorizations(self, now: datetime) -> int:
        """Delete the expired ones, and return how many."""
        ...


class SecretStore(Protocol):
    """Key Vault. Names are made by :mod:`shared.connections.grant.secret_names`."""

    async def get_secret(self, name: str, version: str | None = None) -> Secret | None:
        """Return the secret, or None if there is none or it is disabled. Raises StorageUnavailable."""
        ...

    async def set_secret(self, name: str, value: Secret, *, expires_at: datetime | None = None) -> str:
        """Write a new version and return its version id. Raises StorageUnavailable."""
        ...

    async def remove_secret(self, name: str) -> None:
        """Disable every version and write a tombstone as the newest; succeeds if there is no secret."""
        ...


class KnownRecords(Protocol):
    """Records of our tickets, by which a renamed instance is recognised."""

    async def at(self, connection: Connection, address: str) -> Mapping[str, str]:
        """Return the numbers of the newest few records of the instance that had this address, by sys_id.

        Raises StorageUnavailable.
        """
        ...


class AuthorizationServer(Protocol):
    """ServiceNow's OAuth endpoints (ServiceNow §1)."""

    def authorization_url(
        self, connection: Connection, *, redirect_uri: str, state: str, code_challenge: str, log_out_first: bool = False
    ) -> str:
        """Return where to send the browser; ``log_out_first`` asks ServiceNow to sign out the browser's user first."""
        ...

    async def exchange_code(
        self, connection: Connection, client_secret: Secret, *, redirect_uri: str, code: Secret, code_verifier: Secret
    ) -> TokenSet:
        """Exchange the code. Raises Reauthorize (the one generic 401), TryLater or FixConfiguration."""
        ...

    async def refresh(self, connection: Connection, client_secret: Secret, refresh_token: Secret) -> TokenSet:
        """Get a new access token. Raises Reauthorize (the one generic 401), TryLater or FixConfiguration."""
        ...

    async def client_credentials(self, connection: Connection, client_secret: Secret) -> TokenSet:
        """Get an access token of the user that ServiceNow's administrator entered in the OAuth client.

        Raises Reauthorize (the one generic 401), TryLater or FixConfiguration.
        """
        ...

    async def revoke(self, connection: Connection, token: Secret) -> None:
        """Revoke an access or refresh token. Raises ServiceNowUnavailable if neither revocation path answers."""
        ...


class TokenSource(Protocol):
    """Access tokens of connections; implemented by :class:`shared.connections.grant.tokens.AccessTokens`."""

    async def access_token(self, connection: Connection) -> Secret:
        """Return a usable access token, refreshed if necessary. Raises Reauthorize or TryLater."""
        ...

    async def renewed_token(self, connection: Connection, refused: Secret) -> Secret | None:
        """Return another access token after ServiceNow refused this one; None if there can be no other.

        Raises Reauthorize or TryLater.
        """
        ...


class UserDirectory(Protocol):
    """The users of ServiceNow (ServiceNow §6)."""

    def with_token(self, token: Secret) -> UserDirectory:
        """Return the directory as seen with this access token, which need not be the connection's."""
        ...

    async def current_user(self, connection: Connection) -> ServiceNowUser:
        """Return the user of the access token. Raises AccessRefused if that cannot be found out for certain."""
        ...

    async def roles_of(self, connection: Connection, user_sys_id: str) -> UserRoles | None:
        """Return the user's roles, or None if the instance does not let us read them."""
        ...

    async def find_user_by_email(self, connection: Connection, email: str) -> str | None:
        """Return the sys_id of the only active user with that address (ignoring case), or None."""
        ...

    async def may_read(self, connection: Connection, kind: TicketKind) -> bool:
        """Return whether we may read this kind as the synchronisation does: by time or, failing that, by sys_id.

        Raises TryLater, or AccessRefused if the whole API is refused.
        """
        ...


class RecordVisibility(Protocol):
    """The records that the integration user may see."""

    def with_token(self, token: Secret) -> RecordVisibility:
        """Return the visibility with this access token, which need not be the connection's."""
        ...

    async def visible(self, connection: Connection, sys_ids: Collection[str]) -> Mapping[str, str]:
        """Return the numbers of the records that the integration user may see, by sys_id."""
        ...
