"""What is promised of every request (see the module's description)."""

from __future__ import annotations

import ast
import asyncio
import gzip
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
import trustme

from shared.connections.ports import InstanceAccess
from shared.errors import ConnectorError, InstanceClosed, OutcomeUnknown, ServiceNowThrottled, ServiceNowUnavailable
from shared.secret import Secret
from shared.servicenow.bodies import ANSWER_LIMIT, SMALL_ANSWER
from shared.servicenow.client import ServiceNowClient
from shared.servicenow.transport import Limits
from shared.servicenow.turns import LARGE_ANSWERS_PER_INSTANCE, MEMORY_FOR_ANSWERS, REQUESTS_PER_INSTANCE
from tests.unit.servicenow.support import (
    ACCESS,
    ACCESS_TOKEN,
    CONNECTION,
    KIND_SETTINGS,
    Answering,
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


async def read(peer_client: ServiceNowClient) -> None:
    await peer_client.records.list_by_sys_id(ACCESS, ["1" * 32])


async def write(peer_client: ServiceNowClient) -> None:
    await peer_client.records.create_record(ACCESS, ticket(), KIND_SETTINGS, None)


def test_httpx_is_imported_in_one_module() -> None:
    importers = {
        path.name
        for path in Path("shared").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "httpx" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "httpx")
    }
    assert importers == {"transport.py"}


async def test_no_cookie_is_ever_sent_back() -> None:
    cookies = [
        ("Set-Cookie", "JSESSIONID=1; Path=/; HttpOnly"),
        ("Set-Cookie", "glide_session_store=2; Max-Age=1800; Path=/; Domain=contoso.service-now.com"),
        ("Set-Cookie", "glide_user_route=3; Path=/; Domain=.service-now.com; Secure"),
        ("Content-Type", "application/json"),
    ]
    peer = instance(lambda _: httpx.Response(200, headers=cookies, json={"result": []}))
    client = peer.client()
    await read(client)
    await read(client)
    await client.oauth.revoke(CONNECTION, Secret("x"))
    await read(client)
    assert len(peer.requests) == 4
    assert all("cookie" not in request.headers for request in peer.requests)


@pytest.mark.parametrize("location", ["https://elsewhere.example/", "javascript:alert(1)", "http://[", "//:x", "\xff"])
async def test_redirects_are_not_followed(location: str) -> None:
    headers = httpx.Headers({"Location": location}, encoding="latin-1")
    peer = instance(lambda _: httpx.Response(307, headers=headers), WRITTEN)
    with pytest.raises(InstanceClosed) as caught:
        await write(peer.client())
    assert len(peer.requests) == 1
    assert caught.value.code == "servicenow_redirects"
    assert caught.value.may_be_written, "what answers in this way may have passed the request on first"


async def test_headers() -> None:
    peer = instance(NOTHING)
    await read(peer.client())
    headers = peer.requests[0].headers
    assert headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert headers["user-agent"] == "servicenow-tickets-for-microsoft-365"
    assert headers["accept"] == "application/json"


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


async def test_only_gzip_is_asked_for() -> None:
    peer = instance(NOTHING)
    await read(peer.client())
    assert peer.requests[0].headers["accept-encoding"] == "gzip"


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
    assert len(peer.requests) == 2, "it would be the same again"


class Dripping:
    """Instances whose answers are large and never end."""

    def __init__(self) -> None:
        self.begun = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "healthy.service-now.com":
            return large_reply(request)
        return httpx.Response(200, headers={"Content-Type": "application/json"}, content=self._drip())

    async def _drip(self) -> AsyncIterator[bytes]:
        yield b" " * SMALL_ANSWER
        self.begun += 1
        yield b" "
        await asyncio.Event().wait()


large_reply = json_reply({"result": [], "more": "x" * SMALL_ANSWER * 2})


async def ended[Result](
    tasks: Sequence[asyncio.Task[Result]], count: int
) -> tuple[list[asyncio.Task[Result]], list[asyncio.Task[Result]]]:
    """Wait until so many tasks have come to their end; return those, and those that go on."""
    while sum(task.done() for task in tasks) < count:
        await asyncio.sleep(0.01)
    return [task for task in tasks if task.done()], [task for task in tasks if not task.done()]


async def test_large_answers_of_one_instance_leave_room_for_those_of_others() -> None:
    client = ServiceNowClient(transport=Answering(Dripping()), limits=Limits(turn_s=0.05))
    waiting = [asyncio.create_task(read(client)) for _ in range(REQUESTS_PER_INSTANCE)]
    done, rest = await ended(waiting, REQUESTS_PER_INSTANCE - LARGE_ANSWERS_PER_INSTANCE)
    assert len(rest) == LARGE_ANSWERS_PER_INSTANCE
    for task in done:
        with pytest.raises(ServiceNowUnavailable) as caught:
            task.result()
        assert caught.value.code == "connector_busy"
    healthy = InstanceAccess("https://healthy.service-now.com", ACCESS.access_token)
    assert await client.records.list_by_sys_id(healthy, ["1" * 32]) == []
    for task in rest:
        task.cancel()


