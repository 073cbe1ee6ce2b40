"""What connections need from the outside: storage, Key Vault, ServiceNow's OAuth and user API.

Verbs keep the contracts of the Azure SDK: ``get_`` raises or returns None as stated, ``create_`` fails if present,
``update_`` fails if absent or changed, ``upsert_`` replaces, ``delete_`` succeeds if absent, ``list_`` never returns
None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.connections.directory import DirectoryEntry, SyncState
from shared.connections.model import Connection, TicketKind
from shared.secret import Secret


class RowChanged(Exception):
    """Somebody else changed the row since it was read; read it again."""


@dataclass(frozen=True, slots=True)
class AuthorizationTarget:
    """What an authorization is begun for: its code goes to no other instance, from no other client, for no other user.

    The members are those of :class:`shared.connections.model.Connection`.
    """

    instance: str
    client_id: str
    integration_user: str


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """An authorization that a browser has begun.

    Attributes:
        state_hash: SHA-256 of the ``state`` parameter, hexadecimal. The state itself is never stored.
        connection_id: The connection to be authorized.
        code_challenge: PKCE challenge (S256). The verifier lives only in the browser's cookie, so that the cookie
            both binds the browser and completes the exchange.
        expires_at: When it can no longer be used.
        started_by: Object id of the administrator who began it.
        target: What it is for; None when a release that did not keep it began the authorization.
    """

    state_hash: str
    connection_id: str
    code_challenge: str
    expires_at: datetime
    started_by: str
    target: AuthorizationTarget | None


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What the token endpoint gave.

    Attributes:
        refresh_token: None when the answer carries none: keep the one there is (ServiceNow §1.5).
        expires_in_s: Life of the access token in seconds.
    """

    access_token: Secret
    refresh_token: Secret | None
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class ServiceNowUser:
    """A ServiceNow user as far as the API showed it; None means "could not be found out"."""

    sys_id: str
    user_name: str
    email: str | None = None
    active: bool | None = None
    locked_out: bool | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class UserRoles:
    """The roles of a ServiceNow user.

    Attributes:
        names: The roles the user has.
        missing: For each kind of ticket that the user may not create, the roles of which any would do.
    """

    names: frozenset[str]
    missing: Mapping[TicketKind, Sequence[str]]

    def wanted(self, kinds: Iterable[TicketKind]) -> str:
        """Return the roles that are missing for these kinds, as people read them: one of each group is needed."""
        return "; ".join(", ".join(self.missing[kind]) for kind in kinds)


class ConnectionStore(Protocol):
    """Connections in Table Storage, and their synchronisation state where release 0.1 keeps it."""

    async def get_connection(self, connection_id: str) -> Connection | None:
        """Return the connection, or None."""
        ...

    async def list_connections(self) -> Sequence[Connection]:
        """Return all connections, removed ones included, ordered by id."""
        ...

    async def create_connection(self, connection: Connection) -> Connection:
        """Store a new connection. Raises RowChanged when the id is taken."""
        ...

    async def update_connection(self, connection: Connection) -> Connection:
        """Replace a connection if its etag is still the stored one. Raises RowChanged otherwise."""
        ...

    async def get_sync_state(self, connection_id: str) -> SyncState:
        """Return the state as release 0.1 keeps it, a fresh one when there is none."""
        ...

    async def save_sync_state(self, connection_id: str, state: SyncState) -> SyncState:
        """Store the state for release 0.1 if its etag is still the stored one (None: not stored yet).

        Raises RowChanged otherwise.
        """
        ...

    async def list_sync_requests(self) -> Mapping[str, datetime]:
        """Return when a host of release 0.1 was asked for a synchronisation that has not come, by connection id."""
        ...


class ConnectionDirectory(Protocol):
    """The directory of connections (see :mod:`shared.connections.directory`)."""

    async def list_entries(self) -> Sequence[DirectoryEntry]:
        """Return all entries, ordered by connection id."""
        ...

    async def get_entry(self, connection_id: str) -> DirectoryEntry:
        """Return the entry, a fresh one when there is none."""
        ...

    async def save_entry(self, entry: DirectoryEntry) -> DirectoryEntry:
        """Store the entry if its etag is still the stored one (None: not stored yet).

        Raises RowChanged otherwise; a write that had to be repeated may raise it about itself.
        """
        ...

    async def wake(self, connection_id: str, *, requested_at: datetime | None = None) -> None:
        """Make the connection due at once, whoever has its turn.

        Args:
            requested_at: When somebody asked for a synchronisation.
        """
        ...


