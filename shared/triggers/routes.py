"""The addresses that the app serves, and everything declared about them.

The routing, the checks before a handler and the OpenAPI document all come from a route's declaration.

The Functions host answers only what is registered: no HEAD beside GET, no OPTIONS, no 405, and an empty 404 for
everything else (Functions host §R6 to §R8, §R28). So each route is declared here, and one function without a method,
whose name sorts last, takes what no other route takes (§R1, §R9, §R55).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import BaseModel

from shared.errors import FixRequest
from shared.triggers.parameters import Parameter
from shared.triggers.principal import Role
from shared.triggers.request_bodies import MAX_BODY_BYTES, FormBody
from shared.value_object import value_object

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
"""Methods that a browser may send on behalf of another site."""
ANY_METHOD: Final = "*"
MAX_PARAMETERS: Final = 50
"""Most query parameters of an address: more than anybody needs."""


class Keeps(StrEnum):
    """What becomes of a form that is sent after the session has ended."""

    FORM = "form"
    """The script keeps it, and fills it in again after the sign-in; the answer repeats it, too."""
    ANSWER = "answer"
    """Only the answer repeats it: the form has no address of its own."""


def model_of(module: str, name: str) -> Callable[[], type[BaseModel]]:
    """Return what loads a model on first use: pydantic takes long to make one, and few requests need it."""

    def load() -> type[BaseModel]:
        model: type[BaseModel] = getattr(import_module(module), name)
        return model

    return load


type Body = type[BaseModel] | Callable[[], type[BaseModel]] | tuple[type[BaseModel], ...] | FormBody | None


@value_object
class Route:
    """An address and a method, as they are declared.

    Attributes:
        name: The function's name on the host. The host tries routes in the order of these names (Functions host §R1):
            where two paths can match one address, the literal one's name has to sort first.
        method: An HTTP method; ``GET`` includes HEAD; ``ANY_METHOD`` means every method.
        roles: App roles of which the caller needs one; None for a route that anybody may use.
        html: Whether browsers come here. Then errors are pages for clients that ask for ``text/html``, and the handler
            deals with unknown query parameters; elsewhere they are refused.
        summary: What an operation of the API does, for the OpenAPI document; None for a page that is not in it.
        answers: Model or dataclass of the body by status, or what loads it if few requests need it; None for an answer
            without a JSON body.
        files: Other media types of a successful answer, for which a parameter asks.
        body: Model of a JSON body, several of which it is one, what loads it if few requests need it, or a form.
        body_required: Whether a body is required; if not, a missing one counts as an empty object.
        problems: Codes of the problem documents that it can answer with, besides those of every operation.
        kept: Query parameters that a change of language and the sign-in keep; they drop all others, which can be
            secrets.
        belongs_to: For a path that accepts only POST, the page whose form is sent here: a browser can also reach such
            an address by a reload, a bookmark or the sign-in, and is sent to that page. Its route's parameters are in
            braces.
        keeps: What becomes of its form if the session has ended; None if there is nothing to keep.
        secret_fields: Names of fields that are never repeated.
    """

    name: str
    method: str
    path: str
    roles: frozenset[Role] | None
    html: bool = False
    summary: str | None = None
    answers: Mapping[int, type | Callable[[], type] | None] = field(default_factory=dict)
    files: Sequence[str] = ()
    body: Body = None
    body_required: bool = True
    parameters: Sequence[Parameter[object]] = ()
    problems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    kept: Collection[str] = ()
    belongs_to: str | None = None
    keeps: Keeps | None = None
    secret_fields: Collection[str] = ()

    @property
    def methods(self) -> list[str] | None:
        """The methods to register; None for every method."""
        if self.method == ANY_METHOD:
            return None
        return ["GET", "HEAD"] if self.method == "GET" else [self.method]

    @property
    def body_models(self) -> Sequence[type[BaseModel]]:
        """The models of which a JSON body is one; none for a form, or without a body."""
        if self.body is None or isinstance(self.body, FormBody):
            return ()
        if isinstance(self.body, tuple):
            return self.body
        return (self.body if isinstance(self.body, type) else self.body(),)

    @property
    def answer_models(self) -> Mapping[int, type | None]:
        """The models of the answers by status, loaded."""
        return {
            status: model if model is None or isinstance(model, type) else model()
            for status, model in self.answers.items()
        }

    @property
    def max_body_bytes(self) -> int:
        """How large a body may be."""
        return self.body.max_bytes if isinstance(self.body, FormBody) else MAX_BODY_BYTES

    @property
    def query_names(self) -> Sequence[str]:
        """The declared query parameters."""
        return [each.name for each in self.parameters if each.place == "query"]

    def matches(self, path: str) -> bool:
        """Whether this is the route of an address.

        Args:
            path: Decoded path without its first slash.
        """
        return self.method != ANY_METHOD and _pattern(self.path).fullmatch(path) is not None


ROUTES: Final[list[Route]] = []
"""Every declared route, in the order of declaration."""


def operations() -> Sequence[Route]:
    """Return the routes that the OpenAPI document describes."""
    return [route for route in ROUTES if route.summary is not None]


def methods_of(path: str) -> tuple[str, ...]:
    """Return the methods that an address answers; empty if there is no such address.

    Args:
        path: Decoded path without its first slash.
    """
    found = [route.methods or () for route in ROUTES if route.matches(path)]
    return tuple(sorted({"OPTIONS"}.union(*found))) if found else ()


def own_address(address: str) -> str:
    """Return the address that leads a browser back to a page of this app; the home page for anything else.

    Only the query parameters that the page declares are kept: anything else in an address, which can be a secret, is
    dropped.

    Args:
        address: Path with its query, percent-encoded as a browser sends it.
    """
    if not address.startswith("/") or address.startswith("//") or "\\" in address or not address.isprintable():
        return "/"
    path, _, query = address.partition("#")[0].partition("?")
    plain = unquote(path).removeprefix("/")
    found = [route for route in ROUTES if route.method == "GET" and route.matches(plain)]
    if not found:
        return "/"
    known = frozenset[str]().union(*(route.kept for route in found))
    try:
        given = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return path
    kept = [(name, value) for name, value in given if name in known]
    return f"{path}?{urlencode(kept, quote_via=quote)}" if kept else path


def read_query(url: str) -> Mapping[str, str]:
    """Return the query parameters of an address, blank ones included; the host drops those (Functions host §Q11).

    Raises:
        FixRequest: 400 ``invalid_query`` if there are more than anybody needs.
    """
    try:
        return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise FixRequest("invalid_query") from None


@cache
def _pattern(path: str) -> re.Pattern[str]:
    """Return what a route's template matches; case and one slash at the end are ignored (Functions host §R11, §R12)."""
    parts = re.split(r"(\{\w+\})", path.strip("/"))
    text = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
    return re.compile(f"{text}/?", re.IGNORECASE)
