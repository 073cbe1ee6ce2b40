"""The instance as an OAuth 2.0 authorization server: authorization, token and revocation endpoints (ServiceNow §1).

Almost every refusal of the token endpoint is the same 401. The true reason is in `syslog`, which only an administrator
of the instance can read.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.servicenow.engine.accounts import find_client, is_secret, may_hold_tokens, may_sign_in, user_with_password
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.tokens import Token, Tokens
from sandbox.servicenow.wire.forms import FORM_TYPE, form_of, query_of
from sandbox.servicenow.wire.pages.page import message_page, page
from sandbox.servicenow.wire.sessions import Session, Sessions, replace_session, session_of

GENERIC_REFUSAL = '{"error_description":"access_denied","error":"server_error"}'
"""The body of nearly every 401 of the token endpoint (§1.6)."""

_PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "grant_type",
)


class InvalidRequestError(Exception):
    """An authorization request that ends on a page of the instance; the page shows the text."""


class TokenRefusedError(Exception):
    """A token request that gets a 401, the generic one by default; the text is the true reason, for the log."""

    body = GENERIC_REFUSAL


class ClientNotAuthorizedError(TokenRefusedError):
    """A refusal of client credentials, in the words of RFC 6749 (5.2)."""

    body = '{"error":"unauthorized_client"}'


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request to `/oauth_auth.do` that passed its checks; `parameters` are those of the request."""

    client: Row
    redirect_uri: str
    scope: str
    code_challenge: str
    state: str | None
    parameters: Mapping[str, str]

    def query(self, **more: str) -> str:
        """Return the request, and `more`, as a query string."""
        return urlencode({**self.parameters, **more})

    def callback(self, **answer: str) -> Response:
        """Redirect to the client with `answer`, and with `state` unchanged if it was given."""
        state = {} if self.state is None else {"state": self.state}
        parts = urlsplit(self.redirect_uri)
        query = "&".join(part for part in (parts.query, urlencode({**answer, **state})) if part)
        return RedirectResponse(urlunsplit(parts._replace(query=query)), 302)


@dataclass(frozen=True)
class _Code:
    request: AuthorizationRequest
    user_sys_id: str
    expires_at: datetime


