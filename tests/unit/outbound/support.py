"""A network that returns a test's answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable

import httpx


class Answering(httpx.AsyncBaseTransport):
    """Returns a handler's answer as a network does: once, and as it was sent."""

    def __init__(self, handler: Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]) -> None:
        self._handler = handler

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer."""
        await request.aread()
        answer = self._handler(request)
        response = await answer if isawaitable(answer) else answer
        return httpx.Response(response.status_code, headers=response.headers.raw, stream=response.stream)
