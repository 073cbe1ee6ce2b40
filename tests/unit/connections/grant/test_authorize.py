"""Authorization: who may complete it, whose consent is valid, and what is kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.connections.grant.authorize import state_hash
from shared.connections.grant.lease import TOKENS
from shared.connections.grant.pkce import code_challenge
from shared.connections.model import ConnectionStatus, TicketKind
from shared.connections.ports import ServiceNowUser
from shared.errors import (
    AccessTokenRefused,
    ConnectorError,
    FixConfiguration,
    FixRequest,
    ServiceNowUnavailable,
    StorageUnavailable,
)
from shared.words.error_words import words_of
from shared.words.language import languages
from tests.english import told
from tests.memory.sign_in import NOT_TOLD, UNAVAILABLE, MemoryServiceNowSignIn
from tests.unit.connections.surroundings import (
    ADMINISTRATOR,
    CLIENT_SECRET,
    INTEGRATION_USER,
    REDIRECT_URI,
    Surroundings,
)


async def refusal(app: Surroundings, parameters: dict[str, str], cookies: dict[str, str]) -> ConnectorError:
    """Complete an authorization that must fail without any effect."""
    before, secrets = dict(app.store.connections), app.secrets.readable
    with pytest.raises(ConnectorError) as caught:
        await app.authorization.complete(parameters, cookies)
    assert app.store.connections == before
    assert app.secrets.readable == secrets
    assert CLIENT_SECRET not in str(caught.value)
    return caught.value


async def test_beginning_sends_the_browser_to_servicenow(app: Surroundings) -> None:
    await app.configured()
    start = await app.authorization.begin("contoso", started_by=ADMINISTRATOR, log_out_first=True)
    query = parse_qs(urlsplit(start.location).query)
    (state,), (challenge,) = query["state"], query["code_challenge"]
    assert re.fullmatch(r"[0-9a-f]{64}", state)
    assert query["redirect_uri"] == [REDIRECT_URI]
    assert query["logoutfirst"] == ["true"]
    verifier = start.cookie.value.reveal()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,128}", verifier)
    assert code_challenge(verifier) == challenge
    assert start.cookie.name == f"__Host-authorization-{state_hash(state)[:16]}"
    assert start.cookie.secure
    assert start.cookie.max_age_s == 600
    assert verifier not in repr(start)
    (pending,) = app.authorizations.pending.values()
    assert state not in repr(pending)
    assert verifier not in repr(pending)
    assert pending.started_by == ADMINISTRATOR


def test_the_challenge_is_that_of_the_standard() -> None:
    # RFC 7636, appendix B
    assert (
        code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


async def test_over_http_the_cookie_has_no_prefix() -> None:
    app = Surroundings(redirect_uri="http://localhost:7071/api/oauth/callback")
    await app.configured()
    start, _ = await app.begun()
    assert start.cookie.name.startswith("authorization-")
    assert not start.cookie.secure


async def test_a_consent_of_the_integration_user_connects(app: Surroundings) -> None:
    await app.configured()
    app.clock.advance(60)
    connected = await app.authorized(user_name=INTEGRATION_USER)
    assert connected == app.stored()
    assert connected.status is ConnectionStatus.CONNECTED
    assert connected.status_since_at == app.clock.now
    assert connected.consented_at == app.clock.now
    assert connected.consent_ends_at is not None
    assert (connected.consent_ends_at - app.clock.now).days == 100
    assert connected.integration_user_sys_id == f"sys_id of {INTEGRATION_USER}"
    assert connected.last_success_at == app.clock.now
    access = await app.tokens.access_token(connected)
    assert app.servicenow.accepts(access)
    assert app.servicenow.revocations == []
    assert not app.authorizations.pending
    versions = app.secrets.versions["servicenow-contoso-refresh-token"]
    assert [version.expires_at for version in versions] == [connected.consent_ends_at]


async def test_case_does_not_distinguish_users(app: Surroundings) -> None:
    await app.configured(integration_user=INTEGRATION_USER.upper())
    assert (await app.authorized()).status is ConnectionStatus.CONNECTED


async def test_two_tabs_do_not_disturb_each_other(app: Surroundings) -> None:
    await app.configured()
    first, first_cookies = await app.begun()
    second, second_cookies = await app.begun()
    cookies = first_cookies | second_cookies
    assert len(cookies) == 2
    await app.authorization.complete(app.servicenow.consent(first.location, INTEGRATION_USER), cookies)
    await app.authorization.complete(app.servicenow.consent(second.location, INTEGRATION_USER), cookies)
    assert app.stored().status is ConnectionStatus.CONNECTED


@pytest.mark.parametrize("state", [None, "", "x", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n"])
async def test_a_malformed_state_is_refused(app: Surroundings, state: str | None) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    del parameters["state"]
    if state is not None:
        parameters["state"] = state
    error = await refusal(app, parameters, cookies)
    assert (error.code, error.status) == ("authorization_state_invalid", 400)
    assert app.authorizations.pending


async def test_another_browser_cannot_end_it_and_does_not_use_it_up(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    assert (await refusal(app, parameters, {})).code == "authorization_browser_unknown"
    await app.authorization.complete(parameters, cookies)


async def test_a_made_up_cookie_does_not_help(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    error = await refusal(app, parameters, dict.fromkeys(cookies, "x" * 86))
    assert error.code == "authorization_browser_unknown"
    assert app.servicenow.codes, "the code has not been sent anywhere"


async def test_a_state_works_once(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    await app.authorization.complete(app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    again = app.servicenow.consent(start.location, INTEGRATION_USER)
    assert (await refusal(app, again, cookies)).code == "authorization_unknown"


async def test_two_callbacks_with_one_state_connect_once(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    outcomes = await asyncio.gather(
        *(app.authorization.complete(parameters, cookies) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Connection", "FixRequest"]
    assert app.stored().status is ConnectionStatus.CONNECTED


async def test_a_lease_that_somebody_else_holds_uses_nothing_up(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    await app.leases.acquire_lease("contoso", TOKENS, duration_s=30)
    began_at = app.clock.now
    error = await refusal(app, parameters, cookies)
    assert (error.code, error.status) == ("authorization_waiting", 503)
    assert "Reload" in told(error)
    assert (app.clock.now - began_at).total_seconds() <= 20
    app.clock.advance(10)
    assert (await app.authorization.complete(parameters, cookies)).status is ConnectionStatus.CONNECTED


async def test_a_vault_that_does_not_answer_uses_nothing_up(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    app.secrets.faults.append(StorageUnavailable())
    assert (await refusal(app, parameters, cookies)).code == "authorization_waiting"
    assert (await app.authorization.complete(parameters, cookies)).status is ConnectionStatus.CONNECTED


async def test_after_ten_minutes_it_is_too_late(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    app.clock.advance(600)
    error = await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert error.code == "authorization_expired"
    assert error.values == {"connection_id": "contoso"}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"error": "access_denied", "error_description": "no"}, "authorization_denied"),
        ({"error": "server_error"}, "authorization_failed"),
        ({"error": ""}, "authorization_failed"),
        ({"error": "<script>alert(1)</script>"}, "authorization_failed"),
        ({"code": ""}, "authorization_code_missing"),
        ({}, "authorization_code_missing"),
    ],
)
async def test_without_a_consent_nothing_happens(app: Surroundings, parameters: dict[str, str], code: str) -> None:
    await app.configured()
    start, cookies = await app.begun()
    state = app.servicenow.consent(start.location, INTEGRATION_USER)["state"]
    error = await refusal(app, {"state": state, **parameters}, cookies)
    assert error.code == code
    assert "<" not in told(error)


async def test_a_code_that_is_too_old_is_refused_with_what_to_check(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    app.clock.advance(61)
    error = await refusal(app, parameters, cookies)
    assert isinstance(error, FixConfiguration)
    assert error.code == "authorization_code_refused"
    assert REDIRECT_URI in told(error)


def _user(**changes: Any) -> Callable[[MemoryServiceNowSignIn], object]:
    return lambda servicenow: servicenow.add(INTEGRATION_USER, **changes)


REFUSED_CONSENTS = [
    (_user(active=False), "authorization_user_inactive"),
    (_user(locked_out=True), "authorization_user_locked"),
    (_user(roles=frozenset()), "authorization_create_refused"),
    (_user(roles=frozenset({"sn_incident_write"})), "authorization_create_refused"),
    (_user(reads=frozenset({TicketKind.INCIDENT})), "authorization_read_refused"),
    (lambda servicenow: servicenow.user_faults.append(NOT_TOLD), "current_user_unknown"),
    (lambda servicenow: servicenow.user_faults.append(UNAVAILABLE), "servicenow_unavailable"),
]


@pytest.mark.parametrize(("prepare", "code"), REFUSED_CONSENTS, ids=[code for _, code in REFUSED_CONSENTS])
async def test_a_consent_that_is_no_use_leaves_nothing_behind(
    app: Surroundings, prepare: Callable[[MemoryServiceNowSignIn], object], code: str
) -> None:
    await app.configured()
    start, cookies = await app.begun()
    prepare(app.servicenow)
    error = await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert error.code == code
    assert app.stored().status is ConnectionStatus.AWAITING_AUTHORIZATION
    assert not app.servicenow.access_tokens
    assert not app.servicenow.refresh_tokens


async def test_somebody_else_is_refused_and_told_how_to_sign_out(app: Surroundings) -> None:
    await app.configured()
    app.servicenow.add("abel.tuter", roles=frozenset({"admin"}))
    start, cookies = await app.begun()
    error = await refusal(app, app.servicenow.consent(start.location, "abel.tuter"), cookies)
    assert (error.code, error.status) == ("authorization_wrong_user", 403)
    assert "abel.tuter" in told(error)
    assert "Not you?" in told(error)
    assert error.values == {
        "connection_id": "contoso",
        "log_out_first": True,
        "signed_in_user": "abel.tuter",
        "integration_user": INTEGRATION_USER,
    }
    assert not app.servicenow.access_tokens


@pytest.mark.parametrize(
    ("roles", "kinds"),
    [
        (None, {}),
        (frozenset({"admin"}), {}),
        (frozenset({"sn_incident_write", "sn_change_write"}), {}),
        (frozenset({"sn_incident_write"}), {"change": {"enabled": False}}),
    ],
)
async def test_rights_are_asked_for_enabled_kinds_and_where_they_can_be_seen(
    app: Surroundings, roles: frozenset[str] | None, kinds: dict[str, Any]
) -> None:
    await app.configured(kinds=kinds)
    app.servicenow.add(INTEGRATION_USER, roles=roles)
    assert (await app.authorized()).status is ConnectionStatus.CONNECTED


async def test_a_user_of_whom_little_can_be_seen_is_accepted(app: Surroundings) -> None:
    await app.configured()
    person = app.servicenow.add(INTEGRATION_USER, roles=None)
    app.servicenow.people[INTEGRATION_USER] = replace(person, user=ServiceNowUser("1", INTEGRATION_USER))
    assert (await app.authorized()).integration_user_sys_id == "1"


async def test_a_second_authorization_replaces_the_tokens_of_a_live_connection(app: Surroundings) -> None:
    first = await app.connected()
    app.clock.advance(86_400)
    app.servicenow.refresh_tokens = {
        text: token for text, token in app.servicenow.refresh_tokens.items() if "nothing" in text
    }
    second = await app.authorized()
    assert second.consent_ends_at is not None
    assert first.consent_ends_at is not None
    assert (second.consent_ends_at - first.consent_ends_at).total_seconds() == 86_400
    assert second.status_since_at == first.status_since_at
    assert app.servicenow.accepts(await app.tokens.access_token(second))
    assert app.servicenow.revocations == ["refresh token 3"], "the old one is revoked"


async def test_a_second_authorization_that_fails_takes_nothing_from_a_live_connection(app: Surroundings) -> None:
    live = await app.connected()
    start, cookies = await app.begun()
    app.servicenow.add(INTEGRATION_USER, roles=frozenset())
    error = await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert error.code == "authorization_create_refused"
    assert app.servicenow.revocations == [], "ServiceNow returned the tokens that the connection uses"
    assert app.servicenow.accepts(await app.tokens.access_token(live))


async def test_a_second_connection_for_the_same_user_keeps_its_tokens_when_the_first_fails(app: Surroundings) -> None:
    live = await app.connected("second")
    await app.configured()
    start, cookies = await app.begun()
    app.servicenow.add(INTEGRATION_USER, roles=frozenset())
    await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert app.servicenow.accepts(await app.tokens.access_token(live))


async def test_without_a_refresh_token_there_is_no_connection(app: Surroundings) -> None:
    await app.configured()
    app.servicenow.omits_at_consent = True
    start, cookies = await app.begun()
    error = await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert error.code == "authorization_incomplete"
    assert not app.servicenow.access_tokens


async def test_a_new_token_that_the_api_does_not_accept_names_the_access_policies(app: Surroundings) -> None:
    await app.configured()
    app.servicenow.user_faults.append(AccessTokenRefused())
    start, cookies = await app.begun()
    error = await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert (error.code, error.status) == ("authorization_token_refused", 502)
    assert "REST API Access Policies" in words_of(error, languages()["en"]).next_step
    assert not app.servicenow.access_tokens, "nothing says that the token works elsewhere, so it is revoked"


async def test_a_live_connection_keeps_its_refresh_token_when_no_new_one_comes(app: Surroundings) -> None:
    await app.connected()
    app.servicenow.omits_at_consent = True
    await app.authorized()
    app.clock.advance(1800)
    app.servicenow.omits_at_consent = False
    assert app.servicenow.accepts(await app.tokens.access_token(app.stored()))


@pytest.mark.parametrize("changes", [{"instance": "fabrikam"}, {"client_id": "x"}, {"integration_user": "x"}])
async def test_a_connection_changed_meanwhile_takes_no_tokens(app: Surroundings, changes: dict[str, str]) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    users = app.servicenow

    async def change_then_answer(name: str) -> None:
        if name == "exchange_code answers":
            app.clock.advance(600)  # the lease is lost
            await app.configured(client_secret="another", **changes)

    users.step = change_then_answer
    with pytest.raises(FixRequest) as caught:
        await app.authorization.complete(parameters, cookies)
    assert caught.value.code == "authorization_superseded"
    assert app.stored().status is ConnectionStatus.AWAITING_AUTHORIZATION
    assert app.secrets.current == {"another"}
    assert len(app.servicenow.revocations) == 2


@pytest.mark.parametrize(
    "changes", [{"instance": "fabrikam"}, {"client_id": "another"}, {"integration_user": "somebody.else"}]
)
async def test_a_code_goes_to_nobody_but_the_instance_and_client_it_was_asked_for(
    app: Surroundings, changes: dict[str, str]
) -> None:
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    await app.configured(client_secret="another", **changes)
    asked: list[str] = []

    async def ask(name: str) -> None:
        asked.append(name)

    app.servicenow.step = ask
    error = await refusal(app, parameters, cookies)
    assert (error.code, error.status) == ("authorization_superseded", 409)
    assert asked == []
    app.servicenow.step = app.step
    await app.configured()
    assert (await app.authorization.complete(parameters, cookies)).status is ConnectionStatus.CONNECTED


async def test_an_authorization_that_does_not_say_what_it_is_for_is_begun_again(app: Surroundings) -> None:
    """The previous release did not keep it."""
    await app.configured()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)
    for state, pending in app.authorizations.pending.items():
        app.authorizations.pending[state] = replace(pending, target=None)
    assert (await refusal(app, parameters, cookies)).code == "authorization_superseded"
    assert app.servicenow.codes, "the code has not been sent anywhere"


async def test_an_unconfigured_or_removed_connection_cannot_be_authorized(app: Surroundings) -> None:
    with pytest.raises(FixRequest) as caught:
        await app.begun("nobody")
    assert caught.value.code == "connection_not_found"
    await app.configured(client_secret=...)
    with pytest.raises(FixRequest) as caught:
        await app.begun()
    assert (caught.value.code, caught.value.status) == ("connection_not_configured", 409)
    await app.configured()
    start, cookies = await app.begun()
    await app.removal.remove("contoso")
    error = await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert error.code == "connection_not_configured"


async def test_when_servicenow_does_not_answer_nothing_is_kept(app: Surroundings) -> None:
    await app.configured()
    start, cookies = await app.begun()
    app.servicenow.faults.append(UNAVAILABLE)
    error = await refusal(app, app.servicenow.consent(start.location, INTEGRATION_USER), cookies)
    assert isinstance(error, ServiceNowUnavailable)


async def test_when_key_vault_fails_at_the_end_a_live_connection_lives_on(app: Surroundings) -> None:
    live = await app.connected()
    start, cookies = await app.begun()
    parameters = app.servicenow.consent(start.location, INTEGRATION_USER)

    async def failing(name: str) -> None:
        if name == "set_secret":
            raise StorageUnavailable()

    app.secrets.step = failing
    with pytest.raises(StorageUnavailable):
        await app.authorization.complete(parameters, cookies)
    app.secrets.step = app.step
    assert app.stored() == live
    assert app.servicenow.accepts(await app.tokens.access_token(live))
    assert not app.leases.leases
