"""A call of a Graph resource, and the writing of its answer with Graph's headers (Microsoft Graph §3.2)."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from sandbox.graph.engine.tenant import Tenant
from sandbox.graph.engine.world import World
from sandbox.graph.wire.caller import Authorize, Caller
from sandbox.graph.wire.errors import GraphError, error_body, method_not_allowed, not_found
from sandbox.graph.wire.throttling import Throttling

OMITTED_SERVICE_KEY = "graph.omitted_service"
"""The key under which a fault names a service whose provider does not answer in time (Microsoft Graph §1.8)."""

_MEDIA_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_DIAGNOSTIC = json.dumps(
    {"ServerInfo": {"DataCenter": "Sandbox", "Slice": "E", "Ring": "4", "ScaleUnit": "000", "RoleInstance": "SB1"}},
    separators=(",", ":"),
)


@dataclass(frozen=True)
class Call:
    """One authorized request."""

    world: World
    request: Request
    caller: Caller
    tenant: Tenant

    @cached_property
    def origin(self) -> str:
        """Scheme and host by which the caller reached Graph."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}"

    @property
    def language(self) -> str:
        """The first language of `Accept-Language`, or empty."""
        return self.request.headers.get("accept-language", "").partition(",")[0].partition("-")[0].strip().lower()

    @property
    def omitted_service(self) -> str:
        """The service that is missing from the answer, or empty."""
        return str(self.request.scope.get(OMITTED_SERVICE_KEY, ""))


type Handler = Callable[[Call], Mapping[str, object]]
"""Returns the JSON body of a success. Raises GraphError."""


@dataclass(frozen=True)
class Endpoints:
    """Turns handlers into endpoints that authorize, throttle, take their time, and write errors as Graph does."""

    world: World
    authorize: Authorize
    throttling: Throttling

    def endpoint(
        self, handlers: Mapping[str, Handler], *, is_for_scores: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers each verb by its handler."""

        async def answer(request: Request) -> Response:
            try:
                caller = self.authorize(request)
                with self.throttling.admitted(caller.tenant_id, is_for_scores=is_for_scores):
                    await asyncio.sleep(self.world.switches.number("answers.latency_ms") / 1000)
                    return self._answer(request, caller, handlers)
            except GraphError as error:
                return self.refusal(request, error)

        return answer

    def refusal(self, request: Request, error: GraphError) -> Response:
        """Write an error."""
        headers = _ids(request)
        ids = {"request-id": headers["request-id"], "client-request-id": _client_request_id(request, headers)}
        body = error_body(error, self.world.switches, ids, self.world.clock.now())
        return _written(body, error.status, {**headers, **error.headers})

    def _answer(self, request: Request, caller: Caller, handlers: Mapping[str, Handler]) -> Response:
        tenant = self.world.tenant(caller.tenant_id)
        # The China cloud does not have the resource at all (Microsoft Graph §1.8).
        if tenant.cloud == "china" or not handlers:
            raise not_found(self.world.switches, request.url.path)
        handler = handlers.get(request.method)
        if handler is None:
            raise method_not_allowed(request.method)
        call = Call(self.world, request, caller, tenant)
        body = handler(call)
        if not call.omitted_service:
            return _written(body, 200, _ids(request))
        warning = f'199 - "Microsoft/{call.omitted_service}/504/10000"'
        return _written(body, 206, {**_ids(request), "Warning": warning})


def _ids(request: Request) -> dict[str, str]:
    headers = {"request-id": str(uuid.uuid4()), "x-ms-ags-diagnostic": _DIAGNOSTIC}
    if request.headers.get("return-client-request-id", "").lower() == "true":
        headers["client-request-id"] = _client_request_id(request, headers)
    return headers


def _client_request_id(request: Request, headers: Mapping[str, str]) -> str:
    return request.headers.get("client-request-id") or headers["request-id"]


def _written(body: Mapping[str, object], status: int, headers: Mapping[str, str]) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, {**headers, "Content-Type": _MEDIA_TYPE})
