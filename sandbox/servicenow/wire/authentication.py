"""Who calls an API, and whether they may call it: all checks before a table is read.

Credentials are a bearer token, a user name and password, or an earlier call's cookie session (ServiceNow §1.7).
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.servicenow.engine.accounts import may_call, user_with_password
from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.errors import ServiceNowError, missing_access_scope, not_authenticated
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.tokens import Token, Tokens
from sandbox.servicenow.wire.oauth import decode_basic
from sandbox.servicenow.wire.rate_limits import RateLimits
from sandbox.servicenow.wire.sessions import Session, add_answer_headers, session_of

type Scheme = Literal["basic", "oauth", "session"]

USER_NAME_KEY = "servicenow.user_name"
"""The key of an authenticated caller's name in the ASGI scope of a request."""

_CHALLENGES: Mapping[str, str] = {"basic": 'Basic realm="Service-now"', "oauth": 'Bearer realm="Service-now"'}
_EVERYTHING = "useraccount"
_API_PATH = re.compile(r"^/api(?P<api>/[^/]+)(?:/v\d+)?(?P<service>/[^/]+)?(?:/(?P<table>[^/]+))?")


@dataclass(frozen=True)
class _Identity:
    caller: Caller
    scheme: Scheme
    token: Token | None = None


@dataclass(frozen=True)
class _Resource:
    """The target of a request: API path without version (`/now/table`), method, and table (or empty)."""

    api: str
    method: str
    table: str

    @classmethod
    def of(cls, request: Request) -> "_Resource":
        parts = _API_PATH.match(request.url.path)
        if parts is None:
            return cls("", request.method, "")
        return cls(parts["api"] + (parts["service"] or ""), request.method, parts["table"] or "")

    def specificity(self, row: Row) -> int | None:
        """Return how well a row's `rest_api_path`, `http_method` and `resource_table` fit; `None` if they do not."""
        fits = [
            (row["rest_api_path"], self.api),
            (row["http_method"], self.method),
            (row["resource_table"], self.table),
        ]
        if any(wanted not in ("", actual) for wanted, actual in fits):
            return None
        # A named API outweighs any detail: rows that are not global come before global ones.
        return sum(weight for weight, (wanted, _) in zip((4, 1, 2), fits, strict=True) if wanted)


