"""The token endpoint answers the real credentials, and refuses in Entra ID's words (Microsoft Graph §2.5, §2.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
import trustme
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import CertificateCredential, ClientAssertionCredential, ClientSecretCredential
from starlette.applications import Starlette

from sandbox.certificates import Certificates
from sandbox.entra.consent_page import ConsentPage
from sandbox.entra.control import control_routes
from sandbox.entra.directory import Directories
from sandbox.entra.token_endpoint import TokenEndpoint
from sandbox.managed_identity.tokens import TENANT_ID, TOKEN_EXCHANGE, ManagedIdentity, TokenSigner
from sandbox.serving import configuration, serving

APP = "0c0ffee0-0000-4000-8000-000000000001"
CUSTOMER = "0c0ffee0-0000-4000-8000-00000000000c"
IDENTITY = ManagedIdentity.of("7e57ab1e-0000-4000-8000-00000000000a")
SCOPE = "https://graph.microsoft.com/.default"
READ = "SecurityEvents.Read.All"
SECRET = "the secret"
LONG = timedelta(days=365)


@pytest.fixture
def endpoint(certificates: Certificates) -> TokenEndpoint:
    """An application of the home tenant, which a customer has let in with the role to read."""
    directories = Directories({TENANT_ID: "global", CUSTOMER: "global"}.get)
    application = directories.register(APP, TENANT_ID)
    application.secrets[SECRET] = datetime.now(UTC) + LONG
    directories.consent(CUSTOMER, APP, READ)
    return TokenEndpoint(directories, TokenSigner(certificates.token_key))


@pytest.fixture
async def wire(endpoint: TokenEndpoint) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a socket."""
    app = Starlette(routes=[*endpoint.routes(), *control_routes(endpoint, ConsentPage(endpoint))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://entra") as client:
        yield client


@pytest.fixture
def authority(endpoint: TokenEndpoint, certificates: Certificates) -> Iterator[str]:
    """The endpoint behind TLS, which the credentials insist on."""
    app = Starlette(routes=endpoint.routes())
    tls = {"ssl_certfile": certificates.chain, "ssl_keyfile": certificates.key}
    with serving(configuration(app, **tls)) as url:
        yield url


def assertion(endpoint: TokenEndpoint, *, audience: str = TOKEN_EXCHANGE, tenant_id: str = TENANT_ID) -> str:
    """Return what the managed identity shows instead of a secret."""
    issued_at, lifetime = endpoint.clock.now(), timedelta(hours=1)
    return endpoint.signer.issue(IDENTITY, audience, issued_at=issued_at, lifetime=lifetime, tenant_id=tenant_id)


def trust(endpoint: TokenEndpoint, **changed: str) -> dict[str, object]:
    """Return a registration whose federated credential trusts the identity."""
    credential = {
        "issuer": f"https://login.microsoftonline.com/{TENANT_ID}/v2.0",
        "subject": IDENTITY.principal_id,
        "audience": TOKEN_EXCHANGE,
    }
    return {"home_tenant_id": TENANT_ID, "secrets": [SECRET], "federated_credentials": [credential | changed]}


def form(**changed: str) -> dict[str, str]:
    return {"client_id": APP, "client_secret": SECRET, "grant_type": "client_credentials", "scope": SCOPE} | changed


def with_assertion(text: str) -> dict[str, str]:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    fields = form(client_assertion=text, client_assertion_type=kind)
    del fields["client_secret"]
    return fields


async def ask(wire: httpx.AsyncClient, tenant_id: str, fields: dict[str, str]) -> httpx.Response:
    return await wire.post(f"/{tenant_id}/oauth2/v2.0/token", data=fields)


async def test_the_real_credentials_get_tokens_for_every_tenant(
    endpoint: TokenEndpoint, authority: str, wire: httpx.AsyncClient
) -> None:
    certificate = trustme.CA().issue_cert("connector.example", key_type=trustme.KeyType.RSA)
    pem = certificate.private_key_pem.bytes() + certificate.cert_chain_pems[0].bytes()
    body = trust(endpoint) | {"certificates": [certificate.cert_chain_pems[0].bytes().decode()]}
    assert (await wire.put(f"/control/entra/applications/{APP}", json=body)).is_success
    credentials: list[AsyncTokenCredential] = [
        ClientSecretCredential(TENANT_ID, APP, SECRET, authority=authority, additionally_allowed_tenants=["*"]),
        CertificateCredential(
            TENANT_ID, APP, certificate_data=pem, authority=authority, additionally_allowed_tenants=["*"]
        ),
        ClientAssertionCredential(
            TENANT_ID, APP, lambda: assertion(endpoint), authority=authority, additionally_allowed_tenants=["*"]
        ),
    ]
    for credential in credentials:
        async with credential:
            home = endpoint.signer.claims((await credential.get_token(SCOPE)).token)
            customer = endpoint.signer.claims((await credential.get_token(SCOPE, tenant_id=CUSTOMER)).token)
            with pytest.raises(ClientAuthenticationError, match="AADSTS90002"):
                await credential.get_token(SCOPE, tenant_id="0c0ffee0-0000-4000-8000-00000000000d")
        assert (home["tid"], customer["tid"]) == (TENANT_ID, CUSTOMER)
        assert (home["appid"], customer["appid"]) == (APP, APP)
        assert home["oid"] != customer["oid"]
        assert (home.get("roles"), customer["roles"]) == (None, [READ])
        assert customer["aud"] == "https://graph.microsoft.com"


async def test_an_answer_has_the_usual_members(wire: httpx.AsyncClient) -> None:
    answer = (await ask(wire, CUSTOMER, form())).json()
    assert answer.pop("access_token")
    assert answer == {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}


async def test_a_refusal_has_all_its_members(wire: httpx.AsyncClient) -> None:
    answer = await ask(wire, CUSTOMER, form(client_id="0c0ffee0-0000-4000-8000-000000000002"))
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (400, "unauthorized_client", [700016])
    assert body["error_description"].startswith("AADSTS700016: Application with identifier")
    assert body.keys() == {
        *("error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri"),
    }


@pytest.mark.parametrize(
    ("tenant_id", "changed", "status", "code"),
    [
        pytest.param("nowhere", {}, 400, 90002, id="unknown tenant"),
        pytest.param(CUSTOMER, {"client_secret": "a guess"}, 401, 7000215, id="wrong secret"),
        pytest.param(CUSTOMER, {"grant_type": "password"}, 400, 70003, id="other grant"),
        pytest.param(CUSTOMER, {"scope": "https://graph.microsoft.com/User.Read"}, 400, 1002012, id="delegated scope"),
        pytest.param(CUSTOMER, {"scope": "https://graph.microsoft.us/.default"}, 400, 500011, id="other cloud"),
    ],
)
async def test_wrong_requests(
    wire: httpx.AsyncClient, tenant_id: str, changed: dict[str, str], status: int, code: int
) -> None:
    answer = await ask(wire, tenant_id, form(**changed))
    assert (answer.status_code, answer.json()["error_codes"]) == (status, [code])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, None),
        ({"issuer": f"https://login.microsoftonline.com/{CUSTOMER}/v2.0"}, 700213),
        ({"subject": IDENTITY.principal_id.upper()}, 700213),
        ({"audience": "api://AzureADTokenExchangeUSGov"}, 700213),
    ],
)
async def test_the_federated_credential_has_to_match_exactly(
    wire: httpx.AsyncClient, endpoint: TokenEndpoint, changed: dict[str, str], code: int | None
) -> None:
    await wire.put(f"/control/entra/applications/{APP}", json=trust(endpoint, **changed))
    answer = await ask(wire, CUSTOMER, with_assertion(assertion(endpoint)))
    assert answer.json().get("error_codes") == (code and [code])


