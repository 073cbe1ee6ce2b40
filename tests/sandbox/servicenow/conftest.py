"""Instances to call."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sandbox.clock import Clock
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.seed.demonstration import plant
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from tests.sandbox.servicenow.rest_client import RestClient

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def essentials() -> bytes:
    """The stored content of an instance with its people and no tickets."""
    instance = Instance(clock=Clock.stopped_at(START))
    plant_essentials(instance)
    snapshot = instance.records.snapshot()
    instance.close()
    return snapshot


@pytest.fixture
def rest(essentials: bytes) -> Iterator[RestClient]:
    """An instance with its people, no tickets, and a stopped clock."""
    instance = Instance(clock=Clock.stopped_at(START))
    instance.records.restore(essentials)
    client = RestClient.of(instance)
    yield client
    client.transport.end()
    instance.close()


@pytest.fixture(scope="module")
def demonstration() -> Iterator[RestClient]:
    """An instance with all its demonstration data; tests only read it."""
    instance = Instance(clock=Clock.stopped_at(START))
    plant(instance)
    client = RestClient.of(instance)
    yield client
    client.transport.end()
    instance.close()
