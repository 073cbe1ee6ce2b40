"""Asking ServiceNow for another access token, as the connection's grant requires (ServiceNow §1.4).

A refresh token always gives tokens of the user who consented. With client credentials, ServiceNow's administrator
can change at any time whose tokens are issued. So each answer is checked before its token is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from shared.clock import Clock
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.secret_names import client_secret_name, refresh_token_name
from shared.connections.grant.target import wrong_user
from shared.connections.model import Connection, Grant
from shared.connections.ports import AuthorizationServer, SecretStore, TokenSet, UserDirectory
from shared.errors import FixConfiguration, Reauthorize, ServiceNowUnavailable
from shared.secret import Secret
from shared.service import service

LEAST_S: Final = 5.0
"""A token that lasts for less than this is no longer used."""
SECOND_TRY_AFTER_S: Final = 1.0
"""A refusal is believed only when it comes twice (ServiceNow §1.6, §9: intermittent 401)."""

type Sleep = Callable[[float], Awaitable[None]]


@service
class TokenRequests:
    """Asks for access tokens of connections that are in use.

    Attributes:
        users_with: Returns the user directory as seen with an access token.
    """

    secrets: SecretStore
    server: AuthorizationServer
    users_with: Callable[[Secret], UserDirectory]
    revocation: TokenRevocation
    clock: Clock
    sleep: Sleep = asyncio.sleep

    async def ask(self, connection: Connection, newest: Secret | None) -> TokenSet:
        """Return new tokens, with a refresh token only if Key Vault does not have it yet.

        Args:
            newest: A refresh token that is newer than the one in Key Vault.

        Raises:
            Reauthorize: ServiceNow refused twice, issues somebody else's tokens, or a secret is missing.
            TryLater: ServiceNow or storage does not answer.
        """
        try:
            if connection.grant is Grant.CLIENT_CREDENTIALS:
                return await self._by_client_credentials(connection)
            return await self._by_refresh_token(connection, newest)
        except FixConfiguration as error:
            # For a call to the instance, a token endpoint that refuses us is like one that does not answer.
            raise ServiceNowUnavailable.of(error.failure) from None

    async def _by_refresh_token(self, connection: Connection, newest: Secret | None) -> TokenSet:
        client_secret, stored = await asyncio.gather(
            self.secrets.get_secret(client_secret_name(connection.connection_id)),
            self.secrets.get_secret(refresh_token_name(connection.connection_id)),
        )
        refresh_token = newest or stored
        if client_secret is None or refresh_token is None:
            missing = "client_secret" if client_secret is None else "refresh_token"
            raise Reauthorize("secret_missing", variant=missing)
        try:
            tokens = await asked_twice(
                lambda: self.server.refresh(connection, client_secret, refresh_token), self.sleep
            )
        except Reauthorize:
            ends_at = connection.consent_ends_at
            if ends_at is not None and ends_at <= self.clock():
                raise Reauthorize("consent_ended", variant="dated", ended_on=f"{ends_at:%Y-%m-%d}") from None
            raise
        rotated = tokens.refresh_token not in {None, refresh_token}
        return tokens if rotated else replace(tokens, refresh_token=newest)

    async def _by_client_credentials(self, connection: Connection) -> TokenSet:
        client_secret = await self.secrets.get_secret(client_secret_name(connection.connection_id))
        if client_secret is None:
            raise Reauthorize("secret_missing", variant="client_secret")
        tokens = await by_client_credentials(self.server, connection, client_secret, self.sleep)
        user = await self.users_with(tokens.access_token).current_user(connection)
        if user.sys_id != connection.integration_user_sys_id:
            await self.revocation.revoke(connection, tokens.every, spare_own=True)
            raise Reauthorize.of(wrong_user(connection, user).failure)
        return replace(tokens, refresh_token=None)


async def by_client_credentials(
    server: AuthorizationServer, connection: Connection, client_secret: Secret, sleep: Sleep
) -> TokenSet:
    """Return the tokens that ServiceNow issues for a client's own secret.

    While a token of the same user and client lives, ServiceNow issues that one again (ServiceNow §1.5); if it is about
    to end, we wait for the next.

    Raises:
        Reauthorize: ``client_credentials_refused``, twice.
        TryLater, FixConfiguration: No token endpoint answered.
    """

    async def ask() -> TokenSet:
        return await asked_twice(lambda: server.client_credentials(connection, client_secret), sleep)

    tokens = await ask()
    if tokens.expires_in_s > LEAST_S:
        return tokens
    await sleep(tokens.expires_in_s + SECOND_TRY_AFTER_S)
    return await ask()


async def asked_twice(ask: Callable[[], Awaitable[TokenSet]], sleep: Sleep) -> TokenSet:
    """Return the token endpoint's answer, asking a second time after a refusal. Raises what ``ask`` raises."""
    try:
        return await ask()
    except Reauthorize:
        await sleep(SECOND_TRY_AFTER_S)
        return await ask()
