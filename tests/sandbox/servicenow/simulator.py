"""A simulator with a few people and one OAuth client, for the tests beside this file."""

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from starlette.applications import Starlette

from sandbox.clock import Clock
from sandbox.in_process import InProcessTransport
from sandbox.servicenow.app import create_app
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.instance import SYSTEM, Instance
from sandbox.servicenow.stage.browser import AuthenticatorApp, Browser, Decision, sign_in_and_consent

CLIENT_ID = "0123456789abcdef0123456789abcdef"
CLIENT_SECRET = "client-secret"
REDIRECT_URI = "https://connector.example/api/oauth/callback"
PASSWORD = "correct horse"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GENERIC_REFUSAL = '{"error_description":"access_denied","error":"server_error"}'


@dataclass
class Simulated:
    """The instance, and ways to reach it without earlier cookies."""

    instance: Instance
    app: Starlette
    transport: InProcessTransport
    url: str
    users: Mapping[str, Row]
    oauth_client: Row

    def browser(self) -> Browser:
        """Return a browser without cookies."""
        return Browser(transport=self.transport)

    def client(self) -> httpx.Client:
        """Return a client with a cookie jar."""
        return httpx.Client(base_url=self.url, transport=self.transport)

    def send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request without cookies."""
        return self.client().request(method, path, **arguments)

    def change_user(self, user_name: str, **values: str) -> None:
        self.instance.records.update("sys_user", self.users[user_name]["sys_id"], values)

    def change_client(self, **values: str) -> None:
        self.instance.records.update("oauth_entity", self.oauth_client["sys_id"], values)

    def authorize_url(self, **changes: str | None) -> str:
        """Return the address of an authorization request; a parameter of None is left out."""
        wanted: dict[str, str | None] = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "state": "abc123",
            **changes,
        }
        return (
            f"{self.url}/oauth_auth.do?{urlencode({name: text for name, text in wanted.items() if text is not None})}"
        )

    def consent(
        self,
        user_name: str = "integration",
        decision: Decision = "allow",
        *,
        browser: Browser | None = None,
        phone: AuthenticatorApp | None = None,
        **changes: Any,
    ) -> dict[str, str]:
        """Go through the pages and return the query of the callback."""
        callback = sign_in_and_consent(
            self.authorize_url(**changes),
            user_name,
            PASSWORD,
            decision,
            browser=browser or self.browser(),
            phone=phone,
        )
        return {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}

    def token(self, grant_type: str, **parameters: str | None) -> httpx.Response:
        """Call the token endpoint, by default with the client's credentials in the body."""
        form = {"grant_type": grant_type, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **parameters}
        return self.send(
            "POST", "/oauth_token.do", data={name: text for name, text in form.items() if text is not None}
        )

    def code_grant(self, code: str, **changes: str | None) -> httpx.Response:
        return self.token("authorization_code", **{"code": code, "redirect_uri": REDIRECT_URI, **changes})

    def tokens(self, user_name: str = "integration") -> dict[str, Any]:
        """Go through the whole flow and return the token answer."""
        response = self.code_grant(self.consent(user_name)["code"])
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def refresh(self, refresh_token: str, **changes: str | None) -> httpx.Response:
        return self.token("refresh_token", **{"refresh_token": refresh_token, **changes})

    def api(self, access_token: str = "", path: str = "/api/now/table/incident?sysparm_limit=1") -> httpx.Response:
        headers = {"Authorization": f"Bearer {access_token}"} if access_token else {}
        return self.send("GET", path, headers=headers)


@contextmanager
def simulated(clock: Clock | None = None) -> Iterator[Simulated]:
    """Serve an instance with an integration user, a person, an agent and an administrator."""
    instance = Instance(clock=clock or Clock.stopped_at(START))
    users = {
        name: _user(instance, name, roles)
        for name, roles in {
            "integration": ["itil"],
            "agent": ["itil"],
            "person": [],
            "administrator": ["admin"],
        }.items()
    }
    oauth_client = instance.records.insert(
        "oauth_entity",
        {"name": "Connector", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_url": REDIRECT_URI},
    )
    instance.operations.insert("incident", {"short_description": "Printer on fire"}, SYSTEM)
    app = create_app(instance)
    transport = InProcessTransport(app)
    yield Simulated(instance, app, transport, "http://instance.test", users, oauth_client)
    transport.end()
    instance.close()


def _user(instance: Instance, name: str, roles: list[str]) -> Row:
    user = instance.records.insert(
        "sys_user",
        {"user_name": name, "name": name.title(), "email": f"{name}@example.com", "user_password": PASSWORD},
    )
    for role in roles:
        row = instance.records.first("sys_user_role", f"name={role}") or instance.records.insert(
            "sys_user_role", {"name": role}
        )
        instance.records.insert("sys_user_has_role", {"user": user["sys_id"], "role": row["sys_id"]})
    return user


def pkce() -> tuple[str, str]:
    """Return a code verifier and its S256 challenge."""
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
