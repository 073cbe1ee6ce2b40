"""The record of requests: all except those to the control API, for assertions on how a client behaves."""

import re
from collections import Counter, deque
from dataclasses import asdict, dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.clock import Clock
from sandbox.graph.stage.token_tenant import tenant_of

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request and its answer.

    Attributes:
        at: When it arrived, by the simulator's clock (ISO 8601, UTC).
        method: HTTP method.
        path: Path as it arrived, still encoded.
        query: Query string as it arrived, still encoded.
        headers: Its headers in lower case, without `authorization`.
        body: Its body as text.
        has_token: Whether it had a bearer token.
        tenant_id: The tenant that its token names, or empty.
        in_flight: Requests of that tenant in work when it arrived, itself included.
        connection: Port of the caller's connection; another number is another connection.
        status: Status of the answer; 0 if there was none.
    """

    at: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str
    has_token: bool
    tenant_id: str
    in_flight: int
    connection: int
    status: int


class RequestRecord:
    """The latest requests, in the order of their answers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: deque[RecordedRequest] = deque(maxlen=_KEPT)

    def now(self) -> str:
        """Return the time for a new entry."""
        return self._clock.now().isoformat()

    def add(self, request: RecordedRequest) -> None:
        """Remember one request."""
        self._requests.append(request)

    def entries(self, path: str = "") -> list[dict[str, object]]:
        """Return the requests whose path matches the regular expression `path`, oldest first."""
        return [asdict(request) for request in self._requests if re.search(path, request.path)]

    def clear(self) -> None:
        """Forget everything."""
        self._requests.clear()


class RequestRecordMiddleware:
    """Records each request, even a failed one."""

    def __init__(self, app: ASGIApp, record: RequestRecord) -> None:
        self._app = app
        self._record = record
        self._in_flight: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        at, status, body = self._record.now(), 0, b""
        headers = dict(Headers(scope=scope))
        authorization = headers.pop("authorization", "")
        tenant_id = tenant_of(authorization)
        self._in_flight[tenant_id] += 1
        in_flight = self._in_flight[tenant_id]

        async def receive_and_note() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive_and_note, send_and_note)
        finally:
            self._in_flight[tenant_id] -= 1
            self._record.add(
                RecordedRequest(
                    at=at,
                    method=scope["method"],
                    path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
                    query=scope["query_string"].decode("latin-1"),
                    headers=headers,
                    body=body.decode(errors="replace"),
                    has_token=authorization.lower().startswith("bearer "),
                    tenant_id=tenant_id,
                    in_flight=in_flight,
                    connection=scope["client"][1] if scope.get("client") else 0,
                    status=status,
                )
            )
