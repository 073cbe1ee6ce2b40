"""Fixtures for connections."""

from __future__ import annotations

import pytest

from tests.unit.connections.surroundings import Surroundings


@pytest.fixture
def app() -> Surroundings:
    """A deployment of the app without any connection."""
    return Surroundings()
