"""Tokens from ServiceNow that Key Vault has not accepted yet: until it does, they are only in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import believed
from shared.connections.grant.secret_names import access_token_name, refresh_token_name
from shared.connections.held_lease import HeldLease
from shared.connections.model import Connection
from shared.connections.ports import SecretStore, TokenSet
from shared.connections.status import is_same_grant
from shared.errors import StorageUnavailable
from shared.value_object import value_object

TRY_EVERY: Final = timedelta(seconds=10)
"""Each use offers them to Key Vault, but no more often than this: it may be refusing because of too many requests."""


@value_object
class UnstoredTokens:
    """Tokens on their way to Key Vault.

    Attributes:
        connection: The connection as the holder of these tokens last stored it.
        tokens: ``refresh_token`` is None if Key Vault has the one that works.
        issued_at: When they were requested.
        tried_at: When they were last offered to Key Vault.
        version: Key Vault's version of the access token; None until it is written.
    """

    connection: Connection
    tokens: TokenSet
    issued_at: datetime
    tried_at: datetime
    version: str | None = None

    def are_done(self, now: datetime) -> bool:
        """Whether Key Vault has every token that is still useful."""
        return self.tokens.refresh_token is None and (self.version is not None or self.ends_at <= now)

    def may_be_offered(self, now: datetime) -> bool:
        """Whether it is time to offer them to Key Vault again."""
        tried_at = believed(self.tried_at, now)
        return tried_at is None or now - tried_at >= TRY_EVERY

    @property
    def ends_at(self) -> datetime:
        """When the access token expires."""
        return self.issued_at + timedelta(seconds=self.tokens.expires_in_s)

    def are_newest_of(self, connection: Connection) -> bool:
        """Whether nobody has authorized the connection again or been issued other tokens since, stored or not.

        The version says what is in Key Vault; the time of issue also changes with tokens that are only in the memory of
        another instance of the app. Storing older tokens would make it forget the only refresh token that works.
        """
        ours = self.connection
        issued_at, last_issued_at = ours.access_token_issued_at, connection.access_token_issued_at
        return (
            is_same_grant(ours, connection)
            and ours.access_token_version == connection.access_token_version
            and (last_issued_at is None or (issued_at is not None and last_issued_at <= issued_at))
        )

    async def written(self, secrets: SecretStore, lease: HeldLease, now: datetime) -> UnstoredTokens:
        """Write the tokens that Key Vault does not have, the refresh token first; return which ones are left.

        Raises TryLater (503 ``lease_lost``) if somebody else may have written newer ones.
        """
        connection, after = self.connection, replace(self, tried_at=now)
        lease.require()
        if self.tokens.refresh_token is not None:
            try:
                await secrets.set_secret(
                    refresh_token_name(connection.connection_id),
                    self.tokens.refresh_token,
                    expires_at=connection.consent_ends_at,
                )
                after = replace(after, tokens=replace(self.tokens, refresh_token=None))
            except StorageUnavailable:
                pass  # Other instances of the app can work with the access token until the next try.
            lease.require()
        if self.version is None and self.ends_at > now:
            try:
                version = await secrets.set_secret(
                    access_token_name(connection.connection_id), self.tokens.access_token, expires_at=self.ends_at
                )
                after = replace(after, version=version)
            except StorageUnavailable:
                pass  # Another instance of the app gets its own access token.
        return after
