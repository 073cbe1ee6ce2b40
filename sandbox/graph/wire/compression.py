"""Compresses answers for callers that accept it, while the switch is on (Microsoft Graph §3.2)."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.graph.engine.switches import Switches

_SMALLEST = 1_000


class CompressionMiddleware:
    """gzip, on or off."""

    def __init__(self, app: ASGIApp, switches: Switches) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=_SMALLEST, compresslevel=1)
        self._switches = switches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = self._compressing if self._switches.flag("answers.gzip") else self._app
        await app(scope, receive, send)
