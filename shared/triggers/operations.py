"""One way to declare an operation of the HTTP API.

A declaration makes three things: the route of the Functions host, the checks that stand before every handler (who, from
where, how large, JSON or not), and the operation's part of the OpenAPI document.

The host tries routes in the order of the *function names* (Functions host §R1): where two paths can match one address,
the literal one's name has to sort first. A test holds every pair to that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
from pydantic import BaseModel

from shared.application import Application, application
from shared.errors import ConnectorError, FixRequest, OurBug
from shared.log import log_bug, log_context, log_event
from shared.telemetry import span
from shared.triggers.answers import Answer, problem
from shared.triggers.principal import Principal, Role, read_principal
from shared.triggers.routes import MAX_PARAMETERS, SAFE_METHODS, register
from shared.words.language import choose_language

MAX_BODY_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or header of an operation, for the OpenAPI document.

    Attributes:
        schema: JSON schema of its value.
    """

    name: str
    description: str
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})
    place: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """What the OpenAPI document says of an operation.

    Attributes:
        roles: App roles of which the caller needs one; None for an anonymous operation.
        answers: Model of the body by status; None for an answer without a JSON body.
        problems: Codes of the problem documents it can answer, beside those every operation can.
    """

    name: str
    method: str
    path: str
    summary: str
    roles: frozenset[Role] | None
    answers: Mapping[int, type[BaseModel] | None]
    body: type[BaseModel] | None = None
    body_required: bool = True
    parameters: tuple[Parameter, ...] = ()
    problems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


OPERATIONS: Final[list[Operation]] = []
"""Every declared operation, in the order of declaration."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation, after the checks.

    Attributes:
        query: Query parameters as sent, blank ones included; the host drops those (Functions host §Q11).
        caller: The signed-in caller; None only on an anonymous operation.
    """

    application: Application
    request: func.HttpRequest
    request_id: str
    query: Mapping[str, str]
    caller: Principal | None

    @property
    def principal(self) -> Principal:
        """The caller of an operation that demands a role."""
        assert self.caller is not None, "the operation is declared with roles"
        return self.caller

    def path_parameter(self, name: str) -> str:
        """Return a parameter of the path."""
        return str(self.request.route_params[name])

    def json(self) -> object:
        """Return the JSON value of the body.

        Raises:
            FixRequest: 415, 411 or 400 when there is no JSON value to read.
        """
        return read_json(self.request)

    def known_query(self, *names: str) -> Mapping[str, str]:
        """Return the query parameters. Raises FixRequest (400 ``unknown_parameter``) when another one was sent."""
        unknown = sorted(set(self.query) - set(names))
        if unknown:
            raise FixRequest(
                f"There is no query parameter {unknown[0]!r}; nothing was done."[:300],
                code="unknown_parameter",
                next_step=f"Use only: {', '.join(names) or 'no parameter at all'}.",
            )
        return self.query


type Handler = Callable[[Call], Awaitable[Answer | func.HttpResponse]]


