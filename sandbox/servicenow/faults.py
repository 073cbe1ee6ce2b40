"""Bad days on demand: each fault waits for requests and answers them as an instance in trouble does.

Answers are those of the wire document 2.8, 2.9 and 3; what nobody has documented is marked in :data:`KINDS`.
"""

import asyncio
import json
import re
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.servicenow.clock import Clock
from sandbox.servicenow.errors import not_authenticated, rate_limit_exceeded, transaction_cancelled

_NEVER = datetime.min.replace(tzinfo=UTC)

TRANSPORT_EXTENSION = "servicenow.transport"
"""Key of the ASGI scope under which :mod:`sandbox.servicenow.server` hands over the connection."""


@dataclass
class Fault:
    """A fault and the requests it waits for.

    Attributes:
        kind: A key of :data:`KINDS`.
        method: HTTP method, or empty for any.
        path: Regular expression found in the path.
        query: Regular expression found in the decoded query string.
        body: Regular expression found in the request body.
        remaining: How many requests it still takes, or `None` for all until it is removed.
        after_s: Seconds, by the instance's clock, from being set to being in force (a rate rule is 30 s late).
        retry_after_s: `Retry-After` of `rate_limited`.
        limit: Requests per hour that `rate_limited` names.
        delay_s: Real seconds that `slow` and the faults that cut a connection wait before they answer.
        size_bytes: Length of the body of `huge_body`.
        rows: Whole rows that `cut_off_json` lets through.
        runs: Whether the request is carried out all the same (`accepted`, `unauthenticated`).
        id: Names the fault in the control API.
        taken: Requests it has answered.
        set_at: When it was set, by the instance's clock (aware UTC).
    """

    kind: str
    method: str = ""
    path: str = ""
    query: str = ""
    body: str = ""
    remaining: int | None = 1
    after_s: float = 0
    retry_after_s: int = 60
    limit: int = 10
    delay_s: float = 0
    size_bytes: int = 32 * 1024 * 1024
    rows: int = 2
    runs: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    taken: int = 0
    set_at: datetime = _NEVER

    @classmethod
    def parse(cls, wanted: Mapping[str, Any]) -> Self:
        """Return the fault a request to the control API describes. Raises ValueError for anything it does not know."""
        settable = {item.name for item in fields(cls)} - {"id", "taken", "set_at"}
        if unknown := wanted.keys() - settable:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(settable))}")
        kind = KINDS.get(str(wanted.get("kind")))
        if kind is None:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        for name in ("path", "query", "body"):
            try:
                re.compile(str(wanted.get(name, "")))
            except re.error as error:
                raise ValueError(f"{name} is no regular expression: {error}") from error
        return cls(**(dict(kind.narrowed_to) | dict(wanted)))

    def matches(self, method: str, path: str, query: str, body: str, now: datetime) -> bool:
        """Say whether it takes such a request at `now`."""
        return (
            self.remaining != 0
            and now >= self.set_at + timedelta(seconds=self.after_s)
            and self.method.upper() in ("", method)
            and re.search(self.path, path) is not None
            and re.search(self.query, query) is not None
            and re.search(self.body, body) is not None
        )


class Faults:
    """The faults that are set, oldest first; a request falls to the first that matches."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults: list[Fault] = []

    def __iter__(self) -> Any:
        return iter(self._faults)

    @property
    def read_bodies(self) -> bool:
        """Say whether a fault must see request bodies to know its requests."""
        return any(fault.body and fault.remaining != 0 for fault in self._faults)

    def set(self, fault: Fault) -> None:
        """Put `fault` in force from now on."""
        fault.set_at = self._clock.now()
        self._faults.append(fault)

    def remove(self, fault_id: str) -> bool:
        """Take a fault away; say whether it was there."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    def take(self, method: str, path: str, query: str, body: str) -> Fault | None:
        """Return the fault that answers such a request, and count it."""
        now = self._clock.now()
        fault = next((fault for fault in self._faults if fault.matches(method, path, query, body, now)), None)
        if fault is not None:
            fault.taken += 1
            if fault.remaining is not None:
                fault.remaining -= 1
        return fault


