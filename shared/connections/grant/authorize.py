"""Authorization: an administrator consents in ServiceNow as the integration user (ServiceNow §1.2 to §1.5).

An authorization must end in the browser in which it began. Only that browser holds the PKCE verifier, in a cookie, and
without the verifier the code is worth nothing. We store only hashes of state and verifier; a state works once, for ten
minutes. Code and verifier go only to the instance and client for which the authorization was begun.
:mod:`shared.connections.grant.acceptance` says which consents are accepted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from shared.access.current import sees_everything
from shared.clock import Clock
from shared.connections.customers import customer_of
from shared.connections.grant.acceptance import TokenAcceptance, connectable, superseded
from shared.connections.grant.lease import Lease
from shared.connections.grant.pkce import code_challenge, new_code_verifier
from shared.connections.grant.target import is_same_target, target_of
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, Grant
from shared.connections.ports import (
    AuthorizationServer,
    AuthorizationStore,
    ConnectionStore,
    PendingAuthorization,
    TokenSet,
)
from shared.connections.turns import Turns
from shared.errors import FixConfiguration, FixRequest, Reauthorize, TryLater
from shared.log import log_context, log_event
from shared.secret import Secret
from shared.service import service
from shared.value_object import value_object

AUTHORIZATION_LASTS_S: Final = 600
_STATE: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[0-9a-f]{16}")
_ERROR: Final = re.compile(r"[a-z_]{1,40}")


@value_object
class BrowserCookie:
    """A cookie that binds an authorization to the browser that began it.

    Attributes:
        value: The PKCE verifier, base64url without padding: the host passes it on unchanged (Functions host §P23).
        secure: Whether the browser sends it only over https.
    """

    name: str
    value: Secret
    max_age_s: int
    secure: bool


@value_object
class AuthorizationStart:
    """Where to send the browser, and the cookie to send along."""

    location: str
    cookie: BrowserCookie


@service
class ConnectionAuthorization:
    """Begins and completes authorizations; see the module's description for what it promises."""

    connections: ConnectionStore
    authorizations: AuthorizationStore
    server: AuthorizationServer
    acceptance: TokenAcceptance
    lease: Lease
    turns: Turns
    clock: Clock
    redirect_uri: str

    async def begin(self, connection_id: str, *, started_by: str, log_out_first: bool = False) -> AuthorizationStart:
        """Begin an authorization.

        Args:
            connection_id: The connection to authorize; it may work already.
            started_by: Object id of the administrator.
            log_out_first: Whether ServiceNow should first sign out the browser's present user.

        Raises:
            FixRequest: 404 ``connection_not_found``, 409 ``connection_not_configured``, ``other_grant``.
        """
        connection = _authorizable(await get_known_connection(self.connections, connection_id))
        state, verifier = secrets.token_hex(32), new_code_verifier()
        challenge = code_challenge(verifier)
        await self.authorizations.create_authorization(
            PendingAuthorization(
                state_hash=state_hash(state),
                connection_id=connection_id,
                code_challenge=challenge,
                expires_at=self.clock() + timedelta(seconds=AUTHORIZATION_LASTS_S),
                started_by=started_by,
                target=target_of(connection),
            )
        )
        log_event("authorization_begun", connection_id=connection_id, started_by=started_by)
        location = self.server.authorization_url(
            connection,
            redirect_uri=self.redirect_uri,
            state=state,
            code_challenge=challenge,
            log_out_first=log_out_first,
        )
        cookie = BrowserCookie(self._cookie_of(_name(state)), Secret(verifier), AUTHORIZATION_LASTS_S, self._secure)
        return AuthorizationStart(location, cookie)

    def cookie_name(self, name: str) -> str | None:
        """Return the name of an authorization's cookie, or None if no authorization can have this name."""
        return self._cookie_of(name) if _NAME.fullmatch(name) else None

    def _cookie_of(self, name: str) -> str:
        """Return the cookie's name: each authorization has its own cookie, so that two tabs do not share one.

        Over https the name has the prefix by which browsers guarantee that no other host has set the cookie.
        """
        return f"{'__Host-' if self._secure else ''}authorization-{name}"

    @sees_everything
    async def complete(self, parameters: Mapping[str, str], cookies: Mapping[str, str]) -> Connection:
        """Complete an authorization after ServiceNow has sent the browser back.

        Args:
            parameters: The callback's query parameters, blank ones included.
            cookies: The browser's cookies.

        Returns:
            The connection, ``connected``.

        Raises:
            FixRequest: This browser cannot complete it, or nobody consented: ``authorization_state_invalid``,
                ``authorization_browser_unknown``, ``authorization_unknown``, ``authorization_expired``,
                ``authorization_denied``, ``authorization_failed``, ``authorization_code_missing``,
                ``authorization_superseded``, ``connection_not_found``, ``connection_not_configured``, ``other_grant``.
            FixConfiguration: The consent is refused: ``authorization_code_refused``, or as
                :meth:`shared.connections.grant.acceptance.TokenAcceptance.accept` says.
            TryLater: 503 ``authorization_waiting``: the authorization is still valid, and the same request may be sent
                again. With any other code, ServiceNow or storage did not answer: begin again.
        """
        pending, verifier = await self._begun(parameters, cookies)
        with log_context(connection_id=pending.connection_id):
            connected = await self._completed(pending, _code(parameters, pending.connection_id), verifier)
            log_event("connection_authorized", started_by=pending.started_by, grant=connected.grant.value)
            await self.turns.wake(pending.connection_id, customer=customer_of(connected))
        return connected

    async def _completed(self, pending: PendingAuthorization, code: Secret, verifier: Secret) -> Connection:
        async with AsyncExitStack() as stack:
            # Hold the lease from the exchange on: a refresh in between could end the new tokens.
            try:
                lease = await stack.enter_async_context(self.lease.held(pending.connection_id))
                connection = _authorizable(await get_known_connection(self.connections, pending.connection_id))
                client_secret = await self.acceptance.client_secret(connection)
            except TryLater as error:
                raise _still_good(error) from None
            if pending.target is None or not is_same_target(target_of(connection), pending.target):
                raise superseded(connection)
            # The state is used up only now, so that the browser can try again after an earlier failure.
            if await self.authorizations.take_authorization(pending.state_hash) is None:
                raise _unknown()
            issued_at = self.clock()
            tokens = await self._exchange(connection, client_secret, code, verifier)
            return await self.acceptance.accept(connection, tokens, issued_at, lease)

    @property
    def _secure(self) -> bool:
        return self.redirect_uri.startswith("https://")

    async def _begun(
        self, parameters: Mapping[str, str], cookies: Mapping[str, str]
    ) -> tuple[PendingAuthorization, Secret]:
        """Return the authorization that the browser began, and its verifier."""
        name = authorization_name(parameters.get("state", ""))
        if name is None:
            raise unnamed_authorization()
        verifier = cookies.get(self._cookie_of(name))
        if verifier is None:
            raise unknown_browser()
        pending = await self.authorizations.get_authorization(state_hash(parameters["state"]))
        if pending is None:
            raise _unknown()
        if pending.expires_at <= self.clock():
            raise FixRequest("authorization_expired", connection_id=pending.connection_id)
        if not hmac.compare_digest(code_challenge(verifier), pending.code_challenge):
            raise unknown_browser()
        return pending, Secret(verifier)

    async def _exchange(
        self, connection: Connection, client_secret: Secret, code: Secret, verifier: Secret
    ) -> TokenSet:
        try:
            return await self.server.exchange_code(
                connection, client_secret, redirect_uri=self.redirect_uri, code=code, code_verifier=verifier
            )
        except Reauthorize:
            raise FixConfiguration(
                "authorization_code_refused", redirect_uri=self.redirect_uri, connection_id=connection.connection_id
            ) from None


