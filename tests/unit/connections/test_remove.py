"""Removing a connection, and connecting again."""

from __future__ import annotations

import pytest

from shared.connections.directory import SyncState
from shared.connections.model import ConnectionStatus
from shared.errors import FixRequest, Reauthorize, StorageUnavailable
from tests.memory.sign_in import UNAVAILABLE
from tests.unit.connections.surroundings import CLIENT_SECRET, Surroundings


async def test_removal_revokes_disables_and_keeps_the_row(app: Surroundings) -> None:
    before = await app.connected()
    access = await app.tokens.access_token(before)
    await app.store.save_sync_state("contoso", SyncState(watermark="2026-03-02 09:00:00"))
    removed = await app.removal.remove("contoso")
    assert removed == app.stored()
    assert removed.status is ConnectionStatus.DISCONNECTED
    assert not removed.ever_consented
    assert removed.access_token_version is None
    assert removed.last_error is None
    assert app.secrets.readable == set()
    assert not app.servicenow.accepts(access)
    assert not app.servicenow.refresh_tokens
    assert (await app.store.get_sync_state("contoso")).watermark == "2026-03-02 09:00:00"


async def test_whoever_still_holds_the_old_connection_gets_nothing_new(app: Surroundings) -> None:
    before = await app.connected()
    access = await app.tokens.access_token(before)
    await app.removal.remove("contoso")
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.renewed_token(before, access)
    assert caught.value.code == "connection_removed"
    with pytest.raises(Reauthorize):
        await app.tokens.refresh(before)
    with pytest.raises(Reauthorize):
        await app.new_app_instance().access_token(before)


async def test_what_could_not_be_revoked_is_reported(app: Surroundings) -> None:
    await app.connected()
    app.servicenow.faults.append(UNAVAILABLE)
    removed = await app.removal.remove("contoso")
    assert removed.last_error is not None
    assert removed.last_error.code == "revocation_failed"
    assert app.servicenow.revocations == ["access token 2"]
    assert app.secrets.readable == set()


async def test_a_removal_that_breaks_off_is_finished_by_the_next(app: Surroundings) -> None:
    await app.connected()

    async def failing(name: str) -> None:
        if name == "remove_secret":
            raise StorageUnavailable()

    app.secrets.step = failing
    with pytest.raises(StorageUnavailable):
        await app.removal.remove("contoso")
    assert app.stored().status is ConnectionStatus.DISCONNECTED
    app.secrets.step = app.step
    assert (await app.removal.remove("contoso")).status is ConnectionStatus.DISCONNECTED
    assert app.secrets.readable == set()


async def test_a_token_that_another_connection_uses_is_not_revoked(app: Surroundings) -> None:
    await app.connected()
    other = await app.connected("second")
    access = await app.tokens.access_token(other)
    removed = await app.removal.remove("contoso")
    assert removed.last_error is None
    assert app.servicenow.revocations == []
    assert app.servicenow.accepts(access)
    await app.removal.remove("second")
    assert len(app.servicenow.revocations) == 2


async def test_connecting_again_starts_anew(app: Surroundings) -> None:
    await app.connected()
    await app.removal.remove("contoso")
    assert (await app.configured(client_secret=...)).status is ConnectionStatus.NOT_CONFIGURED
    revived = await app.configured()
    assert revived.status is ConnectionStatus.AWAITING_AUTHORIZATION
    assert app.secrets.current == {CLIENT_SECRET}
    assert (await app.authorized()).status is ConnectionStatus.CONNECTED


async def test_an_unknown_connection_cannot_be_removed(app: Surroundings) -> None:
    with pytest.raises(FixRequest) as caught:
        await app.removal.remove("nobody")
    assert (caught.value.code, caught.value.status) == ("connection_not_found", 404)
