"""Client credentials: whose token is accepted, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.connections.grant.lease import TOKENS
from shared.connections.grant.secret_names import access_token_name, refresh_token_name
from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.connections.ports import TokenSet
from shared.errors import ConnectorError, Reauthorize, StorageUnavailable
from shared.secret import Secret
from shared.triggers.addresses import way_to_authorize
from tests.english import told
from tests.memory.sign_in import UNAVAILABLE, MemoryServiceNowSignIn
from tests.unit.connections.grant.test_authorize import REFUSED_CONSENTS
from tests.unit.connections.surroundings import ADMINISTRATOR, CLIENT_SECRET, INTEGRATION_USER, Surroundings

SOMEBODY_ELSE = "abel.tuter"


@pytest.fixture
async def configured(app: Surroundings) -> Connection:
    app.servicenow.application_users["client"] = INTEGRATION_USER
    return await app.configured(grant="client_credentials")


async def connect(app: Surroundings) -> Connection:
    return await app.client_credentials.connect("contoso", started_by=ADMINISTRATOR)


async def refusal(app: Surroundings) -> ConnectorError:
    """Connect, which must fail without any effect."""
    before, secrets = dict(app.store.connections), app.secrets.readable
    with pytest.raises(ConnectorError) as caught:
        await connect(app)
    assert app.store.connections == before
    assert app.secrets.readable == secrets
    assert CLIENT_SECRET not in str(caught.value)
    assert way_to_authorize(caught.value) is None, "there is nothing to consent to"
    return caught.value


async def test_the_integration_users_token_connects(app: Surroundings, configured: Connection) -> None:
    assert configured.status is ConnectionStatus.AWAITING_AUTHORIZATION
    connected = await connect(app)
    assert connected == app.stored()
    assert connected.status is ConnectionStatus.CONNECTED
    assert connected.is_granted
    assert connected.ever_consented
    assert connected.consent_ends_at is None, "nothing ends"
    assert app.servicenow.accepts(await app.tokens.access_token(connected))
    assert app.servicenow.revocations == []
    assert not app.leases.leases


@pytest.mark.parametrize("with_refresh_token", [False, True])
async def test_no_refresh_token_is_kept(app: Surroundings, configured: Connection, with_refresh_token: bool) -> None:
    app.servicenow.credentials_with_refresh_token = with_refresh_token
    await connect(app)
    assert refresh_token_name("contoso") not in app.secrets.versions
    assert app.secrets.versions[access_token_name("contoso")]


@pytest.mark.parametrize("cause", ["property", "application user", "secret", "locked out"])
async def test_a_refused_client_hears_all_that_may_be_wrong(
    app: Surroundings, configured: Connection, cause: str
) -> None:
    match cause:
        case "property":
            app.servicenow.credentials_enabled = False
        case "application user":
            app.servicenow.application_users.clear()
        case "secret":
            app.servicenow.clients["client"] = "another"
        case "locked out":
            app.servicenow.add(INTEGRATION_USER, locked_out=True)
    error = await refusal(app)
    assert (error.code, error.status) == ("client_credentials_refused", 502)
    for hint in ("client.credential.grant_type.enabled", "OAuth Application User", "OAuth Entity Profile", "secret"):
        assert hint in told(error)
    assert app.servicenow.refreshes == 2, "one refusal may be an accident"


async def test_somebody_elses_token_is_refused_revoked_and_not_kept(app: Surroundings, configured: Connection) -> None:
    app.servicenow.add(SOMEBODY_ELSE, roles=frozenset({"admin"}))
    app.servicenow.application_users["client"] = SOMEBODY_ELSE
    app.servicenow.credentials_with_refresh_token = True
    error = await refusal(app)
    assert (error.code, error.status) == ("authorization_wrong_user", 403)
    assert SOMEBODY_ELSE in told(error)
    assert "OAuth Application User" in told(error)
    assert "consent" not in told(error)
    assert not app.servicenow.living


PREPARED = [
    (prepare, code) for prepare, code in REFUSED_CONSENTS if "user_inactive" not in code and "locked" not in code
]


@pytest.mark.parametrize(("prepare", "code"), PREPARED, ids=[code for _, code in PREPARED])
async def test_a_token_that_is_no_use_leaves_nothing_behind(
    app: Surroundings, configured: Connection, prepare: Callable[[MemoryServiceNowSignIn], object], code: str
) -> None:
    prepare(app.servicenow)
    error = await refusal(app)
    assert error.code == code
    assert "authorize again" not in told(error), "nobody has to consent"
    assert not app.servicenow.living


async def test_a_connection_that_works_keeps_its_tokens_when_connecting_again_fails(
    app: Surroundings, configured: Connection
) -> None:
    live = await connect(app)
    app.servicenow.add(INTEGRATION_USER, roles=frozenset())
    assert (await refusal(app)).code == "authorization_create_refused"
    assert app.servicenow.revocations == [], "ServiceNow returned the token that the connection uses"
    assert app.servicenow.accepts(await app.tokens.access_token(live))


async def test_each_grant_is_connected_in_its_own_way(app: Surroundings, configured: Connection) -> None:
    with pytest.raises(ConnectorError) as caught:
        await app.begun()
    assert (caught.value.code, caught.value.status) == ("other_grant", 409)
    assert "nobody has to consent" in told(caught.value)
    await app.configured(grant="authorization_code")
    error = await refusal(app)
    assert (error.code, error.status) == ("other_grant", 409)
    assert "needs a consent" in told(error)


async def test_an_unconfigured_or_removed_connection_cannot_be_connected(app: Surroundings) -> None:
    app.servicenow.application_users["client"] = INTEGRATION_USER
    await app.configured(grant="client_credentials", client_secret=...)
    assert (await refusal(app)).code == "connection_not_configured"
    await app.connected_by_credentials()
    await app.removal.remove("contoso")
    assert not app.servicenow.living
    assert (await refusal(app)).code == "connection_not_configured"


async def test_when_somebody_else_writes_the_tokens_nothing_is_asked(app: Surroundings, configured: Connection) -> None:
    await app.leases.acquire_lease("contoso", TOKENS, duration_s=60)
    assert (await refusal(app)).code == "connection_busy"
    assert app.servicenow.refreshes == 0


async def test_when_servicenow_or_key_vault_does_not_answer_nothing_is_kept(
    app: Surroundings, configured: Connection
) -> None:
    app.servicenow.faults.append(UNAVAILABLE)
    assert (await refusal(app)).code == "servicenow_unavailable"
    app.secrets.faults.append(StorageUnavailable())
    assert isinstance(await refusal(app), StorageUnavailable)


async def test_a_connection_changed_meanwhile_takes_no_tokens(app: Surroundings, configured: Connection) -> None:
    async def change_then_answer(name: str) -> None:
        if name == "refresh answers":
            app.clock.advance(600)  # the lease is lost
            await app.configured(grant="authorization_code")

    app.servicenow.step = change_then_answer
    with pytest.raises(ConnectorError) as caught:
        await connect(app)
    assert caught.value.code == "authorization_superseded"
    assert app.secrets.current == {CLIENT_SECRET}
    assert not app.servicenow.living
    assert app.stored().grant is Grant.AUTHORIZATION_CODE


async def test_a_refusal_while_waiting_for_the_next_token_is_believed_only_when_it_comes_twice(
    app: Surroundings, configured: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = app.servicenow.client_credentials
    answers = iter(("ends", "refused", "issued"))

    async def intermittent(connection: Connection, client_secret: Secret) -> TokenSet:
        match next(answers):
            case "ends":
                return replace(await ask(connection, client_secret), expires_in_s=2)
            case "refused":
                raise Reauthorize("client_credentials_refused")
        return await ask(connection, client_secret)

    monkeypatch.setattr(app.servicenow, "client_credentials", intermittent)
    assert (await connect(app)).status is ConnectionStatus.CONNECTED