def state_hash(state: str) -> str:
    """Return the hash under which a state is stored."""
    return hashlib.sha256(state.encode()).hexdigest()


def authorization_name(state: str) -> str | None:
    """Return a name for an authorization that may be in a URL: it does not reveal the state. None if it is no state."""
    return _name(state) if _STATE.fullmatch(state) else None


def _name(state: str) -> str:
    return state_hash(state)[:16]


def unnamed_authorization() -> FixRequest:
    """Return the error for an answer that does not say which authorization it belongs to."""
    return FixRequest("authorization_state_invalid")


def unknown_browser() -> FixRequest:
    """Return the error for a browser that does not have the authorization's cookies."""
    return FixRequest("authorization_browser_unknown")


def _code(parameters: Mapping[str, str], connection_id: str) -> Secret:
    """Return the code that ServiceNow sent."""
    error = parameters.get("error")
    if error == "access_denied":
        raise FixRequest("authorization_denied", status=403, connection_id=connection_id)
    if error is not None:
        if _ERROR.fullmatch(error):
            raise FixRequest("authorization_failed", variant="named", names=error, connection_id=connection_id)
        raise FixRequest("authorization_failed", connection_id=connection_id)
    code = parameters.get("code")
    if not code:
        raise FixRequest("authorization_code_missing", connection_id=connection_id)
    return Secret(code)


def _authorizable(connection: Connection) -> Connection:
    return connectable(connection, Grant.AUTHORIZATION_CODE)


def _unknown() -> FixRequest:
    return FixRequest("authorization_unknown")


def _still_good(error: TryLater) -> TryLater:
    return TryLater("authorization_waiting", retry_after_s=5, **error.as_reason)
