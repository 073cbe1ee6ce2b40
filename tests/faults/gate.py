"""A gate between the app and what it talks to: it counts requests, and lets some of them come to grief."""

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
import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.certificates import Certificates
from sandbox.servicenow.wire.server import listen

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
QUIET_S = 0.1
"""Requests that are made beside each other arrive within this."""
_POLL_S = 0.005

type What = Literal[
    "keep", "lose", "refuse", "lose_connection", "refuse_connection", "cut", "late", "delay", "delay_answer"
]
"""``keep``: the request is carried out and its answer never comes. ``lose``: it is carried out and answered by a 500.
``refuse``: it is not carried out and answered by a page. ``…_connection``: the connection is closed without an answer,
as happens to one that was idle for long. ``cut``: it is carried out and half of the answer arrives. ``late``: the
connection is closed at once and the request is carried out afterwards. ``delay`` and ``delay_answer``: it is carried
out, or answered, later than it could be."""


@dataclass(frozen=True)
class Mishap:
    """What happens to one request.

    Attributes:
        seconds: How late it is, for the kinds that are late.
        status: Of the page that refuses.
    """

    what: What
    seconds: float = 0.0
    status: int = 503


@dataclass
class Gate:
    """Counts the requests of one operation after another; safe to use from another thread than the server's.

    Attributes:
        passed: The requests since :meth:`begin`, as ``METHOD path``.
        met: How many mishaps have come about.
        under_way: How many requests are with the gate or behind it.
    """

    passed: list[str] = field(default_factory=list)
    met: int = 0
    under_way: int = 0
    _plan: Mapping[int, Mishap] = field(default_factory=dict)
    _changed_at: float = 0.0
    _closed: bool = False

    def begin(self, plan: Mapping[int, Mishap] | None = None) -> None:
        """Count from 1 again, and let the requests of these numbers have these mishaps."""
        self._plan = plan or {}
        self.passed, self.met = [], 0

    def wait_until_met_or(self, over: threading.Event, *, within_s: float = 30.0) -> bool:
        """Return whether a mishap came and everything else has settled; False when the operation is over before."""
        deadline = time.monotonic() + within_s
        while not over.is_set() and time.monotonic() < deadline:
            if self.met and time.monotonic() - self._changed_at > QUIET_S:
                return True
            time.sleep(_POLL_S)
        assert over.is_set(), f"neither met nor over: {self.passed}"
        return False

    def close(self) -> None:
        """Let go of every answer that is kept back."""
        self._closed = True

    def in_front_of(
        self, upstream: str, *, authority: str | None = None, concerns: Callable[[str], bool] = lambda _: True
    ) -> ASGIApp:
        """Return the gate as an application that passes requests on to an address.

        Args:
            authority: The certificate authority of that address, if it has one.
            concerns: Whether a path is counted; the others just pass.
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
                # A sign-in page is what some refuse with.
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
            # One client for each request: nothing of it may depend on another one.
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
    """Close the connection; ASGI has no way to, so it is uvicorn's request that is asked for it."""
    cycle: Any = getattr(receive, "__self__", None)
    cycle.transport.abort()


@contextlib.contextmanager
def serving(app: ASGIApp, certificates: Certificates | None = None) -> Iterator[str]:
    """Serve an application on a free loopback port, with TLS if there are certificates, and give its address."""
    listener = listen(0)
    # A connection that is cut is no error here.
    config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="off")
    if certificates is not None:
        config.ssl_certfile, config.ssl_keyfile = str(certificates.chain), str(certificates.key)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        scheme = "https" if certificates is not None else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