async def test_large_answers_together_stay_within_the_memory_for_them() -> None:
    client = ServiceNowClient(transport=Answering(Dripping()), limits=Limits(turn_s=0.05))
    instances = [InstanceAccess(f"https://i{number}.service-now.com", ACCESS.access_token) for number in range(24)]
    waiting = [asyncio.create_task(client.records.list_by_sys_id(each, ["1" * 32])) for each in instances]
    _, rest = await ended(waiting, len(instances) - MEMORY_FOR_ANSWERS // ANSWER_LIMIT)
    assert len(rest) * ANSWER_LIMIT == MEMORY_FOR_ANSWERS
    healthy = InstanceAccess("https://healthy.service-now.com", ACCESS.access_token)
    with pytest.raises(ServiceNowUnavailable) as caught:
        await client.records.list_by_sys_id(healthy, ["1" * 32])
    assert caught.value.code == "connector_busy"
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    assert await client.records.list_by_sys_id(healthy, ["1" * 32]) == [], "what was held went back"


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

    client = ServiceNowClient(transport=Answering(slow), limits=Limits(get_total_s=0.06))
    with pytest.raises(ServiceNowUnavailable) as caught:
        await read(client)
    assert caught.value.code == "servicenow_timeout", "the second attempt had only what the first had left"


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

    task = asyncio.create_task(write(ServiceNowClient(transport=Answering(hang))))
    await sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event["outcome"] for event in events()] == ["canceled"]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's certificate, and its own authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file


@pytest.fixture
async def tls_instance(certificate: tuple[ssl.SSLContext, Path]) -> AsyncIterator[tuple[InstanceAccess, Path]]:
    """A server on the loopback interface with that certificate."""
    context, ca_file = certificate

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\nConnection: close\r\n\r\n"
            b'{"result":[]}'
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield InstanceAccess(f"https://localhost:{port}", Secret(ACCESS_TOKEN)), ca_file


async def test_an_instance_that_hangs_uses_up_nothing_of_another(
    tls_instance: tuple[InstanceAccess, Path],
    certificate: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    healthy, ca_file = tls_instance
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    connected = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        await reader.read()
        writer.close()

    client = ServiceNowClient(limits=Limits(turn_s=0.4, connect_s=2.0))
    async with await asyncio.start_server(hang, "127.0.0.1", 0, ssl=certificate[0]) as server:
        hanging = InstanceAccess(f"https://localhost:{server.sockets[0].getsockname()[1]}", ACCESS.access_token)
        waiting = [asyncio.create_task(client.records.list_by_sys_id(hanging, ["1" * 32])) for _ in range(50)]
        await asyncio.sleep(0.1)
        assert await client.records.list_by_sys_id(healthy, ["1" * 32]) == []
        done, _ = await asyncio.wait(waiting, timeout=0.8)
        assert connected == REQUESTS_PER_INSTANCE
        assert len(done) == 50 - REQUESTS_PER_INSTANCE, "the others did not wait for ever"
        for task in done:
            with pytest.raises(ServiceNowUnavailable, match="nothing was written") as caught:
                task.result()
            assert (type(caught.value), caught.value.code) == (ServiceNowUnavailable, "instance_busy")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await client.records.list_by_sys_id(healthy, ["1" * 32]) == []
    await client.aclose()


async def test_ssl_cert_file_is_honoured(
    tls_instance: tuple[InstanceAccess, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    access, ca_file = tls_instance
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    stranger = ServiceNowClient()
    with pytest.raises(ServiceNowUnavailable, match="could not be reached"):
        await stranger.records.list_by_sys_id(access, ["1" * 32])
    await stranger.aclose()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    client = ServiceNowClient()
    assert await client.records.list_by_sys_id(access, ["1" * 32]) == []
    await client.aclose()


async def test_a_proxy_serves_https_and_never_plain_http(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port_factory: Callable[[], int]
) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        client = ServiceNowClient()
        with stamina.set_testing(True, attempts=1):
            with pytest.raises(ServiceNowUnavailable):
                await write(client)
            loopback = InstanceAccess(f"http://127.0.0.1:{unused_tcp_port_factory()}", Secret(ACCESS_TOKEN))
            with pytest.raises(ServiceNowUnavailable):
                await client.records.list_by_sys_id(loopback, ["1" * 32])
        await client.aclose()
    assert asked == [b"CONNECT contoso.service-now.com:443 HTTP/1.1\r\n"]


async def test_throttled_reads_tell_how_long() -> None:
    reply = error_reply(429, "Rate limit exceeded", None, {"Retry-After": "60"})
    with pytest.raises(ServiceNowThrottled) as caught:
        await read(instance(reply).client())
    assert caught.value.retry_after_s == 60.0
