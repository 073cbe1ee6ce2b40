"""A refresh token that Key Vault does not accept is kept in memory, used, and offered again until it is accepted."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.connections.grant.token_requests import LEAST_S
from shared.connections.grant.tokens import is_refresh_due
from shared.connections.held_lease import LEASE_S
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.status import HANDS_OFF, NOT_STORED, after_success
from shared.errors import Reauthorize, TryLater
from tests.memory.sign_in import ACCESS_LIFE_S, UNAVAILABLE
from tests.unit.connections.surroundings import Surroundings

ACCESS_TOKEN = "servicenow-contoso-access-token"
REFRESH_TOKEN = "servicenow-contoso-refresh-token"
BOTH = frozenset({"-refresh-token", "-access-token"})
ONE = frozenset({"-refresh-token"})


@pytest.fixture
async def connected(app: Surroundings) -> Connection:
    connection = await app.connected()
    app.servicenow.rotates = True
    return connection


async def refreshed_in_vain(app: Surroundings, connected: Connection, refuses: frozenset[str] = BOTH) -> Connection:
    """Refresh while Key Vault accepts no tokens."""
    app.secrets.refused_writes = refuses
    stored = await app.tokens.refresh(connected)
    assert stored == app.stored()
    return stored


async def test_the_connection_works_on_and_says_what_is_wrong(app: Surroundings, connected: Connection) -> None:
    stored = await refreshed_in_vain(app, connected)
    assert stored.status is ConnectionStatus.CONNECTED
    assert stored.last_error is not None
    assert stored.last_error.code == NOT_STORED
    assert not is_refresh_due(stored, app.clock.now)
    assert app.servicenow.accepts(await app.tokens.access_token(stored))
    assert app.servicenow.accepts(await app.tokens.access_token(connected))
    assert "token " not in repr(replace(stored, last_error=None)), "memory is the only place"


async def test_the_token_in_memory_is_used_for_the_next_refresh_and_is_not_lost(
    app: Surroundings, connected: Connection
) -> None:
    stored = await refreshed_in_vain(app, connected)
    for _ in range(5):
        app.clock.advance(ACCESS_LIFE_S)
        stored = await app.tokens.refresh(stored)
        assert app.servicenow.accepts(await app.tokens.access_token(stored))
    app.secrets.refused_writes = frozenset()
    app.clock.advance(60)
    assert app.servicenow.accepts(await app.tokens.access_token(stored))
    healed = app.stored()
    assert (healed.status, healed.last_error) == (ConnectionStatus.CONNECTED, None)
    assert healed.refresh_token_outdated_until_at is None
    newest = app.secrets.versions[REFRESH_TOKEN][-1]
    assert newest.value.reveal() in app.servicenow.refresh_tokens
    assert newest.expires_at == connected.consent_ends_at
    assert app.servicenow.accepts(await app.new_app_instance().access_token(healed))
    app.clock.advance(ACCESS_LIFE_S)
    assert app.servicenow.accepts(await app.new_app_instance().access_token(healed))


async def test_it_is_offered_again_even_while_servicenow_does_not_answer(
    app: Surroundings, connected: Connection
) -> None:
    stored = await refreshed_in_vain(app, connected)
    app.secrets.refused_writes = frozenset()
    app.clock.advance(ACCESS_LIFE_S)
    app.servicenow.faults.append(UNAVAILABLE)
    with pytest.raises(TryLater):
        await app.tokens.refresh(stored)
    assert app.secrets.versions[REFRESH_TOKEN][-1].value.reveal() in app.servicenow.refresh_tokens


async def test_others_use_the_access_token_if_key_vault_took_that(app: Surroundings, connected: Connection) -> None:
    stored = await refreshed_in_vain(app, connected, ONE)
    assert app.servicenow.accepts(await app.new_app_instance().access_token(stored))
    assert app.servicenow.refreshes == 1


async def test_others_do_not_burn_the_consent_with_the_old_token(app: Surroundings, connected: Connection) -> None:
    stored = await refreshed_in_vain(app, connected)
    other = app.new_app_instance()
    app.clock.advance(ACCESS_LIFE_S - LEAST_S)
    with pytest.raises(TryLater) as caught:
        await other.access_token(stored)
    assert caught.value.code == NOT_STORED
    assert app.servicenow.refreshes == 1
    assert app.stored() == stored
    for _ in range(5):
        app.clock.advance(HANDS_OFF.total_seconds() / 2)
        await app.tokens.access_token(app.stored())
        with pytest.raises(TryLater):
            await other.refresh(app.stored())
    assert app.stored().status is ConnectionStatus.CONNECTED


async def test_when_the_holder_is_gone_the_others_do_not_wait_for_ever(
    app: Surroundings, connected: Connection
) -> None:
    stored = await refreshed_in_vain(app, connected)
    app.secrets.refused_writes = frozenset()
    app.clock.advance(HANDS_OFF.total_seconds())
    with pytest.raises(Reauthorize):
        await app.new_app_instance().refresh(stored)
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    # It was only asleep.
    assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))
    assert app.stored().status is ConnectionStatus.CONNECTED
    assert (app.stored().last_error, app.stored().refresh_again_at) == (None, None)


async def test_a_mark_from_the_future_holds_nobody_up(app: Surroundings, connected: Connection) -> None:
    marked = await app.store.update_connection(
        replace(app.stored(), refresh_token_outdated_until_at=app.clock.now + timedelta(days=1))
    )
    refreshed = await app.tokens.refresh(marked)
    assert refreshed.refresh_token_outdated_until_at is None


async def test_a_call_that_succeeds_does_not_hide_it(app: Surroundings, connected: Connection) -> None:
    stored = await refreshed_in_vain(app, connected)
    app.clock.advance(60)
    await app.health.succeeded(app.stored())
    await app.health.failed(app.stored(), UNAVAILABLE)
    up = await app.health.succeeded(app.stored())
    assert up.status is ConnectionStatus.CONNECTED
    assert up.last_error is not None
    assert up.last_error.code == NOT_STORED
    assert after_success(up, app.clock.now) is up, "it is not written each time"
    assert stored.last_error is not None


async def test_a_new_consent_ends_what_is_in_memory(app: Surroundings, connected: Connection) -> None:
    await refreshed_in_vain(app, connected)
    app.secrets.refused_writes = frozenset()
    app.servicenow.refresh_tokens.clear()
    app.clock.advance(60)
    renewed = await app.authorized()
    assert (renewed.last_error, renewed.refresh_token_outdated_until_at) == (None, None)
    written = list(app.secrets.versions[REFRESH_TOKEN])
    assert app.servicenow.accepts(await app.tokens.access_token(renewed))
    assert app.secrets.versions[REFRESH_TOKEN] == written
    app.clock.advance(ACCESS_LIFE_S)
    assert app.servicenow.accepts(await app.tokens.access_token(renewed))


async def test_a_removed_connection_gets_nothing_from_memory(app: Surroundings, connected: Connection) -> None:
    stored = await refreshed_in_vain(app, connected)
    app.secrets.refused_writes = frozenset()
    await app.removal.remove("contoso")
    app.clock.advance(60)
    with pytest.raises(Reauthorize):
        await app.tokens.renewed_token(stored, await app.tokens.access_token(stored))
    assert app.secrets.readable == set()


async def test_a_vault_that_is_asked_too_much_is_not_asked_at_each_use(
    app: Surroundings, connected: Connection
) -> None:
    stored = await refreshed_in_vain(app, connected)
    writes = 0

    async def counting(name: str) -> None:
        nonlocal writes
        writes += name == "set_secret"

    app.secrets.step = counting
    for _ in range(10):
        await app.tokens.access_token(stored)
    assert writes == 0
    app.clock.advance(10)
    for _ in range(10):
        await app.tokens.access_token(stored)
    assert writes == 2


async def test_tokens_that_came_after_the_lease_was_lost_are_stored_with_the_next_use(
    app: Surroundings, connected: Connection
) -> None:
    async def held_up(name: str) -> None:
        if name == "refresh answers":
            app.clock.advance(LEASE_S)

    app.servicenow.step = held_up
    with pytest.raises(TryLater) as caught:
        await app.tokens.refresh(connected)
    assert caught.value.code == "lease_lost"
    assert len(app.secrets.versions[REFRESH_TOKEN]) == 1
    assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))
    assert app.secrets.versions[REFRESH_TOKEN][-1].value.reveal() in app.servicenow.refresh_tokens
    assert app.servicenow.accepts(await app.new_app_instance().access_token(app.stored()))


async def test_an_access_token_that_key_vault_did_not_take_is_used_from_memory(
    app: Surroundings, connected: Connection
) -> None:
    stored = await refreshed_in_vain(app, connected, frozenset({"-access-token"}))
    assert (stored.status, stored.last_error) == (ConnectionStatus.CONNECTED, None)
    assert app.servicenow.accepts(await app.tokens.access_token(stored))
    assert not is_refresh_due(stored, app.clock.now)
    app.secrets.refused_writes = frozenset()
    other = app.new_app_instance()
    assert app.servicenow.accepts(await other.renewed_token(stored, await other.access_token(stored)))
    assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))


@pytest.mark.parametrize("moment", ["set_secret answers", "update_connection"])
async def test_a_holder_that_was_overtaken_leaves_the_newer_tokens_alone(moment: str) -> None:
    """It pauses after its last check of the lease; during that, another call in the same process refreshes."""
    overtaken = False

    async def overtake(name: str) -> None:
        nonlocal overtaken
        if name == moment and not overtaken and len(app.secrets.versions.get(ACCESS_TOKEN, [])) == 2:
            overtaken = True
            app.clock.advance(LEASE_S)
            app.secrets.refused_writes = ONE
            await app.tokens.refresh(connected)
            app.secrets.refused_writes = frozenset()

    app = Surroundings(step=overtake)
    connected = await app.connected()
    app.servicenow.rotates = True
    with contextlib.suppress(TryLater):
        await app.tokens.refresh(connected)
    assert overtaken
    for _ in range(2):
        app.clock.advance(ACCESS_LIFE_S)
        assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))


@pytest.mark.parametrize("behind_s", [-30, 0, 30], ids=lambda seconds: f"{seconds} s between the clocks")
async def test_older_tokens_of_another_instance_do_not_displace_newer_ones(
    app: Surroundings, connected: Connection, behind_s: int
) -> None:
    """Key Vault refuses both, and the older ones are offered first when it is back."""
    app.servicenow.rotates = False
    await refreshed_in_vain(app, connected)
    app.servicenow.rotates = True
    other = app.new_app_instance()
    app.clock.advance(behind_s)
    await other.refresh(app.stored())
    app.secrets.refused_writes = frozenset()
    app.clock.advance(2 * LEASE_S)
    for instance in (app.tokens, other):
        with contextlib.suppress(TryLater):
            await instance.access_token(app.stored())
    app.clock.advance(ACCESS_LIFE_S)
    assert app.servicenow.accepts(await app.new_app_instance().access_token(app.stored()))
    assert app.stored().status is ConnectionStatus.CONNECTED