def operation(
    blueprint: func.Blueprint,
    method: str,
    path: str,
    *,
    summary: str,
    roles: frozenset[Role] | None,
    answers: Mapping[int, type[BaseModel] | None],
    body: type[BaseModel] | None = None,
    body_required: bool = True,
    parameters: tuple[Parameter, ...] = (),
    problems: Mapping[int, tuple[str, ...]] | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the decorated handler as an operation; its name becomes the function's name on the host."""

    def declare(handler: Handler) -> Handler:
        described = Operation(
            handler.__name__, method, path, summary, roles, answers, body, body_required, parameters, problems or {}
        )
        OPERATIONS.append(described)

        async def endpoint(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
            return await _answer(described, handler, req, context.invocation_id)

        register(blueprint, handler.__name__, method, path, endpoint)
        return handler

    return declare


async def _answer(
    described: Operation, handler: Handler, request: func.HttpRequest, request_id: str
) -> func.HttpResponse:
    started_at = time.perf_counter()
    code: str | None = None
    language = choose_language(None, request.headers.get("Accept-Language"))
    with log_context(request_id=request_id), span(described.name) as answering:
        try:
            answer = await handler(_checked_call(described, request, request_id))
            response = answer.to_response() if isinstance(answer, Answer) else answer
        except ConnectorError as error:
            code = error.code
            response = problem(error, request_id, language)
        except Exception as error:  # noqa: BLE001 - the last line of defence: the host would answer an empty 500
            bug = OurBug(
                "Something went wrong that should not have; what was stored before stays stored.",
                next_step="Try again; if it happens again, give the request id to whoever operates the connector.",
            )
            log_bug("unexpected_error", error, operation=described.name)
            code = bug.code
            response = problem(bug, request_id, language)
        answering.note(status=response.status_code)
        if response.status_code >= 500:
            answering.failed(code or "internal_error")
        log_event(
            "request_answered",
            operation=described.name,
            route=f"{described.method} /{described.path}",
            status=response.status_code,
            code=code,
            duration_s=time.perf_counter() - started_at,
        )
    return response


def _checked_call(described: Operation, request: func.HttpRequest, request_id: str) -> Call:
    app = application()
    if len(request.get_body()) > MAX_BODY_BYTES:
        raise FixRequest(
            f"The request is larger than {MAX_BODY_BYTES} bytes; nothing was kept.",
            code="request_too_large",
            status=413,
            next_step="Send a smaller request.",
        )
    if described.method not in SAFE_METHODS:
        refuse_other_sites(request.headers, app.settings.public_base_url)
    caller = None
    if described.roles is not None:
        # Only here: an anonymous route is excluded from the platform's Authentication, which then may not strip a
        # principal that somebody made up.
        caller = read_principal(request.headers, app.settings)
        require_roles(caller, described.roles)
    return Call(app, request, request_id, read_query(request.url), caller)


def read_query(url: str) -> Mapping[str, str]:
    """Return the query parameters of an address, blank ones included.

    Raises:
        FixRequest: 400 ``invalid_query`` when there are more than anybody needs.
    """
    try:
        return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise FixRequest(
            "The query of the address cannot be read; nothing was done.",
            code="invalid_query",
            next_step="Send fewer query parameters.",
        ) from None


def require_roles(caller: Principal | None, roles: frozenset[Role]) -> None:
    """Demand a signed-in caller with one of the roles.

    Raises:
        FixRequest: 401 ``not_signed_in`` or 403 ``role_missing``.
    """
    if caller is None:
        raise FixRequest(
            "Nobody is signed in; nothing was done.",
            code="not_signed_in",
            status=401,
            next_step="Sign in at /.auth/login/aad, or send an access token for this application.",
        )
    if not caller.has_any(roles):
        raise FixRequest(
            "You are signed in, but have none of the app roles that this needs; nothing was done.",
            code="role_missing",
            status=403,
            next_step=f"Ask an administrator for one of: {', '.join(sorted(roles))}.",
        )


def is_from_here(headers: Mapping[str, str]) -> bool:
    """Whether no other site made the browser send this: our own page did, or a person by an address or a bookmark.

    Programs and browsers of before 2023 do not say where a request comes from; for them the answer is yes.
    """
    return headers.get("Sec-Fetch-Site") in {None, "same-origin", "none"}


def refuse_other_sites(headers: Mapping[str, str], public_base_url: str) -> None:
    """Refuse a write, or the question whether one is allowed, that another web site made a browser send.

    Browsers say where a request comes from by ``Sec-Fetch-Site``, older ones by ``Origin``; programs send neither.

    Raises:
        FixRequest: 403 ``cross_site_request``.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if not is_from_here(headers) or (site is None and origin not in {None, public_base_url}):
        raise FixRequest(
            "This request was sent by another web site; nothing was done.",
            code="cross_site_request",
            status=403,
            next_step="Use the connector's own pages, or call the API from a program.",
        )


def read_json(request: func.HttpRequest) -> object:
    """Return the JSON value of a body.

    Raises:
        FixRequest: 415 ``unsupported_media_type``, 411 ``length_required`` (the host hands over an empty body when it
            was sent in chunks, Functions host §Q18) or 400 ``invalid_json``.
    """
    content_type = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise FixRequest(
            "The body is not declared as JSON; nothing was kept.",
            code="unsupported_media_type",
            status=415,
            next_step="Send the header Content-Type: application/json.",
        )
    body = request.get_body()
    if not body and request.headers.get("Transfer-Encoding"):
        raise FixRequest(
            "A body sent in chunks does not arrive here; nothing was kept.",
            code="length_required",
            status=411,
            next_step="Send the header Content-Length.",
        )
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise FixRequest(
            "The body is not a JSON value; nothing was kept.",
            code="invalid_json",
            next_step="Correct the JSON text and send the request again.",
        ) from None
