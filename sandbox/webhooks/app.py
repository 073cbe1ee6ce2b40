"""The receivers on the wire, a page that shows what arrived, and the control API under ``/sandbox``."""

from __future__ import annotations

import asyncio
import html
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.servicenow.wire.server import TRANSPORT_KEY
from sandbox.webhooks.endpoints import Endpoint
from sandbox.webhooks.workflows import CARD_LIMIT, Flow, Switches, error_body, refusal, run_of

type Answer = Callable[[Request, "Receivers"], Awaitable[Response]]


@dataclass
class Fault:
    """A fault that waits for requests.

    Attributes:
        kind: A key of :data:`FAULTS`.
        remaining: How many more requests it takes.
        retry_after_s: For ``throttled``.
        location: For ``redirect``.
    """

    kind: str
    remaining: int = 1
    retry_after_s: int = 30
    location: str = "https://elsewhere.example/"


@dataclass
class Receivers:
    """All receivers of one process.

    Attributes:
        arrived: What was accepted and what was refused, in order.
        clock: The time, in seconds since 1970.
    """

    flows: dict[str, Flow] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    faults: list[Fault] = field(default_factory=list)
    arrived: list[dict[str, Any]] = field(default_factory=list)
    clock: Callable[[], float] = time.time

    def new_flow(self, **how: Any) -> Flow:
        """Return a new workflow."""
        flow = Flow(**how)
        self.flows[flow.flow_id] = flow
        return flow

    def take_fault(self) -> Fault | None:
        """Return the fault for the next request; None for none."""
        while self.faults and not self.faults[0].remaining:
            self.faults.pop(0)
        if not self.faults:
            return None
        self.faults[0].remaining -= 1
        return self.faults[0]


def create_app(receivers: Receivers) -> Starlette:
    """Return the receivers as one web application."""

    def faulty(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            if (fault := receivers.take_fault()) is not None:
                return await FAULTS[fault.kind](request, receivers, fault, answer)
            return await answer(request, receivers)

        return handle

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(receivers))

    async def arrived(request: Request) -> Response:
        if request.method == "DELETE":
            receivers.arrived.clear()
        return JSONResponse(receivers.arrived)

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            receivers.faults.append(Fault(**await request.json()))
        elif request.method == "DELETE":
            receivers.faults.clear()
        return JSONResponse([vars(each) for each in receivers.faults])

    async def switches(request: Request) -> Response:
        known = {each.name for each in fields(Switches)}
        for name, value in (await request.json()).items():
            if name not in known:
                return JSONResponse({"error": f"a switch is one of {', '.join(sorted(known))}"}, status_code=400)
            setattr(receivers.switches, name, value)
        return JSONResponse(vars(receivers.switches))

    async def flows(request: Request) -> Response:
        return JSONResponse({"path": receivers.new_flow(**await request.json()).path})

    async def endpoint(request: Request) -> Response:
        receivers.endpoints[request.path_params["name"]] = Endpoint((await request.json())["secret"])
        return Response(status_code=204)

    invoke = "/workflows/{flow_id}/triggers/manual/paths/invoke"
    return Starlette(
        routes=[
            Route("/", page),
            *(
                Route(f"{prefix}{invoke}", faulty(_workflow), methods=["POST"])
                for prefix in ("", "/powerautomate/automations/direct", "/powerautomate/automations/direct/cu/{number}")
            ),
            Route("/hooks/{name}", faulty(_endpoint), methods=["POST"]),
            Route("/sandbox/arrived", arrived, methods=["GET", "DELETE"]),
            Route("/sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
            Route("/sandbox/switches", switches, methods=["PATCH"]),
            Route("/sandbox/flows", flows, methods=["POST"]),
            Route("/sandbox/hooks/{name}", endpoint, methods=["PUT"]),
        ]
    )


async def _workflow(request: Request, receivers: Receivers) -> Response:
    flow = receivers.flows.get(request.path_params["flow_id"])
    body = await request.body()
    if (refused := refusal(flow, request.query_params, receivers.switches)) is not None:
        return _refused(receivers, request, *refused)
    if len(body) > CARD_LIMIT and receivers.switches.refuses_large:
        return _refused(receivers, request, 413, error_body("RequestEntityTooLarge", "The request body is too large."))
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not request.headers.get("content-type", "").startswith("application/json"):
        return _refused(
            receivers, request, 400, error_body("TriggerInputSchemaMismatch", "The input is not an object.")
        )
    run = run_of(document)
    receivers.arrived.append(
        {"receiver": "teams", "status": 202, "cards": list(run.cards), "failure": run.failure, "bytes": len(body)}
    )
    return Response(status_code=202)


async def _endpoint(request: Request, receivers: Receivers) -> Response:
    endpoint = receivers.endpoints.get(request.path_params["name"])
    if endpoint is None:
        return _refused(receivers, request, 404, {"error": "there is no such endpoint"})
    body = await request.body()
    if (fault := endpoint.fault(request.headers, body, receivers.clock())) is not None:
        return _refused(receivers, request, 401, {"error": fault})
    message_id = request.headers["webhook-id"]
    receivers.arrived.append(
        {
            "receiver": "webhook",
            "status": 204,
            "id": message_id,
            "is_repeated": message_id in endpoint.seen,
            "event": json.loads(body),
        }
    )
    endpoint.seen.add(message_id)
    return Response(status_code=204)


def _refused(receivers: Receivers, request: Request, status: int, body: dict[str, object]) -> Response:
    receivers.arrived.append({"receiver": request.url.path.split("/")[1], "status": status, "refusal": body})
    return JSONResponse(body, status_code=status)


type FaultyAnswer = Callable[[Request, Receivers, Fault, Answer], Awaitable[Response]]


async def _throttled(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    headers = {"Retry-After": str(fault.retry_after_s)} if receivers.switches.sends_retry_after else {}
    return JSONResponse(error_body("TooManyRequests", "Rate limit is exceeded."), status_code=429, headers=headers)


async def _too_large(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    return Response(status_code=413)


async def _gone(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    return Response(status_code=410)


async def _unavailable(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    return Response("Bad Gateway", status_code=502)


async def _redirect(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    return Response(status_code=307, headers={"Location": fault.location})


async def _hang(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=504)


async def _huge_answer(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    response = await answer(request, receivers)
    return Response(b"x" * 8 * 1024 * 1024, status_code=200 if response.status_code < 300 else response.status_code)


async def _huge_refusal(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    return Response(b"x" * 8 * 1024 * 1024, status_code=500)


async def _reset_after_accepting(request: Request, receivers: Receivers, fault: Fault, answer: Answer) -> Response:
    await answer(request, receivers)
    transport: asyncio.Transport = request.scope[TRANSPORT_KEY]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return Response(status_code=202)


FAULTS: dict[str, FaultyAnswer] = {
    "throttled": _throttled,
    "too_large": _too_large,
    "gone": _gone,
    "unavailable": _unavailable,
    "redirect": _redirect,
    "hang": _hang,
    "huge_answer": _huge_answer,
    "huge_refusal": _huge_refusal,
    "reset_after_accepting": _reset_after_accepting,
}
"""What can happen to a request, by name."""


def _page(receivers: Receivers) -> str:
    rows = "".join(
        f"<h2>{html.escape(str(each['receiver']))}: {each['status']}</h2>"
        f"<pre>{html.escape(json.dumps(each, indent=2, ensure_ascii=False))}</pre>"
        for each in reversed(receivers.arrived)
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Received messages</title>"
        f"<h1>Received messages</h1>{rows or '<p>Nothing has arrived yet.</p>'}</html>"
    )
