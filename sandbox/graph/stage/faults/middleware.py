"""Lets faults answer instead of the application."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.graph.engine.switches import Switches
from sandbox.graph.stage.faults.fault import Faults
from sandbox.graph.stage.faults.kinds import KINDS, Call, broken_connection
from sandbox.graph.stage.token_tenant import tenant_of


class FaultMiddleware:
    """Lets a matching fault answer instead of the application; faults do not affect the control API."""

    def __init__(self, app: ASGIApp, faults: Faults, switches: Switches) -> None:
        self._app = app
        self._faults = faults
        self._switches = switches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        if tuple(scope.get("client") or ()) in self._faults.broken_connections:
            await broken_connection(self._switches)(scope, receive, send)
            return
        request = Request(scope)
        authorization = request.headers.get("authorization", "")
        fault = self._faults.take(request.method, request.url.path, request.url.query, tenant_of(authorization))
        if fault is None:
            await self._app(scope, receive, send)
            return
        call = Call(fault, self._switches, self._app, scope, receive, send, self._faults.broken_connections)
        response = await KINDS[fault.kind].answer(call)
        await response(scope, receive, send)
