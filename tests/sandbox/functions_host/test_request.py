"""What a function sees of a request (Functions host §2)."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import Any

import pytest

from sandbox.functions_host import server
from tests.sandbox.functions_host.apps import BEHAVIOUR, routed
from tests.sandbox.functions_host.conftest import StartHost, Wire


def seen(wire: Wire, *headers: str, target: str = "/api/echo", method: str = "GET", body: bytes = b"") -> Any:
    """Return what the echo function saw."""
    status, answer = wire.ask(f"{method} {target} HTTP/1.1", *(headers or ("Host: h",)), body=body)
    assert status == 200, answer
    return json.loads(answer.partition("\r\n\r\n")[2].split("\r\n")[1])


def test_header_names_are_lower_case_and_repeats_joined_by_a_bare_comma(wire: Wire) -> None:
    """§Q1 to §Q5."""
    headers = seen(
        wire, "Host: h", "Accept: text/html", "X-B: ", "Accept: */*", "Cookie: a=1; c=2", "Cookie: d=4", "X_A: é"
    )["headers"]
    assert headers == {
        "accept": "text/html,*/*",
        "connection": "close",
        "cookie": "a=1; c=2,d=4",
        "host": "h",
        "x-b": "",
        "x_a": "é",
    }
    assert list(headers) == sorted(headers)


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\0b"])
def test_header_that_is_no_text_is_400(wire: Wire, value: bytes) -> None:
    """§Q4."""
    answer = wire.raw(b"GET /api/echo HTTP/1.1\r\nHost: h\r\nX-A: " + value + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"X-Custom" not in answer


@pytest.mark.parametrize(
    ("sent", "url"),
    [
        ("/api/echo/a/../b?x=1&y", "http://h/api/echo/b?x=1&y"),
        ("/api/echo/%3B%7E%27", "http://h/api/echo/;~'"),
        ("/api/echo/a\\b", "http://h/api/echo/a%5Cb"),
        ("/api/echo/%zz", "http://h/api/echo/%25zz"),
        ("/api/echo/%E6%97%A5", "http://h/api/echo/%E6%97%A5"),
        ("/api/echo/a%2Fb", "http://h/api/echo/a%2Fb"),
        ("/api/echo/a%252Fb", "http://h/api/echo/a%2Fb"),
        ("/api/echo/a%3Fb", "http://h/api/echo/a%3Fb"),
    ],
)
def test_url_is_host_path_and_query_encoded_anew(wire: Wire, sent: str, url: str) -> None:
    """§Q6, §R33."""
    assert seen(wire, target=sent)["url"] == url


def test_url_comes_from_host_alone(wire: Wire) -> None:
    """§Q6 to §Q9, §A9."""
    forwarded = ("X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "Forwarded: host=evil", "X-Original-URL: /evil")
    found = seen(wire, "Host: anything.example:81", "Disguised-Host: evil", *forwarded)
    assert found["url"] == "http://anything.example:81/api/echo"
    assert found["headers"]["x-forwarded-host"] == "evil"
    assert found["headers"]["x-original-url"] == "/evil"


@pytest.mark.parametrize("hosts", [["X: y"], ["Host:"], ["Host: a", "Host: b"], ["Host: a b"], ["Host: é"]])
def test_missing_or_malformed_host_is_400(wire: Wire, hosts: list[str]) -> None:
    """§Q9."""
    assert wire.ask("GET /api/echo HTTP/1.1", *hosts)[0] == 400


def test_old_protocol_without_host_is_500_once_a_function_matches(wire: Wire) -> None:
    """§Q9."""
    assert wire.raw(b"GET /api/echo HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 500 ")
    assert wire.raw(b"GET /api/nothing HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("proto", "status", "start"),
    [("https", 200, "https://public.example/"), ("evil", 200, "http://public.example/"), ("https,http", 500, "")],
)
async def test_front_end_headers_count_behind_a_front_end(
    host_of: StartHost, proto: str, status: int, start: str
) -> None:
    """§Q8."""
    _, client = await host_of(routed(("one", "one", None)), is_behind_front_end=True)
    headers = {"X-Forwarded-Proto": proto, "Disguised-Host": "public.example", "X-Forwarded-Host": "evil"}
    answer = await client.get("/api/one", headers=headers)
    assert answer.status_code == status
    assert status != 200 or answer.json()["url"] == f"{start}api/one"


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&a=2&A=9", {"a": "1,2,9"}),
        ("a=1&b=&c", {"a": "1"}),
        ("a=x+y%2B%E6%97%A5", {"a": "x y+日"}),
        ("a=%zz&g[]=1&h;i=2", {"a": "%zz", "g[]": "1", "h;i": "2"}),
        ("=z", {"": "z"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_params_are_joined_without_blanks_whatever_their_case(wire: Wire, query: str, params: object) -> None:
    """§Q10 to §Q13."""
    found = seen(wire, target=f"/api/echo/r?{query}")
    assert found["params"] == params
    assert found["url"].endswith(f"?{query}")
    assert found["route_params"] == {"rest": "r"}


def test_body_arrives_as_bytes(wire: Wire) -> None:
    """§Q5, §Q14, §Q27."""
    body = bytes(range(256))
    found = seen(wire, "Host: h", "Content-Length: 256", "Content-Encoding: gzip", method="GET", body=body)
    assert found["body"].encode("latin-1") == body
    assert found["headers"]["content-length"] == "256"
    assert seen(wire)["body"] == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}', '{"json": {"a": 1}}'),
        (b"", "ValueError"),
        (b"{", "ValueError"),
        (b"\xef\xbb\xbf{}", "ValueError"),
    ],
)
def test_json_is_read_whatever_its_content_type(wire: Wire, body: bytes, expected: str) -> None:
    """§Q15."""
    assert wire.client.post("/api/json", content=body, headers={"content-type": "text/plain"}).text == expected


def test_forms_keep_repeats_and_blanks(wire: Wire) -> None:
    """§Q16, §Q17."""
    kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    found = wire.client.post("/api/form", content=b"a=1&a=2+3&d=&e&%E6%97%A5=x", headers=kind).json()
    assert found["form"] == {"a": ["1", "2 3"], "d": [""], "e": [""], "日": ["x"]}
    found = wire.client.post("/api/form", data={"t": "v"}, files={"f": ("n.txt", b"\xff\0", "text/x")}).json()
    assert (found["form"], found["files"]) == ({"t": ["v"]}, {"f": ["n.txt", "text/x", "\xff\0"]})


def test_chunked_body_is_not_handed_over(wire: Wire) -> None:
    """§Q18, §Q19."""
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    assert seen(wire, "Host: h", "Transfer-Encoding: chunked", method="POST", body=chunks)["body"] == ""
    both = ("Host: h", "Transfer-Encoding: chunked", "Content-Length: 5")
    assert seen(wire, *both, method="POST", body=chunks)["body"] == ""
    assert seen(wire, "Host: h", "Transfer-Encoding: chunked", method="POST", body=b"no chunks\r\n")["body"] == ""


async def test_chunked_body_is_not_handed_over_in_process_either(host_of: StartHost) -> None:
    """§Q18."""
    _, client = await host_of(BEHAVIOUR)

    async def pieces() -> Any:
        yield b"hello"

    assert (await client.post("/api/echo", content=pieces())).json()["body"] == ""
    assert (await client.post("/api/echo", content=b"hello")).json()["body"] == "hello"


def test_connection_is_kept_after_chunks_that_nobody_read(wire: Wire) -> None:
    """§Q18, §Q26."""
    first = (
        b"POST /api/echo/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n"
    )
    second = b"GET /api/echo/2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answer = wire.raw(first + second)
    assert [found.decode() for found in re.findall(rb"http://h/api/echo/(\d)", answer)] == ["1", "2"]


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: abc"],
        ["Content-Length: -1"],
        ["Content-Length: 1", "Content-Length: 1"],
        ["Transfer-Encoding: gzip"],
        ["No colon"],
        ["Bad name: x"],
        ["Name : x"],
    ],
)
def test_malformed_request_is_400_by_the_server(wire: Wire, lines: list[str]) -> None:
    """§Q20, §P29."""
    status, answer = wire.ask("GET /api/echo HTTP/1.1", "Host: h", *lines)
    assert status == 400
    assert "Content-Length: 0" in answer
    assert "Server: Kestrel" in answer
    assert "X-Custom" not in answer


@pytest.mark.parametrize("line", ["garbage", "GET /api/echo", "G(T /api/echo HTTP/1.1", "GET /api/echo HTTPS/1.1"])
def test_garbage_line_is_400(wire: Wire, line: str) -> None:
    """§Q20."""
    assert wire.ask(line)[0] == 400


def test_body_cut_short_gets_no_answer(wire: Wire) -> None:
    """§Q21."""
    with socket.create_connection(("127.0.0.1", wire.port), timeout=10) as connection:
        connection.sendall(b"POST /api/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""


async def test_body_that_never_comes_is_500(host_of: StartHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """§Q21."""
    monkeypatch.setattr(server, "STALLED_BODY_S", 0.05)
    host, _ = await host_of(BEHAVIOUR)
    async with server.Server(host.asgi) as serving:
        answer = await talk(serving.port, b"POST /api/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")


async def talk(port: int, sent: bytes) -> bytes:
    """Send bytes and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_client_is_asked_to_continue_when_the_body_is_read(wire: Wire) -> None:
    """§Q22."""
    head = "Host: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    assert wire.raw(f"POST /api/echo HTTP/1.1\r\n{head}hi".encode()).startswith(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "
    )
    assert wire.raw(f"POST /api/nothing HTTP/1.1\r\n{head}".encode()).startswith(b"HTTP/1.1 404 ")


