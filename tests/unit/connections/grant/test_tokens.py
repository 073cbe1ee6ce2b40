"""Access tokens: fresh, refreshed once, and never given up too early."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shared.connections.grant.tokens import is_refresh_due
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.status import after_refusal
from shared.errors import AccessRefused, Reauthorize, ServiceNowUnavailable, TryLater
from tests.english import told
from tests.memory.sign_in import ACCESS_LIFE_S, UNAVAILABLE, refused
from tests.unit.connections.surroundings import ADMINISTRATOR, CLIENT_SECRET, INTEGRATION_USER, Surroundings


@pytest.fixture
async def connected(app: Surroundings) -> Connection:
    return await app.connected()


async def test_a_fresh_token_is_fetched_from_key_vault_once(app: Surroundings, connected: Connection) -> None:
    other = app.new_app_instance()
    reads = 0

    async def counting(name: str) -> None:
        nonlocal reads
        reads += name == "get_secret"

    app.secrets.step = counting
    first = await other.access_token(connected)
    assert await other.access_token(connected) == first
    assert reads == 1
    assert app.servicenow.refreshes == 0


async def test_a_token_that_another_instance_refreshed_is_noticed(app: Surroundings, connected: Connection) -> None:
    other = app.new_app_instance()
    old = await other.access_token(connected)
    refreshed = await app.tokens.refresh(connected)
    new = await other.access_token(refreshed)
    assert new != old
    assert app.servicenow.accepts(new)


@pytest.mark.parametrize("left_s", [60, 1, 0, -3600])
async def test_a_token_about_to_end_is_refreshed_first(app: Surroundings, connected: Connection, left_s: int) -> None:
    app.clock.advance(ACCESS_LIFE_S - left_s)
    assert app.servicenow.accepts(await app.tokens.access_token(connected))
    assert app.servicenow.refreshes == 1
    stored = app.stored()
    assert stored.status is ConnectionStatus.CONNECTED
    assert stored.access_token_expires_at is not None
    assert (stored.access_token_expires_at - app.clock.now).total_seconds() == ACCESS_LIFE_S
    assert stored.consent_ends_at == connected.consent_ends_at, "a refresh does not extend the consent"


async def test_the_timer_refreshes_after_two_thirds_of_the_life(app: Surroundings, connected: Connection) -> None:
    app.clock.advance(ACCESS_LIFE_S * 2 / 3 - 1)
    assert not is_refresh_due(connected, app.clock.now)
    app.clock.advance(1)
    assert is_refresh_due(connected, app.clock.now)
    refreshed = await app.tokens.refresh(connected)
    assert not is_refresh_due(refreshed, app.clock.now)
    assert is_refresh_due(replace(refreshed, access_token_refresh_at=None), app.clock.now)


@pytest.mark.parametrize(
    "status", sorted(set(ConnectionStatus) - {ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE})
)
def test_nothing_is_refreshed_without_a_consent(app: Surroundings, status: ConnectionStatus) -> None:
    connection = Connection("contoso", "Contoso", "https://contoso.service-now.com", "client", "user", status=status)
    assert not is_refresh_due(connection, app.clock.now)


async def test_many_at_once_refresh_once(app: Surroundings, connected: Connection) -> None:
    app.clock.advance(ACCESS_LIFE_S)
    instances = [app.new_app_instance() for _ in range(5)]
    tokens = await asyncio.gather(*(instance.access_token(connected) for instance in instances for _ in range(5)))
    assert app.servicenow.refreshes == 1
    assert len({token.reveal() for token in tokens}) == 1
    assert not app.leases.leases


async def test_those_who_waited_hear_why_it_failed(app: Surroundings, connected: Connection) -> None:
    app.clock.advance(ACCESS_LIFE_S)
    app.servicenow.faults.append(UNAVAILABLE)
    instances = [app.new_app_instance() for _ in range(5)]
    outcomes = await asyncio.gather(*(each.access_token(connected) for each in instances), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ServiceNowUnavailable] * 5
    assert app.servicenow.refreshes == 1


async def test_waiting_has_an_end(app: Surroundings, connected: Connection) -> None:
    app.clock.advance(ACCESS_LIFE_S)
    await app.leases.acquire_lease("contoso", "tokens", duration_s=60)
    before = app.clock.now
    with pytest.raises(TryLater) as caught:
        await app.tokens.access_token(connected)
    assert caught.value.code == "connection_busy"
    assert (app.clock.now - before).total_seconds() <= 31


async def test_a_holder_that_died_is_succeeded(app: Surroundings, connected: Connection) -> None:
    app.clock.advance(ACCESS_LIFE_S)
    await app.leases.acquire_lease("contoso", "tokens", duration_s=20)
    assert app.servicenow.accepts(await app.tokens.access_token(connected))


async def test_a_refused_token_is_renewed_once(app: Surroundings, connected: Connection) -> None:
    access = await app.tokens.access_token(connected)
    await app.servicenow.revoke(connected, access)
    first = await app.tokens.renewed_token(connected, access)
    assert app.servicenow.accepts(first)
    late = await app.new_app_instance().renewed_token(connected, access)
    assert late == first
    assert app.servicenow.refreshes == 1


async def test_who_knows_the_connection_as_it_was_gets_the_new_token(app: Surroundings, connected: Connection) -> None:
    """A caller that began before the renewal still has the old connection, and must not get the refused token."""
    refused = await app.tokens.access_token(connected)
    await app.servicenow.revoke(connected, refused)
    renewed = await app.tokens.renewed_token(connected, refused)
    reads: list[str] = []

    async def note(name: str) -> None:
        reads.append(name)

    app.secrets.step = note
    assert [await app.tokens.access_token(connected) for _ in range(3)] == [renewed] * 3
    assert "get_secret" not in reads
    assert app.servicenow.refreshes == 1


async def test_one_refusal_may_be_an_accident(app: Surroundings, connected: Connection) -> None:
    app.servicenow.faults.append(refused())
    refreshed = await app.tokens.refresh(connected)
    assert refreshed.status is ConnectionStatus.CONNECTED
    assert app.servicenow.refreshes == 2


async def test_two_refusals_ask_for_a_new_authorization(app: Surroundings, connected: Connection) -> None:
    access = await app.tokens.access_token(connected)
    app.servicenow.refresh_tokens.clear()
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.refresh(connected)
    assert app.servicenow.refreshes == 2
    stored = app.stored()
    assert stored.status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert stored.last_error is not None
    assert stored.last_error.failure == caught.value.failure
    assert caught.value.code == "refresh_token_refused"
    assert not is_refresh_due(stored, app.clock.now)

    # The access token works until it expires, without a request to the token endpoint.
    assert await app.tokens.access_token(stored) == access
    app.clock.advance(ACCESS_LIFE_S - 30)
    assert await app.new_app_instance().access_token(stored) == access

    assert (await app.authorized()).status is ConnectionStatus.CONNECTED
    assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))


async def test_a_refused_consent_is_asked_for_again_by_one_of_many(app: Surroundings, connected: Connection) -> None:
    app.servicenow.faults += [refused(), refused()]
    with pytest.raises(Reauthorize):
        await app.tokens.refresh(connected)
    app.clock.advance(14 * 60)
    assert not is_refresh_due(app.stored(), app.clock.now)
    with pytest.raises(Reauthorize):
        await app.tokens.refresh(app.stored())
    assert app.servicenow.refreshes == 2, "there is no request in between"
    app.clock.advance(60)
    assert is_refresh_due(app.stored(), app.clock.now)
    app.servicenow.faults += [refused(), refused()]
    instances = [app.new_app_instance() for _ in range(4)]
    outcomes = await asyncio.gather(*(each.refresh(app.stored()) for each in instances), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Reauthorize}
    assert app.servicenow.refreshes == 4
    app.clock.advance(3600)
    assert (await app.tokens.refresh(app.stored())).status is ConnectionStatus.CONNECTED
    stored = app.stored()
    assert (stored.last_error, stored.refresh_again_at) == (None, None)
    assert stored.consent_ends_at == connected.consent_ends_at


async def test_asking_again_without_success_does_not_mean_asking_each_minute(
    app: Surroundings, connected: Connection
) -> None:
    app.servicenow.faults += [refused(), refused()]
    with pytest.raises(Reauthorize):
        await app.tokens.refresh(connected)
    app.clock.advance(15 * 60)
    app.servicenow.faults.append(UNAVAILABLE)
    with pytest.raises(ServiceNowUnavailable):
        await app.tokens.refresh(app.stored())
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert not is_refresh_due(app.stored(), app.clock.now)
    app.clock.advance(15 * 60)
    assert is_refresh_due(app.stored(), app.clock.now)


async def test_who_heard_of_a_refusal_late_does_not_bring_it_back(app: Surroundings, connected: Connection) -> None:
    app.servicenow.faults += [refused(), refused()]
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.refresh(connected)
    app.clock.advance(15 * 60)
    recovered = await app.tokens.refresh(app.stored())
    assert await app.health.failed(connected, caught.value) == connected
    assert app.stored() == recovered


async def test_asking_again_and_authorizing_are_not_in_each_others_way(
    app: Surroundings, connected: Connection
) -> None:
    app.servicenow.refresh_tokens.clear()
    with pytest.raises(Reauthorize):
        await app.tokens.refresh(connected)
    app.clock.advance(15 * 60)
    outcomes = await asyncio.gather(app.tokens.refresh(app.stored()), app.authorized(), return_exceptions=True)
    assert isinstance(outcomes[1], Connection)
    assert app.stored().status is ConnectionStatus.CONNECTED
    assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))


async def test_a_refused_token_is_not_used_on_while_reauthorization_is_needed(
    app: Surroundings, connected: Connection
) -> None:
    access = await app.tokens.access_token(connected)
    app.servicenow.refresh_tokens.clear()
    with pytest.raises(Reauthorize):
        await app.tokens.renewed_token(connected, access)
    with pytest.raises(Reauthorize):
        await app.tokens.renewed_token(app.stored(), access)
    assert app.servicenow.refreshes == 2


async def test_the_end_of_the_consent_is_named(app: Surroundings, connected: Connection) -> None:
    app.clock.advance(8_640_000)
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.access_token(connected)
    assert caught.value.code == "consent_ended"
    assert "2026-06-10" in told(caught.value)


async def test_an_instance_that_does_not_answer_loses_no_consent(app: Surroundings, connected: Connection) -> None:
    access = await app.tokens.access_token(connected)
    app.servicenow.faults.append(UNAVAILABLE)
    app.clock.advance(ACCESS_LIFE_S * 2 / 3)
    with pytest.raises(ServiceNowUnavailable):
        await app.tokens.refresh(connected)
    stored = app.stored()
    assert stored.status is ConnectionStatus.UNAVAILABLE
    assert stored.consent_ends_at == connected.consent_ends_at
    assert await app.tokens.access_token(stored) == access
    assert is_refresh_due(stored, app.clock.now)
    recovered = await app.tokens.refresh(stored)
    assert recovered.status is ConnectionStatus.CONNECTED
    assert recovered.last_error is None


async def test_a_token_endpoint_that_is_closed_to_us_is_one_that_does_not_answer(
    app: Surroundings, connected: Connection
) -> None:
    app.servicenow.faults.append(AccessRefused("ip_address_blocked"))
    with pytest.raises(TryLater) as caught:
        await app.tokens.refresh(connected)
    assert caught.value.code == "ip_address_blocked"
    assert app.stored().status is ConnectionStatus.UNAVAILABLE


async def test_a_rotated_refresh_token_is_kept_and_used(app: Surroundings, connected: Connection) -> None:
    app.servicenow.rotates = True
    for _ in range(3):
        connected = await app.tokens.refresh(connected)
    versions = app.secrets.versions["servicenow-contoso-refresh-token"]
    assert len(versions) == 4
    assert versions[-1].value.reveal() in app.servicenow.refresh_tokens
    assert versions[-1].expires_at == connected.consent_ends_at


async def test_the_same_refresh_token_is_not_written_again(app: Surroundings, connected: Connection) -> None:
    connected = await app.tokens.refresh(connected)
    app.servicenow.omits = True
    await app.tokens.refresh(connected)
    assert len(app.secrets.versions["servicenow-contoso-refresh-token"]) == 1


@pytest.mark.parametrize("secret", ["client-secret", "refresh-token"])
async def test_a_secret_that_somebody_took_away_is_named(app: Surroundings, connected: Connection, secret: str) -> None:
    await app.secrets.remove_secret(f"servicenow-contoso-{secret}")
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.refresh(connected)
    assert caught.value.code == "secret_missing"
    assert secret.replace("-", " ") in told(caught.value)
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED


async def test_an_access_token_that_somebody_took_away_is_replaced(app: Surroundings, connected: Connection) -> None:
    await app.secrets.remove_secret("servicenow-contoso-access-token")
    assert app.servicenow.accepts(await app.new_app_instance().access_token(connected))


async def test_nobody_gets_a_token_for_an_instance_that_is_no_longer_the_connections(
    app: Surroundings, connected: Connection
) -> None:
    await app.configured(instance="fabrikam", client_secret="another")
    with pytest.raises(TryLater) as caught:
        await app.new_app_instance().access_token(connected)
    assert caught.value.code == "connection_changed"


async def test_tokens_fetched_under_a_lost_lease_do_not_reach_a_changed_connection(
    app: Surroundings, connected: Connection
) -> None:
    """A refresh outlasts its lease; when it returns, the connection is for another instance."""

    async def hanging(name: str) -> None:
        if name == "refresh answers":
            app.clock.advance(3600)
            app.servicenow.step = app.step
            await app.configured(instance="fabrikam", client_secret="another")

    app.servicenow.step = hanging
    with pytest.raises(TryLater) as caught:
        await app.tokens.refresh(connected)
    assert caught.value.code == "lease_lost"
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert app.stored().access_token_version is None
    assert app.secrets.readable == {CLIENT_SECRET, "another"}


async def test_a_user_who_was_locked_out_comes_back_by_authorizing_again(
    app: Surroundings, connected: Connection
) -> None:
    app.servicenow.add(INTEGRATION_USER, locked_out=True)
    with pytest.raises(Reauthorize):
        await app.tokens.refresh(connected)
    app.servicenow.add(INTEGRATION_USER, locked_out=False)
    assert (await app.authorized()).status is ConnectionStatus.CONNECTED


@pytest.fixture
async def by_credentials(app: Surroundings) -> Connection:
    app.servicenow.application_users["client"] = INTEGRATION_USER
    return await app.connected_by_credentials()


async def test_with_client_credentials_a_refresh_asks_again(app: Surroundings, by_credentials: Connection) -> None:
    app.clock.advance(ACCESS_LIFE_S)
    assert app.servicenow.accepts(await app.tokens.access_token(by_credentials))
    stored = app.stored()
    assert stored.status is ConnectionStatus.CONNECTED
    assert (stored.consented_at, stored.consent_ends_at) == (by_credentials.consented_at, None)
    assert not app.servicenow.refresh_tokens
    assert app.secrets.current == {CLIENT_SECRET, (await app.tokens.access_token(stored)).reveal()}


async def test_a_refresh_token_beside_client_credentials_is_ignored(
    app: Surroundings, by_credentials: Connection
) -> None:
    app.servicenow.credentials_with_refresh_token = True
    refreshed = await app.tokens.refresh(by_credentials)
    assert not any("refresh token" in text for text in app.secrets.readable)
    assert refreshed.refresh_token_outdated_until_at is None


async def test_whose_token_it_is_is_asked_at_each_refresh(app: Surroundings, by_credentials: Connection) -> None:
    """ServiceNow's administrator can change the user of the OAuth client at any time."""
    app.servicenow.add("abel.tuter", roles=frozenset({"admin"}))
    app.servicenow.application_users["client"] = "abel.tuter"
    present = await app.tokens.access_token(by_credentials)
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.refresh(by_credentials)
    assert caught.value.code == "authorization_wrong_user"
    assert "OAuth Application User" in told(caught.value)
    assert app.servicenow.living == [present.reveal()], "theirs is revoked"
    assert app.secrets.current == {CLIENT_SECRET, present.reveal()}
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert await app.tokens.access_token(app.stored()) == present, "ours is still good"
    app.servicenow.application_users["client"] = INTEGRATION_USER
    app.clock.advance(900)
    assert (await app.tokens.refresh(app.stored())).status is ConnectionStatus.CONNECTED


