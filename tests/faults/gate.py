"""A gate between the app and what it talks to: it counts requests, loses answers, or keeps one back for ever."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.certificates import Certificates
from sandbox.servicenow.server import listen

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
QUIET_S = 0.1
"""Requests that are made beside each other arrive within this."""
_POLL_S = 0.005

type What = Literal["keep", "lose", "refuse", "lose_connection", "refuse_connection"]
"""``keep``: the request is carried out and its answer never comes. ``lose``: it is carried out and answered by a 500.
``refuse``: it is not carried out and answered by a 503. ``…_connection``: the connection is closed without an answer,
as happens to one that was idle for long."""


@dataclass
class Gate:
    """Counts the requests of one operation after another; safe to use from another thread than the server's.

    Attributes:
        passed: The requests since :meth:`begin`, as ``METHOD path``.
    """

    passed: list[str] = field(default_factory=list)
    _what: What | None = None
    _number: int = 0
    _met: threading.Event = field(default_factory=threading.Event)
    _changed_at: float = 0.0
    _closed: bool = False

    def begin(self, what: What | None = None, number: int = 0) -> None:
        """Count from 1 again, and do this to the request of that number."""
        self._what, self._number = what, number
        self.passed = []
        self._met.clear()

    @property
    def met(self) -> bool:
        """Whether the request of that number came."""
        return self._met.is_set()

    def wait_until_met_or(self, over: threading.Event, *, within_s: float = 30.0) -> bool:
        """Return whether the request came and everything else has settled; False when the operation is over before."""
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

    def in_front_of(self, upstream: str, *, authority: str | None = None) -> ASGIApp:
        """Return the gate as an application that passes requests on to an address.

        Args:
            authority: The certificate authority of that address, if it has one.
        """
        trusted = ssl.create_default_context(cafile=authority) if authority else False

        async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return
            request = Request(scope, receive)
            body = await request.body()
            self._changed_at = time.monotonic()
            self.passed.append(f"{request.method} {request.url.path}")
            mine = self._what if len(self.passed) == self._number else None
            if mine == "refuse":
                self._met.set()
                await Response(status_code=503)(scope, receive, send)
                return
            if mine == "refuse_connection":
                self._met.set()
                _hang_up(receive)
                return
            target = "?".join(part.decode() for part in (scope["raw_path"], scope["query_string"]) if part)
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
            if mine is not None:
                self._changed_at = time.monotonic()
                self._met.set()
                while mine == "keep" and not self._closed:
                    await asyncio.sleep(_POLL_S)
                if mine == "lose_connection":
                    _hang_up(receive)
                    return
                await Response(status_code=500)(scope, receive, send)
                return
            response = Response(content, answer.status_code)
            kept = [(name.lower(), value) for name, value in answer.headers.raw]
            response.raw_headers = [(name, value) for name, value in kept if name.decode() not in HOP_BY_HOP]
            if answer.status_code not in {204, 304}:
                response.raw_headers.append((b"content-length", str(len(content)).encode()))
            await response(scope, receive, send)

        return pass_on


def _hang_up(receive: Receive) -> None:
    """Close the connection; ASGI has no way to, so it is uvicorn's request that is asked for it."""
    cycle: Any = getattr(receive, "__self__", None)
    cycle.transport.abort()


@contextlib.contextmanager
def serving(app: ASGIApp, certificates: Certificates | None = None) -> Iterator[str]:
    """Serve an application on a free loopback port, with TLS if there are certificates, and give its address."""
    listener = listen(0)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="off")
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
