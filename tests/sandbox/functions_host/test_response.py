"""How a function's result becomes an answer (Functions host §3)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.sandbox.functions_host.apps import BEHAVIOUR
from tests.sandbox.functions_host.conftest import StartHost, Wire


def answered(wire: Wire, **spec: Any) -> httpx.Response:
    """Make the answer function send this answer."""
    return wire.get("answer", params={"spec": json.dumps(spec)})


def raw_answer(wire: Wire, method: str = "GET", **spec: Any) -> tuple[str, str]:
    """As `answered`, but return the raw head and body."""
    _, answer = wire.ask(f"{method} /api/answer?spec={quote(json.dumps(spec))} HTTP/1.1")
    head, _, body = answer.partition("\r\n\r\n")
    return head, body


def cookies(wire: Wire, *values: str) -> list[str]:
    """Return the host's Set-Cookie lines for those of the function."""
    return answered(wire, add=[["Set-Cookie", value] for value in values]).headers.get_list("set-cookie")


def test_body_is_chunked_unless_empty(wire: Wire) -> None:
    """§P1, §P2."""
    head, body = raw_answer(wire, body="x")
    assert "Transfer-Encoding: chunked" in head
    assert "Content-Length" not in head
    assert body == "1\r\nx\r\n0\r\n\r\n"
    head, body = raw_answer(wire)
    assert "Content-Length: 0" in head
    assert "chunked" not in head
    names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:]}
    assert names == {"content-type", "content-length", "date", "server", "x-custom", "cache-control"}
    assert "Server: Kestrel" in head


def test_large_body_comes_in_one_chunk(wire: Wire) -> None:
    """§P1."""
    _, body = raw_answer(wire, body=20_000_000)
    assert body.startswith("1312d00\r\nxxx")


def test_server_and_date_of_the_function_replace_the_hosts(wire: Wire) -> None:
    """§P3."""
    head, _ = raw_answer(wire, headers={"Server": "mine", "Date": "never"})
    assert "Server: mine" in head
    assert "Date: never" in head
    assert "Kestrel" not in head


@pytest.mark.parametrize(
    ("spec", "content_type"),
    [
        ({"body": "x"}, "text/plain; charset=utf-8"),
        ({"body": 3}, "text/plain; charset=utf-8"),
        ({}, "text/plain; charset=utf-8"),
        ({"status_code": 204}, "text/plain; charset=utf-8"),
        ({"status_code": 302}, "text/plain; charset=utf-8"),
        ({"status_code": 304}, "text/plain; charset=utf-8"),
        ({"body": "é", "mimetype": "text/html", "charset": "latin-1"}, "text/html; charset=latin-1"),
        ({"body": "{}", "mimetype": "application/json"}, "application/json"),
        ({"body": "x", "mimetype": ""}, None),
        ({"body": "x", "mimetype": "text/html", "headers": {"CONTENT-type": "text/x"}}, "text/x"),
    ],
)
def test_content_types(wire: Wire, spec: dict[str, Any], content_type: str | None) -> None:
    """§P4 to §P6."""
    assert answered(wire, **spec).headers.get("content-type") == content_type


def test_header_names_keep_their_case_and_the_last_value_wins(wire: Wire) -> None:
    """§P7, §P8, §P13."""
    head, _ = raw_answer(wire, add=[["vARY", "A"], ["vARY", "B"], ["X-M", "1"], ["X-M", 2], ["x-EMPTY", ""]])
    lines = head.split("\r\n")
    assert "vARY: B" in lines
    assert "X-M: 2" in lines
    assert "x-EMPTY: " in lines
    assert len([line for line in lines if line.lower().startswith(("vary", "x-m:"))]) == 2


@pytest.mark.parametrize("status", [204, 304])
def test_bodies_of_204_and_304_are_dropped(wire: Wire, status: int) -> None:
    """§P9."""
    head, body = raw_answer(wire, status_code=status, body="dropped")
    assert body == ""
    assert "text/plain" in head
    assert "Content-Length" not in head
    assert "chunked" not in head


def test_head_gets_no_body(wire: Wire) -> None:
    """§R7."""
    head, body = raw_answer(wire, "HEAD", body="dropped")
    assert body == ""
    assert "200 OK" in head
    assert "Content-Length" not in head


def test_location_is_verbatim(wire: Wire) -> None:
    """§P10."""
    assert answered(wire, status_code=302, headers={"Location": "../x?y"}).headers["location"] == "../x?y"


