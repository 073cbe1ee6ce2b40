"""What Microsoft Graph's answers mean, what is sent, repeated and logged."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stamina

from shared.errors import (
    ConnectorError,
    GraphAnswerTooLarge,
    GraphRequestRejected,
    GraphThrottled,
    GraphTokenRefused,
    GraphUnavailable,
    TenantRefused,
)
from shared.graph.lists import Listed
from shared.graph.transport import REQUESTS_AT_ONCE
from shared.outbound.bodies import ANSWER_LIMIT
from shared.outbound.transport import USER_AGENT, Limits
from tests.unit.graph.support import (
    TENANT_ID,
    Graph,
    Reply,
    error_reply,
    graph,
    json_reply,
    jwt,
    lists_over,
    page,
    raw_reply,
)

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
EMPTY = page()
GATEWAY = raw_reply(b"<html><center>Microsoft-Azure-Application-Gateway/v2</center></html>", 403)


def as_it_is(item: object) -> tuple[object, int]:
    return item, 0


async def read(peer: Graph, limits: Limits | None = None) -> Listed[object]:
    return await peer.lists(limits).part(TENANT_ID, "secureScores", as_it_is, top=1)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between repetitions, which are not waited for."""
    waited: list[float] = []

    async def sleep(delay: float) -> None:
        waited.append(delay)

    monkeypatch.setattr(stamina._core, "_smart_sleep", sleep)
    stamina.set_testing(False)
    return waited


class TestRequest:
    async def test_headers(self) -> None:
        peer = graph(EMPTY)
        await read(peer)
        headers = peer.requests[0].headers
        assert headers["authorization"] == f"Bearer {jwt()}"
        assert headers["accept"] == "application/json"
        assert headers["accept-language"] == "en-US"
        assert headers["accept-encoding"] == "gzip"
        assert headers["user-agent"] == USER_AGENT
        assert headers["return-client-request-id"] == "true"

    async def test_each_attempt_has_its_own_id_and_its_own_connection(self) -> None:
        peer = graph(error_reply(503), EMPTY)
        await read(peer)
        ids = {request.headers["client-request-id"] for request in peer.requests}
        assert len(ids) == 2
        assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)
        assert {request.headers["connection"] for request in peer.requests} == {"close"}

    async def test_at_most_four_at_once_in_a_tenant(self) -> None:
        running = most = 0
        all_at_once = asyncio.Event()

        async def slow(request: httpx.Request) -> httpx.Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == REQUESTS_AT_ONCE:
                all_at_once.set()
            await all_at_once.wait()
            await asyncio.sleep(0.002)  # in which one more could begin
            running -= 1
            return httpx.Response(200, json={"value": []})

        lists = lists_over(slow)
        await asyncio.gather(*(lists.part(TENANT_ID, "secureScores", as_it_is, top=1) for _ in range(12)))
        assert most == REQUESTS_AT_ONCE == 4

    async def test_another_tenant_does_not_wait(self) -> None:
        hanging = asyncio.Event()

        async def hang(request: httpx.Request) -> httpx.Response:
            if "skip" not in str(request.url):
                await hanging.wait()
            return httpx.Response(200, json={"value": []})

        lists = lists_over(hang)
        held = [
            asyncio.create_task(lists.part(TENANT_ID, "secureScores", as_it_is, top=1)) for _ in range(REQUESTS_AT_ONCE)
        ]
        await asyncio.sleep(0)
        await lists.part("22222222-aaaa-4bbb-8ccc-000000000002", "secureScores", as_it_is, top=1, skip=1)
        hanging.set()
        await asyncio.gather(*held)


