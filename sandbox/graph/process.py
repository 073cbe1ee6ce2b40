"""Starts the simulated Graph as a part of the sandbox."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from sandbox.graph.stage.control.client import ControlClient
from sandbox.processes import Process, Processes


@dataclass(frozen=True)
class Graph:
    """A running simulator.

    Attributes:
        process: Its process.
        url: Its address; the control API is below ``/control``.
    """

    process: Process
    url: str

    def control(self) -> ControlClient:
        """Return a client of its control API, which the caller closes."""
        return ControlClient(self.url)


def start_graph(processes: Processes, *, port: int = 0, seed: int = 1, days_ago: int = 0) -> Graph:
    """Start the simulator and return it when it listens.

    Args:
        processes: The group of processes that it joins.
        port: 0 takes a free one.
        seed: The same seed gives the same tenants.
        days_ago: How many days in the past its clock begins, so that they can pass without leading into the future.

    Raises:
        SandboxError: It did not start.
    """
    command = [sys.executable, "-m", "sandbox.graph", "--port", str(port), "--seed", str(seed)]
    command += ["--days-ago", str(days_ago)]
    process = processes.start("Graph", command)
    url = processes.wait_for_line(process, r"^Graph at (\S+)$")[1]
    processes.wait_for_port(process, int(url.rpartition(":")[2]))
    return Graph(process, url)