class Authenticator:
    """Decides about API calls: called with a request, it returns the caller or a refusal."""

    def __init__(self, instance: Instance, tokens: Tokens, rate_limits: RateLimits) -> None:
        self._instance = instance
        self._records = instance.records
        self._tokens = tokens
        self._rate_limits = rate_limits

    async def __call__(self, request: Request) -> Caller | Response:
        """Return the caller of `request`, or a 401, 403 or 429."""
        try:
            identity = self._identify(request)
            resource = _Resource.of(request)
            self._apply_access_policies(identity, resource, request)
            if identity.token is not None:
                self._require_scope(identity.token, resource)
            _keep_in_session(session_of(request), identity)
            request.scope[USER_NAME_KEY] = identity.caller.user_name
            add_answer_headers(request, self._rate_limits.count(identity.caller, request.method, request.url.path))
        except ServiceNowError as error:
            return JSONResponse(error.body, error.status, dict(error.headers), "application/json;charset=UTF-8")
        return identity.caller

    def _identify(self, request: Request) -> _Identity:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        identity: _Identity | None = None
        mfa_wanted = False
        if scheme.lower() == "bearer":
            identity = self._by_token(credentials.strip())
        elif scheme.lower() == "basic":
            user = self._by_password(credentials)
            mfa_wanted = user is not None and user["enable_multifactor_authn"] == "true"
            if user is not None and not mfa_wanted:
                identity = self._identity(user["sys_id"], "basic")
        elif "access_token" in request.query_params:
            identity = self._by_token(request.query_params["access_token"])
        identity = identity or self._by_session(session_of(request))
        if identity is None:
            raise self._refusal(["basic"], {"X-MFA_TOKEN": "invalid"} if mfa_wanted else {})
        return identity

    def _identity(self, user_sys_id: str, scheme: Scheme, token: Token | None = None) -> _Identity | None:
        caller = self._instance.caller_of(user_sys_id, token.client["client_id"] if token else None)
        return _Identity(caller, scheme, token) if caller is not None else None

    def _by_token(self, text: str) -> _Identity | None:
        token = self._tokens.find(text, "access_token")
        return self._identity(token.user["sys_id"], "oauth", token) if token is not None else None

    def _by_password(self, credentials: str) -> Row | None:
        name, password = decode_basic(credentials.strip()) or ("", "")
        user = user_with_password(self._instance, name, password)
        return user if user is not None and may_call(user) and user["password_needs_reset"] != "true" else None

    def _by_session(self, session: Session) -> _Identity | None:
        if not session.is_logged_in:
            return None
        ends_with_token = self._instance.properties.flag(
            "glide.authenticate.oauth.post.token.expiration.cookie_auth.disabled"
        )
        token_text = session.access_token if ends_with_token else None
        if token_text is not None and self._tokens.find(token_text, "access_token") is None:
            return None
        user = self._records.get("sys_user", session.user_sys_id)
        return self._identity(user["sys_id"], "session") if user is not None and may_call(user) else None

    def _apply_access_policies(self, identity: _Identity, resource: _Resource, request: Request) -> None:
        fitting = [
            (specificity, policy)
            for policy in self._records.query("sys_api_access_policy", "active=true")
            if (specificity := resource.specificity(policy)) is not None
        ]
        if not fitting or identity.scheme == "session":
            return
        policy = max(fitting, key=lambda pair: pair[0])[1]
        schemes = _words(policy["auth_types"])
        roles, addresses = _words(policy["roles"]), _words(policy["ip_ranges"])
        if (
            (schemes and identity.scheme not in schemes)
            or (roles and not identity.caller.roles.intersection(roles))
            or (addresses and not _is_within(request, addresses))
        ):
            offered = schemes or ["basic"]
            raise self._refusal(offered if policy["advertise_all_auth_schemes"] == "true" else offered[-1:])

    def _require_scope(self, token: Token, resource: _Resource) -> None:
        restriction = token.client["scope_restriction_status"]
        if restriction in ("", "unrestricted", _EVERYTHING):
            return
        held = self._scopes_of(token.client, restriction)
        if _EVERYTHING in held:
            return
        fitting = [
            (specificity, self._scope_name(row["auth_scope"]))
            for row in self._records.query("sys_api_access_scope")
            if (specificity := resource.specificity(row)) is not None
        ]
        if not any(name in held for _, name in fitting):
            raise missing_access_scope(max(fitting)[1] if fitting else _EVERYTHING)

    def _scopes_of(self, client: Row, restriction: str) -> set[str]:
        mapped = self._records.query("oauth_entity_auth_scope_mapping", f"oauth_entity={client['sys_id']}")
        named = set() if restriction == "restricted" else {restriction}
        return named | {self._scope_name(row["auth_scope"]) for row in mapped}

    def _scope_name(self, sys_id: str) -> str:
        scope = self._records.get("sys_auth_scope", sys_id)
        return scope["name"] if scope is not None else ""

    def _refusal(self, schemes: Sequence[str], headers: Mapping[str, str] | None = None) -> ServiceNowError:
        error = not_authenticated(self._instance.properties["simulator.authentication_message"])
        challenge = ", ".join(_CHALLENGES[scheme] for scheme in schemes)
        return ServiceNowError(
            error.status, error.message, error.detail, {"WWW-Authenticate": challenge, **(headers or {})}
        )


def _keep_in_session(session: Session, identity: _Identity) -> None:
    if session.interactive or identity.scheme == "session":
        return
    session.user_sys_id = identity.caller.user_sys_id
    session.access_token = identity.token.text if identity.token is not None else None


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _is_within(request: Request, ranges: Sequence[str]) -> bool:
    forwarded = _words(request.headers.get("x-forwarded-for", ""))
    chain = [*forwarded, request.client.host if request.client else ""]
    return any(
        ipaddress.ip_address(address) in ipaddress.ip_network(allowed, strict=False)
        for address in chain
        if _is_address(address)
        for allowed in ranges
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
