"""The promises for every request (see the module's description)."""

from __future__ import annotations

import ast
import asyncio
import gzip
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
import trustme

from shared.outbound.answers import Answer
from shared.outbound.bodies import ANSWER_LIMIT, SMALL_ANSWER
from shared.outbound.failures import NoAnswer, Reason
from shared.outbound.queues import LARGE_ANSWERS_PER_QUEUE, MEMORY_FOR_ANSWERS
from shared.outbound.transport import Limits, Request, Transport
from shared.secret import Secret
from tests.unit.outbound.support import Answering

LIMITS = Limits()
HOST = "https://service.example"


async def ask(
    transport: Transport,
    host: str = HOST,
    *,
    limits: Limits = LIMITS,
    queue: str | None = None,
    total_s: float = 30.0,
    **request: str | Secret,
) -> Answer:
    """Send a request and return its answer; by default, each host has its own queue."""
    asked = Request(**{"method": "GET", "url": f"{host}/path", **request})  # type: ignore[arg-type]
    async with transport.exchange(asked, limits, queue=queue or host, total_s=total_s) as answer:
        return answer


async def reason_of(transport: Transport, host: str = HOST, **how: float) -> Reason:
    with pytest.raises(NoAnswer) as caught:
        await ask(transport, host, **how)  # type: ignore[arg-type]
    assert caught.value.__context__ is None, "the errors of httpx hold parts of requests and answers"
    return caught.value.reason


def answering(handler: Callable[[httpx.Request], httpx.Response]) -> Transport:
    return Transport(network=Answering(handler))


def test_httpx_is_imported_in_one_module() -> None:
    importers = {
        path.as_posix()
        for path in Path("shared").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "httpx" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "httpx")
    }
    assert importers == {"shared/outbound/transport.py"}


async def test_no_cookie_is_ever_sent_back() -> None:
    cookies = [
        ("Set-Cookie", "JSESSIONID=1; Path=/; HttpOnly"),
        ("Set-Cookie", "session_store=2; Max-Age=1800; Path=/; Domain=service.example"),
        ("Set-Cookie", "user_route=3; Path=/; Domain=.example; Secure"),
    ]
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers=cookies)

    transport = answering(answer)
    await ask(transport)
    await ask(transport, method="POST", form=Secret("token=x"))
    await ask(transport)
    assert len(asked) == 3
    assert all("cookie" not in request.headers for request in asked)


@pytest.mark.parametrize("location", ["https://elsewhere.example/", "javascript:alert(1)", "http://[", "//:x", "\xff"])
async def test_redirects_are_not_followed(location: str) -> None:
    headers = httpx.Headers({"Location": location}, encoding="latin-1")
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(307, headers=headers)

    answered = await ask(answering(answer))
    assert (answered.status, len(asked)) == (307, 1)
    assert answered.headers["location"]


async def test_headers() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    await ask(answering(answer), access_token=Secret("canary"))
    headers = asked[0].headers
    assert headers["authorization"] == "Bearer canary"
    assert headers["user-agent"] == "servicenow-tickets-for-microsoft-365"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (httpx.ConnectError("refused"), Reason.NO_CONNECTION),
        (httpx.ConnectTimeout("slow"), Reason.NO_CONNECTION),
        (httpx.ProxyError("no"), Reason.NO_CONNECTION),
        (httpx.ReadTimeout("slow"), Reason.TIMEOUT),
        (httpx.WriteTimeout("slow"), Reason.TIMEOUT),
        (httpx.ReadError("reset"), Reason.BROKEN),
        (httpx.WriteError("reset"), Reason.BROKEN),
        (httpx.CloseError("reset"), Reason.BROKEN),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), Reason.BROKEN),
        (httpx.DecodingError("not gzip"), Reason.BROKEN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_broken_connections(failure: Exception, reason: Reason) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise failure

    assert await reason_of(answering(fail)) is reason


async def test_the_whole_exchange_is_bounded() -> None:
    async def never_ending() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.005)

    transport = answering(lambda _: httpx.Response(200, content=never_ending()))
    assert await reason_of(transport, total_s=0.05) is Reason.TIMEOUT


async def test_the_body_is_bounded() -> None:
    pieces = 0

    async def far_too_long() -> AsyncIterator[bytes]:
        nonlocal pieces
        for _ in range(64):
            pieces += 1
            yield b"x" * 1024 * 1024

    assert await reason_of(answering(lambda _: httpx.Response(200, content=far_too_long()))) is Reason.TOO_LARGE
    assert pieces == ANSWER_LIMIT // (1024 * 1024) + 1


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "deflate"])
async def test_an_answer_in_another_encoding_is_no_answer(encoding: str) -> None:
    async def packed() -> AsyncIterator[bytes]:
        yield gzip.compress(gzip.compress(b"{}"))

    transport = answering(lambda _: httpx.Response(200, headers={"Content-Encoding": encoding}, content=packed()))
    assert await reason_of(transport) is Reason.ENCODED


