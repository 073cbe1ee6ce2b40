"""The answers of each kind of fault, and the reader of a fault's description.

Answers are those of ServiceNow §2.8, §2.9 and §3; :data:`KINDS` marks what is undocumented.
"""

import asyncio
import json
import re
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Scope

from sandbox.servicenow.engine.errors import (
    ServiceNowError,
    aborted_by_business_rule,
    not_authenticated,
    not_authorized,
    rate_limit_exceeded,
    transaction_cancelled,
    unreadable_table,
    write_forbidden,
)
from sandbox.servicenow.stage.faults.call import Answer, Call
from sandbox.servicenow.stage.faults.fault import Fault
from sandbox.servicenow.wire.address_filter import REFUSAL
from sandbox.servicenow.wire.oauth import GENERIC_REFUSAL
from sandbox.servicenow.wire.server import TRANSPORT_KEY

_OPERATIONS: Mapping[str, str] = {"POST": "Insert", "PUT": "Update", "PATCH": "Update", "DELETE": "Delete"}
_TABLE_PATH = re.compile(r"^/api/now/(?:v\d+/)?(?:table|stats)/([^/]+)")
_WINDOWS: Mapping[str, int] = {"gzip": 31, "x-gzip": 31, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its answer (`None` if it sends or cuts everything itself) and its description.

    `narrowed_to` holds the defaults of :class:`Fault` for this kind, so that it takes only requests that suit it.
    """

    description: str
    answer: Callable[[Call], Awaitable[Response | None]]
    narrowed_to: Mapping[str, Any] = field(default_factory=dict)


async def _rate_limited(call: Call) -> Response:
    error = rate_limit_exceeded(call.fault.limit)
    reset_at = int(call.fault.set_at.timestamp()) + call.fault.after_s + call.fault.retry_after_s
    headers = {
        "X-RateLimit-Limit": str(call.fault.limit),
        "X-RateLimit-Reset": str(int(reset_at)),
        "X-RateLimit-Rule": call.fault.id.rjust(32, "0"),
        "Retry-After": str(call.fault.retry_after_s),
    }
    return JSONResponse(error.body, error.status, headers)


async def _rate_limited_bare(call: Call) -> Response:
    return _refusal(rate_limit_exceeded(call.fault.limit))


async def _queue_full(_: Call) -> Response:
    return HTMLResponse("<html><head><title>429 Too Many Requests</title></head></html>", 429)


async def _cancelled_after_commit(call: Call) -> Response:
    await call.carry_out()
    return _refusal(transaction_cancelled())


async def _cancelled(_: Call) -> Response:
    return _refusal(transaction_cancelled())


async def _cut_off_json(call: Call) -> Response:
    answer = await call.run()
    result = _result(answer)
    rows = result if isinstance(result, list) else [result]
    whole = [json.dumps(row, separators=(",", ":")) for row in rows[: call.fault.rows + 1]]
    complete, torn = whole[: call.fault.rows], whole[call.fault.rows :]
    opening = "[" if isinstance(result, list) else ""
    text = '{"result":' + opening + ",".join([*complete, *(row[: len(row) // 2] for row in torn)])
    if not isinstance(result, list):
        text = text[: len(text) // 2]
    error = json.dumps(transaction_cancelled().body, separators=(",", ":"))
    # The rows sent so far stay; the error object follows without closing the array (§2.9).
    return _json_text(text + error[1:], 200)


async def _hibernating(_: Call) -> Response:
    return HTMLResponse(HIBERNATING_PAGE)


async def _bad_gateway(call: Call) -> Response:
    await _run_if_wanted(call)
    return HTMLResponse(BAD_GATEWAY_PAGE, 502)


async def _address_blocked(_: Call) -> Response:
    return HTMLResponse(REFUSAL, 403)


async def _slow(call: Call) -> Response | None:
    answer = await call.run()
    await asyncio.sleep(call.fault.delay_s)
    return _as_response(answer)


async def _reset_before_commit(call: Call) -> None:
    await asyncio.sleep(call.fault.delay_s)
    _reset(call.scope)


async def _reset_after_commit(call: Call) -> None:
    await call.carry_out()
    await asyncio.sleep(call.fault.delay_s)
    _reset(call.scope)


async def _redirected(call: Call) -> Response:
    return HTMLResponse(
        "<html><head><title>302 Found</title></head><body><center><h1>302 Found</h1></center></body></html>",
        302,
        {"Location": call.fault.location},
    )


async def _not_found_page(_: Call) -> Response:
    return HTMLResponse(
        "<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center></body></html>",
        404,
    )


async def _not_found_text(_: Call) -> Response:
    return PlainTextResponse("404 page not found", 404)


async def _token_refused(_: Call) -> Response:
    return _json_text(GENERIC_REFUSAL, 401)


async def _token_refused_page(_: Call) -> Response:
    return HTMLResponse(
        "<html><head><title>401 Authorization Required</title></head>"
        "<body><center><h1>401 Authorization Required</h1></center></body></html>",
        401,
    )


async def _empty_refresh_token(call: Call) -> Response:
    answer = await call.run()
    if answer.status != 200:
        return _as_response(answer)
    granted = json.loads(answer.body) | {"refresh_token": ""}
    return _as_response(replace(answer, body=json.dumps(granted, separators=(",", ":")).encode()))


async def _unauthenticated(call: Call) -> Response:
    await _run_if_wanted(call)
    return _refusal(not_authenticated())


async def _unauthenticated_bearer(call: Call) -> Response:
    await _run_if_wanted(call)
    error = not_authenticated("User is not authenticated")
    return _refusal(replace(error, headers={"WWW-Authenticate": 'Bearer realm="Service-now"'}))


async def _unauthenticated_oauth(call: Call) -> Response:
    await _run_if_wanted(call)
    return _json_text(GENERIC_REFUSAL, 401)


async def _run_if_wanted(call: Call) -> None:
    if call.fault.runs:
        await call.carry_out()


async def _write_forbidden(call: Call) -> Response:
    operation = _OPERATIONS.get(call.scope["method"])
    return _as_response(await call.run()) if operation is None else _refusal(write_forbidden(operation))


async def _unauthorized(call: Call) -> Response:
    table = _TABLE_PATH.match(call.scope["path"])
    return _refusal(unreadable_table(table[1]) if table else not_authorized())


async def _endless_count(call: Call) -> Response:
    answer = await call.run()
    if "X-Total-Count" not in answer.headers:
        return _as_response(answer)
    headers = MutableHeaders(raw=list(answer.headers.raw))
    headers["X-Total-Count"] = "9" * call.fault.digits
    return _as_response(replace(answer, headers=headers))


async def _hostile_values(call: Call) -> Response:
    answer = await call.run()
    result = _result(answer)
    for row in result if isinstance(result, list) else [result]:
        for name, value in call.fault.values.items():
            if name in row:
                is_cell = isinstance(row[name], dict)
                row[name] = row[name] | {"value": value, "display_value": value} if is_cell else value
    body = json.dumps({"result": result}, separators=(",", ":")).encode()
    return _as_response(replace(answer, body=body) if result else answer)


async def _empty_page(call: Call) -> Response:
    answer = await call.run()
    if not isinstance(_result(answer), list):
        return _as_response(answer)
    return _as_response(Answer(answer.status, answer.headers, b'{"result":[]}'))


async def _huge_body(call: Call) -> Response:
    chunk = b"x" * 65_536
    opening, closing = b'{"result":[{"sys_id":"', b'"}]}'
    left = max(0, call.fault.size_bytes - len(opening) - len(closing))

    def plain() -> Iterator[bytes]:
        yield opening
        for start in range(0, left, len(chunk)):
            yield chunk[: left - start]
        yield closing

    async def sent() -> AsyncIterator[bytes]:
        for part in _in_encoding(plain(), call.fault.encoding):
            yield part

    headers = {"Content-Encoding": call.fault.encoding} if call.fault.encoding else {}
    return StreamingResponse(sent(), headers=headers, media_type="application/json;charset=UTF-8")


async def _encoded(call: Call) -> Response:
    answer = await call.run()
    headers = MutableHeaders(raw=list(answer.headers.raw))
    headers["Content-Encoding"] = call.fault.encoding
    body = b"".join(_in_encoding([answer.body], call.fault.encoding))
    return _as_response(replace(answer, headers=headers, body=body))


def _in_encoding(parts: Iterable[bytes], encoding: str) -> Iterable[bytes]:
    for coding in encoding.split(","):
        if (window := _WINDOWS.get(coding.strip())) is not None:
            parts = _compressed(parts, zlib.compressobj(wbits=window))
    return parts


def _compressed(parts: Iterable[bytes], stream: "zlib._Compress") -> Iterator[bytes]:
    for part in parts:
        yield stream.compress(part)
    yield stream.flush()


async def _echoed_authorization(call: Call) -> Response:
    sent = Headers(scope=call.scope).get("Authorization", "")
    table = _TABLE_PATH.match(call.scope["path"])
    return _refusal(aborted_by_business_rule(table[1] if table else "", sent, "0" * 32))


async def _html_as_json(_: Call) -> Response:
    return _json_text("<html><head><title>Error</title></head><body>The page cannot be displayed</body></html>", 200)


async def _accepted(call: Call) -> Response:
    await _run_if_wanted(call)
    return Response(status_code=202)


_API = {"path": "^/api/"}
_TOKEN = {"method": "POST", "path": r"^/oauth_token\.do$"}
_LIST = {"method": "GET", "path": r"^/api/now/(v\d+/)?(table|stats)/[^/]+$", "remaining": None}

KINDS: Mapping[str, Kind] = {
    "rate_limited": Kind("429 with the headers of a rate-limit rule (3)", _rate_limited, _API),
    "rate_limited_bare": Kind("429 without any of those headers (3)", _rate_limited_bare, _API),
    "queue_full": Kind("429 of a full semaphore queue: HTML, no headers (3, body inferred)", _queue_full, _API),
    "cancelled_after_commit": Kind("500 quota, after carrying out the request (§2.8)", _cancelled_after_commit, _API),
    "cancelled_before_commit": Kind("500 quota, without carrying out the request (§2.8)", _cancelled, _API),
    "cancelled_for_count": Kind(
        "500 quota for every list with a count: the table is too big (§2.8, condition inferred)",
        _cancelled,
        _LIST | {"query": "(?i)^(?!.*sysparm_no_count=true)"},
    ),
    "cancelled_for_size": Kind(
        "500 quota for every list of more than `above_limit` rows (§2.8, condition inferred)",
        _cancelled,
        _LIST | {"above_limit": 100},
    ),
    "cut_off_json": Kind("200 with broken JSON: rows, then an error object (§2.9)", _cut_off_json, _API),
    "hibernating": Kind("200 HTML, one page for every path, OAuth included (§2.9)", _hibernating, {"remaining": None}),
    "bad_gateway": Kind("502 HTML of the edge (§2.9)", _bad_gateway),
    "address_blocked": Kind("403 HTML: the caller's address is not allowed (7, body inferred)", _address_blocked),
    "slow": Kind("the right answer, `delay_s` later; the request is carried out at once", _slow, {"delay_s": 31}),
    "reset_before_commit": Kind("the connection is reset without carrying out the request", _reset_before_commit),
    "reset_after_commit": Kind("the connection is reset after carrying out the request", _reset_after_commit),
    "token_refused": Kind(
        "the generic 401 to a refresh while access tokens still work (§1.6)",
        _token_refused,
        _TOKEN | {"body": r"(^|&)grant_type=refresh_token(&|$)"},
    ),
    "token_refused_page": Kind(
        "401 in HTML in front of the token endpoint (body inferred)", _token_refused_page, _TOKEN
    ),
    "empty_refresh_token": Kind(
        'the right token answer with `"refresh_token": ""` (§1.5)', _empty_refresh_token, _TOKEN
    ),
    "unauthenticated": Kind("401 of the API (§2.8)", _unauthenticated, _API),
    "unauthenticated_bearer": Kind(
        "401 of the API with the Bearer challenge (§1.7, §2.8)", _unauthenticated_bearer, _API
    ),
    "unauthenticated_oauth": Kind(
        "401 of the API with the body of the token endpoint (§1.6, place inferred)",
        _unauthenticated_oauth,
        _API,
    ),
    "write_forbidden": Kind("403: an access rule refuses a write; reads pass (§2.8)", _write_forbidden, _API),
    "unauthorized": Kind("403: no rule of the table or of the API admits the caller (§2.8)", _unauthorized, _API),
    "redirected": Kind("302 to `location`, HTML: a device in front redirects the caller", _redirected),
    "not_found_page": Kind("404 in HTML: a device in front does not know the path (body inferred)", _not_found_page),
    "not_found_text": Kind(
        "404 in plain text: a proxy in front does not know the path (body inferred)", _not_found_text
    ),
    "endless_count": Kind("`X-Total-Count` of `digits` digits", _endless_count, _API),
    "hostile_values": Kind("`values` instead of the true values of these columns in each row", _hostile_values, _API),
    "empty_page": Kind(
        "access rules removed every row of the page; the headers still count them (§2.6)", _empty_page, _API
    ),
    "huge_body": Kind("200 with a JSON body of `size_bytes`, compressed by `encoding`", _huge_body, _API),
    "encoded": Kind(
        "the right answer in `encoding`, whatever coding was asked for (codings of the edge NOT FOUND)",
        _encoded,
        _API | {"encoding": "gzip"},
    ),
    "echoed_authorization": Kind(
        "403 of a business rule whose name repeats the `Authorization` header (§2.8; the echo is inferred)",
        _echoed_authorization,
        _API,
    ),
    "html_as_json": Kind("200, JSON content type, HTML content", _html_as_json, _API),
    "accepted": Kind("202: too many requests wait in one session; the request may never run (§2.7)", _accepted, _API),
}

BAD_GATEWAY_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>snow_adc</center>\r\n</body>\r\n</html>\r\n"
)
"""153 bytes, as captured."""

HIBERNATING_PAGE = (
    "<!DOCTYPE html>\n<html>\n<head>\n<title>Instance Hibernating page</title>\n</head>\n<body>\n"
    "<h1>Your instance is hibernating</h1>\n<p>Sign in to the developer site to wake it.</p>\n</body>\n</html>\n"
).ljust(5904, "\n")
"""5904 bytes, as captured."""


def parse_fault(wanted: Mapping[str, Any]) -> Fault:
    """Return the fault that a request to the control API describes. Raises ValueError for anything unknown."""
    settable = {item.name for item in fields(Fault)} - {"id", "seen", "taken", "set_at"}
    if unknown := wanted.keys() - settable:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(settable))}")
    kind = KINDS.get(str(wanted.get("kind")))
    if kind is None:
        raise ValueError(f"kind is one of {', '.join(KINDS)}")
    for name in ("path", "query", "body"):
        try:
            re.compile(str(wanted.get(name, "")))
        except re.error as error:
            raise ValueError(f"{name} is not a regular expression: {error}") from error
    if int(wanted.get("every", 1)) < 1:
        raise ValueError("every is at least 1")
    return Fault(**(dict(kind.narrowed_to) | dict(wanted)))


def _refusal(error: ServiceNowError) -> Response:
    return JSONResponse(error.body, error.status, dict(error.headers))


def _json_text(text: str, status: int) -> Response:
    return Response(text, status, media_type="application/json;charset=UTF-8")


def _result(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)["result"]
    except (ValueError, KeyError, TypeError):
        return []


def _as_response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    kept = [(name, value) for name, value in answer.headers.raw if name.lower() != b"content-length"]
    headers = MutableHeaders(raw=kept)
    if answer.status != 204:
        headers["Content-Length"] = str(len(answer.body))
    response.raw_headers = headers.raw
    return response


def _reset(scope: Scope) -> None:
    transport: asyncio.Transport | None = scope.get(TRANSPORT_KEY)
    if transport is None:
        raise ConnectionResetError("the simulator cut the connection")
    # Lingering for zero seconds turns the close into a reset.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
