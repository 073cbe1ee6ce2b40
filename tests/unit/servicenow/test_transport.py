"""The meaning of a missing answer, and what is repeated and logged."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import stamina

from shared.errors import (
    ConnectorError,
    InstanceBusy,
    InstanceClosed,
    NoRoomForAnswer,
    OutcomeUnknown,
    ServiceNowThrottled,
    ServiceNowUnavailable,
)
from shared.outbound.bodies import ANSWER_LIMIT, SMALL_ANSWER
from shared.outbound.queues import LARGE_ANSWERS_PER_QUEUE
from shared.outbound.transport import Limits, Transport
from tests.fixtures.servicenow import ANY_TIME, WholeClient
from tests.unit.outbound.support import Answering
from tests.unit.servicenow.support import (
    ACCESS_TOKEN,
    CONNECTION,
    KIND_SETTINGS,
    Reply,
    error_reply,
    instance,
    json_reply,
    raw_reply,
    record_cells,
    ticket,
)

NOTHING = json_reply({"result": []})
WRITTEN = json_reply({"result": record_cells()}, 201)
UNAVAILABLE = raw_reply(b"<html>Bad Gateway</html>", 502)


async def read(peer_client: WholeClient) -> None:
    await peer_client.records.list_by_sys_id(CONNECTION, ["1" * 32])


async def write(peer_client: WholeClient) -> None:
    await peer_client.records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)


@pytest.mark.parametrize("location", ["https://elsewhere.example/", "javascript:alert(1)", "http://[", "//:x", "\xff"])
async def test_redirects_are_not_followed(location: str) -> None:
    headers = httpx.Headers({"Location": location}, encoding="latin-1")
    peer = instance(lambda _: httpx.Response(307, headers=headers), WRITTEN)
    with pytest.raises(InstanceClosed) as caught:
        await write(peer.client())
    assert len(peer.requests) == 1
    assert caught.value.code == "servicenow_redirects"
    assert caught.value.may_be_written, "a server with such an answer may have passed on the request first"


async def test_the_token_is_sent_as_bearer() -> None:
    peer = instance(NOTHING)
    await read(peer.client())
    assert peer.requests[0].headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert peer.requests[0].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("failure", "certainly_not_sent"),
    [
        (httpx.ConnectError("refused"), True),
        (httpx.ConnectTimeout("slow"), True),
        (httpx.ProxyError("no"), True),
        (httpx.ReadTimeout("slow"), False),
        (httpx.WriteTimeout("slow"), False),
        (httpx.ReadError("reset"), False),
        (httpx.WriteError("reset"), False),
        (httpx.CloseError("reset"), False),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), False),
        (httpx.DecodingError("not gzip"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_broken_connections(failure: Exception, certainly_not_sent: bool) -> None:
    with pytest.raises(ServiceNowUnavailable) as reading:
        await read(instance(failure).client())
    assert not isinstance(reading.value, OutcomeUnknown)
    peer = instance(failure)
    with pytest.raises(ServiceNowUnavailable) as writing:
        await write(peer.client())
    assert isinstance(writing.value, OutcomeUnknown) is not certainly_not_sent
    assert len(peer.requests) == 1
    assert reading.value.__context__ is None
    assert writing.value.__context__ is None


async def test_the_whole_exchange_is_bounded() -> None:
    async def never_ending() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.005)

    peer = instance(lambda _: httpx.Response(201, content=never_ending()))
    with pytest.raises(OutcomeUnknown):
        await write(peer.client(Limits(post_total_s=0.05)))
    with pytest.raises(ServiceNowUnavailable) as caught:
        await read(peer.client(Limits(get_total_s=0.05)))
    assert caught.value.code == "servicenow_timeout"


async def test_the_body_is_bounded() -> None:
    pieces = 0

    async def far_too_long() -> AsyncIterator[bytes]:
        nonlocal pieces
        for _ in range(64):
            pieces += 1
            yield b"x" * 1024 * 1024

    peer = instance(lambda _: httpx.Response(200, content=far_too_long()))
    with pytest.raises(ServiceNowUnavailable) as caught:
        await read(peer.client())
    assert caught.value.code == "answer_too_large"
    assert pieces == ANSWER_LIMIT // (1024 * 1024) + 1
    with pytest.raises(OutcomeUnknown):
        await write(peer.client())


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate"])
async def test_an_answer_in_another_encoding_is_no_answer(encoding: str) -> None:
    async def packed() -> AsyncIterator[bytes]:
        yield gzip.compress(gzip.compress(b'{"result":[]}'))

    peer = instance(
        lambda _: httpx.Response(
            200, headers={"Content-Type": "application/json", "Content-Encoding": encoding}, content=packed()
        )
    )
    with pytest.raises(ServiceNowUnavailable) as reading:
        await read(peer.client())
    assert reading.value.code == "answer_encoded"
    with pytest.raises(OutcomeUnknown):
        await write(peer.client())
    assert len(peer.requests) == 2, "the result would be the same"


@pytest.mark.parametrize("stumble", [UNAVAILABLE, httpx.ReadError("reset"), httpx.ConnectError("refused")])
async def test_reads_are_repeated_after_a_stumble(stumble: Reply) -> None:
    peer = instance(stumble, stumble, NOTHING)
    await read(peer.client())
    assert len(peer.requests) == 3


async def test_reads_are_repeated_twice_at_most() -> None:
    peer = instance(UNAVAILABLE)
    with pytest.raises(ServiceNowUnavailable):
        await read(peer.client())
    assert len(peer.requests) == 3


@pytest.mark.parametrize(
    "reply",
    [
        raw_reply(b"<html>Instance Hibernating page</html>"),
        httpx.ReadTimeout("slow"),
        error_reply(429, "Rate limit exceeded", None),
        error_reply(429, "Rate limit exceeded", None, {"Retry-After": "60"}),
        error_reply(401, "User Not Authenticated", None),
        error_reply(403, "Operation Failed", None),
        error_reply(500, "Transaction cancelled: maximum execution time exceeded", None),
    ],
)
async def test_some_reads_are_not_worth_repeating(reply: Reply) -> None:
    peer = instance(reply)
    with pytest.raises(ConnectorError):
        await read(peer.client())
    assert len(peer.requests) == 1


async def test_a_short_retry_after_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(delay: float) -> None:
        waits.append(delay)

    monkeypatch.setattr(stamina._core, "_smart_sleep", sleep)
    peer = instance(error_reply(429, "Rate limit exceeded", None, {"Retry-After": "3"}), NOTHING)
    stamina.set_testing(False)
    await read(peer.client())
    assert waits == [3.0]
    assert len(peer.requests) == 2


async def test_repeating_stays_within_the_total() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.04)
        return httpx.Response(502)

    client = WholeClient(Transport(network=Answering(slow)), limits=Limits(get_total_s=0.06))
    with pytest.raises(ServiceNowUnavailable) as caught:
        await read(client)
    assert caught.value.code == "servicenow_timeout", "the second attempt had only the remaining time"


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    caplog.set_level(logging.DEBUG)
    return lambda: [json.loads(record.getMessage()) for record in caplog.records if record.name == "connector"]


async def test_each_request_leaves_one_record(
    events: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    written = json_reply({"result": record_cells()}, 201, {"X-Transaction-ID": "a1b2"})
    client = instance(written, UNAVAILABLE, httpx.ConnectError("refused"), NOTHING).client()
    await write(client)
    await read(client)
    logged = events()
    assert [
        (event["event"], event["method"], event["table"], event.get("status"), event["outcome"]) for event in logged
    ] == [
        ("servicenow_request", "POST", "incident", 201, "ok"),
        ("servicenow_request", "GET", "task", 502, "servicenow_unavailable"),
        ("servicenow_request", "GET", "task", None, "servicenow_unavailable"),
        ("servicenow_request", "GET", "task", 200, "ok"),
    ]
    assert logged[0]["transaction_id"] == "a1b2"
    assert all(event["duration_s"] >= 0 for event in logged)
    assert "canary" not in caplog.text
    assert "sysparm" not in caplog.text


async def test_a_canceled_request_leaves_a_record(events: Callable[[], list[dict[str, Any]]]) -> None:
    sent = asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        sent.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(write(WholeClient(Transport(network=Answering(hang)))))
    await sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event["outcome"] for event in events()] == ["canceled"]


class Hanging(httpx.AsyncBaseTransport):
    """Instances that never finish an answer; some send the beginning of a large one."""

    def __init__(self, *, begins: bool) -> None:
        self._begins = begins

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._begins:
            return httpx.Response(200, headers={"Content-Type": "application/json"}, content=self._drip())
        await asyncio.Event().wait()
        raise AssertionError

    async def _drip(self) -> AsyncIterator[bytes]:
        yield b" " * SMALL_ANSWER
        yield b" "
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("begins", "error", "at_once"),
    [(False, InstanceBusy, Limits().at_once), (True, NoRoomForAnswer, LARGE_ANSWERS_PER_QUEUE)],
)
async def test_who_waits_for_an_instance_that_hangs_is_told_so(
    begins: bool, error: type[ServiceNowUnavailable], at_once: int
) -> None:
    client = WholeClient(Transport(network=Hanging(begins=begins)), limits=Limits(turn_s=0.02))
    waiting = [asyncio.create_task(read(client)) for _ in range(Limits().at_once + 1)]
    while sum(task.done() for task in waiting) < len(waiting) - at_once:
        await asyncio.sleep(0.01)
    failures = [task.exception() for task in waiting if task.done()]
    assert error in {type(failure) for failure in failures}
    assert all(isinstance(failure, ServiceNowUnavailable) and not failure.may_be_written for failure in failures)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_throttled_reads_say_how_long() -> None:
    reply = error_reply(429, "Rate limit exceeded", None, {"Retry-After": "60"})
    with pytest.raises(ServiceNowThrottled) as caught:
        await read(instance(reply).client())
    assert caught.value.retry_after_s == 60.0
