"""What successes and failures mean for the status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.connections.consent import consent_days_left
from shared.connections.model import Connection, ConnectionStatus, SyncState
from shared.connections.status import after_failure, after_success
from shared.connections.views import connection_view
from shared.errors import (
    AccessRefused,
    ConnectorError,
    FixRequest,
    OurBug,
    OutcomeUnknown,
    Reauthorize,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    StorageUnavailable,
    ValuesRefused,
)
from tests.memory.clock import START
from tests.unit.connections.surroundings import CLIENT_SECRET, REDIRECT_URI, Surroundings

CONNECTED, UNAVAILABLE = ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE
REAUTHORIZATION_REQUIRED = ConnectionStatus.REAUTHORIZATION_REQUIRED
BEFORE = START - timedelta(hours=1)


def connection(status: ConnectionStatus = CONNECTED) -> Connection:
    return Connection(
        "contoso",
        "Contoso",
        "https://contoso.service-now.com",
        "client",
        "user",
        status=status,
        status_since_at=BEFORE,
        consented_at=BEFORE,
        last_success_at=BEFORE,
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Reauthorize("x"), REAUTHORIZATION_REQUIRED),
        (ServiceNowUnavailable("x"), UNAVAILABLE),
        (OutcomeUnknown("x"), UNAVAILABLE),
        (AccessRefused("x", code="ip_address_blocked"), UNAVAILABLE),
        (AccessRefused("x", code="access_scope_missing"), UNAVAILABLE),
        (ServiceNowThrottled("x"), CONNECTED),
        (AccessRefused("x"), CONNECTED),
        (ValuesRefused("x"), CONNECTED),
    ],
)
def test_a_failure_is_kept_in_words(error: ConnectorError, status: ConnectionStatus) -> None:
    after = after_failure(connection(), error, START)
    assert after.status is status
    assert after.status_since_at == (BEFORE if status is CONNECTED else START)
    assert after.last_error is not None
    assert (after.last_error.code, after.last_error.at) == (error.code, START)
    assert after.consented_at == BEFORE


@pytest.mark.parametrize("error", [StorageUnavailable("x"), FixRequest("x"), OurBug("x")])
def test_a_failure_that_is_not_servicenows_says_nothing_about_it(error: ConnectorError) -> None:
    before = connection()
    assert after_failure(before, error, START) is before


@pytest.mark.parametrize("status", sorted(set(ConnectionStatus) - {CONNECTED, UNAVAILABLE}))
@pytest.mark.parametrize("error", [Reauthorize("x"), ServiceNowUnavailable("x"), AccessRefused("x")])
def test_without_a_consent_a_failure_changes_nothing(status: ConnectionStatus, error: ConnectorError) -> None:
    before = connection(status)
    assert after_failure(before, error, START) is before


def test_a_success_brings_an_unavailable_connection_back() -> None:
    down = after_failure(connection(), ServiceNowUnavailable("x"), START)
    up = after_success(down, START + timedelta(seconds=1))
    assert (up.status, up.last_error, up.last_success_at) == (CONNECTED, None, START + timedelta(seconds=1))


def test_a_success_does_not_bring_back_a_consent() -> None:
    before = after_failure(connection(), Reauthorize("x"), START)
    after = after_success(before, START)
    assert after == replace(before, last_success_at=START)


def test_the_same_outcome_again_is_not_written_each_time() -> None:
    noted = after_success(connection(), START)
    assert after_success(noted, START + timedelta(seconds=59)) is noted
    assert after_success(noted, START + timedelta(seconds=60)) is not noted
    failing = after_failure(noted, AccessRefused("x"), START)
    assert after_failure(failing, AccessRefused("x"), START + timedelta(seconds=59)) is failing
    assert after_failure(failing, AccessRefused("x"), START + timedelta(seconds=60)) is not failing
    assert after_failure(failing, ValuesRefused("x"), START + timedelta(seconds=1)) is not failing
    assert after_success(failing, START + timedelta(seconds=1)).last_error is None


@pytest.mark.parametrize(
    "status", [ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.AWAITING_AUTHORIZATION, ConnectionStatus.DISCONNECTED]
)
def test_a_late_success_does_not_wake_a_connection(status: ConnectionStatus) -> None:
    before = connection(status)
    assert after_success(before, START) is before


async def test_what_was_learnt_under_an_old_consent_says_nothing_about_the_new_one(app: Surroundings) -> None:
    old = await app.connected()
    app.clock.advance(60)
    new = await app.authorized()
    assert await app.health.failed(old, Reauthorize("x")) == new
    assert await app.health.succeeded(old) == new
    assert app.stored() == new


async def test_notes_survive_races(app: Surroundings) -> None:
    stale = await app.connected()
    await app.configured(display_name="Contoso Ltd")
    noted = await app.health.failed(stale, ServiceNowUnavailable("x"))
    assert noted == app.stored()
    assert (noted.display_name, noted.status) == ("Contoso Ltd", UNAVAILABLE)


async def test_the_view_shows_everything_but_secrets(app: Surroundings) -> None:
    await app.connected()
    app.clock.advance(86_400 * 10 + 1)
    view = connection_view(
        app.stored(),
        SyncState(last_completed_at=app.clock.now - timedelta(seconds=90)),
        app.clock.now,
        public_base_url="https://tickets.contoso.com",
        redirect_uri=REDIRECT_URI,
    )
    assert view.consent_days_left == 89
    assert view.lag_s == 90
    assert view.authorize_url == "https://tickets.contoso.com/api/oauth/authorize?connection_id=contoso"
    shown = view.model_dump_json()
    assert not [secret for secret in app.secrets.readable if secret in shown]
    assert CLIENT_SECRET not in shown


def test_the_consent_clock_stops_at_zero() -> None:
    ends = replace(connection(), consent_ends_at=START)
    assert consent_days_left(ends, START - timedelta(days=2)) == 2
    assert consent_days_left(ends, START - timedelta(hours=47)) == 1
    assert consent_days_left(ends, START) == 0
    assert consent_days_left(ends, START + timedelta(days=5)) == 0
    assert consent_days_left(connection(), START) is None
