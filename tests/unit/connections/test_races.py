"""Two calls write a connection's tokens at the same time: one waits for the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from shared.connections.model import ConnectionStatus
from tests.unit.connections.surroundings import CLIENT_SECRET, Surroundings


class Meanwhile:
    """Starts something when a step is first reached, and gives it time before the step continues."""

    def __init__(self, step: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._step, self._work = step, work
        self.task: asyncio.Task[object] | None = None

    async def __call__(self, name: str) -> None:
        if name == self._step and self.task is None:
            self.task = asyncio.create_task(self._work())
            for _ in range(50):
                await asyncio.sleep(0)

    async def ended(self) -> object:
        """Wait until it has ended."""
        assert self.task is not None, f"nobody came to {self._step!r}"
        return await self.task


async def test_a_refresh_waits_until_an_authorization_is_kept(app: Surroundings) -> None:
    connected = await app.connected()
    app.servicenow.rotates = True
    meanwhile = Meanwhile("users", lambda: app.new_app_instance().refresh(connected))
    app.servicenow.step = meanwhile
    await app.authorized()
    await meanwhile.ended()
    app.clock.advance(1800)
    access = await app.new_app_instance().access_token(app.stored())
    assert app.servicenow.accepts(access), "the stored refresh token works"
    assert app.stored().status is ConnectionStatus.CONNECTED


async def test_an_authorization_waits_for_a_refresh(app: Surroundings) -> None:
    connected = await app.connected()
    app.servicenow.rotates = True
    meanwhile = Meanwhile("refresh answers", app.authorized)
    app.servicenow.step = meanwhile
    await app.tokens.refresh(connected)
    await meanwhile.ended()
    app.clock.advance(1800)
    assert app.servicenow.accepts(await app.new_app_instance().access_token(app.stored()))


async def test_a_removal_waits_for_a_refresh_and_leaves_nothing_of_it(app: Surroundings) -> None:
    connected = await app.connected()
    meanwhile = Meanwhile("refresh answers", lambda: app.removal.remove("contoso"))
    app.servicenow.step = meanwhile
    await app.tokens.refresh(connected)
    await meanwhile.ended()
    assert app.stored().status is ConnectionStatus.DISCONNECTED
    assert app.secrets.readable == set()
    assert app.servicenow.living == []


async def test_a_change_waits_for_a_refresh_and_leaves_nothing_of_it(app: Surroundings) -> None:
    connected = await app.connected()
    meanwhile = Meanwhile("refresh answers", lambda: app.configured(client_secret="another"))
    app.servicenow.step = meanwhile
    await app.tokens.refresh(connected)
    await meanwhile.ended()
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert app.secrets.readable == {CLIENT_SECRET, "another"}
    assert app.servicenow.living == []
