"""The log of requests: all except those to the control API, counted by method and class of path."""

import re
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.clock import Clock
from sandbox.servicenow.wire.authentication import USER_NAME_KEY

_KEPT = 20_000
_BODY_KEPT = 100_000
_SYS_ID = re.compile(r"(?<=/)[0-9a-f]{32}(?=/|$)")


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request and its answer.

    Attributes:
        at: When it arrived, by the instance's clock (ISO 8601, UTC).
        method: HTTP method.
        path: Path as it arrived.
        path_class: Path with every sys_id replaced by `{sys_id}`.
        query: Query string as it arrived, still encoded.
        body: What a call of the API sent, as text; empty for the pages and for OAuth, where it has secrets.
        status: Status of the answer; 0 if the connection was cut instead.
        user_name: The authenticated caller, or empty.
        had_cookies: Whether the caller sent cookies, which an API client should not.
        user_agent: The caller's `User-Agent`.
        duration_ms: Real milliseconds until the answer began.
    """

    at: str
    method: str
    path: str
    path_class: str
    query: str
    body: str
    status: int
    user_name: str
    had_cookies: bool
    user_agent: str
    duration_ms: float


class RequestLog:
    """The latest requests in full, and the counts of all since the last reset."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: deque[LoggedRequest] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()

    def add(self, request: LoggedRequest) -> None:
        """Remember one request."""
        self._requests.append(request)
        self._counts[f"{request.method} {request.path_class}"] += 1

    def now(self) -> str:
        """Return the instance's time for a new entry."""
        return self._clock.now().isoformat()

    def entries(self, path: str = "") -> list[dict[str, object]]:
        """Return the requests whose path matches the regular expression `path`, oldest first."""
        return [asdict(request) for request in self._requests if re.search(path, request.path)]

    def counts(self) -> dict[str, int]:
        """Return the count of each method and class of path, such as `GET /api/now/table/task/{sys_id}`."""
        return dict(sorted(self._counts.items()))

    def clear(self) -> None:
        """Forget everything."""
        self._requests.clear()
        self._counts.clear()


class RequestLogMiddleware:
    """Logs each request, even a failed one, and names the front end in each answer."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        at, started = self._log.now(), time.perf_counter()
        status, elapsed_ms = 0, 0.0

        body = bytearray()
        is_api = scope["path"].startswith("/api/")

        async def receive_and_note() -> Message:
            message = await receive()
            if is_api and message["type"] == "http.request":
                body.extend(message.get("body", b""))
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal status, elapsed_ms
            if message["type"] == "http.response.start":
                status, elapsed_ms = message["status"], (time.perf_counter() - started) * 1000
                MutableHeaders(raw=message.setdefault("headers", []))["Server"] = "snow_adc"
            await send(message)

        try:
            await self._app(scope, receive_and_note, send_and_note)
        finally:
            headers = Headers(scope=scope)
            path = Request(scope).url.path
            self._log.add(
                LoggedRequest(
                    at=at,
                    method=scope["method"],
                    path=path,
                    path_class=_SYS_ID.sub("{sys_id}", path),
                    query=scope["query_string"].decode("latin-1"),
                    body=body[:_BODY_KEPT].decode(errors="replace"),
                    status=status,
                    user_name=scope.get(USER_NAME_KEY, ""),
                    had_cookies="cookie" in headers,
                    user_agent=headers.get("user-agent", ""),
                    duration_ms=round(elapsed_ms, 3),
                )
            )
