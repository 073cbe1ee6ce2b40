"""A person at the portal: signs in where the Functions host asks for it, then uses the app as a browser would."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self

import httpx

from sandbox.functions_host.authentication import LOGIN_PATH, Person

_TIMEOUT_S = 30.0


class UnexpectedAnswerError(Exception):
    """The app answered otherwise than the person could expect; the text holds the answer."""


class PortalUser:
    """A signed-in person, with the cookies of one browser.

    Args:
        person: Who signs in.
        base_url: The app's public address.
    """

    def __init__(self, person: Person, base_url: str) -> None:
        self.person = person
        # Browsers send "Secure" cookies to this machine over plain HTTP as well.
        cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self._client = httpx.Client(
            base_url=base_url, headers={"Origin": base_url}, cookies=cookies, timeout=_TIMEOUT_S, trust_env=False
        )

    def __enter__(self) -> Self:
        answer = self._client.post(LOGIN_PATH, data={"oid": self.person.oid})
        if not answer.is_redirect:
            raise UnexpectedAnswerError(f"{self.person.name} could not sign in: {answer.status_code}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def visit(self, address: str) -> httpx.Response:
        """Open an address of the app and return its answer, redirects not followed."""
        return self._client.get(address)

    def call(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Call the HTTP API and return the JSON of a successful answer.

        Raises:
            UnexpectedAnswerError: The answer is not successful.
        """
        answer = self._client.request(method, path, json=body, headers=headers)
        if not answer.is_success:
            raise UnexpectedAnswerError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        content: dict[str, Any] = answer.json() if answer.content else {}
        return content