class AuthorizationServer:
    """The endpoints for the instance's clients and users. Authorization codes are in memory: they last a minute."""

    def __init__(self, instance: Instance, tokens: Tokens, sessions: Sessions) -> None:
        self._instance = instance
        self._properties = instance.properties
        self._tokens = tokens
        self._sessions = sessions
        self._codes: dict[str, _Code] = {}
        self._grants: Mapping[str, Callable[[Mapping[str, str]], dict[str, object]]] = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            "password": self._by_password,
            "client_credentials": self._by_client_credentials,
        }

    def routes(self) -> list[Route]:
        """Return the OAuth endpoints."""
        return [
            Route("/oauth_auth.do", self._authorize, methods=["GET"]),
            Route("/oauth_auth.do", self._decide, methods=["POST"]),
            Route("/oauth_token.do", self._token, methods=["POST"]),
            Route("/oauth_revoke_token.do", self._revoke, methods=["GET", "POST"]),
            Route("/oauth_revoke.do", self._revoke, methods=["POST"]),
        ]

    # Authorization endpoint

    async def _authorize(self, request: Request) -> Response:
        try:
            wanted = self._checked(query_of(request))
        except InvalidRequestError as error:
            return _error_page(error)
        session = session_of(request)
        if request.query_params.get("logoutfirst") == "true":
            self._sessions.end(session)
            replace_session(request, self._sessions.new())
            return _log_in_first(wanted, logoutfirst="false")
        user = self._signed_in(session)
        if user is None:
            return _log_in_first(wanted)
        if wanted.query() in session.consents or wanted.client["disable_consent"] == "true":
            session.consents.discard(wanted.query())
            return wanted.callback(code=self._new_code(wanted, user))
        return page(
            "oauth_consent.html",
            client=wanted.client,
            user=user,
            scope=wanted.scope,
            parameters=wanted.parameters,
            check_token=session.check_token,
            other_user_url=f"/oauth_auth.do?{wanted.query(logoutfirst='true')}",
        )

    async def _decide(self, request: Request) -> Response:
        form = await form_of(request)
        session = session_of(request)
        try:
            wanted = self._checked(form)
        except InvalidRequestError as error:
            return _error_page(error)
        if self._signed_in(session) is None:
            return _log_in_first(wanted)
        if not hmac.compare_digest(form.get("sysparm_ck", ""), session.check_token):
            return message_page("Security constraint", "Your session has changed. Open the page again.", 403)
        if form.get("oauth_auth_check_action") == "authorize":
            session.consents.add(wanted.query())
            return RedirectResponse(f"/oauth_auth.do?{wanted.query(logoutfirst='false')}", 302)
        if self._properties["simulator.oauth.deny"] == "stay":
            return message_page("Request denied", f"{wanted.client['name']} was not allowed to use your account.")
        return wanted.callback(error="access_denied")

    def _checked(self, given: Mapping[str, str]) -> AuthorizationRequest:
        if not self._properties.flag("com.snc.platform.security.oauth.is.active"):
            raise InvalidRequestError("OAuth is not active")
        client = find_client(self._instance, given.get("client_id", ""))
        if client is None:
            raise InvalidRequestError("Invalid client_id")
        redirect_uri = self._redirect_uri(client, given.get("redirect_uri", ""))
        if given.get("response_type") != "code":
            raise InvalidRequestError("Invalid response_type")
        state = given.get("state")
        if self._properties.flag("glide.oauth.state.parameter.required") and not (state or "").strip():
            raise InvalidRequestError("Missing State parameter in request")
        challenge = given.get("code_challenge", "")
        if given.get("code_challenge_method", "S256") != "S256" or (challenge and not _is_s256_challenge(challenge)):
            raise InvalidRequestError("Invalid code_challenge")
        if not challenge and "true" in (client["public_client"], client["use_pkce"]):
            raise InvalidRequestError("Missing code_challenge parameter in request")
        parameters = {name: given[name] for name in _PARAMETERS if name in given}
        return AuthorizationRequest(client, redirect_uri, given.get("scope", ""), challenge, state, parameters)

    def _redirect_uri(self, client: Row, wanted: str) -> str:
        registered = [url.strip() for url in client["redirect_url"].split(",") if url.strip()]
        if wanted in registered:
            return wanted
        if registered and self._properties["simulator.oauth.redirect_uri_mismatch"] == "first_registered":
            return registered[0]
        raise InvalidRequestError("Invalid redirect_uri")

    def _signed_in(self, session: Session) -> Row | None:
        if not session.interactive:
            return None
        user = self._instance.records.get("sys_user", session.user_sys_id)
        return user if user is not None and may_sign_in(user) else None

    def _new_code(self, request: AuthorizationRequest, user: Row) -> str:
        now = self._instance.clock.now()
        self._codes = {code: kept for code, kept in self._codes.items() if kept.expires_at > now}
        code = secrets.token_urlsafe(64)
        lifespan = timedelta(seconds=int(request.client["auth_code_lifespan"]))
        self._codes[code] = _Code(request, user["sys_id"], now + lifespan)
        return code

    # Token endpoint

    async def _token(self, request: Request) -> Response:
        try:
            answer = self._grant(await self._token_parameters(request))
        except TokenRefusedError as error:
            self._log(f"Exception on token flow - {error}")
            return _json(error.body, 401)
        return _json(json.dumps(answer, separators=(",", ":")), 200)

    def _grant(self, parameters: Mapping[str, str]) -> dict[str, object]:
        grant = self._grants.get(parameters.get("grant_type", ""))
        if grant is None:
            raise TokenRefusedError("unsupported grant_type")
        return grant(parameters)

    async def _token_parameters(self, request: Request) -> Mapping[str, str]:
        if not self._properties.flag("com.snc.platform.security.oauth.is.active"):
            raise TokenRefusedError("OAuth is not active")
        session = session_of(request)
        if session.is_logged_in and not session.interactive:
            raise TokenRefusedError("the token endpoint is no integration call and the session is one")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != FORM_TYPE:
            raise TokenRefusedError(f"unspecified error: content type {content_type or 'missing'}")
        parameters = dict(await form_of(request))
        if not self._properties.flag("glide.oauth.allow.parameters.in.post.body.only"):
            parameters = {**query_of(request), **parameters}
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and "client_id" not in parameters:
            parameters["client_id"], parameters["client_secret"] = decode_basic(encoded) or ("", "")
        return parameters

    def _by_code(self, parameters: Mapping[str, str]) -> dict[str, object]:
        client = self._known_client(parameters)
        code = self._codes.get(parameters.get("code", ""))
        if code is None or code.request.client["sys_id"] != client["sys_id"]:
            raise TokenRefusedError("unknown code, or issued to another client")
        del self._codes[parameters["code"]]
        if self._instance.clock.now() >= code.expires_at:
            raise TokenRefusedError("expired code")
        if parameters.get("redirect_uri", "") != code.request.redirect_uri:
            raise TokenRefusedError("redirect_uri is not that of the authorization request")
        verifier = parameters.get("code_verifier", "")
        if code.request.code_challenge and not _answers(verifier, code.request.code_challenge):
            raise TokenRefusedError("code_verifier does not answer the code_challenge")
        if client["public_client"] != "true" or "client_secret" in parameters:
            _require_secret(client, parameters)
        return self._tokens_for(client, code.user_sys_id, code.request.scope)

    def _by_refresh_token(self, parameters: Mapping[str, str]) -> dict[str, object]:
        client = self._known_client(parameters)
        if client["public_client"] != "true" or "client_secret" in parameters:
            _require_secret(client, parameters)
        elif not self._properties.flag("simulator.oauth.public_client_may_refresh"):
            raise TokenRefusedError("a public client may not refresh")
        refresh = self._tokens.find(parameters.get("refresh_token", ""), "refresh_token")
        if refresh is None or refresh.client["sys_id"] != client["sys_id"]:
            raise TokenRefusedError("unknown or expired refresh token")
        user = self._user_for_tokens(refresh.user["sys_id"])
        access = self._tokens.issue("access_token", client, user, refresh.scope)
        returned: Token | None = refresh
        how = self._properties["simulator.oauth.refresh_token_on_refresh"]
        if how == "omitted":
            returned = None
        elif how == "rotated":
            returned = self._tokens.issue("refresh_token", client, user, refresh.scope)
            self._tokens.revoke(refresh.text)
        return self._answer(access, returned)

    def _by_password(self, parameters: Mapping[str, str]) -> dict[str, object]:
        if self._properties.flag("glide.oauth.inbound.ropc.grant_type.disabled"):
            raise TokenRefusedError("the password grant is disabled")
        client = self._known_client(parameters)
        _require_secret(client, parameters)
        user = user_with_password(self._instance, parameters.get("username", ""), parameters.get("password", ""))
        if user is None or not may_sign_in(user):
            raise TokenRefusedError("wrong password, or the user is inactive, locked out or non-interactive")
        if user["enable_multifactor_authn"] == "true":
            raise TokenRefusedError("multi-factor authentication is needed")
        return self._tokens_for(client, user["sys_id"], parameters.get("scope", ""))

    def _by_client_credentials(self, parameters: Mapping[str, str]) -> dict[str, object]:
        by_rfc = self._properties["simulator.oauth.client_credentials_refusal"] == "rfc_6749"
        refused = ClientNotAuthorizedError if by_rfc else TokenRefusedError
        if not self._properties.flag("glide.oauth.inbound.client.credential.grant_type.enabled"):
            raise refused("the client-credentials grant is not enabled")
        client = self._known_client(parameters)
        _require_secret(client, parameters)
        if not client["user"]:
            raise refused("the client has no OAuth application user")
        profile = self._properties["simulator.oauth.client_credentials_profile"]
        if profile != "complete":
            raise refused(f"invalid_scope: {profile}")
        with_refresh = self._properties.flag("simulator.oauth.client_credentials_refresh_token")
        return self._tokens_for(client, client["user"], parameters.get("scope", ""), with_refresh_token=with_refresh)

    def _known_client(self, parameters: Mapping[str, str]) -> Row:
        client = find_client(self._instance, parameters.get("client_id", ""))
        if client is None:
            raise TokenRefusedError("unknown or inactive client")
        return client

    def _user_for_tokens(self, user_sys_id: str) -> Row:
        user = self._instance.records.get("sys_user", user_sys_id)
        if user is None or not may_hold_tokens(self._instance, user):
            raise TokenRefusedError("the user may not hold tokens: account state, or no rights on oauth_credential")
        return user

    def _tokens_for(
        self, client: Row, user_sys_id: str, scope: str, *, with_refresh_token: bool = True
    ) -> dict[str, object]:
        user = self._user_for_tokens(user_sys_id)
        access = self._tokens.current("access_token", client, user)
        extended = self._properties.flag("simulator.oauth.shared_token_extended")
        seconds_left = None if access is None or extended else self._tokens.seconds_left(access)
        if extended:
            access = self._shared(access)
        access = access or self._tokens.issue("access_token", client, user, scope)
        if not with_refresh_token:
            return self._answer(access, None, seconds_left)
        refresh = self._shared(self._tokens.current("refresh_token", client, user))
        refresh = refresh or self._tokens.issue("refresh_token", client, user, scope)
        return self._answer(access, refresh, seconds_left)

    def _shared(self, token: Token | None) -> Token | None:
        if token is not None:
            self._tokens.extend(token)
        return token

    def _answer(self, access: Token, refresh: Token | None, seconds_left: int | None = None) -> dict[str, object]:
        answer: dict[str, object] = {"access_token": access.text}
        if refresh is not None:
            answer["refresh_token"] = refresh.text
        shortfall = self._properties.number("simulator.oauth.expires_in_shortfall")
        return answer | {
            "scope": access.scope or self._properties["simulator.oauth.scope"],
            "token_type": "Bearer",
            "expires_in": (seconds_left or int(access.client["access_token_lifespan"])) - shortfall,
        }

    def _log(self, message: str) -> None:
        self._instance.records.insert("syslog", {"level": "2", "source": "OAuth", "message": message})

    # Revocation

    async def _revoke(self, request: Request) -> Response:
        parameters = {**query_of(request), **await form_of(request)}
        self._tokens.revoke(parameters.get("token", ""))
        return Response(status_code=200)


def decode_basic(encoded: str) -> tuple[str, str] | None:
    """Return the name and password of an HTTP Basic credential, or `None` for anything else."""
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def _log_in_first(request: AuthorizationRequest, **more: str) -> Response:
    return RedirectResponse(f"/oauth_login.do?{request.query(**more)}", 302)


def _error_page(error: InvalidRequestError) -> Response:
    return message_page("OAuth error", str(error), 400)


def _json(text: str, status: int) -> Response:
    return Response(text, status, media_type="application/json;charset=UTF-8")


def _require_secret(client: Row, parameters: Mapping[str, str]) -> None:
    if not is_secret(client["client_secret"], parameters.get("client_secret", "")):
        raise TokenRefusedError("wrong client secret")


def _is_s256_challenge(challenge: str) -> bool:
    return len(challenge) == 43 and challenge.replace("-", "A").replace("_", "A").isalnum()


def _answers(verifier: str, challenge: str) -> bool:
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())
