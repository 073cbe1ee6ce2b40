"""The simulated Graph as one web application."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware

from sandbox.graph.engine.world import World
from sandbox.graph.stage.control.api import control_routes
from sandbox.graph.stage.faults.middleware import FaultMiddleware
from sandbox.graph.stage.request_record import RequestRecordMiddleware
from sandbox.graph.stage.seed.tenants import plant as plant_tenants
from sandbox.graph.stage.simulator import Simulator
from sandbox.graph.wire.call import Endpoints
from sandbox.graph.wire.caller import Authorize
from sandbox.graph.wire.compression import CompressionMiddleware
from sandbox.graph.wire.secure_score.api import SecureScoreApi


def create_app(world: World, authorize: Authorize, plant: Callable[[World], None] = plant_tenants) -> Starlette:
    """Return `world` as a web application: the API and the control API under `/control`.

    Args:
        world: Its tenants.
        authorize: Finds the caller of a request; this is where identity providers join in.
        plant: Fills the world again when the control API resets it.
    """
    simulator = Simulator.of(world, plant)
    endpoints = Endpoints(world, authorize, simulator.throttling)
    return Starlette(
        routes=[*control_routes(simulator), *SecureScoreApi(endpoints, simulator.skip_tokens).routes()],
        # Outermost first: the record sees what faults answer, and faults change answers before they are compressed.
        middleware=[
            Middleware(RequestRecordMiddleware, record=simulator.record),
            Middleware(CompressionMiddleware, switches=world.switches),
            Middleware(FaultMiddleware, faults=simulator.faults, switches=world.switches),
        ],
    )
