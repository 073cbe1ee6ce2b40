"""A time limit of somebody who needs a token does not interrupt the refresh."""

from __future__ import annotations

import asyncio

import pytest

from shared.connections.grant.secret_names import refresh_token_name
from shared.connections.grant.unbroken_tokens import UnbrokenTokens
from shared.errors import Reauthorize
from shared.secret import Secret
from tests.memory.sign_in import ACCESS_LIFE_S
from tests.unit.connections.surroundings import Surroundings


async def waited_in_vain(app: Surroundings, *, renewed: bool) -> None:
    """Ask for a token, and give up while ServiceNow's answer is on its way; then the answer comes."""
    connection = app.stored()
    answer = asyncio.Event()
    asked = asyncio.Event()

    async def slow(name: str) -> None:
        if name == "refresh answers":
            asked.set()
            await answer.wait()

    app.servicenow.step = slow
    tokens = UnbrokenTokens(app.tokens)
    asking = tokens.renewed_token(connection, Secret("refused")) if renewed else tokens.access_token(connection)
    waiting = asyncio.create_task(asking)
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    app.servicenow.step = app.step
    answer.set()
    while app.leases.leases:
        await asyncio.sleep(0)


@pytest.mark.parametrize("renewed", [False, True])
async def test_a_rotated_refresh_token_is_stored_although_nobody_waits_any_more(renewed: bool) -> None:
    app = Surroundings()
    await app.connected()
    app.servicenow.rotates = True
    before = await app.secrets.get_secret(refresh_token_name("contoso"))
    app.clock.advance(ACCESS_LIFE_S)
    await waited_in_vain(app, renewed=renewed)
    assert await app.secrets.get_secret(refresh_token_name("contoso")) != before
    assert app.servicenow.accepts(await app.new_app_instance().access_token(app.stored()))


async def test_whoever_waits_hears_what_went_wrong() -> None:
    app = Surroundings()
    connection = await app.connected()
    app.servicenow.refresh_tokens.clear()
    app.clock.advance(ACCESS_LIFE_S)
    with pytest.raises(Reauthorize):
        await UnbrokenTokens(app.tokens).access_token(connection)
