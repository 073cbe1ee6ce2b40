"""What an access token says about itself, and where it comes from."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity import CredentialUnavailableError
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConnectorError, GraphUnavailable, TenantRefused
from shared.graph.managed_identity import HomeTenantTokens
from shared.graph.tokens import GraphToken
from tests.unit.graph.support import GRAPH, TENANT_ID, jwt


class TestClaims:
    def test_tenant_roles_and_end(self) -> None:
        token = GraphToken.decoded(jwt(tid=TENANT_ID.upper(), roles=["B.Read.All", "A.Read.All"]))
        assert token is not None
        assert token.tenant_id == TENANT_ID
        assert token.roles == ("A.Read.All", "B.Read.All")
        assert token.expires_at == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
        assert "canary" not in repr(token)

    @pytest.mark.parametrize("roles", [None, [], "SecurityEvents.Read.All", {"a": 1}, [7, None]])
    def test_no_roles(self, roles: object) -> None:
        token = GraphToken.decoded(jwt(roles=roles))
        assert token is not None
        assert token.roles == ()

    @pytest.mark.parametrize("end", [None, "soon", 10**30, -(10**30), 1.5])
    def test_no_end(self, end: object) -> None:
        token = GraphToken.decoded(jwt(exp=end))
        assert token is not None
        assert token.expires_at is None

    @pytest.mark.parametrize("text", ["", "opaque", "a.b.c", "a..c", "a.bm8.c", "a.W10.c", "a.e30.c", "é.é.é"])
    def test_not_a_token_of_a_tenant(self, text: str) -> None:
        assert GraphToken.decoded(text) is None

    @settings(max_examples=50)
    @given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps), st.booleans())
    def test_nothing_breaks_it(self, payload: str, encoded: bool) -> None:
        part = base64.urlsafe_b64encode(payload.encode(errors="replace")).decode() if encoded else payload
        GraphToken.decoded(f"a.{part}.c")


@dataclass
class Credential:
    """An azure-identity credential that remembers how it was asked."""

    answers: list[str | Exception]
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    async def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> AccessToken:
        self.asked.append((*scopes, claims))  # type: ignore[arg-type]
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return AccessToken(answer, 1_800_000_000)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Credential:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def answered(kind: type[ClientAuthenticationError], status: int | None) -> ClientAuthenticationError:
    """The library's error for an answer with this status, or without an answer."""
    error = kind(message="canary {'access_token': '…'}")
    error.status_code = status
    return error


class TestHomeTenant:
    async def test_a_token_for_this_tenant(self) -> None:
        credential = Credential([jwt()])
        token = await HomeTenantTokens(credential, GRAPH).access_token(TENANT_ID.upper())
        assert token.secret.reveal() == jwt()
        assert credential.asked == [("https://graph.microsoft.com/.default", None)]

    async def test_a_new_one_is_asked_for_past_the_librarys_memory(self) -> None:
        """Any claims request makes the library skip its memory (Microsoft Graph §2.5)."""
        credential = Credential([jwt()])
        await HomeTenantTokens(credential, GRAPH).new_access_token(TENANT_ID)
        ((_, claims),) = credential.asked
        assert claims

    async def test_another_tenant_cannot_be_reached(self) -> None:
        with pytest.raises(TenantRefused) as caught:
            await HomeTenantTokens(Credential([jwt()]), GRAPH).access_token("22222222-aaaa-4bbb-8ccc-000000000002")
        assert caught.value.code == "tenant_not_reachable"

    @pytest.mark.parametrize(
        ("failure", "kind", "code"),
        [
            (answered(CredentialUnavailableError, None), TenantRefused, "identity_missing"),
            (answered(ClientAuthenticationError, 400), TenantRefused, "identity_refused"),
            (answered(CredentialUnavailableError, 400), TenantRefused, "identity_refused"),
            (answered(ClientAuthenticationError, 403), TenantRefused, "identity_refused"),
            (answered(ClientAuthenticationError, 429), GraphUnavailable, "identity_unavailable"),
            (answered(ClientAuthenticationError, 500), GraphUnavailable, "identity_unavailable"),
            (answered(ClientAuthenticationError, 200), GraphUnavailable, "identity_unavailable"),
            (ServiceRequestError("canary"), GraphUnavailable, "identity_unavailable"),
            (ServiceResponseError("canary"), GraphUnavailable, "identity_unavailable"),
        ],
    )
    async def test_no_token(self, failure: Exception, kind: type[ConnectorError], code: str) -> None:
        with pytest.raises(kind) as caught:
            await HomeTenantTokens(Credential([failure]), GRAPH).access_token(TENANT_ID)
        assert caught.value.code == code
        assert "canary" not in str(caught.value)
        assert caught.value.__context__ is None

    async def test_a_token_that_cannot_be_read(self) -> None:
        with pytest.raises(GraphUnavailable) as caught:
            await HomeTenantTokens(Credential(["opaque"]), GRAPH).access_token(TENANT_ID)
        assert caught.value.code == "identity_unavailable"
