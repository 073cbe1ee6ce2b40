"""App Service Authentication as a layer in front of the host: who may come in, and as whom.

It has a sign-in page where you pick who you are. It sets the ``X-MS-CLIENT-PRINCIPAL`` headers as the platform does
for Entra ID, and drops the same headers from outside. Without this layer the host passes such headers on unchanged
(Functions host §A7).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlencode

from pydantic import BaseModel, ConfigDict

from sandbox.functions_host.asgi import Application, Receive, Scope, Send, raw_path, read_body, send_response
from sandbox.functions_host.keys import new_key
from sandbox.functions_host.request import BadRequestError, join_headers
from sandbox.functions_host.response import Response, as_json
from sandbox.functions_host.routing import BadPathError, decode_path

SESSION_COOKIE = "AppServiceAuthSession"
SESSION_S = 8 * 3600
"""How long a session lasts, in seconds: the platform's default."""

LOGIN_PATH = "/.auth/login/aad"
LOGOUT_PATH = "/.auth/logout"
ME_PATH = "/.auth/me"

MOST_GROUPS = 200
"""Groups in a JSON Web Token at most (Authentication §G2)."""

_CLAIM = "http://schemas.microsoft.com/identity/claims"
_SOAP_CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_STRIPPED = (b"x-ms-client-principal", b"x-ms-token-")


class Person(BaseModel):
    """A person of the sandbox's tenant; ``email`` is the user principal name as well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    email: str
    oid: str
    roles: tuple[str, ...] = ()
    token: str | None = None
    """Stands for an access token of this person when sent as ``Authorization: Bearer``."""
    contact_address: str | None = None
    """The claim for the e-mail address, if it is not ``email``: a guest's own tenant may put anything there."""
    groups: tuple[str, ...] = ()
    """Object ids of the groups that the token names; more than :data:`MOST_GROUPS` leave it without any."""
    claim_objects: Literal["json", "members"] = "json"
    """How the header shows a claim that is an object: as JSON, or with a claim for each member. It is NOT FOUND
    (Authentication §G3)."""