class FaultMiddleware:
    """Lets a matching fault answer in the application's place; the control API is out of reach of faults."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = ""
        if self._faults.read_bodies:
            raw = await request.body()
            body = raw.decode(errors="replace")
            receive = _replay(raw, receive)
        fault = self._faults.take(request.method, request.url.path, _decoded_query(request), body)
        if fault is None:
            await self._app(scope, receive, send)
            return
        call = Call(fault, self._app, scope, receive, send)
        response = await KINDS[fault.kind].answer(call)
        if response is not None:
            await response(scope, receive, send)


@dataclass(frozen=True)
class Answer:
    """What the application answered."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Call:
    """A request in the hands of a fault."""

    fault: Fault
    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send

    async def run(self) -> Answer:
        """Carry the request out and keep the answer back."""
        started: list[Message] = []
        chunks: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        await self.app(self.scope, self.receive, keep)
        return Answer(started[0]["status"], Headers(raw=started[0]["headers"]), b"".join(chunks))


@dataclass(frozen=True)
class Kind:
    """What a fault does: its answer (`None` when it has sent, or cut, everything itself) and what it says of itself.

    `narrowed_to` holds the defaults of :class:`Fault` for this kind, so that it meets only requests it makes sense for.
    """

    description: str
    answer: Callable[[Call], Awaitable[Response | None]]
    narrowed_to: Mapping[str, Any] = field(default_factory=dict)


async def _rate_limited(call: Call) -> Response:
    error = rate_limit_exceeded(call.fault.limit)
    reset_at = int(call.fault.set_at.timestamp()) + call.fault.after_s + call.fault.retry_after_s
    headers = {
        "X-RateLimit-Limit": str(call.fault.limit),
        "X-RateLimit-Reset": str(int(reset_at)),
        "X-RateLimit-Rule": call.fault.id.rjust(32, "0"),
        "Retry-After": str(call.fault.retry_after_s),
    }
    return JSONResponse(error.body, error.status, headers)


async def _rate_limited_bare(call: Call) -> Response:
    error = rate_limit_exceeded(call.fault.limit)
    return JSONResponse(error.body, error.status)


async def _queue_full(_: Call) -> Response:
    return HTMLResponse("<html><head><title>429 Too Many Requests</title></head></html>", 429)


async def _cancelled_after_commit(call: Call) -> Response:
    await call.run()
    return _transaction_cancelled()


async def _cancelled_before_commit(_: Call) -> Response:
    return _transaction_cancelled()


def _transaction_cancelled() -> Response:
    error = transaction_cancelled()
    return JSONResponse(error.body, error.status)


