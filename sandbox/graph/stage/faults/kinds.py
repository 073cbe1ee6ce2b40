"""The answers of each kind of fault (Microsoft Graph §1.8, §3.1, §3.2, §S, 19)."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.graph.engine.switches import Switches
from sandbox.graph.stage.faults.fault import Fault
from sandbox.graph.wire.call import OMITTED_SERVICE_KEY
from sandbox.graph.wire.errors import GraphError, error_body, missing_role, retry_after, too_many_requests

FORBIDDEN_PAGE = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
    "<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n</body>\r\n</html>\r\n"
)
_PIECES = 8


@dataclass(frozen=True)
class Call:
    """A request that a fault handles, and the application behind it."""

    fault: Fault
    switches: Switches
    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    broken_connections: set[tuple[str, int]]

    async def run(self) -> Response:
        """Carry out the request, and return the application's answer instead of sending it."""
        started: list[Message] = []
        chunks: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        await self.app(self.scope, self.receive, keep)
        response = Response(b"".join(chunks), started[0]["status"])
        kept = Headers(raw=started[0]["headers"])
        response.raw_headers = [(name, value) for name, value in kept.raw if name != b"content-length"]
        response.raw_headers.append((b"content-length", str(len(response.body)).encode()))
        return response

    async def run_json(self) -> tuple[Response, dict[str, Any]]:
        """Carry out the request, and return the answer and its JSON body."""
        response = await self.run()
        body: dict[str, Any] = json.loads(bytes(response.body))
        return response, body

    def refusal(self, error: GraphError) -> Response:
        """Return an error as Graph writes it."""
        return _refusal(error, self.switches)


def _refusal(error: GraphError, switches: Switches) -> Response:
    return JSONResponse(_error_body(error, switches), error.status, dict(error.headers))