class DaemonApplication(BaseModel):
    """A program of the sandbox's tenant that signs in as itself with a bearer token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    client_id: str
    oid: str
    token: str
    roles: tuple[str, ...] = ()


class Tenant(BaseModel):
    """Everyone who can sign in: the content of the people file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str = "11111111-1111-1111-1111-111111111111"
    client_id: str = "22222222-2222-2222-2222-222222222222"
    """The application registration of the Function App."""
    people: tuple[Person, ...] = ()
    applications: tuple[DaemonApplication, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Tenant:
        """Read a people file; raises pydantic's ValidationError if it is invalid."""
        return cls.model_validate_json(file.read_text(encoding="utf-8"))


type UnauthenticatedAction = Literal["Return401", "RedirectToLoginPage", "AllowAnonymous"]


@dataclass(frozen=True, slots=True)
class AuthenticationOptions:
    """As ``authsettingsV2`` has them."""

    tenant: Tenant
    unauthenticated_action: UnauthenticatedAction = "Return401"
    excluded_paths: tuple[str, ...] = field(default=())
    """Served without authentication: whole paths, or ``/folder/*``."""


def new_signing_key() -> Mapping[str, str]:
    """Make the key that signs sessions; hosts with the same storage share it."""
    return {"signing_key": new_key()}


class AppServiceAuthentication:
    """ASGI middleware in front of a host."""

    def __init__(self, app: Application, options: AuthenticationOptions, secret: Mapping[str, str]) -> None:
        self._app = app
        self._options = options
        self._signing_key = secret["signing_key"].encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its principal's headers, or answer it here."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            headers = join_headers(scope["headers"])
            path = decode_path(raw_path(scope).decode("ascii"))
        except (BadRequestError, BadPathError, UnicodeDecodeError):
            return await self._app(scope, receive, send)  # which refuses it
        query = parse_qs(scope["query_string"].decode("latin-1"))
        principal = self._principal(headers)
        match path:
            case _ if path == LOGIN_PATH and scope["method"] == "POST":
                answer = self._sign_in(parse_qs((await read_body(receive)).decode("latin-1")))
            case _ if path == LOGIN_PATH:
                answer = self._login_page(_local_target(query, "post_login_redirect_uri"))
            case _ if path == LOGOUT_PATH:
                answer = _sign_out(_local_target(query, "post_logout_redirect_uri"))
            case _ if path == ME_PATH:
                answer = _me(principal)
            case _ if principal is None and not self._is_open(path):
                answer = self._refusal(scope, headers, path)
            case _:
                return await self._app(self._announced(scope, principal, path), receive, send)
        return await send_response(answer, send, method=scope["method"])

    def _is_open(self, path: str) -> bool:
        return self._options.unauthenticated_action == "AllowAnonymous" or self._is_excluded(path)

    def _is_excluded(self, path: str) -> bool:
        return any(
            path.startswith(excluded[:-1]) if excluded.endswith("/*") else path == excluded
            for excluded in self._options.excluded_paths
        )

    def _principal(self, headers: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Find who a request comes from: a bearer token takes precedence over a session."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        tenant = self._options.tenant
        if kind.lower() == "bearer":
            for person in tenant.people:
                if person.token is not None and hmac.compare_digest(person.token.encode(), token.encode()):
                    return person_principal(tenant, person)
            for application in tenant.applications:
                if hmac.compare_digest(application.token.encode(), token.encode()):
                    return application_principal(tenant, application)
            return None
        oid = self._session_owner(headers.get("cookie", ""))
        return next((person_principal(tenant, person) for person in tenant.people if person.oid == oid), None)

    def _announced(self, scope: Scope, principal: Mapping[str, Any] | None, path: str) -> Scope:
        """Replace the principal's headers; an excluded path gets none."""
        headers = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(_STRIPPED)]
        if principal is not None and not self._is_excluded(path):
            claims = {claim["typ"]: claim["val"] for claim in principal["claims"]}
            encoded = base64.b64encode(json.dumps(principal, separators=(",", ":")).encode())
            headers += [
                (b"x-ms-client-principal", encoded),
                (b"x-ms-client-principal-id", claims[f"{_CLAIM}/objectidentifier"].encode()),
                (b"x-ms-client-principal-idp", b"aad"),
            ]
            if "preferred_username" in claims:
                headers.append((b"x-ms-client-principal-name", claims["preferred_username"].encode()))
        return {**scope, "headers": headers}

    def _refusal(self, scope: Scope, headers: Mapping[str, str], path: str) -> Response:
        """Answer a request that nothing identifies.

        The whole app has one action, for scripts as well: Microsoft documents no header that gets them a 401 instead,
        and fetch was seen to be redirected. Only an invalid token is refused as such.
        """
        if self._options.unauthenticated_action == "RedirectToLoginPage" and "authorization" not in headers:
            query = scope["query_string"].decode("latin-1")
            target = quote(path) + (f"?{query}" if query else "")
            location = f"{LOGIN_PATH}?{urlencode({'post_login_redirect_uri': target})}"
            return Response(302, (("Location", location),))
        realm = headers.get("host", "")
        tenant_id = self._options.tenant.tenant_id
        challenge = f'Bearer realm="{realm}" authorization_uri="https://login.windows.net/{tenant_id}/oauth2/authorize"'
        return Response(401, (("WWW-Authenticate", challenge),))

    def _login_page(self, target: str) -> Response:
        buttons = "\n".join(
            f'<li><button name="oid" value="{html.escape(person.oid)}">{html.escape(person.name)}'
            f" <small>{html.escape(person.email)} — {html.escape(', '.join(person.roles) or 'no role')}</small>"
            "</button></li>"
            for person in self._options.tenant.people
        )
        page = _LOGIN_PAGE.format(action=LOGIN_PATH, target=html.escape(target), buttons=buttons)
        headers = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"))
        return Response(200, headers, page.encode())

    def _sign_in(self, form: Mapping[str, list[str]]) -> Response:
        oid = form.get("oid", [""])[0]
        if all(person.oid != oid for person in self._options.tenant.people):
            return Response(401)
        cookie = f"{SESSION_COOKIE}={self._session(oid)}; Path=/; HttpOnly; SameSite=Lax"
        target = _local_target(form, "post_login_redirect_uri")
        return Response(302, (("Location", target), ("Set-Cookie", cookie)))

    def _session(self, oid: str) -> str:
        content = base64.urlsafe_b64encode(json.dumps([oid, int(time.time()) + SESSION_S]).encode()).decode()
        return f"{content}.{self._signature(content)}".replace("=", "")

    def _session_owner(self, cookie: str) -> str | None:
        own = SimpleCookie(cookie).get(SESSION_COOKIE)
        content, _, signature = (own.value if own is not None else "").partition(".")
        padded = content + "=" * (-len(content) % 4)
        if not hmac.compare_digest(signature, self._signature(padded)):
            return None
        try:
            oid, expires_at_s = json.loads(base64.urlsafe_b64decode(padded))
        except (binascii.Error, ValueError):
            return None
        return str(oid) if time.time() < expires_at_s else None

    def _signature(self, content: str) -> str:
        return hmac.new(self._signing_key, content.encode(), hashlib.sha256).hexdigest()


def person_principal(tenant: Tenant, person: Person) -> Mapping[str, Any]:
    """Describe a person as the platform does after a sign-in with Entra ID's v2 tokens."""
    return _principal(
        tenant,
        [
            ("name", person.name),
            (f"{_CLAIM}/objectidentifier", person.oid),
            ("preferred_username", person.email),
            (f"{_SOAP_CLAIM}/emailaddress", person.contact_address or person.email),
            (f"{_SOAP_CLAIM}/nameidentifier", hashlib.sha256(person.oid.encode()).hexdigest()[:43]),
            *_group_claims(tenant, person),
        ],
        person.roles,
    )


def _group_claims(tenant: Tenant, person: Person) -> Iterable[tuple[str, str]]:
    """Return one claim for each group, or for too many of them where they can be asked for (Authentication §G2)."""
    if len(person.groups) <= MOST_GROUPS:
        return [("groups", group) for group in person.groups]
    endpoint = f"https://graph.windows.net/{tenant.tenant_id}/users/{person.oid}/getMemberObjects"
    if person.claim_objects == "members":
        return [("_claim_names.groups", "src1"), ("_claim_sources.src1.endpoint", endpoint)]
    return [
        ("_claim_names", json.dumps({"groups": "src1"}, separators=(",", ":"))),
        ("_claim_sources", json.dumps({"src1": {"endpoint": endpoint}}, separators=(",", ":"))),
    ]


def application_principal(tenant: Tenant, application: DaemonApplication) -> Mapping[str, Any]:
    """Describe a program that signed in with its own token (``idtyp`` is ``app``)."""
    return _principal(
        tenant,
        [
            ("azp", application.client_id),
            ("azpacr", "1"),
            ("idtyp", "app"),
            (f"{_CLAIM}/objectidentifier", application.oid),
            (f"{_SOAP_CLAIM}/nameidentifier", application.oid),
        ],
        application.roles,
    )


def _principal(tenant: Tenant, own: Iterable[tuple[str, str]], roles: Iterable[str]) -> Mapping[str, Any]:
    claims = [
        ("aud", tenant.client_id),
        ("iss", f"https://login.microsoftonline.com/{tenant.tenant_id}/v2.0"),
        *own,
        *(("roles", role) for role in roles),
        (f"{_CLAIM}/tenantid", tenant.tenant_id),
        ("ver", "2.0"),
    ]
    return {
        "auth_typ": "aad",
        "claims": [{"typ": kind, "val": value} for kind, value in claims],
        "name_typ": f"{_SOAP_CLAIM}/emailaddress",
        "role_typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    }


def _local_target(values: Mapping[str, list[str]], name: str) -> str:
    """Return where to go afterwards: only a path of this host."""
    target = values.get(name, ["/"])[0]
    is_local = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return quote(target, safe="/?&=%:@!$'()*+,;-._~") if is_local else "/"


def _sign_out(target: str) -> Response:
    cookie = f"{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    return Response(302, (("Location", target), ("Set-Cookie", cookie)))


def _me(principal: Mapping[str, Any] | None) -> Response:
    if principal is None:
        return Response(401)
    claims = {claim["typ"]: claim["val"] for claim in principal["claims"]}
    user_id = claims.get("preferred_username", claims[f"{_CLAIM}/objectidentifier"])
    return as_json([{"provider_name": "aad", "user_id": user_id, "user_claims": principal["claims"]}])


_LOGIN_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">
<title>Sign in — sandbox</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem }}
ul {{ list-style: none; padding: 0 }}
button {{ width: 100%; padding: .75rem; margin: .25rem 0; text-align: left; font: inherit; cursor: pointer }}
small {{ display: block; color: #555 }}
</style>
</head>
<body>
<main>
<h1>Sign in</h1>
<p>This page stands for Microsoft Entra ID. Pick who you are.</p>
<form method="post" action="{action}">
<input type="hidden" name="post_login_redirect_uri" value="{target}">
<ul>
{buttons}
</ul>
</form>
</main>
</body>
</html>
"""
