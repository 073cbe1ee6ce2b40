"""How successes and failures change the status."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.access.model import AllowedCaller
from shared.connections.directory import SyncState
from shared.connections.model import (
    Connection,
    ConnectionStatus,
    Operation,
    OutcomeNotes,
    OutcomePolicy,
    TicketKind,
    consent_days_left,
)
from shared.connections.status import (
    after_failure,
    after_refresh,
    after_refusal,
    after_settling,
    after_success,
    may_refresh,
)
from shared.connections.views import connection_view
from shared.error_codes import Code
from shared.errors import (
    AccessRefused,
    AccessTokenRefused,
    ConnectorError,
    FixRequest,
    InstanceClosed,
    OurBug,
    OutcomeUnknown,
    Reauthorize,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    StorageUnavailable,
    ValuesRefused,
)
from shared.storage.rows import open_value
from tests.english import ENGLISH
from tests.memory.clock import START
from tests.unit.connections.surroundings import CLIENT_SECRET, REDIRECT_URI, Surroundings

CONNECTED, UNAVAILABLE = ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE
REAUTHORIZATION_REQUIRED = ConnectionStatus.REAUTHORIZATION_REQUIRED
BEFORE = START - timedelta(hours=1)
END = START + timedelta(days=100)


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


def with_consent() -> Connection:
    return replace(connection(), consent_ends_at=END)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AccessTokenRefused(), UNAVAILABLE),
        (ServiceNowUnavailable(), UNAVAILABLE),
        (OutcomeUnknown(), CONNECTED),
        (InstanceClosed("ip_address_blocked"), UNAVAILABLE),
        (ServiceNowThrottled(), CONNECTED),
        (AccessRefused(), CONNECTED),
        (ValuesRefused(), CONNECTED),
    ],
)
def test_a_failure_is_kept_in_words(error: ConnectorError, status: ConnectionStatus) -> None:
    after = after_failure(connection(), error, START)
    assert after.status is status
    assert after.status_since_at == (BEFORE if status is CONNECTED else START)
    assert after.last_error is not None
    assert (after.last_error.code, after.last_error.at) == (error.code, START)
    assert after.consented_at == BEFORE


@pytest.mark.parametrize("error", [StorageUnavailable(), FixRequest("invalid_json"), OurBug(), Reauthorize()])
def test_a_failure_that_is_not_servicenows_says_nothing_about_it(error: ConnectorError) -> None:
    before = connection()
    assert after_failure(before, error, START) is before


@pytest.mark.parametrize("status", sorted(set(ConnectionStatus) - {CONNECTED, UNAVAILABLE}))
@pytest.mark.parametrize("error", [Reauthorize(), ServiceNowUnavailable(), AccessRefused()])
def test_without_a_consent_a_failure_changes_nothing(status: ConnectionStatus, error: ConnectorError) -> None:
    before = connection(status)
    assert after_failure(before, error, START) is before


def test_a_success_brings_an_unavailable_connection_back() -> None:
    down = after_failure(connection(), ServiceNowUnavailable(), START)
    up = after_success(down, START + timedelta(seconds=1))
    assert (up.status, up.last_error, up.last_success_at) == (CONNECTED, None, START + timedelta(seconds=1))


def test_what_deliveries_met_stays_until_one_succeeds_or_none_waits() -> None:
    """The synchronisation can read, although the integration user may not write."""
    delivery, second = Operation.DELIVERY, timedelta(seconds=1)
    refused = after_failure(after_success(connection(), START), AccessRefused(), START, delivery)
    synced = after_success(refused, START + second)
    assert synced is refused
    assert after_success(refused, START + timedelta(hours=1)).last_error == refused.last_error
    assert after_refresh(refused, START + second).last_error == refused.last_error
    assert after_success(synced, START + second, delivery).last_error is None
    assert after_settling(synced, delivery).last_error is None

    closed = after_failure(refused, InstanceClosed(), START, delivery)
    back = after_success(closed, START + second)
    assert (back.status, back.last_error) == (CONNECTED, closed.last_error)

    down = after_failure(connection(), ServiceNowUnavailable(), START)
    assert after_settling(down, delivery) is down


def test_a_success_does_not_bring_back_a_consent() -> None:
    before = after_refusal(connection(), Reauthorize(), START)
    after = after_success(before, START)
    assert after == replace(before, last_success_at=START)


def test_a_success_brings_back_a_connection_whose_access_token_alone_was_refused() -> None:
    """An older release took it for the end of the consent."""
    before = after_refusal(connection(), Reauthorize("access_token_refused"), START)
    after = after_success(before, START)
    assert (after.status, after.last_error) == (CONNECTED, None)


def test_a_new_token_does_not_show_that_the_api_accepts_it() -> None:
    refusing = after_failure(connection(), AccessTokenRefused("new_access_token_refused"), START)
    refreshed = after_refresh(refusing, START)
    assert (refreshed.status, refreshed.last_error) == (UNAVAILABLE, refusing.last_error)
    assert after_success(refreshed, START + timedelta(seconds=1)).status is CONNECTED
    down = after_failure(connection(), ServiceNowUnavailable(), START)
    assert (after_refresh(down, START).status, after_refresh(down, START).last_error) == (CONNECTED, None)


def test_a_refused_consent_is_asked_for_again_after_a_quarter_of_an_hour_and_then_hourly() -> None:
    refused = after_refusal(with_consent(), Reauthorize(), START)
    assert refused.status is REAUTHORIZATION_REQUIRED
    assert not may_refresh(refused, START + timedelta(minutes=15, seconds=-1))
    assert may_refresh(refused, START + timedelta(minutes=15))
    again = after_refusal(refused, Reauthorize("refresh_token_refused"), START + timedelta(minutes=15))
    assert again.last_error is not None
    assert (again.last_error.code, again.status_since_at) == ("refresh_token_refused", refused.status_since_at)
    assert not may_refresh(again, START + timedelta(minutes=75, seconds=-1))
    assert may_refresh(again, START + timedelta(minutes=75))


@pytest.mark.parametrize("code", ["secret_missing", "configuration_changed", "connection_removed"])
def test_what_only_a_person_can_restore_is_not_asked_for(code: Code) -> None:
    refused = after_refusal(with_consent(), Reauthorize(code), START)
    assert not may_refresh(refused, START + timedelta(days=1))


def test_a_consent_that_has_ended_is_not_asked_for() -> None:
    refused = after_refusal(with_consent(), Reauthorize(), START)
    assert not may_refresh(refused, END)
    assert not may_refresh(replace(refused, consent_ends_at=None), START + timedelta(days=1))
    early = after_refusal(with_consent(), Reauthorize("consent_ended"), START)
    assert may_refresh(early, START + timedelta(days=1)), "that clock was wrong"


@pytest.mark.parametrize("again_at", [None, START + timedelta(days=1)])
def test_a_row_without_a_time_to_ask_again_or_with_an_impossible_one_is_asked_at_once(
    again_at: datetime | None,
) -> None:
    refused = after_refusal(with_consent(), Reauthorize(), START)
    assert may_refresh(replace(refused, refresh_again_at=again_at), START)


@pytest.mark.parametrize("wrong_at", [START + timedelta(days=1), START + timedelta(minutes=2)])
def test_a_note_from_the_future_does_not_keep_others_from_noting(wrong_at: datetime) -> None:
    noted = after_success(connection(), wrong_at)
    assert after_success(noted, START).last_success_at == START
    failing = after_failure(connection(), AccessRefused(), wrong_at)
    after = after_failure(failing, AccessRefused(), START)
    assert after.last_error is not None
    assert after.last_error.at == START


def test_the_same_outcome_again_is_not_written_each_time() -> None:
    noted = after_success(connection(), START)
    assert after_success(noted, START + timedelta(seconds=59)) is noted
    assert after_success(noted, START + timedelta(seconds=60)) is not noted
    failing = after_failure(noted, AccessRefused(), START)
    assert after_failure(failing, AccessRefused(), START + timedelta(seconds=59)) is failing
    assert after_failure(failing, AccessRefused(), START + timedelta(seconds=60)) is not failing
    assert after_failure(failing, ValuesRefused(), START + timedelta(seconds=1)) is not failing
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
    assert await app.health.failed(old, ServiceNowUnavailable()) == new
    assert await app.health.succeeded(old) == new
    assert app.stored() == new


async def test_notes_survive_races(app: Surroundings) -> None:
    stale = await app.connected()
    await app.configured(display_name="Contoso Ltd")
    noted = await app.health.failed(stale, ServiceNowUnavailable())
    assert noted == app.stored()
    assert (noted.display_name, noted.status) == ("Contoso Ltd", UNAVAILABLE)


async def test_the_view_shows_everything_but_secrets(app: Surroundings) -> None:
    await app.connected()
    app.clock.advance(86_400 * 10 + 1)
    stored = app.stored()
    later = replace(stored.kinds[TicketKind.INCIDENT], not_fixed=open_value(OutcomePolicy, "next_policy"))
    view = connection_view(
        replace(
            stored,
            kinds={**stored.kinds, TicketKind.INCIDENT: later},
            outcome_notes=open_value(OutcomeNotes, "next_place"),
        ),
        SyncState(last_completed_at=app.clock.now - timedelta(seconds=90)),
        app.clock.now,
        ENGLISH,
        limit=(AllowedCaller("a-1", "Operations"),),
        authorize_url="https://tickets.contoso.com/authorize",
        redirect_uri=REDIRECT_URI,
    )
    assert view.limited_to == (AllowedCaller("a-1", "Operations"),)
    assert view.consent_days_left == 89
    assert view.lag_s == 90
    assert view.authorize_url == "https://tickets.contoso.com/authorize"
    shown = view.model_dump_json()
    assert '"not_fixed":"next_policy"' in shown, "what another release decided"
    assert '"outcome_notes":"next_place"' in shown
    assert not [secret for secret in app.secrets.readable if secret in shown]
    assert CLIENT_SECRET not in shown


def test_the_consent_clock_stops_at_zero() -> None:
    ends = replace(connection(), consent_ends_at=START)
    assert consent_days_left(ends, START - timedelta(days=2)) == 2
    assert consent_days_left(ends, START - timedelta(hours=47)) == 1
    assert consent_days_left(ends, START) == 0
    assert consent_days_left(ends, START + timedelta(days=5)) == 0
    assert consent_days_left(connection(), START) is None