class Dripping:
    """Hosts whose answers are large and never end; one is healthy."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "healthy.example":
            return httpx.Response(200, content=b"x" * SMALL_ANSWER * 2)
        return httpx.Response(200, content=self._drip())

    async def _drip(self) -> AsyncIterator[bytes]:
        yield b" " * SMALL_ANSWER
        yield b" "
        await asyncio.Event().wait()


HEALTHY = "https://healthy.example"


async def ended(
    tasks: Sequence[asyncio.Task[Answer]], count: int
) -> tuple[list[asyncio.Task[Answer]], list[asyncio.Task[Answer]]]:
    """Wait until this many tasks have ended; return those, and those that go on."""
    while sum(task.done() for task in tasks) < count:
        await asyncio.sleep(0.01)
    return [task for task in tasks if task.done()], [task for task in tasks if not task.done()]


async def test_large_answers_of_one_queue_leave_room_for_those_of_others() -> None:
    transport, limits = answering(Dripping()), Limits(turn_s=0.05)
    waiting = [asyncio.create_task(ask(transport, limits=limits)) for _ in range(limits.at_once)]
    done, rest = await ended(waiting, limits.at_once - LARGE_ANSWERS_PER_QUEUE)
    assert len(rest) == LARGE_ANSWERS_PER_QUEUE
    for task in done:
        with pytest.raises(NoAnswer) as caught:
            task.result()
        assert caught.value.reason is Reason.NO_ROOM
    assert (await ask(transport, HEALTHY, limits=limits)).status == 200
    for task in rest:
        task.cancel()


async def test_large_answers_together_stay_within_the_memory_for_them() -> None:
    transport, limits = answering(Dripping()), Limits(turn_s=0.05)
    hosts = [f"https://i{number}.example" for number in range(24)]
    waiting = [asyncio.create_task(ask(transport, host, limits=limits)) for host in hosts]
    _, rest = await ended(waiting, len(hosts) - MEMORY_FOR_ANSWERS // ANSWER_LIMIT)
    assert len(rest) * ANSWER_LIMIT == MEMORY_FOR_ANSWERS
    with pytest.raises(NoAnswer) as caught:
        await ask(transport, HEALTHY, limits=limits)
    assert caught.value.reason is Reason.NO_ROOM
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    assert (await ask(transport, HEALTHY, limits=limits)).status == 200, "the reserved memory was released"


async def test_tenants_of_one_host_have_a_limit_each() -> None:
    arrived: list[str] = []

    async def hang(request: httpx.Request) -> httpx.Response:
        arrived.append(request.headers["authorization"])
        await asyncio.Event().wait()
        raise AssertionError

    transport, limits = Transport(network=Answering(hang)), Limits(at_once=4, turn_s=0.02)
    tenants = [f"tenant-{number % 2}" for number in range(12)]
    waiting = [
        asyncio.create_task(ask(transport, limits=limits, queue=tenant, access_token=Secret(tenant)))
        for tenant in tenants
    ]
    done, rest = await ended(waiting, len(tenants) - 2 * limits.at_once)
    assert sorted(arrived) == ["Bearer tenant-0"] * 4 + ["Bearer tenant-1"] * 4
    for task in done:
        with pytest.raises(NoAnswer) as caught:
            task.result()
        assert caught.value.reason is Reason.NO_TURN
    for task in rest:
        task.cancel()


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
async def tls_host(certificate: tuple[ssl.SSLContext, Path]) -> AsyncIterator[tuple[str, Path]]:
    """A server on the loopback interface with that certificate."""
    context, ca_file = certificate

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", ca_file


async def test_a_host_that_hangs_uses_up_nothing_of_another(
    tls_host: tuple[str, Path], certificate: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, ca_file = tls_host
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    connected = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        await reader.read()
        writer.close()

    limits = Limits(turn_s=0.4, connect_s=60.0)
    async with (
        aclosing(Transport()) as transport,
        await asyncio.start_server(hang, "127.0.0.1", 0, ssl=certificate[0]) as server,
    ):
        hanging = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        waiting = [asyncio.create_task(ask(transport, hanging, limits=limits)) for _ in range(50)]
        while connected < limits.at_once:
            await asyncio.sleep(0.01)
        assert (await ask(transport, healthy, limits=limits)).body == b"{}"
        done, _ = await ended(waiting, 50 - limits.at_once)
        assert len(done) == 50 - limits.at_once
        assert connected == limits.at_once
        for task in done:
            with pytest.raises(NoAnswer) as caught:
                task.result()
            assert caught.value.reason is Reason.NO_TURN
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (await ask(transport, healthy, limits=limits)).body == b"{}"


async def test_ssl_cert_file_is_honoured(tls_host: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    host, ca_file = tls_host
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with aclosing(Transport()) as stranger:
        assert await reason_of(stranger, host) is Reason.CERTIFICATE_REFUSED
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    async with aclosing(Transport()) as transport:
        assert (await ask(transport, host)).body == b"{}"


async def test_no_request_has_a_package_looked_for(tls_host: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    host, ca_file = tls_host
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    looked_for: list[str] = []

    class Finder:
        def find_spec(self, name: str, *_: object) -> None:
            looked_for.append(name)

    async with aclosing(Transport()) as transport:
        await ask(transport, host)
        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        await ask(transport, host)
    assert looked_for == []


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
        async with aclosing(Transport()) as transport:
            assert await reason_of(transport) is Reason.NO_CONNECTION
            loopback = f"http://127.0.0.1:{unused_tcp_port_factory()}"
            assert await reason_of(transport, loopback) is Reason.NO_CONNECTION
    assert asked == [b"CONNECT service.example:443 HTTP/1.1\r\n"]
