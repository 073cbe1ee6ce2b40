"""Fixtures for the rules and what calls them."""

from __future__ import annotations

import pytest

from tests.memory.loop_time import LoopTime
from tests.unit.connections.surroundings import Surroundings


@pytest.fixture
def app() -> Surroundings:
    """A deployment of the app without any connection."""
    return Surroundings()


@pytest.fixture
async def waits_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sleep and timeout ends as soon as nothing else can happen."""
    LoopTime(monkeypatch).pass_while_all_wait()
