"""How the host reads a request, and what a function sees of it (Functions host §2). Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from sandbox.functions_host.messages import HttpInput
from sandbox.functions_host.routing import BadPathError, decode_path, decode_text

BODY_LIMIT = 104_857_600
"""Bytes; the setting ``FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`` replaces it (Functions host §Q23)."""

_PLAIN_IN_PATH = "/:@!$&'()*+,;=-._~"


class BadRequestError(ValueError):
    """A request that the server answers with 400 before it looks for a function."""


class UnreadableRequestError(ValueError):
    """A request that the host answers with 500 once a function is matched."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request before its body is read."""

    method: str
    """Upper case."""
    path: str
    """Decoded, without dot segments."""
    raw_query: str
    headers: Mapping[str, str]
    """Names in lower case; repeats joined with a bare comma."""
    query: Mapping[str, str]
    is_chunked: bool
    content_length: int

    @classmethod
    def read(cls, method: str, raw_path: bytes, raw_query: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Request:
        """Read the request line and the headers.

        Raises:
            BadRequestError: The server refuses it (Functions host §R39, §Q4, §Q9).
        """
        joined = join_headers(headers)
        host = joined.get("host")
        if host is not None and (not host or "," in host or not host.isascii() or any(map(str.isspace, host))):
            raise BadRequestError("Host")
        try:
            path = decode_path(raw_path.decode("ascii"))
            query = raw_query.decode("ascii")
        except (BadPathError, UnicodeDecodeError) as error:
            raise BadRequestError("request target") from error
        if "\0" in query or "%00" in query:
            raise BadRequestError("query")
        length = joined.get("content-length", "0")
        return cls(
            method=method.upper(),
            path=path,
            raw_query=query,
            headers=joined,
            query=read_query(query),
            is_chunked="transfer-encoding" in joined,
            content_length=int(length) if length.isdecimal() else 0,
        )

    def origin(self, is_behind_front_end: bool) -> tuple[str, str]:
        """Return the scheme and host that ``req.url`` shows (Functions host §Q6 to §Q9).

        Raises:
            UnreadableRequestError: There is no host, or ``X-Forwarded-Proto`` names several.
        """
        scheme, host = "http", self.headers.get("host")
        if is_behind_front_end:
            forwarded = self.headers.get("x-forwarded-proto", "http")
            if "," in forwarded:
                raise UnreadableRequestError("X-Forwarded-Proto")
            scheme = "https" if forwarded == "https" else "http"
            host = self.headers.get("disguised-host", host)
        if host is None:
            raise UnreadableRequestError("Host")
        return scheme, host

    def url(self, is_behind_front_end: bool) -> str:
        """Build ``req.url``; raises as `origin`."""
        scheme, host = self.origin(is_behind_front_end)
        query = f"?{self.raw_query.replace('#', '%23')}" if self.raw_query else ""
        return f"{scheme}://{host}{encode_path(self.path)}{query}"

    def to_input(self, route_params: Mapping[str, str], body: bytes, is_behind_front_end: bool) -> HttpInput:
        """Say what the function sees; raises as `origin`."""
        return HttpInput(
            method=self.method,
            url=self.url(is_behind_front_end),
            headers=dict(sorted(self.headers.items())),
            query=self.query,
            route_params=route_params,
            body=body,
        )


def join_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Write names in lower case and join repeats with a bare comma (Functions host §Q1 to §Q4).

    Raises:
        BadRequestError: A value is not UTF-8 or holds NUL.
    """
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError as error:
            raise BadRequestError(name) from error
        if "\0" in value:
            raise BadRequestError(name)
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def read_query(query: str) -> dict[str, str]:
    """Read parameters: ignore case of names, join repeats, drop blanks (Functions host §Q10 to §Q12)."""
    values: dict[str, tuple[str, list[str]]] = {}
    for piece in query.removeprefix("?").split("&"):
        name, _, value = (decode_text(part) for part in piece.partition("="))
        if value:
            values.setdefault(name.lower(), (name, []))[1].append(value)
    return {name: ",".join(given) for name, given in values.values()}


def encode_path(path: str) -> str:
    """Write a decoded path into a URL; what looks like an escape is left alone (Functions host §Q6, §R33)."""
    text: list[str] = []
    at = 0
    while at < len(path):
        piece = path[at : at + 3]
        if len(piece) == 3 and piece[0] == "%" and all(digit in "0123456789abcdefABCDEF" for digit in piece[1:]):
            text.append(piece)
            at += 3
        else:
            text.append(quote(piece[0], safe=_PLAIN_IN_PATH))
            at += 1
    return "".join(text)


def trace_parent(incoming: str | None) -> str:
    """Continue the caller's trace with a new span, or begin one (Functions host §Q28)."""
    parts = (incoming or "").split("-")
    is_usable = len(parts) == 4 and [len(part) for part in parts] == [2, 32, 16, 2]
    trace_id, flags = (parts[1], parts[3]) if is_usable else (secrets.token_hex(16), "00")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"
