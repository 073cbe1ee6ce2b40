"""How the simulator is served: faults reset the connection, which uvicorn alone does not do."""

from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox import serving

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


def configuration(app: ASGIApp, **changes: Any) -> uvicorn.Config:
    """Return uvicorn's configuration: long request lines get through, and faults reach the connection.

    Args:
        changes: As :func:`sandbox.serving.configuration`.
    """
    return serving.configuration(
        app, http=_ExposingProtocol, h11_max_incomplete_event_size=_LONGEST_REQUEST_HEAD, **changes
    )
