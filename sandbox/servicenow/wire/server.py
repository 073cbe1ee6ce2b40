"""Serves the simulator on a socket, and lets faults reset the connection, which uvicorn alone does not do."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT_KEY = "servicenow.transport"
"""The key of a request's connection in its ASGI scope."""

_LONGEST_REQUEST_HEAD = 256 * 1024


class _ExposingProtocol(H11Protocol):
    """Hands the connection to the application."""

    def connection_made(self, transport: object) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT_KEY] = transport
            await app(scope, receive, send)

        self.app = with_transport


def configuration(app: ASGIApp) -> uvicorn.Config:
    """Return uvicorn's configuration: long request lines get through, and answers keep their own `Server` header."""
    return uvicorn.Config(
        app,
        http=_ExposingProtocol,
        h11_max_incomplete_event_size=_LONGEST_REQUEST_HEAD,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback; port 0 lets the system choose. Raises OSError if the port is taken."""
    # asyncio turns off Nagle's delay only if the socket names its protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve `app` from a thread of this process during the block, and yield its base URL."""
    listener = listen(port)
    server = uvicorn.Server(configuration(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
