"""Authorization: an administrator consents in ServiceNow as the integration user (ServiceNow §1.2 to §1.5).

An authorization must end in the browser in which it began. Only that browser holds the PKCE verifier, in a cookie, and
without the verifier the code is worth nothing. We store only hashes of state and verifier; a state works once, for ten
minutes. Code and verifier go only to the instance and client for which the authorization was begun.

After a refusal, nothing is kept: the new tokens are revoked, and a connection that works keeps its own tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.connections.changes import change_connection
from shared.connections.grant.lease import Lease
from shared.connections.grant.pkce import code_challenge, new_code_verifier
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from shared.connections.grant.tokens import with_access_token
from shared.connections.held_lease import HeldLease
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, ConnectionStatus, consent_end, is_same_user
from shared.connections.ports import (
    AuthorizationServer,
    AuthorizationStore,
    AuthorizationTarget,
    ConnectionStore,
    KnownRecords,
    PendingAuthorization,
    RecordVisibility,
    SecretStore,
    ServiceNowUser,
    TokenSet,
    UserDirectory,
)
from shared.connections.renaming import renamed
from shared.connections.turns import Turns
from shared.errors import ConnectorError, FixConfiguration, FixRequest, Reauthorize, TryLater
from shared.log import log_context, log_event
from shared.secret import Secret
from shared.service import service
from shared.value_object import value_object

AUTHORIZATION_LASTS_S: Final = 600
_STATE: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[0-9a-f]{16}")
_ERROR: Final = re.compile(r"[a-z_]{1,40}")
_NOT_AUTHORIZABLE: Final = frozenset({ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.DISCONNECTED})


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
    secrets: SecretStore
    server: AuthorizationServer
    users: UserDirectory
    visibility: RecordVisibility
    records: KnownRecords
    revocation: TokenRevocation
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
            FixRequest: 404 ``connection_not_found``, 409 ``connection_not_configured``.
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
                target=_target(connection),
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
                ``authorization_superseded``, ``connection_not_found``, ``connection_not_configured``.
            FixConfiguration: The consent is refused: ``authorization_code_refused``, ``authorization_incomplete``,
                ``authorization_other_instance``,
                ``authorization_wrong_user``, ``authorization_user_inactive``, ``authorization_user_locked``,
                ``authorization_read_refused``, ``authorization_create_refused``, or the reason why ServiceNow does not
                say whose consent it was.
            TryLater: 503 ``authorization_waiting``: the authorization is still valid, and the same request may be sent
                again. With any other code, ServiceNow or storage did not answer: begin again.
        """
        pending, verifier = await self._begun(parameters, cookies)
        with log_context(connection_id=pending.connection_id):
            connected = await self._completed(pending, _code(parameters, pending.connection_id), verifier)
            log_event("connection_authorized", started_by=pending.started_by)
            await self.turns.wake(pending.connection_id)
        return connected

    async def _completed(self, pending: PendingAuthorization, code: Secret, verifier: Secret) -> Connection:
        async with AsyncExitStack() as stack:
            # Hold the lease from the exchange on: a refresh in between could end the new tokens.
            try:
                lease = await stack.enter_async_context(self.lease.held(pending.connection_id))
                connection = _authorizable(await get_known_connection(self.connections, pending.connection_id))
                client_secret = await self.secrets.get_secret(client_secret_name(connection.connection_id))
            except TryLater as error:
                raise _still_good(error) from None
            if pending.target is None or not _is_same_target(_target(connection), pending.target):
                raise _superseded(connection.connection_id)
            if client_secret is None:
                raise _not_configured()
            # The state is used up only now, so that the browser can try again after an earlier failure.
            if await self.authorizations.take_authorization(pending.state_hash) is None:
                raise _unknown()
            issued_at = self.clock()
            tokens = await self._exchange(connection, client_secret, code, verifier)
            try:
                user = await self._acceptable_user(connection, tokens)
                connected, replaced = await self._keep(connection, tokens, user, issued_at, lease)
            except Exception as error:
                await self.revocation.revoke(connection, _revocable(tokens), spare_own=True)
                if isinstance(error, ConnectorError):
                    log_event("authorization_refused", code=error.code)
                raise
            await self.revocation.revoke(connection, replaced, spare_own=True)
        return connected

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

    async def _acceptable_user(self, connection: Connection, tokens: TokenSet) -> ServiceNowUser:
        """Return the user of these tokens, if it is the integration user and has all the rights that it needs."""
        # The consent is not accepted yet, so use its token, not the connection's own.
        users = self.users.with_token(tokens.access_token)
        user = await users.current_user(connection)
        if not is_same_user(user.user_name, connection.integration_user):
            raise FixConfiguration(
                "authorization_wrong_user",
                status=403,
                signed_in_user=user.user_name,
                integration_user=connection.integration_user,
                connection_id=connection.connection_id,
                log_out_first=True,
            )
        if user.active is False:
            raise FixConfiguration(
                "authorization_user_inactive",
                status=403,
                user=user.user_name,
                connection_id=connection.connection_id,
                log_out_first=True,
            )
        if user.locked_out:
            raise FixConfiguration(
                "authorization_user_locked",
                status=403,
                user=user.user_name,
                connection_id=connection.connection_id,
                log_out_first=True,
            )
        await self._require_rights(connection, users, user)
        await self._require_same_instance(connection, tokens.access_token)
        return user

    async def _require_rights(self, connection: Connection, users: UserDirectory, user: ServiceNowUser) -> None:
        enabled = [kind for kind, settings in connection.kinds.items() if settings.enabled]
        roles = await users.roles_of(connection, user.sys_id)
        if roles is not None and (missing := [kind for kind in enabled if kind in roles.missing]):
            raise FixConfiguration(
                "authorization_create_refused",
                status=403,
                kinds=missing,
                wanted=roles.wanted(missing),
                connection_id=connection.connection_id,
            )
        if unreadable := [kind for kind in enabled if not await users.may_read(connection, kind)]:
            raise FixConfiguration(
                "authorization_read_refused", status=403, kinds=unreadable, connection_id=connection.connection_id
            )

    async def _require_same_instance(self, connection: Connection, token: Secret) -> None:
        """Refuse an instance that is claimed to be the former one at a new address, unless it has its records.

        A record is recognised by two values that the instance chooses itself: ``sys_id`` and number.
        """
        if connection.renamed_from is None:
            return
        known = await self.records.at(connection, connection.renamed_from)
        seen = await self.visibility.with_token(token).visible(connection, list(known))
        if not seen or any(known[sys_id] != number for sys_id, number in seen.items()):
            raise FixConfiguration(
                "authorization_other_instance",
                status=409,
                instance=connection.instance,
                former_instance=connection.renamed_from,
                connection_id=connection.connection_id,
            )

    async def _keep(
        self,
        connection: Connection,
        tokens: TokenSet,
        user: ServiceNowUser,
        issued_at: datetime,
        lease: HeldLease,
    ) -> tuple[Connection, list[Secret]]:
        """Replace the stored tokens with these; return the connection and the refresh tokens that were replaced."""
        connection_id = connection.connection_id
        consent_ends_at = consent_end(connection, issued_at)
        # We may have lost the lease while we waited for ServiceNow's answers.
        current = await get_known_connection(self.connections, connection_id)
        _require_unchanged(current, connection)
        lease.require()
        old = await self.secrets.get_secret(refresh_token_name(connection_id))
        if tokens.refresh_token is not None:
            await self.secrets.set_secret(
                refresh_token_name(connection_id), tokens.refresh_token, expires_at=consent_ends_at
            )
        elif old is None:
            raise FixConfiguration("authorization_incomplete", connection_id=connection_id)
        version = await self.secrets.set_secret(
            access_token_name(connection_id),
            tokens.access_token,
            expires_at=issued_at + timedelta(seconds=tokens.expires_in_s),
        )

        def connected(row: Connection) -> Connection:
            _require_unchanged(row, connection)
            now = self.clock()
            return replace(
                with_access_token(renamed(row), tokens, version, issued_at).with_status(
                    ConnectionStatus.CONNECTED, now
                ),
                integration_user_sys_id=user.sys_id,
                consented_at=issued_at,
                consent_ends_at=consent_ends_at,
                refresh_again_at=None,
                refresh_token_outdated_until_at=None,
                last_success_at=now,
                last_error=None,
            )

        stored = await change_connection(self.connections, current, connected)
        replaced = [] if old is None or tokens.refresh_token in {None, old} else [old]
        return stored, replaced


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
    """Return the connection. Raises FixRequest (409 ``connection_not_configured``) if it has no client secret."""
    if connection.status in _NOT_AUTHORIZABLE:
        raise _not_configured()
    return connection


