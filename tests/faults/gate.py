"""A gate between the app and a server: it counts requests, and makes some of them fail."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import serving as loopback
from sandbox.certificates import Certificates

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
QUIET_S = 0.1
"""Concurrent requests arrive within this time."""
_POLL_S = 0.005

type What = Literal[
    "keep", "lose", "refuse", "lose_connection", "refuse_connection", "cut", "late", "delay", "delay_answer"
]
"""``keep``: the request is carried out, but its answer never comes. ``lose``: it is carried out, but the answer is a
500. ``refuse``: it is not carried out, and the answer is a page. ``…_connection``: the connection closes without an
answer, as after a long idle time. ``cut``: it is carried out, and half of the answer arrives. ``late``: the connection
closes at once, and the request is carried out afterwards. ``delay`` and ``delay_answer``: the request is carried out,
or answered, late."""


@dataclass(frozen=True)
class Mishap:
    """What happens to one request.

    Attributes:
        seconds: The delay, for the kinds that are late.
        status: Status of the page that refuses.
    """

    what: What
    seconds: float = 0.0
    status: int = 503


@dataclass
class Gate:
    """Counts the requests of one operation after another; may be used outside the server's thread.

    Attributes:
        passed: The requests since :meth:`begin`, as ``METHOD path``.
        met: Number of mishaps so far.
        under_way: Number of requests in or behind the gate.
    """

    passed: list[str] = field(default_factory=list)
    met: int = 0
    under_way: int = 0
    _plan: Mapping[int, Mishap] = field(default_factory=dict)
    _changed_at: float = 0.0
    _closed: bool = False

    def begin(self, plan: Mapping[int, Mishap] | None = None) -> None:
        """Count from 1 again, and give the requests with these numbers these mishaps."""
        self._plan = plan or {}
        self.passed, self.met = [], 0

    def wait_until_met_or(self, over: threading.Event, *, within_s: float = 30.0) -> bool:
        """Return True when a mishap has happened and all else has settled; False if the operation ends first."""
        deadline = time.monotonic() + within_s
        while not over.is_set() and time.monotonic() < deadline:
            if self.met and time.monotonic() - self._changed_at > QUIET_S:
                return True
            time.sleep(_POLL_S)
        assert over.is_set(), f"neither met nor over: {self.passed}"
        return False

    def close(self) -> None:
        """Release every held answer."""
        self._closed = True

    def in_front_of(
        self, upstream: str, *, authority: str | None = None, concerns: Callable[[str], bool] = lambda _: True
    ) -> ASGIApp:
        """Return the gate as an application that passes requests on to an address.

        Args:
            authority: The certificate authority of that address, if it has one.
            concerns: Whether to count a path; other paths just pass.
        """
        trusted = ssl.create_default_context(cafile=authority) if authority else False

        async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return
            self.under_way += 1
            try:
                await pass_one_on(Request(scope, receive), send)
            finally:
                self.under_way -= 1

        async def pass_one_on(request: Request, send: Send) -> None:
            scope, receive = request.scope, request.receive
            body = await request.body()
            mishap = self._next(request) if concerns(request.url.path) else None
            if mishap is None:
                await (await carry_out(request, body))(scope, receive, send)
                return
            what = mishap.what
            if what in {"refuse", "refuse_connection"}:
                self._has_met()
                if what == "refuse_connection":
                    hang_up(receive)
                    return
                # Some refuse with a sign-in page.
                headers = {"Location": "/sign-in"} if mishap.status == httpx.codes.FOUND else None
                await HTMLResponse("<html><body>Not now</body></html>", mishap.status, headers)(scope, receive, send)
                return
            if what == "late":
                hang_up(receive)
            if what in {"late", "delay"}:
                await asyncio.sleep(mishap.seconds)
            answer = await carry_out(request, body)
            self._has_met()
            while what == "keep" and not self._closed:
                await asyncio.sleep(_POLL_S)
            if what == "delay_answer":
                await asyncio.sleep(mishap.seconds)
            if what == "cut":
                await _send_half(answer, send)
            if what in {"cut", "lose_connection"}:
                hang_up(receive)
            elif what in {"keep", "lose"}:
                await Response(status_code=500)(scope, receive, send)
            elif what != "late":
                await answer(scope, receive, send)

        async def carry_out(request: Request, body: bytes) -> Response:
            target = "?".join(
                part.decode() for part in (request.scope["raw_path"], request.scope["query_string"]) if part
            )
            # One client for each request, so that requests do not depend on each other.
            async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=60) as client:
                onward = client.build_request(
                    request.method,
                    f"{upstream}{target}",
                    headers=[(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP],
                    content=body,
                )
                answer = await client.send(onward, stream=True)
                content = b"".join([chunk async for chunk in answer.aiter_raw()])
                await answer.aclose()
            response = Response(content, answer.status_code)
            kept = [(name.lower(), value) for name, value in answer.headers.raw]
            response.raw_headers = [(name, value) for name, value in kept if name.decode() not in HOP_BY_HOP]
            if answer.status_code not in {204, 304}:
                response.raw_headers.append((b"content-length", str(len(content)).encode()))
            return response

        return pass_on

    def _next(self, request: Request) -> Mishap | None:
        """Count a request and return its mishap."""
        self._changed_at = time.monotonic()
        self.passed.append(f"{request.method} {request.url.path}")
        return self._plan.get(len(self.passed))

    def _has_met(self) -> None:
        self._changed_at = time.monotonic()
        self.met += 1


async def _send_half(answer: Response, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    half = bytes(answer.body)[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


def hang_up(receive: Receive) -> None:
    """Close the connection; ASGI cannot, so this uses uvicorn's own request object."""
    cycle: Any = getattr(receive, "__self__", None)
    cycle.transport.abort()


@contextlib.contextmanager
def serving(app: ASGIApp, certificates: Certificates | None = None) -> Iterator[str]:
    """Serve an application on a free loopback port, with TLS if there are certificates, and yield its address."""
    # A cut connection is not an error here.
    changes: dict[str, Any] = {"log_level": "critical", "lifespan": "off"}
    if certificates is not None:
        changes |= {"ssl_certfile": certificates.chain, "ssl_keyfile": certificates.key}
    with loopback.serving(loopback.configuration(app, **changes)) as url:
        yield url