async def test_body_over_the_limit_is_500(host_of: StartHost) -> None:
    """§Q23."""
    _, client = await host_of(BEHAVIOUR, environment={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "10"})
    assert (await client.post("/api/echo", content=b"x" * 10)).status_code == 200
    answer = await client.post("/api/echo", content=b"x" * 11)
    assert (answer.status_code, answer.content) == (500, b"")
    assert (await client.post("/api/nothing", content=b"x" * 11)).status_code == 404


def test_default_body_limit_answers_before_the_body_is_sent(wire: Wire) -> None:
    """§Q23."""
    assert wire.ask("POST /api/echo HTTP/1.1", "Host: h", "Content-Length: 104857601")[0] == 500
    assert wire.ask("POST /api/nothing HTTP/1.1", "Host: h", "Content-Length: 104857601")[0] == 404


def test_long_request_line_is_414(wire: Wire) -> None:
    """§Q24."""
    rest = len("GET /api/echo/ HTTP/1.1\r\n")
    assert wire.ask(f"GET /api/echo/{'a' * (8192 - rest)} HTTP/1.1")[0] == 200
    assert wire.ask(f"GET /api/echo/{'a' * (8193 - rest)} HTTP/1.1")[0] == 414
    assert wire.ask(f"GET /api/echo/{'a' * 100_000} HTTP/1.1")[0] == 414


