"""A world and everything around it."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.graph.engine.world import World
from sandbox.graph.stage.faults.fault import Faults
from sandbox.graph.stage.request_record import RequestRecord
from sandbox.graph.wire.odata.paging import SkipTokens
from sandbox.graph.wire.throttling import Throttling


@dataclass(frozen=True)
class Simulator:
    """A world, everything between it and its callers, and the function that plants its first tenants."""

    world: World
    faults: Faults
    record: RequestRecord
    throttling: Throttling
    skip_tokens: SkipTokens
    plant: Callable[[World], None]

    @classmethod
    def of(cls, world: World, plant: Callable[[World], None]) -> "Simulator":
        """Return the parts around `world`."""
        clock, switches = world.clock, world.switches
        return cls(
            world,
            Faults(),
            RequestRecord(clock),
            Throttling(clock, switches),
            SkipTokens(clock, switches),
            plant,
        )