async def test_other_assertions_are_refused(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> None:
    certificate = trustme.CA().issue_cert("connector.example", key_type=trustme.KeyType.RSA)
    body = trust(endpoint) | {"certificates": [certificate.cert_chain_pems[0].bytes().decode()]}
    await wire.put(f"/control/entra/applications/{APP}", json=body)
    for text, code in (
        (assertion(endpoint, audience="https://graph.microsoft.com"), 700213),
        (assertion(endpoint, tenant_id=CUSTOMER), 700236),
        (jwt.encode({"iss": APP, "sub": APP, "exp": 9e9}, "a key of thirty-two bytes or longer"), 700027),
        ("no token", 50027),
    ):
        answer = await ask(wire, CUSTOMER, with_assertion(text))
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [code]), text


async def test_what_a_tenant_does_shows_in_the_next_token(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> None:
    there = f"/control/entra/tenants/{CUSTOMER}/applications/{APP}"
    await wire.post(there, json={"remove": [READ]})
    token = (await ask(wire, CUSTOMER, form())).json()["access_token"]
    assert "roles" not in endpoint.signer.claims(token)
    await wire.post(there, json={"grant": [READ], "enabled": False})
    assert (await ask(wire, CUSTOMER, form())).json()["error_codes"] == [7000112]
    await wire.delete(there)
    await wire.patch("/control/entra/settings", json={"unauthorized_status": 401})
    gone = await ask(wire, CUSTOMER, form())
    assert (gone.status_code, gone.json()["error_codes"]) == (401, [700016])


async def test_secrets_end(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> None:
    await wire.post("/control/entra/clock", json={"advance_s": LONG.total_seconds() + 1})
    assert (await ask(wire, CUSTOMER, form())).json()["error_codes"] == [7000222]


async def test_a_rotated_secret_replaces_the_one_before(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> None:
    before = (await ask(wire, CUSTOMER, form())).json()["access_token"]
    path = f"/control/entra/applications/{APP}"
    assert (await wire.patch(path, json={"rotate_secret": "the next secret"})).is_success
    assert (await ask(wire, CUSTOMER, form())).json()["error_codes"] == [7000215]
    assert (await ask(wire, CUSTOMER, form(client_secret="the next secret"))).is_success
    assert endpoint.signer.claims(before)["exp"] > endpoint.clock.now().timestamp(), "what was issued goes on"


async def test_a_certificate_ends_on_demand(wire: httpx.AsyncClient, endpoint: TokenEndpoint) -> None:
    certificate = trustme.CA().issue_cert("connector.example", key_type=trustme.KeyType.RSA)
    path = f"/control/entra/applications/{APP}"
    registration = {"home_tenant_id": TENANT_ID, "certificates": [certificate.cert_chain_pems[0].bytes().decode()]}
    claims = {"iss": APP, "sub": APP, "aud": f"https://entra/{CUSTOMER}/oauth2/v2.0/token", "exp": 9e9}
    signed = jwt.encode(claims, certificate.private_key_pem.bytes(), algorithm="PS256")

    async def codes() -> list[int] | None:
        found: list[int] | None = (await ask(wire, CUSTOMER, with_assertion(signed))).json().get("error_codes")
        return found

    for change, ends in ((None, False), ({"expire_certificates": True}, True), (None, False)):
        method, body = ("PUT", registration) if change is None else ("PATCH", change)
        assert (await wire.request(method, path, json=body)).is_success
        assert await codes() == ([700027] if ends else None)


async def test_throttling_on_demand(wire: httpx.AsyncClient) -> None:
    failures = [{"status": 429, "retry_after": "7"}, {"status": 503}]
    await wire.patch("/control/entra/settings", json={"failures": failures})
    answers = [await ask(wire, CUSTOMER, form()) for _ in range(3)]
    assert [(answer.status_code, answer.headers.get("retry-after")) for answer in answers] == [
        *((429, "7"), (503, None), (200, None)),
    ]
    log = (await wire.get("/control/entra/requests")).json()
    assert [(entry["tenant_id"], entry["client_id"], entry["status"]) for entry in log] == [
        *((CUSTOMER, APP, status) for status in (429, 503, 200)),
    ]