def test_other_headers_pass_unchanged_and_nothing_is_conditional(wire: Wire) -> None:
    """§P11, §P28."""
    given = {"ETag": "malformed", "Last-Modified": "never", "Allow": "X", "Vary": "A, B", "Content-Encoding": "gzipx"}
    sent = {"if-none-match": "malformed", "accept-encoding": "gzip, br"}
    found = wire.get("answer", params={"spec": json.dumps({"headers": given, "body": "x"})}, headers=sent)
    assert found.status_code == 200
    assert {name: found.headers[name] for name in given} == given


@pytest.mark.parametrize("status", [201, 418, 451, 599, 600, 99, 0, -1, 1000, "201"])
def test_any_status_goes_out(wire: Wire, status: int | str) -> None:
    """§P12."""
    assert raw_answer(wire, status_code=status)[0].startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(
    "headers", [{"X-A": "é"}, {"X-A": "a\r\nX-B: 1"}, {"X-A": "a\u0001"}, {"X A": "1"}, {"Location": "/日本"}]
)
def test_header_that_cannot_be_sent_is_an_empty_500(wire: Wire, headers: dict[str, str]) -> None:
    """§P10, §P13."""
    head, body = raw_answer(wire, headers=headers, body="x")
    assert head.startswith("HTTP/1.1 500 ")
    assert "X-B" not in head
    assert "Content-Length: 0" in head
    assert body == ""


def test_content_length_of_the_function(wire: Wire) -> None:
    """§P14, §P29."""
    head, body = raw_answer(wire, headers={"Content-Length": "3"}, body="abc")
    assert "Content-Length: 3" in head
    assert "chunked" not in head
    assert body == "abc"
    head, body = raw_answer(wire, headers={"Content-Length": "2"}, body="abc")
    assert head.startswith("HTTP/1.1 500 ")
    assert "X-Custom" not in head
    assert body == ""
    head, body = raw_answer(wire, headers={"Content-Length": "9"}, body="abc")
    assert "Content-Length: 9" in head
    assert body == "abc"


def test_transfer_encoding_of_the_function_breaks_the_message(wire: Wire) -> None:
    """§P15."""
    head, body = raw_answer(wire, headers={"Transfer-Encoding": "chunked"}, body="abc")
    assert "chunked" in head
    assert body == "abc"
    assert raw_answer(wire, headers={"Connection": "close"}, body="abc")[0].startswith("HTTP/1.1 200 ")


def test_text_is_an_answer_and_json_text_may_be_a_whole_one(wire: Wire) -> None:
    """§P16."""
    plain = wire.client.post("/api/text", content=b"hello")
    assert (plain.status_code, plain.text) == (200, "hello")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    tea = wire.client.post("/api/text", content=b'{"statusCode": 418, "body": "tea"}')
    assert (tea.status_code, tea.text) == (418, "tea")
    assert wire.client.post("/api/text", content=b"[1, 2]").text == "[1, 2]"


@pytest.mark.parametrize(
    "path", ["return/bytes", "return/none", "return/dict", "return/int", "return/list", "return/tuple", "raise"]
)
def test_wrong_result_and_exception_are_an_empty_500(wire: Wire, path: str) -> None:
    """§P17, §P18, §P29."""
    answer = wire.get(path)
    assert (answer.status_code, answer.content) == (500, b"")
    assert "content-type" not in answer.headers
    assert answer.headers["x-custom"] == "from host.json"
    assert wire.get("response-of-dict").status_code == 500


async def test_exception_is_logged_twice_and_never_sent(host_of: StartHost, caplog: pytest.LogCaptureFixture) -> None:
    """§P18."""
    _, client = await host_of(BEHAVIOUR, environment={"AZURE_FUNCTIONS_ENVIRONMENT": "Development"})
    answer = await client.get("/api/raise")
    assert (answer.status_code, answer.content) == (500, b"")
    told = {record.name for record in caplog.records if "the secret reason" in record.getMessage()}
    assert {"Function.raises", "Host.Results"} <= told


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            "__Host-sid=abc.DEF_123-~; Path=/; Secure; HttpOnly; SameSite=Lax",
            "__Host-sid=abc.DEF_123-~; domain=; path=/; secure; samesite=lax; httponly",
        ),
        ("a=1", "a=1; domain=; path="),
        ("a=eyJhIjoxfQ==.sig-_x", "a=eyJhIjoxfQ%3D%3D.sig-_x; domain=; path="),
        ('a="q v"', "a=q%20v; domain=; path="),
        ("a=; Max-Age=0; Path=/x", "a=; max-age=0; domain=; path=/x"),
        (
            "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT; domain=; path=",
        ),
        ("a=1; SameSite=None; Secure", "a=1; domain=; path=; secure; samesite=none"),
        ("a=1; SameSite=Strict; Domain=example.com", "a=1; domain=example.com; path=; samesite=strict"),
    ],
)
def test_cookies_are_rewritten(wire: Wire, given: str, sent: str) -> None:
    """§P20 to §P23, §P26."""
    assert cookies(wire, given) == [sent]


