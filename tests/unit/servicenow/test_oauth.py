from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from shared.connections.ports import TokenSet
from shared.errors import (
    AccessRefused,
    ConnectorError,
    OutcomeUnknown,
    Reauthorize,
    ServiceNowThrottled,
    ServiceNowUnavailable,
)
from shared.secret import Secret
from tests.english import told
from tests.unit.servicenow.support import CONNECTION, INSTANCE, Instance, Reply, instance, json_reply, raw_reply

CLIENT_SECRET = Secret("canary client&secret=ü")
GENERIC_401 = json_reply({"error_description": "access_denied", "error": "server_error"}, 401)
GRANTED = {
    "access_token": "A" * 86,
    "refresh_token": "R" * 86,
    "scope": "useraccount",
    "token_type": "Bearer",
    "expires_in": 1799,
}
REDIRECT = "https://app.example/api/oauth/callback"


async def exchange(peer: Instance) -> TokenSet:
    return await peer.client().oauth.exchange_code(
        CONNECTION,
        CLIENT_SECRET,
        redirect_uri=REDIRECT,
        code=Secret("canary-code"),
        code_verifier=Secret("canary-verifier"),
    )


async def refresh(peer: Instance) -> TokenSet:
    return await peer.client().oauth.refresh(CONNECTION, CLIENT_SECRET, Secret("canary-refresh"))


async def test_client_credentials_send_the_secret_in_the_body_and_ask_for_no_scope() -> None:
    peer = instance(json_reply({name: value for name, value in GRANTED.items() if name != "refresh_token"}))
    tokens = await peer.client().oauth.client_credentials(CONNECTION, CLIENT_SECRET)
    assert (tokens.refresh_token, tokens.expires_in_s) == (None, 1799)
    assert peer.form() == {
        "grant_type": "client_credentials",
        "client_id": "c" * 32,
        "client_secret": CLIENT_SECRET.reveal(),
    }


async def test_refused_client_credentials_have_their_own_code() -> None:
    peer = instance(GENERIC_401)
    with pytest.raises(Reauthorize) as caught:
        await peer.client().oauth.client_credentials(CONNECTION, CLIENT_SECRET)
    assert caught.value.code == "client_credentials_refused"


def test_authorization_url() -> None:
    oauth = instance().client().oauth
    url = oauth.authorization_url(CONNECTION, redirect_uri=REDIRECT, state="5" * 32, code_challenge="x-_")
    assert url.startswith(f"{INSTANCE}/oauth_auth.do?")
    parameters = {
        "response_type": "code",
        "client_id": "c" * 32,
        "redirect_uri": REDIRECT,
        "state": "5" * 32,
        "code_challenge": "x-_",
        "code_challenge_method": "S256",
    }
    assert dict(parse_qsl(urlsplit(url).query, strict_parsing=True)) == parameters
    other = oauth.authorization_url(
        CONNECTION, redirect_uri=REDIRECT, state="5" * 32, code_challenge="x-_", log_out_first=True
    )
    assert dict(parse_qsl(urlsplit(other).query)) == {**parameters, "logoutfirst": "true"}


async def test_exchange_sends_everything_in_the_body() -> None:
    peer = instance(json_reply(GRANTED))
    tokens = await exchange(peer)
    request = peer.requests[0]
    assert (request.method, str(request.url)) == ("POST", f"{INSTANCE}/oauth_token.do")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in request.headers
    assert peer.form() == {
        "grant_type": "authorization_code",
        "client_id": "c" * 32,
        "client_secret": CLIENT_SECRET.reveal(),
        "code": "canary-code",
        "redirect_uri": REDIRECT,
        "code_verifier": "canary-verifier",
    }
    assert tokens == TokenSet(Secret("A" * 86), Secret("R" * 86), 1799)


async def test_refresh_sends_everything_in_the_body() -> None:
    peer = instance(json_reply({name: value for name, value in GRANTED.items() if name != "refresh_token"}))
    tokens = await refresh(peer)
    assert str(peer.requests[0].url) == f"{INSTANCE}/oauth_token.do"
    assert peer.form() == {
        "grant_type": "refresh_token",
        "client_id": "c" * 32,
        "client_secret": CLIENT_SECRET.reveal(),
        "refresh_token": "canary-refresh",
    }
    assert tokens.refresh_token is None, "keep the present one"


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [("1799", 1799), (60, 60), (None, 1800), ("", 1800), (0, 1800), (-1, 1800), (True, 1800), ({}, 1800)],
)
async def test_lifetime(expires_in: object, expected: int) -> None:
    assert (await refresh(instance(json_reply({**GRANTED, "expires_in": expires_in})))).expires_in_s == expected


@pytest.mark.parametrize("omitted", ["", None])
async def test_an_empty_refresh_token_is_an_omitted_one(omitted: str | None) -> None:
    assert (await refresh(instance(json_reply({**GRANTED, "refresh_token": omitted})))).refresh_token is None


async def test_scope_and_type_do_not_matter() -> None:
    assert await refresh(instance(json_reply({"access_token": "A", "scope": ""})))


