"""The time of everything in a world: it begins some days ago, so that days can pass without leading into the future.

Tokens of the managed identity and what Azurite, Key Vault and the Functions host write have real time throughout:
nothing compares it with the product's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.clock_shift import ClockShift
from sandbox.graph.process import Graph
from sandbox.processes import SandboxError
from sandbox.servicenow.stage.control.client import ControlClient

DAY_S = 86_400.0


@dataclass
class SharedTime:
    """Moves the clocks of ServiceNow, Microsoft Graph and the product together.

    Attributes:
        servicenow_url: The ServiceNow instance.
        days_ago: How many days its time is behind real time.
        products: The clocks of the product, one for each Functions host.
    """

    servicenow_url: str
    graph: Graph
    days_ago: int = 0
    products: list[ClockShift] = field(default_factory=list)

    @property
    def ahead_s(self) -> float:
        """How far a clock of this time is ahead of the machine's, in seconds; negative in the past."""
        return -self.days_ago * DAY_S

    def pass_days(self, days: int = 1) -> None:
        """Let days pass everywhere.

        Raises:
            SandboxError: They lead into the future, where nobody accepts the tokens of the managed identity.
        """
        if days > self.days_ago:
            raise SandboxError(f"{days} days cannot pass: the time is only {self.days_ago} days ago.")
        self.days_ago -= days
        # The product first: what it sees meanwhile is old, not from the future.
        for clock in self.products:
            clock.pass_time(days * DAY_S)
        with ControlClient(self.servicenow_url) as servicenow, self.graph.control() as graph:
            servicenow.advance_clock(days * DAY_S)
            graph.advance(days=days)
