"""Bad days on demand: each fault waits for requests and answers them as an instance in trouble does."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.servicenow.clock import Clock
from sandbox.servicenow.fault_kinds import KINDS, Call
from sandbox.servicenow.table_api import DEFAULT_LIMIT

__all__ = ["KINDS", "Fault", "FaultMiddleware", "Faults"]

_NEVER = datetime.min.replace(tzinfo=UTC)


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
        every: It takes the first of so many requests and lets the others pass: an intermittent fault.
        above_limit: It takes only lists whose `sysparm_limit` (10,000 when not given) is greater, or `None` for any.
        after_s: Seconds, by the instance's clock, from being set to being in force (a rate rule is 30 s late).
        retry_after_s: `Retry-After` of `rate_limited`.
        limit: Requests per hour that `rate_limited` names.
        delay_s: Real seconds that `slow` and the faults that cut a connection wait before they answer.
        size_bytes: Length of the body of `huge_body`.
        encoding: `Content-Encoding` of `encoded` and `huge_body`, in the order of its codings. gzip and deflate are
            carried out; any other coding stands in the header only.
        rows: Whole rows that `cut_off_json` lets through.
        runs: Whether the request is carried out all the same (`accepted`, `unauthenticated` and its variants).
        location: Where `redirected` leads.
        digits: Length of the count in `endless_count`.
        values: Column to value, what `hostile_values` puts into each row.
        id: Names the fault in the control API.
        seen: Requests it has matched.
        taken: Requests it has answered.
        set_at: When it was set, by the instance's clock (aware UTC).
    """

    kind: str
    method: str = ""
    path: str = ""
    query: str = ""
    body: str = ""
    remaining: int | None = 1
    every: int = 1
    above_limit: int | None = None
    after_s: float = 0
    retry_after_s: int = 60
    limit: int = 10
    delay_s: float = 0
    size_bytes: int = 32 * 1024 * 1024
    encoding: str = ""
    rows: int = 2
    runs: bool = False
    location: str = "https://login.example.com/"
    digits: int = 5_000
    values: Mapping[str, str] = field(default_factory=lambda: {"sys_updated_on": "0000-00-00 00:00:00"})
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    seen: int = 0
    taken: int = 0
    set_at: datetime = _NEVER

    @classmethod
    def parse(cls, wanted: Mapping[str, Any]) -> Self:
        """Return the fault a request to the control API describes. Raises ValueError for anything it does not know."""
        settable = {item.name for item in fields(cls)} - {"id", "seen", "taken", "set_at"}
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
        if int(wanted.get("every", 1)) < 1:
            raise ValueError("every is at least 1")
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
            and (self.above_limit is None or _limit_of(query) > self.above_limit)
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
        for fault in self._faults:
            if not fault.matches(method, path, query, body, now):
                continue
            fault.seen += 1
            if (fault.seen - 1) % fault.every:
                continue
            fault.taken += 1
            if fault.remaining is not None:
                fault.remaining -= 1
            return fault
        return None


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


def _limit_of(query: str) -> int:
    given = re.search(r"(?:^|&)sysparm_limit=(\d{1,18})(?:&|$)", query)
    return int(given[1]) if given else DEFAULT_LIMIT
