"""Simulators to call."""

from collections.abc import Iterator

import pytest

from tests.sandbox.graph.simulated import SMALL, Simulated, simulated


@pytest.fixture
def graph() -> Iterator[Simulated]:
    """Two tenants with a few days, and a stopped clock."""
    with simulated(SMALL) as graph:
        graph.control.set_switches({"answers.latency_ms": 0})
        yield graph


@pytest.fixture(scope="module")
def seeded() -> Iterator[Simulated]:
    """The tenants that a simulator begins with; tests only read them."""
    with simulated() as graph:
        yield graph
