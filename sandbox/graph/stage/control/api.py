"""The simulator's own API under `/control`: tests and demonstrations use it to change the world from outside.

JSON in, JSON out. It needs no authentication, is not part of Graph, and neither faults nor the request record see it.
Refusals are `{"error": text}` with 400 or 404.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.graph.stage.control.tenants import TenantsControl
from sandbox.graph.stage.faults.kinds import KINDS, parse_fault, shown
from sandbox.graph.stage.simulator import Simulator

type Json = dict[str, Any]
type Handler = Callable[[Request, Json], object]
"""Takes the request and its JSON body, and returns the value of the JSON answer."""


def control_routes(simulator: Simulator) -> list[Route]:
    """Return the routes below `/control`."""
    handlers = {**_handlers(simulator), **TenantsControl(simulator.world).handlers()}
    return [
        Route(f"/control{path}", _endpoint(handler), methods=[method]) for (method, path), handler in handlers.items()
    ]


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await request.json() if await request.body() else {}
            return JSONResponse(handler(request, body))
        except KeyError as error:
            return JSONResponse({"error": f"unknown or missing: {error.args[0]}"}, 404)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint


def _handlers(simulator: Simulator) -> Mapping[tuple[str, str], Handler]:
    world, faults, record = simulator.world, simulator.faults, simulator.record

    def health(_: Request, __: Json) -> object:
        return {"status": "ok", "now": world.clock.now().isoformat(), "tenants": list(world.tenants())}

    def reset(_: Request, __: Json) -> object:
        faults.clear()
        record.clear()
        simulator.throttling.clear()
        simulator.skip_tokens.clear()
        world.clock.reset()
        world.switches.reset()
        simulator.plant(world)
        return {}

    def show_clock(_: Request, __: Json) -> object:
        return {"now": world.clock.now().isoformat()}

    def set_clock(request: Request, body: Json) -> object:
        at = datetime.fromisoformat(body["now"]) if "now" in body else None
        if body.get("running") is False:
            world.clock.stop(at)
        elif at is not None:
            world.clock.set(at)
        if body.get("running") is True:
            world.clock.run()
        return show_clock(request, body)

    def advance(request: Request, body: Json) -> object:
        world.advance(days=float(body.get("days", 0)), hours=float(body.get("hours", 0)))
        return show_clock(request, body)

    def list_switches(_: Request, __: Json) -> object:
        return dict(world.switches)

    def set_switches(request: Request, body: Json) -> object:
        for name, value in body.items():
            world.switches[name] = value
        return list_switches(request, body)

    def list_faults(_: Request, __: Json) -> object:
        kinds = {name: kind.description for name, kind in KINDS.items()}
        return {"faults": [shown(fault) for fault in faults], "kinds": kinds}

    def set_fault(_: Request, body: Json) -> object:
        fault = parse_fault(body)
        faults.set(fault)
        return shown(fault)

    def clear_faults(_: Request, __: Json) -> object:
        faults.clear()
        return {}

    def remove_fault(request: Request, _: Json) -> object:
        if not faults.remove(request.path_params["fault_id"]):
            raise KeyError("this fault")
        return {}

    def list_requests(request: Request, _: Json) -> object:
        return {"requests": record.entries(request.query_params.get("path", ""))}

    def clear_requests(_: Request, __: Json) -> object:
        record.clear()
        return {}

    return {
        ("GET", "/health"): health,
        ("POST", "/reset"): reset,
        ("GET", "/clock"): show_clock,
        ("PUT", "/clock"): set_clock,
        ("POST", "/clock/advance"): advance,
        ("GET", "/switches"): list_switches,
        ("PATCH", "/switches"): set_switches,
        ("GET", "/faults"): list_faults,
        ("POST", "/faults"): set_fault,
        ("DELETE", "/faults"): clear_faults,
        ("DELETE", "/faults/{fault_id}"): remove_fault,
        ("GET", "/requests"): list_requests,
        ("DELETE", "/requests"): clear_requests,
    }
