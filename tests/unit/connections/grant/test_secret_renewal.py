"""Secrets are written to Key Vault again before their versions expire."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import CLOCKS_DIFFER
from shared.connections.grant.lease import TOKENS
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from shared.connections.grant.secret_renewal import is_renewal_due, renewal_after
from shared.connections.model import Connection, ConnectionStatus
from tests.memory.clock import START
from tests.memory.secret_store import Version
from tests.unit.connections.surroundings import CLIENT_SECRET, SECRET_LIFETIME, Surroundings

RENEWED_AFTER = timedelta(days=60)
CLIENT = client_secret_name("contoso")
REFRESH = refresh_token_name("contoso")


@pytest.fixture
async def app() -> Surroundings:
    """A connection in use."""
    surroundings = Surroundings()
    await surroundings.connected()
    return surroundings


def newest(app: Surroundings, name: str) -> Version:
    return app.secrets.versions[name][-1]


def counts(app: Surroundings) -> list[int]:
    return [len(app.secrets.versions[name]) for name in (CLIENT, REFRESH, access_token_name("contoso"))]


async def test_both_are_written_again_with_a_third_of_their_life_left(app: Surroundings) -> None:
    before, values = app.stored(), [newest(app, name).value for name in (CLIENT, REFRESH)]
    app.clock.advance((RENEWED_AFTER - timedelta(minutes=1)).total_seconds())
    assert await app.renewal.renew_if_due(app.stored()) == before
    assert counts(app) == [1, 1, 1]

    app.clock.advance(60)
    renewed = await app.renewal.renew_if_due(app.stored())
    assert counts(app) == [2, 2, 1]
    assert [newest(app, name).value for name in (CLIENT, REFRESH)] == values
    assert newest(app, CLIENT).expires_at is None
    assert newest(app, REFRESH).expires_at == before.consent_ends_at
    assert renewed == app.stored() == replace(before, secrets_renew_at=app.clock.now + RENEWED_AFTER)
    assert await app.renewal.renew_if_due(renewed) == renewed
    assert counts(app) == [2, 2, 1]


async def test_a_year_of_days_never_comes_near_an_end() -> None:
    app = Surroundings()
    await app.connected(consent_lifetime_s=400 * 24 * 3600)
    written_on = [0]
    for day in range(1, 366):
        app.clock.advance(24 * 3600)
        await app.renewal.renew_if_due(app.stored())
        if counts(app)[0] > len(written_on):
            written_on.append(day)
        assert timedelta(days=day - written_on[-1]) <= RENEWED_AFTER
    assert counts(app)[:2] == [7, 7]


async def test_what_slept_for_months_is_renewed_when_it_wakes(app: Surroundings) -> None:
    app.clock.advance(timedelta(days=95).total_seconds())
    await app.renewal.renew_if_due(app.stored())
    assert counts(app) == [2, 2, 1]
    assert newest(app, CLIENT).value.reveal() == CLIENT_SECRET


async def test_a_refresh_token_whose_consent_is_over_is_left_alone(app: Surroundings) -> None:
    app.clock.advance(timedelta(days=101).total_seconds())
    await app.renewal.renew_if_due(app.stored())
    assert counts(app) == [2, 1, 1]


async def test_secrets_that_an_older_release_wrote_are_renewed_at_once(app: Surroundings) -> None:
    """They have no expiry, and their age is unknown."""
    await app.store.update_connection(replace(app.stored(), secrets_renew_at=None))
    await app.renewal.renew_if_due(app.stored())
    assert counts(app) == [2, 2, 1]


async def test_a_connection_that_waits_for_its_consent_keeps_its_client_secret() -> None:
    app = Surroundings()
    await app.configured()
    app.clock.advance(RENEWED_AFTER.total_seconds())
    await app.renewal.renew_if_due(app.stored())
    assert [each.value.reveal() for each in app.secrets.versions[CLIENT]] == [CLIENT_SECRET] * 2
    assert REFRESH not in app.secrets.versions


async def test_a_new_client_secret_begins_again(app: Surroundings) -> None:
    app.clock.advance(timedelta(days=50).total_seconds())
    changed = await app.configured(client_secret="another")
    assert changed.secrets_renew_at == app.clock.now + RENEWED_AFTER


async def test_other_details_do_not(app: Surroundings) -> None:
    before = app.stored().secrets_renew_at
    app.clock.advance(timedelta(days=50).total_seconds())
    assert (await app.configured(client_secret=..., integration_user="somebody.else")).secrets_renew_at == before


@pytest.mark.parametrize("refused", [CLIENT, REFRESH])
async def test_a_vault_that_refuses_is_asked_again_by_the_next_run(
    app: Surroundings, caplog: pytest.LogCaptureFixture, refused: str
) -> None:
    app.clock.advance(RENEWED_AFTER.total_seconds())
    before = app.stored()
    app.secrets.refused_writes = frozenset({refused})
    with caplog.at_level(logging.WARNING):
        assert await app.renewal.renew_if_due(before) == before
    assert "secrets_not_renewed" in caplog.text
    assert app.stored() == before
    app.secrets.refused_writes = frozenset()
    renewed = await app.renewal.renew_if_due(app.stored())
    assert renewed.secrets_renew_at == app.clock.now + RENEWED_AFTER
    assert newest(app, CLIENT).value.reveal() == CLIENT_SECRET


async def test_whoever_writes_the_tokens_is_not_disturbed(app: Surroundings) -> None:
    app.clock.advance(RENEWED_AFTER.total_seconds())
    assert await app.leases.acquire_lease("contoso", TOKENS, duration_s=30) is not None
    await app.renewal.renew_if_due(app.stored())
    assert counts(app) == [1, 1, 1]


async def test_a_concurrent_removal_is_not_undone(app: Surroundings) -> None:
    """The timer read the connection before it was removed."""
    app.clock.advance(RENEWED_AFTER.total_seconds())
    stale = app.stored()
    await app.removal.remove("contoso")
    assert (await app.renewal.renew_if_due(stale)).is_removed
    assert app.secrets.readable == set()


@given(
    renew_in=st.timedeltas(min_value=-timedelta(days=400), max_value=timedelta(days=400)),
    lifetime=st.timedeltas(min_value=timedelta(days=1), max_value=timedelta(days=3650)),
)
def test_nobody_waits_longer_than_the_secrets_live(renew_in: timedelta, lifetime: timedelta) -> None:
    """The time may come from a wrong clock or a longer setting."""
    connection = Connection(
        connection_id="contoso",
        display_name="Contoso",
        instance="https://contoso.service-now.com",
        client_id="client",
        integration_user="m365",
        status=ConnectionStatus.CONNECTED,
        secrets_renew_at=START + renew_in,
    )
    due = is_renewal_due(connection, START, lifetime)
    assert due is not (timedelta() < renew_in <= renewal_after(lifetime) + CLOCKS_DIFFER)
    assert not is_renewal_due(replace(connection, status=ConnectionStatus.DISCONNECTED), START, lifetime)


def test_the_lifetime_of_the_tests_is_that_of_landing_zones() -> None:
    assert renewal_after(SECRET_LIFETIME) == RENEWED_AFTER
