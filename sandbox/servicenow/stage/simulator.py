"""An instance and everything around it."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.tokens import Tokens
from sandbox.servicenow.stage.faults.fault import Faults
from sandbox.servicenow.stage.faults.held import HeldRequests
from sandbox.servicenow.stage.request_log import RequestLog
from sandbox.servicenow.wire.rate_limits import RateLimits
from sandbox.servicenow.wire.sessions import Sessions


@dataclass(frozen=True)
class Simulator:
    """An instance, everything between it and its callers, and the function that plants its first records."""

    instance: Instance
    tokens: Tokens
    sessions: Sessions
    faults: Faults
    held: HeldRequests
    rate_limits: RateLimits
    log: RequestLog
    plant: Callable[[Instance], None]

    @classmethod
    def of(cls, instance: Instance, plant: Callable[[Instance], None]) -> "Simulator":
        """Return the parts around `instance`."""
        clock = instance.clock
        return cls(
            instance,
            Tokens(instance),
            Sessions(clock),
            Faults(clock),
            HeldRequests(clock),
            RateLimits(clock),
            RequestLog(clock),
            plant,
        )