async def _cut_off_json(call: Call) -> Response:
    answer = await call.run()
    result = _result(answer)
    rows = result if isinstance(result, list) else [result]
    whole = [json.dumps(row, separators=(",", ":")) for row in rows[: call.fault.rows + 1]]
    complete, torn = whole[: call.fault.rows], whole[call.fault.rows :]
    opening = "[" if isinstance(result, list) else ""
    text = '{"result":' + opening + ",".join([*complete, *(row[: len(row) // 2] for row in torn)])
    if not isinstance(result, list):
        text = text[: len(text) // 2]
    error = json.dumps(transaction_cancelled().body, separators=(",", ":"))
    # What was streamed stays; the error object follows it without closing the array (2.9).
    return _json_text(text + error[1:], 200)


async def _hibernating(_: Call) -> Response:
    return HTMLResponse(HIBERNATING_PAGE)


async def _bad_gateway(_: Call) -> Response:
    return HTMLResponse(BAD_GATEWAY_PAGE, 502)


async def _address_blocked(_: Call) -> Response:
    return HTMLResponse(
        "<html><head><title>Access restricted</title></head>"
        "<body><h1>Access to this instance is restricted</h1></body></html>",
        403,
    )


async def _slow(call: Call) -> Response | None:
    answer = await call.run()
    await asyncio.sleep(call.fault.delay_s)
    return _as_response(answer)


async def _reset_before_commit(call: Call) -> None:
    await asyncio.sleep(call.fault.delay_s)
    _reset(call.scope)


async def _reset_after_commit(call: Call) -> None:
    await call.run()
    await asyncio.sleep(call.fault.delay_s)
    _reset(call.scope)


async def _token_refused(_: Call) -> Response:
    return _json_text('{"error_description":"access_denied","error":"server_error"}', 401)


async def _unauthenticated(call: Call) -> Response:
    if call.fault.runs:
        await call.run()
    error = not_authenticated()
    return JSONResponse(error.body, error.status, dict(error.headers))


async def _empty_page(call: Call) -> Response:
    answer = await call.run()
    if not isinstance(_result(answer), list):
        return _as_response(answer)
    return _as_response(Answer(answer.status, answer.headers, b'{"result":[]}'))


async def _huge_body(call: Call) -> Response:
    chunk = b"x" * 65_536
    opening, closing = b'{"result":[{"sys_id":"', b'"}]}'
    left = max(0, call.fault.size_bytes - len(opening) - len(closing))

    async def chunks() -> Any:
        yield opening
        for start in range(0, left, len(chunk)):
            yield chunk[: left - start]
        yield closing

    return StreamingResponse(chunks(), media_type="application/json;charset=UTF-8")


async def _html_as_json(_: Call) -> Response:
    return _json_text("<html><head><title>Error</title></head><body>The page cannot be displayed</body></html>", 200)


async def _accepted(call: Call) -> Response:
    if call.fault.runs:
        await call.run()
    return Response(status_code=202)


_API = {"path": "^/api/"}

KINDS: Mapping[str, Kind] = {
    "rate_limited": Kind("429 with the headers of a rate-limit rule (3)", _rate_limited, _API),
    "rate_limited_bare": Kind("429 without any of those headers (3)", _rate_limited_bare, _API),
    "queue_full": Kind("429 of a full semaphore queue: HTML, no headers (3, body inferred)", _queue_full, _API),
    "cancelled_after_commit": Kind("500 quota, after the work was done (2.8)", _cancelled_after_commit, _API),
    "cancelled_before_commit": Kind("500 quota, nothing was done (2.8)", _cancelled_before_commit, _API),
    "cut_off_json": Kind("200 with broken JSON: rows, then an error object (2.9)", _cut_off_json, _API),
    "hibernating": Kind("200 HTML, one page for every path, OAuth included (2.9)", _hibernating, {"remaining": None}),
    "bad_gateway": Kind("502 HTML of the edge (2.9)", _bad_gateway),
    "address_blocked": Kind("403 HTML: the caller's address is not let in (7, body inferred)", _address_blocked),
    "slow": Kind("the right answer, `delay_s` later; the work is done at once", _slow, {"delay_s": 31}),
    "reset_before_commit": Kind("the connection is reset, nothing was done", _reset_before_commit),
    "reset_after_commit": Kind("the connection is reset after the work was done", _reset_after_commit),
    "token_refused": Kind(
        "the generic 401 to a refresh while access tokens still work (1.6)",
        _token_refused,
        {"method": "POST", "path": r"^/oauth_token\.do$", "body": r"(^|&)grant_type=refresh_token(&|$)"},
    ),
    "unauthenticated": Kind("401 of the API (2.8)", _unauthenticated, _API),
    "empty_page": Kind(
        "access rules took every row of the page; the headers still count them (2.6)", _empty_page, _API
    ),
    "huge_body": Kind("200 with a JSON body of `size_bytes`", _huge_body, _API),
    "html_as_json": Kind("200, JSON content type, HTML content", _html_as_json, _API),
    "accepted": Kind("202: too many requests wait in one session; the request may never run (2.7)", _accepted, _API),
}

BAD_GATEWAY_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>snow_adc</center>\r\n</body>\r\n</html>\r\n"
)
"""153 bytes, as captured."""

HIBERNATING_PAGE = (
    "<!DOCTYPE html>\n<html>\n<head>\n<title>Instance Hibernating page</title>\n</head>\n<body>\n"
    "<h1>Your instance is hibernating</h1>\n<p>Sign in to the developer site to wake it.</p>\n</body>\n</html>\n"
).ljust(5904, "\n")
"""5904 bytes, as captured."""


def _json_text(text: str, status: int) -> Response:
    return Response(text, status, media_type="application/json;charset=UTF-8")


def _result(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)["result"]
    except (ValueError, KeyError, TypeError):
        return []


def _as_response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    kept = [(name, value) for name, value in answer.headers.raw if name.lower() != b"content-length"]
    headers = MutableHeaders(raw=kept)
    if answer.status != 204:
        headers["Content-Length"] = str(len(answer.body))
    response.raw_headers = headers.raw
    return response


def _reset(scope: Scope) -> None:
    transport: asyncio.Transport | None = scope.get(TRANSPORT_EXTENSION)
    if transport is None:
        raise ConnectionResetError("the simulator cut the connection")
    # Lingering for zero seconds makes the close a reset instead of an orderly end.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _decoded_query(request: Request) -> str:
    return "&".join(f"{name}={value}" for name, value in request.query_params.multi_items())