def _not_configured() -> FixRequest:
    return FixRequest("connection_not_configured", status=409)


def _unknown() -> FixRequest:
    return FixRequest("authorization_unknown")


def _still_good(error: TryLater) -> TryLater:
    return TryLater("authorization_waiting", retry_after_s=5, **error.as_reason)


def _require_unchanged(current: Connection, begun: Connection) -> None:
    """Refuse tokens for a connection that now has another instance, client or user."""
    unchanged = (
        current.status not in _NOT_AUTHORIZABLE
        and current.renamed_from == begun.renamed_from
        and _is_same_target(_target(current), _target(begun))
    )
    if not unchanged:
        raise _superseded(begun.connection_id)


def _target(connection: Connection) -> AuthorizationTarget:
    return AuthorizationTarget(connection.instance, connection.client_id, connection.integration_user)


def _is_same_target(one: AuthorizationTarget, other: AuthorizationTarget) -> bool:
    return (one.instance, one.client_id) == (other.instance, other.client_id) and is_same_user(
        one.integration_user, other.integration_user
    )


def _superseded(connection_id: str) -> FixRequest:
    return FixRequest("authorization_superseded", status=409, connection_id=connection_id)


def _revocable(tokens: TokenSet) -> Iterable[Secret]:
    return [token for token in (tokens.refresh_token, tokens.access_token) if token is not None]
