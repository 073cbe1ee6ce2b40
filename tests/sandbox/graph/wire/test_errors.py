"""Tokens, roles, headers and limits (Microsoft Graph §1.8, §2.6, §3)."""

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.sandbox.graph.simulated import (
    OTHER_TENANT,
    PROFILES,
    SCORES,
    TENANT,
    Simulated,
    bearer,
    token,
)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Access token is empty."),
        ({"Authorization": "Bearer "}, "Access token is empty."),
        (bearer(token(audience="https://graph.example.com")), "Access token validation failure. Invalid audience."),
        (bearer("not-a-token"), "CompactToken parsing failed with error code: 80049217"),
        (bearer(token()[:-4] + "AAAA"), "Access token validation failure. Invalid signature."),
        (
            bearer(token(audience="https://graph.microsoft.us")),
            "Access token validation failure. Invalid audience.",
        ),
        (bearer(token(lifetime=timedelta(0))), "Lifetime validation failed, the token is expired."),
        (bearer(token("33333333-aaaa-4bbb-8ccc-000000000003")), "Access token validation failure. Invalid tenant."),
    ],
)
def test_bad_tokens(graph: Simulated, headers: dict[str, str], message: str) -> None:
    response = graph.client.get(SCORES, headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["message"]) == (401, "InvalidAuthenticationToken", message)
    assert error["innerError"]["request-id"] == response.headers["request-id"]


@pytest.mark.parametrize("roles", [[], ["Organization.Read.All"]])
def test_a_token_without_the_role_is_refused(graph: Simulated, roles: list[str]) -> None:
    for path in (SCORES, PROFILES, f"{PROFILES}/AdminMFAV2", f"{SCORES}/{TENANT}_2026-11-24"):
        response = graph.client.get(path, headers=bearer(token(roles=roles)))
        assert (response.status_code, response.json()["error"]["code"]) == (403, "Forbidden")
    graph.control.set_switches({"errors.forbidden_code": "", "errors.inner_error": "innererror"})
    error = graph.client.get(SCORES, headers=bearer(token(roles=roles))).json()["error"]
    assert error["code"] == ""
    assert "innererror" in error


def test_the_writing_role_reads_too(graph: Simulated) -> None:
    headers = bearer(token(roles=["SecurityEvents.ReadWrite.All"]))
    assert graph.client.get(SCORES, headers=headers).status_code == 200


def test_a_tenant_never_sees_another(graph: Simulated) -> None:
    for tenant_id in (TENANT, OTHER_TENANT):
        for path in (SCORES, PROFILES):
            body = graph.json(path, tenant_id=tenant_id)
            assert {item["azureTenantId"] for item in body["value"]} == {tenant_id}


def test_ids_of_the_request(graph: Simulated) -> None:
    ids = {"client-request-id": "0f7d1c3a-1111-4222-8333-000000000009", "return-client-request-id": "true"}
    answer = graph.get(SCORES, **ids)
    assert answer.headers["client-request-id"] == ids["client-request-id"]
    assert "x-ms-ags-diagnostic" in answer.headers
    assert "client-request-id" not in graph.get(SCORES).headers


def test_compression_is_a_switch(graph: Simulated) -> None:
    assert graph.get(PROFILES).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in graph.get(PROFILES, **{"Accept-Encoding": "identity"}).headers
    graph.control.set_switches({"answers.gzip": False})
    assert "content-encoding" not in graph.get(PROFILES).headers


def test_150_requests_for_scores_in_a_minute(graph: Simulated) -> None:
    graph.control.set_switches({"throttling.scores_per_minute": 3})
    path = f"{SCORES}?$top=1"
    assert [graph.get(path).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert graph.get(PROFILES).status_code == 200
    assert graph.get(path, tenant_id=OTHER_TENANT).status_code == 200
    graph.control.advance(hours=0.02)
    assert graph.get(path).status_code == 200


def test_requests_in_ten_minutes(graph: Simulated) -> None:
    graph.control.set_switches({"throttling.per_ten_minutes": 1})
    assert [graph.get(f"{PROFILES}/AdminMFAV2").status_code for _ in range(2)] == [200, 429]


def test_the_forms_of_retry_after(graph: Simulated) -> None:
    graph.control.set_switches({"throttling.per_ten_minutes": 1, "throttling.retry_after_s": 7})
    graph.get(SCORES)
    answer = graph.get(SCORES)
    assert answer.headers["Retry-After"] == "7"
    assert answer.json()["error"]["innerError"]["code"] == "429"
    for form, expected in (("none", None), ("zero", "0")):
        graph.control.set_switches({"throttling.retry_after": form})
        assert graph.get(SCORES).headers.get("Retry-After") == expected
    graph.control.set_switches({"throttling.retry_after": "date"})
    assert parsedate_to_datetime(graph.get(SCORES).headers["Retry-After"]).utcoffset() == timedelta()


@pytest.mark.parametrize(
    "audience", ["https://graph.microsoft.com", "https://graph.microsoft.com/", "https://graph.test"]
)
def test_good_audiences(graph: Simulated, audience: str) -> None:
    assert graph.client.get(f"{SCORES}?$top=1", headers=bearer(token(audience=audience))).status_code == 200


def test_tokens_last_while_simulated_days_pass(graph: Simulated) -> None:
    held = bearer(token())
    graph.control.advance(days=30)
    assert graph.client.get(f"{SCORES}?$top=1", headers=held).status_code == 200


def test_four_requests_at_once_for_each_tenant(graph: Simulated) -> None:
    graph.control.set_switches({"answers.latency_ms": 50})
    calls = [(f"{PROFILES}/AdminMFAV2", TENANT), (f"{SCORES}?$top=1", TENANT)] * 3 + [(SCORES, OTHER_TENANT)]

    async def at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(graph.app)
        async with httpx.AsyncClient(base_url="https://graph.test", transport=transport) as client:
            return await asyncio.gather(
                *(client.get(path, headers=bearer(token(tenant_id))) for path, tenant_id in calls)
            )

    statuses = [answer.status_code for answer in asyncio.run(at_once())]
    assert statuses == [200, 200, 200, 200, 429, 429, 200]
    in_flight = [request["in_flight"] for request in graph.control.requests() if request["tenant_id"] == TENANT]
    assert sorted(in_flight) == [1, 2, 3, 4, 5, 5]
    assert graph.get(f"{SCORES}?$top=1").status_code == 200
