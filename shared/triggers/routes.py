"""The addresses that the app serves, and by which methods.

The Functions host answers nothing but what is registered: no HEAD beside GET, no OPTIONS, no 405, and an empty 404 for
all the rest (Functions host §R6 to §R8, §R28). So each route is declared here, and one function without a method, whose
name sorts last, takes what no other route took (§R1, §R9, §R55).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

import azure.functions as func

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
"""Methods that a browser may send on behalf of another site."""
ANY_METHOD: Final = "*"
MAX_PARAMETERS: Final = 50
"""Query parameters that an address may have: more than anybody needs."""

type Endpoint = Callable[[func.HttpRequest, func.Context], Awaitable[func.HttpResponse]]


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    methods: frozenset[str]
    query: frozenset[str]


_ROUTES: Final[list[_Route]] = []


def register(
    blueprint: func.Blueprint, name: str, method: str, path: str, endpoint: Endpoint, *, query: Iterable[str] = ()
) -> None:
    """Have the host call an endpoint.

    Args:
        name: Name of the function on the host.
        method: An HTTP method; ``GET`` stands for HEAD, too. ``ANY_METHOD`` for every method there is.
        query: Query parameters that may be repeated in a link back to this address.
    """
    endpoint.__name__ = endpoint.__qualname__ = name
    methods = None
    if method != ANY_METHOD:
        methods = ["GET", "HEAD"] if method == "GET" else [method]
        _ROUTES.append(_Route(_pattern(path), frozenset(methods), frozenset(query)))
    blueprint.route(route=path, methods=methods, auth_level=func.AuthLevel.ANONYMOUS)(endpoint)


def methods_of(path: str) -> tuple[str, ...]:
    """Return the methods that an address answers, or nothing when there is no such address.

    Args:
        path: Decoded path without its first slash.
    """
    found = [route.methods for route in _ROUTES if route.pattern.fullmatch(path)]
    return tuple(sorted({"OPTIONS"}.union(*found))) if found else ()


def own_address(address: str) -> str:
    """Return the address with which a browser comes back to a page of this app; the home page for anything else.

    Of its query only what the page declares is left: whatever else somebody has put into an address, a secret among
    it, is not handed on.

    Args:
        address: Path with its query, percent-encoded as a browser sends it.
    """
    if not address.startswith("/") or address.startswith("//") or "\\" in address or not address.isprintable():
        return "/"
    path, _, query = address.partition("#")[0].partition("?")
    plain = unquote(path).removeprefix("/")
    found = [route for route in _ROUTES if "GET" in route.methods and route.pattern.fullmatch(plain)]
    if not found:
        return "/"
    known = frozenset().union(*(route.query for route in found))
    try:
        given = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return path
    kept = [(name, value) for name, value in given if name in known]
    return f"{path}?{urlencode(kept, quote_via=quote)}" if kept else path


def _pattern(path: str) -> re.Pattern[str]:
    """Return what a route's template matches: case is ignored, and one slash at the end (Functions host §R11, §R12)."""
    parts = re.split(r"(\{\w+\})", path.strip("/"))
    text = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
    return re.compile(f"{text}/?", re.IGNORECASE)
