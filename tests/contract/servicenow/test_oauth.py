"""The whole OAuth flow, and all its possible answers (ServiceNow §1)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.servicenow.stage.browser import Browser, Decision, sign_in_and_consent
from sandbox.servicenow.stage.control.client import ControlClient
from shared.connections.ports import ServiceNowUser, TokenSet
from shared.errors import AccessRefused, AccessTokenRefused, Reauthorize, ServiceNowUnavailable
from shared.secret import Secret
from tests.contract.servicenow.conftest import PASSWORD, REDIRECT, USER, Registered
from tests.fixtures.servicenow import WholeClient

VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def authorization_url(client: WholeClient, registered: Registered, *, log_out_first: bool = False) -> str:
    return client.oauth.authorization_url(
        registered.connection,
        redirect_uri=REDIRECT,
        state="5" * 32,
        code_challenge=CHALLENGE,
        log_out_first=log_out_first,
    )


def consent(
    client: WholeClient,
    registered: Registered,
    *,
    decision: Decision = "allow",
    browser: Browser | None = None,
    log_out_first: bool = False,
) -> dict[str, str]:
    """Authorize as the integration user; return the parameters of the callback."""
    url = authorization_url(client, registered, log_out_first=log_out_first)
    callback = sign_in_and_consent(url, USER, PASSWORD, decision, browser=browser)
    assert callback.startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}


async def exchange(
    client: WholeClient, registered: Registered, code: str, *, verifier: str = VERIFIER, redirect: str = REDIRECT
) -> TokenSet:
    return await client.oauth.exchange_code(
        registered.connection,
        registered.client_secret,
        redirect_uri=redirect,
        code=Secret(code),
        code_verifier=Secret(verifier),
    )


async def authorize(client: WholeClient, registered: Registered) -> TokenSet:
    return await exchange(client, registered, consent(client, registered)["code"])


async def owner_of(client: WholeClient, registered: Registered, tokens: TokenSet) -> ServiceNowUser:
    return await client.users.with_token(tokens.access_token).current_user(registered.connection)


def refresh_token(tokens: TokenSet) -> Secret:
    assert tokens.refresh_token is not None
    return tokens.refresh_token


@pytest.mark.parametrize("body", ["generic", "rfc_6749"])
async def test_client_credentials_give_tokens_of_the_clients_user(
    client: WholeClient, registered: Registered, control: ControlClient, body: str
) -> None:
    connection, secret = registered.connection, registered.client_secret
    control.set_properties({"simulator.oauth.client_credentials_refusal": body})
    with pytest.raises(Reauthorize) as caught:
        await client.oauth.client_credentials(connection, secret)
    assert caught.value.code == "client_credentials_refused"
    control.set_properties({"glide.oauth.inbound.client.credential.grant_type.enabled": True})
    control.change_oauth_client(connection.client_id, user=registered.user_sys_id)
    tokens = await client.oauth.client_credentials(connection, secret)
    assert (tokens.refresh_token, tokens.expires_in_s) == (None, 1799)
    assert (await owner_of(client, registered, tokens)).user_name == USER


async def test_consent_gives_tokens_of_the_integration_user(client: WholeClient, registered: Registered) -> None:
    callback = consent(client, registered)
    assert callback["state"] == "5" * 32
    tokens = await exchange(client, registered, callback["code"])
    assert 1700 < tokens.expires_in_s <= 1800
    user = await owner_of(client, registered, tokens)
    assert (user.user_name, user.sys_id) == (USER, registered.user_sys_id)


async def test_deny(client: WholeClient, registered: Registered) -> None:
    callback = consent(client, registered, decision="deny")
    assert callback["error"] == "access_denied"
    assert "code" not in callback


async def test_log_out_first_lets_another_person_sign_in(
    client: WholeClient, registered: Registered, control: ControlClient
) -> None:
    control.create_user("someone.else", roles=["itil"], user_password="other-password")
    url = authorization_url(client, registered)
    with Browser() as browser:
        sign_in_and_consent(url, "someone.else", "other-password", browser=browser)
        assert browser.open(url).form("consent") is not None, "still signed in as the other person"
        assert browser.open(authorization_url(client, registered, log_out_first=True)).form("login") is not None
        code = consent(client, registered, browser=browser, log_out_first=True)["code"]
    tokens = await exchange(client, registered, code)
    assert (await owner_of(client, registered, tokens)).user_name == USER


@pytest.mark.parametrize("fault", ["code used before", "code expired", "other verifier", "other redirect", "secret"])
async def test_an_exchange_that_is_refused(
    fault: str, client: WholeClient, registered: Registered, control: ControlClient
) -> None:
    code = consent(client, registered)["code"]
    verifier, redirect = VERIFIER, REDIRECT
    match fault:
        case "code used before":
            await exchange(client, registered, code)
        case "code expired":
            control.advance_clock(61)
        case "other verifier":
            verifier = "x" * 64
        case "other redirect":
            redirect = "https://elsewhere.example/"
        case _:
            registered = replace(registered, client_secret=Secret("wrong"))
    with pytest.raises(Reauthorize) as caught:
        await exchange(client, registered, code, verifier=verifier, redirect=redirect)
    assert caught.value.code == "authorization_code_refused"


@pytest.mark.parametrize("how", ["same", "omitted", "rotated"])
async def test_refresh(how: str, client: WholeClient, registered: Registered, control: ControlClient) -> None:
    control.set_properties({"simulator.oauth.refresh_token_on_refresh": how})
    first = await authorize(client, registered)
    control.advance_clock(1200)
    second = await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(first))
    match how:
        case "same":
            assert second.refresh_token == first.refresh_token
        case "omitted":
            assert second.refresh_token is None
        case _:
            assert second.refresh_token not in {None, first.refresh_token}
    await owner_of(client, registered, second)


@pytest.mark.parametrize("cause", ["token", "secret", "client", "user", "lifespan", "rights"])
async def test_a_refresh_that_is_refused(
    cause: str, client: WholeClient, registered: Registered, control: ControlClient
) -> None:
    tokens = await authorize(client, registered)
    refresh = refresh_token(tokens)
    match cause:
        case "token":
            refresh = Secret("unknown")
        case "secret":
            control.rotate_client_secret(registered.connection.client_id)
        case "client":
            control.change_oauth_client(registered.connection.client_id, active=False)
        case "user":
            control.change_user(USER, active=False)
        case "lifespan":
            control.advance_clock(8_640_001)
        case _:
            control.set_properties({"simulator.acl.oauth_credential_for_users": False})
    with pytest.raises(Reauthorize) as caught:
        await client.oauth.refresh(registered.connection, registered.client_secret, refresh)
    assert caught.value.code == "refresh_token_refused"


async def test_a_refresh_is_refused_while_the_access_token_still_works(
    client: WholeClient, registered: Registered, control: ControlClient
) -> None:
    tokens = await authorize(client, registered)
    control.set_fault("token_refused")
    with pytest.raises(Reauthorize):
        await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(tokens))
    await owner_of(client, registered, tokens)
    await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(tokens))


async def test_an_access_token_ends(client: WholeClient, registered: Registered, control: ControlClient) -> None:
    tokens = await authorize(client, registered)
    control.advance_clock(tokens.expires_in_s + 1)
    with pytest.raises(AccessTokenRefused) as caught:
        await owner_of(client, registered, tokens)
    assert caught.value.code == "access_token_refused"


async def test_revocation(client: WholeClient, registered: Registered) -> None:
    tokens = await authorize(client, registered)
    await client.oauth.revoke(registered.connection, tokens.access_token)
    with pytest.raises(AccessTokenRefused):
        await owner_of(client, registered, tokens)
    await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(tokens))
    await client.oauth.revoke(registered.connection, refresh_token(tokens))
    with pytest.raises(Reauthorize):
        await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(tokens))
    await client.oauth.revoke(registered.connection, refresh_token(tokens))


async def test_revocation_on_the_second_path(
    client: WholeClient, registered: Registered, control: ControlClient
) -> None:
    tokens = await authorize(client, registered)
    control.set_fault("bad_gateway", path=r"^/oauth_revoke_token\.do$")
    await client.oauth.revoke(registered.connection, tokens.access_token)
    with pytest.raises(AccessTokenRefused):
        await owner_of(client, registered, tokens)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("hibernating", "servicenow_hibernating"),
        ("bad_gateway", "servicenow_unavailable"),
        ("reset_before_commit", "servicenow_unavailable"),
        ("reset_after_commit", "servicenow_unavailable"),
    ],
)
async def test_an_instance_in_trouble(
    fault: str, code: str, client: WholeClient, registered: Registered, control: ControlClient
) -> None:
    tokens = await authorize(client, registered)
    control.set_fault(fault, remaining=2)
    with pytest.raises(ServiceNowUnavailable) as caught:
        await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(tokens))
    assert caught.value.code == code
    with pytest.raises(ServiceNowUnavailable):
        await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(tokens))
    control.clear_faults()
    await client.oauth.refresh(registered.connection, registered.client_secret, refresh_token(tokens))


async def test_a_blocked_address(client: WholeClient, registered: Registered, control: ControlClient) -> None:
    control.set_fault("address_blocked")
    with pytest.raises(AccessRefused) as caught:
        await client.oauth.refresh(registered.connection, registered.client_secret, Secret("any"))
    assert caught.value.code == "ip_address_blocked"