class TestRefusals:
    @pytest.mark.parametrize(
        ("reply", "kind", "code", "requests"),
        [
            (error_reply(400), GraphRequestRejected, "graph_request_rejected", 1),
            (error_reply(403, "InsufficientGraphPermissions"), TenantRefused, "graph_permission_missing", 1),
            (error_reply(403), TenantRefused, "graph_permission_missing", 1),
            (json_reply({"errorCode": "MissingProvider"}, 403), TenantRefused, "graph_permission_missing", 1),
            (error_reply(403, "UnknownError"), GraphUnavailable, "graph_access_blocked", 3),
            (GATEWAY, GraphUnavailable, "graph_access_blocked", 3),
            (error_reply(404, "TenantDeploymentNotFound"), GraphRequestRejected, "secure_score_not_available", 1),
            (error_reply(404, "UnknownError"), GraphRequestRejected, "secure_score_not_available", 1),
            (raw_reply(b"", 404), GraphRequestRejected, "secure_score_not_available", 1),
            (json_reply({"errorCode": "MissingProvider"}, 400), GraphRequestRejected, "graph_request_rejected", 1),
            (raw_reply(b"no", 405), GraphRequestRejected, "graph_request_rejected", 1),
            (raw_reply(b"", 302, headers={"Location": "https://elsewhere.example"}), GraphUnavailable, None, 3),
            (error_reply(500), GraphUnavailable, "graph_unavailable", 3),
            (error_reply(500, "HostNotFound"), GraphRequestRejected, "secure_score_not_available", 1),
            (raw_reply(b"\0" * 1000, 502), GraphUnavailable, "graph_unavailable", 3),
        ],
    )
    async def test_what_a_refusal_means(
        self, reply: Reply, kind: type[ConnectorError], code: str | None, requests: int
    ) -> None:
        peer = graph(reply)
        with pytest.raises(kind) as caught:
            await read(peer)
        assert type(caught.value) is kind
        assert caught.value.code == (code or "graph_unavailable")
        assert len(peer.requests) == requests
        assert "canary" not in str(caught.value)

    async def test_the_missing_permission_is_named(self) -> None:
        with pytest.raises(TenantRefused) as caught:
            await read(graph(error_reply(403)))
        assert caught.value.values["wanted"] == "SecurityEvents.Read.All"

    async def test_a_gateway_that_lets_the_next_request_through(self) -> None:
        assert (await read(graph(GATEWAY, GATEWAY, EMPTY))).is_complete


class TestToken:
    async def test_a_refused_token_is_replaced_once(self) -> None:
        peer = graph(error_reply(401, "InvalidAuthenticationToken"), EMPTY)
        await read(peer)
        assert [request.headers["authorization"] for request in peer.requests] == [
            f"Bearer {jwt()}",
            f"Bearer {jwt(jti='2')}",
        ]

    async def test_only_once(self) -> None:
        peer = graph(error_reply(401, "InvalidAuthenticationToken"))
        with pytest.raises(GraphTokenRefused) as caught:
            await read(peer)
        assert len(peer.requests) == 2
        assert caught.value.code == "graph_token_refused"


class TestBusy:
    @pytest.mark.parametrize("status", [423, 429, 503, 504, 509])
    async def test_a_short_wait_is_waited_for(self, status: int, waits: list[float]) -> None:
        await read(graph(error_reply(status, headers={"Retry-After": "3"}), EMPTY))
        assert waits == [3.0]

    async def test_a_date(self, waits: list[float]) -> None:
        headers = {"Date": "Wed, 25 Nov 2026 09:00:00 GMT", "Retry-After": "Wed, 25 Nov 2026 09:00:04 GMT"}
        await read(graph(error_reply(429, headers=headers), EMPTY))
        assert waits == [4.0], "compared with the answer's own clock"

    async def test_zero(self, waits: list[float]) -> None:
        peer = graph(error_reply(429, headers={"Retry-After": "0"}))
        with pytest.raises(GraphThrottled):
            await read(peer)
        assert waits == [0.0, 0.0]
        assert len(peer.requests) == 3

    @pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}])
    async def test_without_a_time_the_wait_doubles(self, headers: dict[str, str], waits: list[float]) -> None:
        with pytest.raises(GraphThrottled) as caught:
            await read(graph(error_reply(429, "TooManyRequests", headers)))
        first, second = waits
        assert 2 <= first <= 3
        assert 4 <= second <= 5
        assert caught.value.retry_after_s is None

    @pytest.mark.parametrize(("asked", "kept"), [("600", 600.0), ("999999", 3600.0)])
    async def test_a_long_wait_does_not_hold_the_run(self, asked: str, kept: float, waits: list[float]) -> None:
        peer = graph(error_reply(429, headers={"Retry-After": asked}))
        with pytest.raises(GraphThrottled) as caught:
            await read(peer)
        assert caught.value.retry_after_s == kept
        assert caught.value.values["answered_status"] == 429
        assert waits == []
        assert len(peer.requests) == 1


