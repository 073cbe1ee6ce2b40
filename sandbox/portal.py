"""A person at the portal: signs in when the Functions host asks for it, then uses the app as a browser would."""

from __future__ import annotations

from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Self

import httpx

from sandbox.functions_host.authentication import LOGIN_PATH, Person
from sandbox.trust import usual_trust

_TIMEOUT_S = 30.0


class UnexpectedAnswerError(Exception):
    """The app gave an unexpected answer; the text holds it."""


class PortalUser:
    """A signed-in person, with the cookies of one browser.

    Args:
        person: Who signs in.
        base_url: The app's public address.
    """

    def __init__(self, person: Person, base_url: str) -> None:
        self.person = person
        self._cookies: dict[str, str] = {}
        self._client = httpx.Client(
            base_url=base_url, headers={"Origin": base_url}, timeout=_TIMEOUT_S, trust_env=False, verify=usual_trust()
        )

    def __enter__(self) -> Self:
        answer = self._send("POST", LOGIN_PATH, data={"oid": self.person.oid})
        if not answer.is_redirect:
            raise UnexpectedAnswerError(f"{self.person.name} could not sign in: {answer.status_code}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def visit(self, address: str) -> httpx.Response:
        """Open an address of the app and return its answer, without following redirects."""
        return self._send("GET", address)

    def come_back(self, callback: str) -> httpx.Response:
        """Open the address that ServiceNow redirects to, follow its redirect, and return the answer."""
        moved = self.visit(callback)
        return self.visit(moved.headers["Location"]) if moved.is_redirect else moved

    def call(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Call the HTTP API and return the JSON of a successful answer.

        Raises:
            UnexpectedAnswerError: The answer is not successful.
        """
        return _content(method, path, self._send(method, path, json=body, headers=headers or {}))

    def upload(self, path: str, name: str, file: bytes) -> dict[str, Any]:
        """Send a file as the field ``file`` of a form, and return what :meth:`call` does.

        Raises:
            UnexpectedAnswerError: The answer is not successful.
        """
        return _content("POST", path, self._send("POST", path, files={"file": (name, file)}))

    def _send(
        self, method: str, address: str, *, headers: dict[str, str] | None = None, **content: Any
    ) -> httpx.Response:
        """Send the cookies, and keep those of the answer.

        The host always writes an empty ``domain=`` (Functions host §P21). Browsers ignore it, but httpx's own jar
        drops the cookie.
        """
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = self._client.request(method, address, headers={**(headers or {}), "Cookie": cookie}, **content)
        self._client.cookies.clear()
        for line in answer.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self._cookies.pop(name, None)
                else:
                    self._cookies[name] = morsel.coded_value
        return answer


def _content(method: str, path: str, answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise UnexpectedAnswerError(f"{method} {path} answered {answer.status_code}: {answer.text}")
    content: dict[str, Any] = answer.json() if answer.content else {}
    return content