@pytest.mark.parametrize("given", ['a=1"2', "a=日本", "a=1; Partitioned"])
def test_cookies_that_are_silently_dropped(wire: Wire, given: str) -> None:
    """§P24."""
    assert cookies(wire, given) == []
    assert cookies(wire, given, "b=2") == ["b=2; domain=; path="]


def test_unknown_attributes_become_cookies(wire: Wire) -> None:
    """§P25."""
    assert [line.partition(";")[0] for line in cookies(wire, "a=1; Priority=High; Foo=bar")] == [
        "a=1",
        "Priority=High",
        "Foo=bar",
    ]


def test_several_cookies_keep_their_order(wire: Wire) -> None:
    """§P8, §P27."""
    lines = [line.partition(";")[0] for line in cookies(wire, "b=1", "a=2", "b=3")]
    assert lines == ["b=1", "a=2", "b=3"]
    assert cookies(wire, "a=1; Path=/, b=2; Path=/") == ["a=1; domain=; path=/,", "b=2; domain=; path=/"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/echo", 200),
        ("/api/key/function", 401),
        ("/api/nothing", 404),
        ("/api/raise", 500),
        ("/", 200),
        ("/admin/host/ping", 200),
        ("/admin/host/status", 401),
    ],
)
def test_custom_headers_are_on_every_answer_of_the_host(wire: Wire, path: str, status: int) -> None:
    """§P29."""
    answer = wire.client.get(path)
    assert answer.status_code == status
    assert answer.headers["x-custom"] == "from host.json"


def test_function_wins_over_custom_headers(wire: Wire) -> None:
    """§P30."""
    assert answered(wire, headers={"x-custom": "mine"}).headers.get_list("x-custom") == ["mine"]
    assert wire.client.get("/admin/host/ping").headers.get_list("cache-control") == ["no-store,no-cache"]


HSTS = {"extensions": {"http": {"hsts": {"isEnabled": True, "maxAge": "10"}}}}


async def test_strict_transport_security_is_sent_over_https_only(host_of: StartHost) -> None:
    """§P31, §P32: a bare number is days."""
    _, client = await host_of(BEHAVIOUR, HSTS, is_behind_front_end=True)
    own = {"spec": json.dumps({"headers": {"Strict-Transport-Security": "max-age=1"}})}
    for path in ("/api/echo", "/api/key/function", "/api/nothing", "/api/raise", "/admin/host/ping", "/"):
        assert "strict-transport-security" not in (await client.get(path)).headers
        secure = await client.get(path, headers={"x-forwarded-proto": "https"})
        assert secure.headers["strict-transport-security"] == "max-age=864000"
    secure = await client.get("/api/answer", params=own, headers={"x-forwarded-proto": "https"})
    assert secure.headers.get_list("strict-transport-security") == ["max-age=864000"]
    assert (await client.get("/api/answer", params=own)).headers["strict-transport-security"] == "max-age=1"


async def test_strict_transport_security_ignores_the_scheme_a_stranger_claims(host_of: StartHost) -> None:
    """§P31, §Q8."""
    _, client = await host_of(BEHAVIOUR, HSTS)
    answer = await client.get("/api/echo", headers={"x-forwarded-proto": "https"})
    assert "strict-transport-security" not in answer.headers


async def test_server_of_custom_headers_replaces_kestrel(host_of: StartHost) -> None:
    """§P30."""
    _, client = await host_of(BEHAVIOUR, {"extensions": {"http": {"customHeaders": {"Server": "none"}}}})
    assert (await client.get("/api/echo")).headers.get_list("server") == ["none"]