class TestUnusableAnswers:
    @pytest.mark.parametrize(
        "reply",
        [
            raw_reply(b"<html>Sign in</html>"),
            raw_reply(b"\0" * 5000, content_type="application/json"),
            raw_reply(b'{"value":[{"id":"AdminMF', content_type="application/json"),
            raw_reply(b"[" * 100_000, content_type="application/json"),
            raw_reply(b'{"value":[]}', content_type="text/plain"),
            raw_reply(b"[]", content_type="application/json"),
            json_reply({}),
            json_reply({"value": None}),
            json_reply({"value": {}}),
            json_reply({"value": [], "error": {"code": "generalException"}}),
        ],
    )
    async def test_a_200_that_is_no_list(self, reply: Reply) -> None:
        peer = graph(reply)
        with pytest.raises(GraphUnavailable) as caught:
            await read(peer)
        assert caught.value.code == "graph_answer_unusable"
        assert len(peer.requests) == 3

    @pytest.mark.parametrize(
        ("failure", "code", "requests"),
        [
            (httpx.ConnectError("refused"), "graph_unavailable", 3),
            (httpx.ReadError("reset"), "graph_unavailable", 3),
            (httpx.RemoteProtocolError("cut off"), "graph_unavailable", 3),
            (httpx.ReadTimeout("slow"), "graph_timeout", 1),
        ],
    )
    async def test_no_answer(self, failure: Exception, code: str, requests: int) -> None:
        peer = graph(failure)
        with pytest.raises(GraphUnavailable) as caught:
            await read(peer)
        assert caught.value.code == code
        assert len(peer.requests) == requests
        assert caught.value.__context__ is None

    async def test_too_large(self) -> None:
        peer = graph(raw_reply(b" " * (ANSWER_LIMIT + 1), content_type="application/json"))
        with pytest.raises(GraphAnswerTooLarge):
            await read(peer)
        assert len(peer.requests) == 1

    async def test_another_encoding(self) -> None:
        peer = graph(raw_reply(b"x", headers={"Content-Encoding": "br"}))
        with pytest.raises(GraphUnavailable) as caught:
            await read(peer)
        assert caught.value.values["variant"] == "encoded"

    async def test_an_earlier_request_hangs(self) -> None:
        async def hang(request: httpx.Request) -> httpx.Response:
            await released.wait()
            return httpx.Response(200, json={"value": []})

        released = asyncio.Event()
        lists = lists_over(hang, Limits(turn_s=0.01))
        requests = [
            asyncio.create_task(lists.part(TENANT_ID, "secureScores", as_it_is, top=1))
            for _ in range(REQUESTS_AT_ONCE + 1)
        ]
        await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        released.set()
        found = await asyncio.gather(*requests, return_exceptions=True)
        assert [error.code for error in found if isinstance(error, ConnectorError)] == ["graph_requests_waiting"]

    async def test_partial_is_no_failure(self) -> None:
        warned = page({"id": 1}, status=206, headers={"Warning": '199 - "Microsoft/SecureScore/504/10000"'})
        peer = graph(warned)
        listed = await read(peer)
        assert listed == Listed(({"id": 1},), received=1, is_complete=False)
        assert len(peer.requests) == 1


class TestLog:
    @pytest.fixture
    def events(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
        caplog.set_level(logging.DEBUG)
        return lambda: [json.loads(record.getMessage()) for record in caplog.records if record.name == "connector"]

    async def test_each_request_leaves_one_record(
        self, events: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
    ) -> None:
        diagnostic = {"ServerInfo": {"DataCenter": "West Europe", "Slice": "E", "Ring": "5"}}
        headers = {"request-id": GUID, "x-ms-ags-diagnostic": json.dumps(diagnostic)}
        peer = graph(error_reply(502), page({"id": "x"}, headers=headers, status=206))
        await read(peer)
        first, second = events()
        assert first["event"] == second["event"] == "graph_request"
        assert (first["status"], first["outcome"]) == (502, "graph_unavailable")
        assert first["client_request_id"] == peer.requests[0].headers["client-request-id"]
        assert (
            second.items()
            >= {
                "tenant_id": TENANT_ID,
                "method": "GET",
                "list": "secureScores",
                "status": 206,
                "outcome": "partial",
                "graph_request_id": GUID,
                "client_request_id": peer.requests[1].headers["client-request-id"],
                "data_center": "West Europe",
            }.items()
        )
        assert "canary" not in caplog.text
        assert "top" not in caplog.text

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"request-id": "not a guid", "x-ms-ags-diagnostic": "{"},
            {"request-id": jwt(), "x-ms-ags-diagnostic": json.dumps({"ServerInfo": {"DataCenter": jwt()}})},
            {"x-ms-ags-diagnostic": json.dumps({"ServerInfo": [1]})},
            {"x-ms-ags-diagnostic": json.dumps({"ServerInfo": {"DataCenter": 7}})},
        ],
    )
    async def test_header_values_that_are_not_what_they_should_be(
        self,
        headers: dict[str, str],
        events: Callable[[], list[dict[str, Any]]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        await read(graph(page(headers=headers)))
        (event,) = events()
        assert event.keys().isdisjoint({"graph_request_id", "data_center"})
        assert "canary" not in caplog.text

    async def test_a_canceled_request(self, events: Callable[[], list[dict[str, Any]]]) -> None:
        arrived = asyncio.Event()

        async def hang(request: httpx.Request) -> httpx.Response:
            arrived.set()
            await asyncio.Event().wait()
            raise AssertionError

        request = asyncio.create_task(lists_over(hang).part(TENANT_ID, "secureScores", as_it_is, top=1))
        await arrived.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert [event["outcome"] for event in events()] == ["canceled"]