def test_too_many_or_too_large_headers_are_431(wire: Wire) -> None:
    """§Q25."""
    assert wire.ask("GET /api/echo HTTP/1.1", "Host: h", *(f"X-{n}: 1" for n in range(98)))[0] == 200
    assert wire.ask("GET /api/echo HTTP/1.1", "Host: h", *(f"X-{n}: 1" for n in range(99)))[0] == 431
    assert wire.ask("GET /api/echo HTTP/1.1", "Host: h", f"X: {'a' * 32_000}")[0] == 200
    assert wire.ask("GET /api/echo HTTP/1.1", "Host: h", f"X: {'a' * 33_000}")[0] == 431


@pytest.mark.parametrize(("version", "status"), [("HTTP/1.2", 505), ("HTTP/3.0", 505), ("HTTP/1.1", 200)])
def test_unknown_protocol_versions_are_505(wire: Wire, version: str, status: int) -> None:
    """§Q26, §P29."""
    found, answer = wire.ask(f"GET /api/echo {version}", "Host: h", "Upgrade: h2c")
    assert found == status
    assert ("X-Custom" in answer) == (status == 200)


def test_http_2_is_sent_away(wire: Wire) -> None:
    """§Q26: GOAWAY with HTTP_1_1_REQUIRED (13)."""
    answer = wire.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer[3] == 7
    assert answer[-1] == 13


def test_old_protocol_is_answered_unchunked_and_closed(wire: Wire) -> None:
    """§Q26."""
    answer = wire.raw(b"GET /api/echo HTTP/1.0\r\nHost: h\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert json.loads(body)["function"] == "echo"


def test_pipelined_requests_and_bare_line_ends(wire: Wire) -> None:
    """§Q26."""
    answer = wire.raw(b"GET /api/echo/1 HTTP/1.1\nHost: h\n\nGET /api/echo/2 HTTP/1.1\nHost: h\nConnection: close\n\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b"/echo/1") < answer.index(b"/echo/2")


def test_context_names_the_call_the_function_and_the_trace(wire: Wire) -> None:
    """§Q28."""
    incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    first = wire.get("context", headers={"traceparent": incoming}).json()
    second = wire.get("context").json()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first["invocation_id"])
    assert first["invocation_id"] != second["invocation_id"]
    assert first["name"] == "shows_context"
    assert first["directory"].endswith("/app")
    assert first["headers"]["traceparent"] == incoming
    _, trace_id, span_id, flags = first["traceparent"].split("-")
    assert (trace_id, flags) == ("0af7651916cd43dd8448eb211c80319c", "01")
    assert span_id != "b7ad6b7169203331"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", second["traceparent"])