def _error_body(error: GraphError, switches: Switches) -> dict[str, Any]:
    request_id = str(uuid.uuid4())
    ids = {"request-id": request_id, "client-request-id": request_id}
    return error_body(error, switches, ids, datetime.now(UTC))


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it does, its answer, and the defaults that narrow a :class:`Fault` to suitable requests."""

    description: str
    answer: Callable[[Call], Awaitable[Response]]
    defaults: Mapping[str, Any] = field(default_factory=dict)


def _changed(response: Response, body: object) -> Response:
    """Return an answer with another JSON body."""
    content = json.dumps(body, separators=(",", ":")).encode()
    changed = Response(content, response.status_code)
    changed.raw_headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    changed.raw_headers.append((b"content-length", str(len(content)).encode()))
    return changed


async def _throttled(call: Call) -> Response:
    error = too_many_requests(call.switches)
    headers = retry_after(call.fault.retry_after, call.fault.retry_after_s)
    return call.refusal(GraphError(429, error.code, error.message, headers, error.inner))


async def _unavailable(call: Call) -> Response:
    headers = retry_after(call.fault.retry_after, call.fault.retry_after_s)
    return call.refusal(GraphError(503, "serviceNotAvailable", "The service is temporarily unavailable.", headers))


async def _locked(call: Call) -> Response:
    headers = retry_after(call.fault.retry_after, call.fault.retry_after_s)
    return call.refusal(GraphError(423, "resourceLocked", "The resource is locked.", headers))


async def _broken_connection(call: Call) -> Response:
    if client := call.scope.get("client"):
        call.broken_connections.add(tuple(client))
    return broken_connection(call.switches)


def broken_connection(switches: Switches) -> Response:
    """Return the answer to every request on a broken connection (Microsoft Graph §3.2)."""
    return _refusal(GraphError(503, "serviceNotAvailable", "The service is temporarily unavailable."), switches)


async def _internal_error(call: Call) -> Response:
    return call.refusal(GraphError(500, "generalException", "An internal server error occurred."))


async def _bad_gateway(_: Call) -> Response:
    return HTMLResponse("<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>", 502)


async def _gateway_timeout(call: Call) -> Response:
    await asyncio.sleep(call.fault.delay_s)
    return call.refusal(GraphError(504, "UnknownError", "The gateway did not receive an answer in time."))


async def _partial(call: Call) -> Response:
    call.scope[OMITTED_SERVICE_KEY] = call.fault.service
    return await call.run()


async def _forbidden_page(_: Call) -> Response:
    return HTMLResponse(FORBIDDEN_PAGE, 403)


async def _missing_role(call: Call) -> Response:
    return call.refusal(missing_role(call.switches, "SecurityEvents.Read.All"))


async def _unknown_error(call: Call) -> Response:
    return call.refusal(GraphError(call.fault.status, "UnknownError", ""))


async def _tenant_not_deployed(call: Call) -> Response:
    return call.refusal(GraphError(404, "TenantDeploymentNotFound", "The tenant is not provisioned."))


async def _host_not_found(call: Call) -> Response:
    return call.refusal(GraphError(500, "HostNotFound", "No such host is known."))


async def _error_without_error(_: Call) -> Response:
    body = {"errorCode": "MissingProvider", "message": "A provider must be given.", "instanceAnnotations": []}
    return JSONResponse(body, 400)


async def _empty_code(call: Call) -> Response:
    message = "Http request failed with statusCode=BadRequest"
    return call.refusal(GraphError(400, "", message))


async def _inner_error_in_lower_case(call: Call) -> Response:
    error = GraphError(400, "BadRequest", "Resource not found for the segment.")
    lower = {name.lower(): value for name, value in _error_body(error, call.switches)["error"].items()}
    return JSONResponse({"error": lower}, 400)


async def _nul_bytes(_: Call) -> Response:
    return Response(b"\0" * 512, 502, media_type="application/octet-stream")


async def _cut_off_json(call: Call) -> Response:
    response = await call.run()
    content = bytes(response.body)
    return Response(content[: len(content) * 2 // 3], response.status_code, media_type="application/json")


async def _empty_page(call: Call) -> Response:
    """Insert an empty page: its nextLink leads to the page that was asked for."""
    response, body = await call.run_json()
    body.pop("@odata.nextLink", None)
    return _changed(response, {**body, "@odata.nextLink": _own_url(call.scope), "value": []})


async def _same_next_link(call: Call) -> Response:
    response, body = await call.run_json()
    return _changed(response, {**body, "@odata.nextLink": _own_url(call.scope)})


async def _endless_pages(call: Call) -> Response:
    parts = call.scope["query_string"].decode("latin-1").split("&")
    kept = [part for part in parts if part and not part.startswith("$skiptoken=")]
    call.scope["query_string"] = "&".join(kept).encode("latin-1")
    response, body = await call.run_json()
    url = Request(call.scope).url
    query = "&".join([*kept, f"$skiptoken={uuid.uuid4()}"])
    return _changed(response, {**body, "@odata.nextLink": f"{url.scheme}://{url.netloc}{url.path}?{query}"})


async def _foreign_next_link(call: Call) -> Response:
    response, body = await call.run_json()
    url = Request(call.scope).url
    link = f"{call.fault.location}{url.path}?$skiptoken=2f0c9f4e-7d1b-4c8a-9e55-000000000001"
    return _changed(response, {**body, "@odata.nextLink": link})


async def _slow(call: Call) -> Response:
    response = await call.run()
    await asyncio.sleep(call.fault.delay_s)
    return response


async def _slow_body(call: Call) -> Response:
    response = await call.run()
    content = bytes(response.body)
    size = max(1, len(content) // _PIECES)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            await asyncio.sleep(call.fault.delay_s / _PIECES)
            yield content[start : start + size]

    slow = StreamingResponse(pieces(), response.status_code)
    slow.raw_headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    return slow


def _own_url(scope: Scope) -> str:
    url = Request(scope).url
    return f"{url.scheme}://{url.netloc}{url.path}" + (f"?{url.query}" if url.query else "")


_LISTS = {"method": "GET", "path": r"/security/secureScore(s|ControlProfiles)$"}
_API = {"path": r"^/(v1\.0|beta)/"}

KINDS: Mapping[str, Kind] = {
    "throttled": Kind("429 with Retry-After in `retry_after`'s form.", _throttled, _API),
    "unavailable": Kind("503 with Retry-After.", _unavailable, _API),
    "locked": Kind("423 with Retry-After.", _locked, _API),
    "broken_connection": Kind("503 now, and for every later request on the same connection.", _broken_connection, _API),
    "internal_error": Kind("500.", _internal_error, _API),
    "bad_gateway": Kind("502 as a page.", _bad_gateway, _API),
    "gateway_timeout": Kind("504 after `delay_s`.", _gateway_timeout, _API),
    "partial": Kind("206 with a Warning, without the controls of `service`.", _partial, _API),
    "forbidden_page": Kind("403 as a page of the gateway.", _forbidden_page, _API),
    "missing_role": Kind("403: the token lacks the role.", _missing_role, _API),
    "unknown_error": Kind("`status` with code UnknownError and an empty message.", _unknown_error, _API),
    "tenant_not_deployed": Kind("404 TenantDeploymentNotFound.", _tenant_not_deployed, _API),
    "host_not_found": Kind("500 HostNotFound.", _host_not_found, _API),
    "error_without_error": Kind("400 with a body of another shape.", _error_without_error, _API),
    "empty_code": Kind("400 with an empty code.", _empty_code, _API),
    "inner_error_in_lower_case": Kind("400 with `innererror`.", _inner_error_in_lower_case, _API),
    "nul_bytes": Kind("502 with NUL bytes.", _nul_bytes, _API),
    "cut_off_json": Kind("The answer, cut off after two thirds.", _cut_off_json, _API),
    "empty_page": Kind("An empty page before the page that was asked for.", _empty_page, _LISTS),
    "same_next_link": Kind("A nextLink that leads back to this page.", _same_next_link, _LISTS | {"remaining": None}),
    "endless_pages": Kind(
        "This page again and again, each time with another nextLink.", _endless_pages, _LISTS | {"remaining": None}
    ),
    "foreign_next_link": Kind("A nextLink that leads to `location`.", _foreign_next_link, _LISTS),
    "slow": Kind("The answer after `delay_s`.", _slow, _API),
    "slow_body": Kind("The answer in pieces during `delay_s`.", _slow_body, _API),
}
"""Every kind by its name."""

_GIVEN = {item.name for item in fields(Fault)} - {"id", "seen", "taken"}


def parse_fault(given: Mapping[str, Any]) -> Fault:
    """Return the fault that a JSON object describes. Raises ValueError or KeyError if it is not right."""
    if unknown := given.keys() - _GIVEN:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    return Fault(**{**KINDS[given["kind"]].defaults, **given})


def shown(fault: Fault) -> dict[str, Any]:
    """Return a fault as a JSON object."""
    return asdict(fault)
