"""ServiceNow's OAuth endpoints and users in memory, as connections see them (ServiceNow §1 and §6)."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from shared.clock import Clock
from shared.connections.model import Connection, TicketKind
from shared.connections.ports import ServiceNowUser, TokenSet, UserDirectory, UserRoles
from shared.errors import AccessRefused, AccessTokenRefused, ConnectorError, Reauthorize, ServiceNowUnavailable
from shared.secret import Secret
from shared.servicenow.kinds import user_roles
from tests.memory.steps import Step, at_once

ACCESS_LIFE_S = 1800
REFRESH_LIFE_S = 8_640_000


@dataclass(frozen=True)
class Person:
    """A user of the instance."""

    user: ServiceNowUser
    roles: frozenset[str] | None = frozenset({"itil"})
    reads: frozenset[TicketKind] = frozenset(TicketKind)


@dataclass(frozen=True)
class Token:
    """An issued token."""

    text: str
    client_id: str
    user_name: str
    ends_at: datetime


@dataclass(frozen=True)
class Code:
    """An authorization code that has not been exchanged yet."""

    client_id: str
    user_name: str
    redirect_uri: str
    challenge: str
    ends_at: datetime


def refused() -> Reauthorize:
    """The generic 401."""
    return Reauthorize("refresh_token_refused")


@dataclass
class MemoryServiceNowSignIn:
    """Implements :class:`shared.connections.ports.AuthorizationServer` and ``UserDirectory`` for one instance.

    All sign-ins of a user with a client share their tokens (ServiceNow §1.5).

    Attributes:
        rotates: A refresh returns a new refresh token and ends the old one.
        omits: A refresh returns no refresh token.
        omits_at_consent: An exchange returns no refresh token.
        faults: Faults for the next calls to the token and revocation endpoints, one each.
        user_faults: Faults for the next calls to the user directory, one each.
        refreshes: Number of requested refreshes.
        credentials_enabled: The instance allows the client-credentials grant.
        application_users: The OAuth application users of clients, by client id.
        extends: Asking again for a living token makes it last longer.
        credentials_with_refresh_token: The answer to client credentials has a refresh token.
    """

    clock: Clock
    step: Step = at_once
    clients: dict[str, str] = field(default_factory=lambda: {"client": "the client secret"})
    people: dict[str, Person] = field(default_factory=dict)
    rotates: bool = False
    omits: bool = False
    omits_at_consent: bool = False
    faults: deque[ConnectorError] = field(default_factory=deque)
    user_faults: deque[ConnectorError] = field(default_factory=deque)
    refreshes: int = 0
    credentials_enabled: bool = True
    application_users: dict[str, str] = field(default_factory=dict)
    extends: bool = True
    credentials_with_refresh_token: bool = False
    revocations: list[str] = field(default_factory=list)
    codes: dict[str, Code] = field(default_factory=dict)
    access_tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, Token] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # A person's actions in a browser

    def add(self, user_name: str, **changes: object) -> Person:
        """Add a user, or change one."""
        person = self.people.get(user_name) or Person(ServiceNowUser(f"sys_id of {user_name}", user_name, active=True))
        user = {name: changes.pop(name) for name in ("active", "locked_out") if name in changes}
        self.people[user_name] = replace(person, user=replace(person.user, **user), **changes)  # type: ignore[arg-type]
        return self.people[user_name]

    def consent(self, location: str, user_name: str) -> dict[str, str]:
        """Sign in and press Allow; return the callback's parameters."""
        asked = dict(parse_qsl(urlsplit(location).query))
        code = f"code {next(self._numbers)}"
        self.codes[code] = Code(
            asked["client_id"],
            user_name,
            asked["redirect_uri"],
            asked["code_challenge"],
            self.clock() + timedelta(seconds=60),
        )
        return {"code": code, "state": asked["state"]}

    def accepts(self, token: Secret) -> bool:
        """Say whether the API accepts the token."""
        return self._living(self.access_tokens, token.reveal()) is not None

    @property
    def living(self) -> list[str]:
        """Return every valid token."""
        issued = (*self.access_tokens.values(), *self.refresh_tokens.values())
        return [token.text for token in issued if token.ends_at > self.clock()]

    # AuthorizationServer

    def authorization_url(
        self, connection: Connection, *, redirect_uri: str, state: str, code_challenge: str, log_out_first: bool = False
    ) -> str:
        """See the port."""
        parameters = {
            "client_id": connection.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": code_challenge,
        }
        if log_out_first:
            parameters["logoutfirst"] = "true"
        return f"{connection.instance}/oauth_auth.do?{urlencode(parameters)}"

    async def exchange_code(
        self, connection: Connection, client_secret: Secret, *, redirect_uri: str, code: Secret, code_verifier: Secret
    ) -> TokenSet:
        """See the port."""
        await self._begin("exchange_code")
        known = self.codes.pop(code.reveal(), None)
        digest = hashlib.sha256(code_verifier.reveal().encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            known is None
            or self.clients.get(connection.client_id) != client_secret.reveal()
            or (known.client_id, known.redirect_uri, known.challenge) != (connection.client_id, redirect_uri, challenge)
            or known.ends_at <= self.clock()
        ):
            raise refused()
        owner = (known.client_id, known.user_name)
        access, refresh = self._shared(self.access_tokens, *owner), self._shared(self.refresh_tokens, *owner)
        await self.step("exchange_code answers")
        return self._token_set(access, None if self.omits_at_consent else refresh)

    async def refresh(self, connection: Connection, client_secret: Secret, refresh_token: Secret) -> TokenSet:
        """See the port."""
        self.refreshes += 1
        await self._begin("refresh")
        old = self._living(self.refresh_tokens, refresh_token.reveal())
        right_client = self.clients.get(connection.client_id) == client_secret.reveal()
        if (
            old is None
            or not right_client
            or old.client_id != connection.client_id
            or not self._may_call(old.user_name)
        ):
            raise refused()
        self.access_tokens = {
            text: token
            for text, token in self.access_tokens.items()
            if (token.client_id, token.user_name) != (old.client_id, old.user_name)
        }
        access, refresh = self._issue(self.access_tokens, old.client_id, old.user_name, ACCESS_LIFE_S), old
        if self.rotates:
            del self.refresh_tokens[old.text]
            refresh = self._issue(self.refresh_tokens, old.client_id, old.user_name, REFRESH_LIFE_S)
        await self.step("refresh answers")
        return self._token_set(access, None if self.omits else refresh)

    async def client_credentials(self, connection: Connection, client_secret: Secret) -> TokenSet:
        """See the port."""
        self.refreshes += 1
        await self._begin("refresh")
        client_id, user_name = connection.client_id, self.application_users.get(connection.client_id)
        right_client = self.clients.get(client_id) == client_secret.reveal()
        if not self.credentials_enabled or not right_client or user_name is None or not self._may_call(user_name):
            raise Reauthorize("client_credentials_refused")
        access = self._shared(self.access_tokens, client_id, user_name)
        refresh = (
            self._shared(self.refresh_tokens, client_id, user_name) if self.credentials_with_refresh_token else None
        )
        await self.step("refresh answers")
        return self._token_set(access, refresh)

    async def revoke(self, connection: Connection, token: Secret) -> None:
        """See the port."""
        await self._begin("revoke")
        self.revocations.append(token.reveal())
        self.access_tokens.pop(token.reveal(), None)
        self.refresh_tokens.pop(token.reveal(), None)

    # UserDirectory

    def with_token(self, token: Secret) -> UserDirectory:
        """See the port; this needs a token, because it has no connection's."""
        return _Users(self, token)

    async def current_user(self, connection: Connection) -> ServiceNowUser:
        """See the port."""
        raise AssertionError("a token is given")

    async def roles_of(self, connection: Connection, user_sys_id: str) -> UserRoles | None:
        """See the port."""
        raise AssertionError("a token is given")

    async def find_user_by_email(self, connection: Connection, email: str) -> str | None:
        """See the port."""
        raise AssertionError("a token is given")

    async def may_read(self, connection: Connection, kind: TicketKind) -> bool:
        """See the port."""
        raise AssertionError("a token is given")

    async def _begin(self, name: str) -> None:
        await self.step(name)
        if self.faults:
            raise self.faults.popleft()

    async def person(self, secret: Secret) -> Person:
        await self.step("users")
        if self.user_faults:
            raise self.user_faults.popleft()
        token = self._living(self.access_tokens, secret.reveal())
        if token is None:
            raise AccessTokenRefused()
        return self.people[token.user_name]

    def _may_call(self, user_name: str) -> bool:
        user = self.people[user_name].user
        return user.active is not False and not user.locked_out

    def _living(self, tokens: dict[str, Token], text: str) -> Token | None:
        token = tokens.get(text)
        return token if token is not None and token.ends_at > self.clock() else None

    def _shared(self, tokens: dict[str, Token], client_id: str, user_name: str) -> Token:
        """Return the live token of that user and client with a new expiry, or a new token."""
        life_s = ACCESS_LIFE_S if tokens is self.access_tokens else REFRESH_LIFE_S
        for token in tokens.values():
            if (token.client_id, token.user_name) == (client_id, user_name) and token.ends_at > self.clock():
                if self.extends:
                    tokens[token.text] = replace(token, ends_at=self.clock() + timedelta(seconds=life_s))
                return tokens[token.text]
        return self._issue(tokens, client_id, user_name, life_s)

    def _issue(self, tokens: dict[str, Token], client_id: str, user_name: str, life_s: float) -> Token:
        what = "access" if tokens is self.access_tokens else "refresh"
        token = Token(
            f"{what} token {next(self._numbers)}", client_id, user_name, self.clock() + timedelta(seconds=life_s)
        )
        tokens[token.text] = token
        return token

    def _token_set(self, access: Token, refresh: Token | None) -> TokenSet:
        left_s = int((access.ends_at - self.clock()).total_seconds())
        return TokenSet(Secret(access.text), None if refresh is None else Secret(refresh.text), left_s)


@dataclass(frozen=True)
class _Users:
    """The view of one token."""

    servicenow: MemoryServiceNowSignIn
    token: Secret

    def with_token(self, token: Secret) -> UserDirectory:
        """See the port."""
        return replace(self, token=token)

    async def current_user(self, connection: Connection) -> ServiceNowUser:
        """See the port."""
        return (await self.servicenow.person(self.token)).user

    async def roles_of(self, connection: Connection, user_sys_id: str) -> UserRoles | None:
        """See the port."""
        names = (await self.servicenow.person(self.token)).roles
        return None if names is None else user_roles(names)

    async def find_user_by_email(self, connection: Connection, email: str) -> str | None:
        """See the port."""
        await self.servicenow.person(self.token)
        people = self.servicenow.people.values()
        return next((each.user.sys_id for each in people if each.user.email == email), None)

    async def may_read(self, connection: Connection, kind: TicketKind) -> bool:
        """See the port."""
        return kind in (await self.servicenow.person(self.token)).reads


UNAVAILABLE = ServiceNowUnavailable()
NOT_TOLD = AccessRefused("current_user_unknown")
