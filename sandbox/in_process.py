"""Reaches a simulator without a socket, for tests that neither wait nor cut connections."""

import asyncio

import httpx
from starlette.types import ASGIApp


class InProcessTransport(httpx.BaseTransport):
    """Runs each request of a synchronous `httpx` client through the application, one at a time.

    Several clients may share one. Closing a client leaves it open; :meth:`end` closes it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)
        self._loop = asyncio.new_event_loop()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the application's answer."""
        return self._loop.run_until_complete(self._answer(request))

    def end(self) -> None:
        """End the loop."""
        self._loop.close()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        # As it was sent: the client's response decompresses it.
        content = b"".join([piece async for piece in response.aiter_raw()])
        return httpx.Response(response.status_code, headers=response.headers, content=content)
