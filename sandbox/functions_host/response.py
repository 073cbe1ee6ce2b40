"""Turns a function's result into an answer (Functions host §3). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from urllib.parse import quote

from sandbox.functions_host.host_json import HostJson
from sandbox.functions_host.messages import Cookie, Failed, HttpOutput, NoOutput, Outcome, TextOutput

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_DEFAULT_CONTENT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer ready to be sent; header names are in the case as sent, and ``Set-Cookie`` may repeat."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_bare: bool = False
    """If true, host settings add no headers (Functions host §P29)."""

    def has(self, name: str) -> bool:
        """Say whether a header is set."""
        return any(own.lower() == name.lower() for own, _ in self.headers)


def from_outcome(outcome: Outcome) -> Response:
    """Turn a function's result into an answer; what cannot be sent becomes an empty 500."""
    match outcome:
        case HttpOutput():
            return _from_http(outcome)
        case TextOutput(text):
            return _from_text(text)
        case NoOutput() | Failed():
            return Response(500)


def _from_http(output: HttpOutput) -> Response:
    headers: dict[str, tuple[str, str]] = {}
    for name, value in output.headers.items():
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            return Response(500)
        headers[name.lower()] = (name, value)
    if headers.get("content-type", ("", "-"))[1] == "":
        del headers["content-type"]
    try:
        status = int(output.status)
    except ValueError:
        return Response(500)
    body = b"" if status in (204, 304) else output.body
    return Response(status, (*headers.values(), *(("Set-Cookie", write_cookie(own)) for own in output.cookies)), body)


def _from_text(text: str) -> Response:
    """Answer with a ``str``: a JSON object with a body or status is itself an answer (Functions host §P16)."""
    status, headers = 200, {"Content-Type": _DEFAULT_CONTENT_TYPE}
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict) and ("body" in content or "statusCode" in content):
        given = content.get("body", "")
        text = given if isinstance(given, str) else json.dumps(given)
        status = int(content.get("statusCode", 200))
        headers |= {str(name): str(value) for name, value in content.get("headers", {}).items()}
    return _from_http(HttpOutput(str(status), headers, body=text.encode()))


def write_cookie(cookie: Cookie) -> str:
    """Rewrite a cookie, as the host does after the worker has taken it apart (Functions host §P20 to §P26)."""
    parts = [f"{cookie.name}={quote(cookie.value, safe='-._~')}"]
    if cookie.expires_s is not None:
        parts.append(f"expires={formatdate(cookie.expires_s, usegmt=True)}")
    if cookie.max_age_s is not None:
        parts.append(f"max-age={int(cookie.max_age_s)}")
    if cookie.domain is not None:
        parts.append(f"domain={cookie.domain}")
    if cookie.path is not None:
        parts.append(f"path={cookie.path}")
    parts += ["secure"] if cookie.secure else []
    parts += [f"samesite={cookie.same_site}"] if cookie.same_site else []
    parts += ["httponly"] if cookie.http_only else []
    return "; ".join(parts)


def with_host_headers(response: Response, settings: HostJson, is_https: bool) -> Response:
    """Add ``customHeaders`` that the function did not set, and ``hsts`` over https (Functions host §P29 to §P32)."""
    if response.is_bare:
        return response
    custom: Iterable[tuple[str, str]] = (
        (name, value) for name, value in settings.custom_headers.items() if not response.has(name)
    )
    headers = (*response.headers, *custom)
    if is_https and settings.strict_transport_security is not None:
        headers = _replaced(headers, "Strict-Transport-Security", settings.strict_transport_security)
    return replace(response, headers=headers)


def _replaced(headers: Iterable[tuple[str, str]], name: str, value: str) -> tuple[tuple[str, str], ...]:
    return (*((own, given) for own, given in headers if own.lower() != name.lower()), (name, value))


def as_json(content: Mapping[str, object] | list[object], status: int = 200) -> Response:
    """Answer with JSON, as the host's own endpoints do."""
    headers = (("Content-Type", "application/json; charset=utf-8"),)
    return Response(status, headers, json.dumps(content, separators=(",", ":")).encode())