async def test_a_user_that_was_renamed_is_the_same_user(app: Surroundings, by_credentials: Connection) -> None:
    person = app.servicenow.people[INTEGRATION_USER]
    app.servicenow.people[INTEGRATION_USER] = replace(person, user=replace(person.user, user_name="m365.renamed"))
    assert (await app.tokens.refresh(by_credentials)).status is ConnectionStatus.CONNECTED


async def test_a_token_whose_user_cannot_be_found_out_is_not_used(
    app: Surroundings, by_credentials: Connection
) -> None:
    app.clock.advance(ACCESS_LIFE_S)
    app.servicenow.user_faults.append(AccessRefused("current_user_unknown"))
    with pytest.raises(ServiceNowUnavailable) as caught:
        await app.tokens.access_token(by_credentials)
    assert caught.value.code == "current_user_unknown"
    assert app.stored().status is ConnectionStatus.UNAVAILABLE
    assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))
    assert app.stored().status is ConnectionStatus.CONNECTED


async def test_refused_client_credentials_are_asked_for_again_without_an_end(
    app: Surroundings, by_credentials: Connection
) -> None:
    app.servicenow.credentials_enabled = False
    app.clock.advance(ACCESS_LIFE_S)
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.access_token(by_credentials)
    assert (caught.value.code, app.servicenow.refreshes) == ("client_credentials_refused", 1 + 2)
    for minutes in (15, 60, 60, 400 * 24 * 60):
        app.clock.advance(minutes * 60 - 1)
        assert minutes > 60 or not is_refresh_due(app.stored(), app.clock.now)
        app.clock.advance(1)
        assert is_refresh_due(app.stored(), app.clock.now)
        with pytest.raises(Reauthorize):
            await app.tokens.refresh(app.stored())
    app.servicenow.credentials_enabled = True
    app.clock.advance(3600)
    assert (await app.tokens.refresh(app.stored())).status is ConnectionStatus.CONNECTED