@pytest.mark.parametrize(
    "reply",
    [
        GENERIC_401,
        json_reply({"error": "invalid_grant"}, 400),
        json_reply({"error": "invalid_client"}, 401),
        json_reply({"error": "invalid_grant"}, 200),
        json_reply({"error": "access_denied"}, 403),
        json_reply({"error": "unauthorized_client"}, 400),
    ],
)
async def test_every_refusal_asks_for_a_new_authorization(reply: Reply) -> None:
    with pytest.raises(Reauthorize) as exchanging:
        await exchange(instance(reply))
    assert exchanging.value.code == "authorization_code_refused"
    with pytest.raises(Reauthorize) as refreshing:
        await refresh(instance(reply))
    assert refreshing.value.code == "refresh_token_refused"
    assert "oauth_credential" in told(refreshing.value)


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        (raw_reply(b"<html>Instance Hibernating page"), ServiceNowUnavailable, "servicenow_hibernating"),
        (raw_reply(b"<html>Log in"), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b"access_token=A&expires_in=1799"), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b"<html>", 502), ServiceNowUnavailable, "servicenow_unavailable"),
        (raw_reply(b"<html>", 403), AccessRefused, "ip_address_blocked"),
        (raw_reply(b"", 429), ServiceNowThrottled, "servicenow_throttled"),
        (raw_reply(b'{"access_token":"A', 200, "application/json"), ServiceNowUnavailable, "answer_incomplete"),
        (json_reply({"token_type": "Bearer"}), ServiceNowUnavailable, "answer_incomplete"),
        (json_reply({"access_token": "A\r\nX-Evil: 1"}), ServiceNowUnavailable, "answer_incomplete"),
        (json_reply({"access_token": "ü"}), ServiceNowUnavailable, "answer_incomplete"),
        (json_reply({**GRANTED, "refresh_token": 5}), ServiceNowUnavailable, "answer_incomplete"),
        (raw_reply(b"", 401), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b"<html>Sign in to the proxy", 401), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b"Unauthorized", 401, "text/plain"), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b"<html>", 400), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b"<html>", 404), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b'{"error":"inv', 401, "application/json"), ServiceNowUnavailable, "servicenow_not_the_api"),
        (raw_reply(b'{"error":"invalid_grant"}', 401), ServiceNowUnavailable, "servicenow_not_the_api"),
        (json_reply({"message": "Unauthorized"}, 401), ServiceNowUnavailable, "servicenow_not_the_api"),
        (json_reply({"error": "temporarily_unavailable"}, 400), ServiceNowUnavailable, "servicenow_not_the_api"),
        (json_reply({"error": {"message": "x"}}, 401), ServiceNowUnavailable, "servicenow_not_the_api"),
        (json_reply({"error": "server_error"}, 503), ServiceNowUnavailable, "servicenow_unavailable"),
        (httpx.ConnectError("refused"), ServiceNowUnavailable, "servicenow_unavailable"),
        (httpx.ReadTimeout("slow"), ServiceNowUnavailable, "servicenow_timeout"),
    ],
)
async def test_no_answer_is_no_refusal(reply: Reply, error: type[ConnectorError], code: str) -> None:
    for call in (exchange, refresh):
        peer = instance(reply)
        with pytest.raises(error) as caught:
            await call(peer)
        assert caught.value.code == code
        assert not isinstance(caught.value, OutcomeUnknown)
        assert len(peer.requests) == 1, "the caller decides whether to ask again"
        assert "canary" not in f"{caught.value!r}{vars(caught.value)}"
        assert caught.value.__context__ is None


async def test_revocation_sends_the_token_in_the_body() -> None:
    peer = instance(raw_reply(b"", 200))
    await peer.client().oauth.revoke(CONNECTION, Secret("a+b/c"))
    assert [str(request.url) for request in peer.requests] == [f"{INSTANCE}/oauth_revoke_token.do"]
    assert peer.form() == {"token": "a+b/c"}


@pytest.mark.parametrize(
    "first",
    [raw_reply(b"<html>Page not found", 404), raw_reply(b"<html>Page not found", 200), httpx.ReadError("reset")],
)
async def test_revocation_tries_both_paths(first: Reply) -> None:
    peer = instance(first, json_reply({}, 200))
    await peer.client().oauth.revoke(CONNECTION, Secret("token"))
    assert [request.url.path for request in peer.requests] == ["/oauth_revoke_token.do", "/oauth_revoke.do"]
    assert peer.form() == {"token": "token"}


async def test_a_token_that_is_gone_counts_as_revoked() -> None:
    peer = instance(GENERIC_401)
    await peer.client().oauth.revoke(CONNECTION, Secret("token"))
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "reply", [raw_reply(b"<html>Instance Hibernating page"), raw_reply(b"", 502), httpx.ConnectError("refused")]
)
async def test_revocation_fails_when_neither_path_answers(reply: Reply) -> None:
    peer = instance(reply)
    with pytest.raises(ServiceNowUnavailable) as caught:
        await peer.client().oauth.revoke(CONNECTION, Secret("token"))
    assert caught.value.code == "revocation_failed"
    assert len(peer.requests) == 2
