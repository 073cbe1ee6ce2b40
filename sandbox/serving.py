"""Serves simulators on loopback: in a process of their own, or from a thread of a test's process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.processes import LOOPBACK


def configuration(app: ASGIApp, **changes: Any) -> uvicorn.Config:
    """Return uvicorn's configuration: it logs only warnings, adds no `Server` header, and ends soon.

    uvicorn's own `Date` is seconds old on a busy machine, so that times in an answer would not agree with it.

    Args:
        changes: Other arguments of `uvicorn.Config`.
    """
    usual: dict[str, Any] = {
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "timeout_graceful_shutdown": 1,
    }
    return uvicorn.Config(dated(app), **usual | changes)


def dated(app: ASGIApp) -> ASGIApp:
    """Return the application with a `Date` header in each answer that has none."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if not any(name.lower() == b"date" for name, _ in headers):
                    headers.append((b"date", formatdate(usegmt=True).encode()))
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_dated)

    return answer


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback; port 0 lets the system choose. Raises OSError if the port is taken."""
    # asyncio turns off Nagle's delay only if the socket names its protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def serving(config: uvicorn.Config) -> Iterator[str]:
    """Serve an application from a thread of this process, on a free port, and yield its base URL."""
    listener = listen(0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if config.is_ssl else 'http'}://{LOOPBACK}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
