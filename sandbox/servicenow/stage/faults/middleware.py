"""Lets faults answer instead of the application."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.servicenow.stage.faults.call import Call, replayed
from sandbox.servicenow.stage.faults.fault import Faults
from sandbox.servicenow.stage.faults.held import HeldRequests
from sandbox.servicenow.stage.faults.kinds import KINDS


class FaultMiddleware:
    """Lets a matching fault answer instead of the application; faults do not affect the control API."""

    def __init__(self, app: ASGIApp, faults: Faults, held: HeldRequests) -> None:
        self._app = app
        self._faults = faults
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._held.run_due()
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = ""
        if self._faults.read_bodies:
            raw = await request.body()
            body = raw.decode(errors="replace")
            receive = replayed(raw, receive)
        fault = self._faults.take(request.method, request.url.path, _decoded_query(request), body)
        if fault is None:
            await self._app(scope, receive, send)
            return
        call = Call(fault, self._app, scope, receive, send, self._held)
        response = await KINDS[fault.kind].answer(call)
        if response is not None:
            await response(scope, receive, send)


def _decoded_query(request: Request) -> str:
    return "&".join(f"{name}={value}" for name, value in request.query_params.multi_items())