async def test_without_its_secret_nothing_is_asked_until_it_is_back(
    app: Surroundings, by_credentials: Connection
) -> None:
    await app.secrets.remove_secret("servicenow-contoso-client-secret")
    asked = app.servicenow.refreshes
    with pytest.raises(Reauthorize) as caught:
        await app.tokens.refresh(by_credentials)
    assert (caught.value.code, app.servicenow.refreshes) == ("secret_missing", asked)
    await app.configured(client_secret=CLIENT_SECRET)
    assert (await app.client_credentials.connect("contoso", started_by=ADMINISTRATOR)).last_error is None


async def test_a_host_of_release_0_1_that_misses_a_refresh_token_stops_nothing_for_long(
    app: Surroundings, by_credentials: Connection
) -> None:
    """After a rollback such a host says that a secret is missing; it knows no other grant."""
    refused = Reauthorize("secret_missing", variant="refresh_token")
    await app.health.changed(by_credentials, lambda row: after_refusal(row, refused, app.clock.now))
    app.clock.advance(900)
    assert is_refresh_due(app.stored(), app.clock.now)
    assert (await app.tokens.refresh(app.stored())).status is ConnectionStatus.CONNECTED


async def test_a_token_that_servicenow_issues_again_to_its_end_is_not_asked_for_all_the_time(
    app: Surroundings, by_credentials: Connection
) -> None:
    """ServiceNow §1.5: while a token lives, the same one is issued; whether it then lasts longer is not certain."""
    app.servicenow.extends = False
    began_at, asked = app.clock.now, app.servicenow.refreshes
    while (app.clock.now - began_at).total_seconds() < 2 * ACCESS_LIFE_S:
        assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))
        app.clock.advance(1)
    assert app.servicenow.refreshes - asked < 30


async def test_two_connections_share_a_token_and_one_is_removed(app: Surroundings, by_credentials: Connection) -> None:
    second = await app.connected_by_credentials("second")
    token = await app.tokens.access_token(second)
    assert token == await app.tokens.access_token(by_credentials)
    await app.removal.remove("contoso")
    assert app.servicenow.accepts(await app.new_app_instance().access_token(second))
    await app.removal.remove("second")
    assert not app.servicenow.living


async def test_what_an_old_grant_was_told_says_nothing_about_the_new_one(
    app: Surroundings, by_credentials: Connection
) -> None:
    """A refresh that began before the switch ends after it."""

    async def switch(name: str) -> None:
        if name == "refresh answers":
            app.servicenow.step = app.step
            app.clock.advance(60)
            await app.configured(grant="authorization_code", client_secret=...)

    app.servicenow.step = switch
    with pytest.raises(TryLater):
        await app.tokens.refresh(by_credentials)
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert app.secrets.current == {CLIENT_SECRET}
    assert (await app.authorized()).status is ConnectionStatus.CONNECTED