class LeaseStore(Protocol):
    """One holder at a time, over all instances of the app."""

    async def acquire_lease(self, connection_id: str, purpose: str, *, duration_s: float) -> str | None:
        """Return a lease id, or None when somebody else holds an unexpired lease for that purpose."""
        ...

    async def renew_lease(self, connection_id: str, purpose: str, lease_id: str, *, duration_s: float) -> bool:
        """Let the lease last for so long from now; False when somebody else has it."""
        ...

    async def release_lease(self, connection_id: str, purpose: str, lease_id: str) -> None:
        """Give the lease back; does nothing when it has been lost meanwhile."""
        ...


class AuthorizationStore(Protocol):
    """Authorizations under way."""

    async def create_authorization(self, authorization: PendingAuthorization) -> None:
        """Store it."""
        ...

    async def get_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """Return it and leave it as it is; None when unknown or already taken."""
        ...

    async def take_authorization(self, state_hash: str) -> PendingAuthorization | None:
        """Return it and delete it in one step, so that a state works once; None when unknown or already taken."""
        ...

    async def delete_expired_authorizations(self, now: datetime) -> int:
        """Delete those whose time is over; return how many."""
        ...


class SecretStore(Protocol):
    """Key Vault. Names are made by :mod:`shared.connections.grant.secret_names`."""

    async def get_secret(self, name: str, version: str | None = None) -> Secret | None:
        """Return the secret, or None when there is none or it is disabled. Raises StorageUnavailable."""
        ...

    async def set_secret(self, name: str, value: Secret, *, expires_at: datetime | None = None) -> str:
        """Write a new version and return its version id. Raises StorageUnavailable."""
        ...

    async def remove_secret(self, name: str) -> None:
        """Disable every version and leave a tombstone as the newest; succeeds when there is none."""
        ...


class KnownRecords(Protocol):
    """Records of our tickets, by which an instance is known again."""

    async def at(self, connection: Connection, address: str) -> Mapping[str, str]:
        """Return the numbers of some records of the instance that had this address, by sys_id; the newest ones.

        Raises StorageUnavailable.
        """
        ...


class AuthorizationServer(Protocol):
    """ServiceNow's OAuth endpoints (ServiceNow §1)."""

    def authorization_url(
        self, connection: Connection, *, redirect_uri: str, state: str, code_challenge: str, log_out_first: bool = False
    ) -> str:
        """Return where to send the browser; ``log_out_first`` asks ServiceNow to sign the browser's user out."""
        ...

    async def exchange_code(
        self, connection: Connection, client_secret: Secret, *, redirect_uri: str, code: Secret, code_verifier: Secret
    ) -> TokenSet:
        """Exchange the code. Raises Reauthorize (the one generic 401), TryLater or FixConfiguration."""
        ...

    async def refresh(self, connection: Connection, client_secret: Secret, refresh_token: Secret) -> TokenSet:
        """Get a new access token. Raises Reauthorize (the one generic 401), TryLater or FixConfiguration."""
        ...

    async def revoke(self, connection: Connection, token: Secret) -> None:
        """Revoke an access or refresh token. Raises ServiceNowUnavailable when neither revocation path answers."""
        ...


class TokenSource(Protocol):
    """Access tokens of connections; implemented by :class:`shared.connections.grant.tokens.AccessTokens`."""

    async def access_token(self, connection: Connection) -> Secret:
        """Return a usable access token, refreshed if need be. Raises Reauthorize or TryLater."""
        ...

    async def renewed_token(self, connection: Connection, refused: Secret) -> Secret | None:
        """Return another access token after ServiceNow refused this one; None when there can be no other.

        Raises Reauthorize or TryLater.
        """
        ...


class UserDirectory(Protocol):
    """Who is who in ServiceNow (ServiceNow §6)."""

    def with_token(self, token: Secret) -> UserDirectory:
        """Return the directory as this access token sees it, which need not be the connection's."""
        ...

    async def current_user(self, connection: Connection) -> ServiceNowUser:
        """Return whose access token is sent. Raises AccessRefused when it cannot be found out for certain."""
        ...

    async def roles_of(self, connection: Connection, user_sys_id: str) -> UserRoles | None:
        """Return the user's roles, or None when the instance does not let us read them."""
        ...

    async def find_user_by_email(self, connection: Connection, email: str) -> str | None:
        """Return the sys_id of the only active user with that address (ignoring case), or None."""
        ...

    async def may_read(self, connection: Connection, kind: TicketKind) -> bool:
        """Return whether that kind can be asked as the synchronisation asks: by time or, failing that, by sys_id.

        Raises TryLater, or AccessRefused where the whole API is refused.
        """
        ...


class RecordVisibility(Protocol):
    """What the integration user sees."""

    def with_token(self, token: Secret) -> RecordVisibility:
        """Return what this access token lets one see, which need not be the connection's."""
        ...

    async def visible(self, connection: Connection, sys_ids: Collection[str]) -> Mapping[str, str]:
        """Return the numbers of those of the records that the integration user sees, by sys_id."""
        ...
