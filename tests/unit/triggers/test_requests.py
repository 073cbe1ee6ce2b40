"""The steps before and after every handler."""

from __future__ import annotations

import json
from typing import Any

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import TicketKind
from shared.errors import FixConfiguration, FixRequest, ServiceNowThrottled
from shared.tickets.identity import decode_cursor, encode_cursor, is_ticket_id
from shared.triggers.answers import JsonAnswer, problem
from shared.triggers.front_door import refuse_other_sites
from shared.triggers.parameters import Parameter, choice, count, flag, short_text
from shared.triggers.principal import Principal, Role, require_roles
from shared.triggers.request_bodies import read_json
from shared.triggers.routes import read_query
from shared.words.language import languages
from tests.unit.tickets.strategies import ticket_ids

BASE_URL = "https://connector.example.com"


def request(body: bytes = b"", **headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest(method="POST", url=f"{BASE_URL}/api/tickets", headers=named, body=body)


def refusal(call: Any, *arguments: Any) -> FixRequest:
    with pytest.raises(FixRequest) as caught:
        call(*arguments)
    return caught.value


# Bodies


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json "])
def test_json_is_read(content_type: str) -> None:
    assert read_json(request(b'{"a": "\xe6\xbc\xa2"}', Content_Type=content_type)) == {"a": "漢"}


@pytest.mark.parametrize("content_type", [None, "", "text/json", "application/x-www-form-urlencoded", "text/plain"])
def test_what_is_not_declared_as_json_is_not_read(content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content_Type": content_type}
    error = refusal(read_json, request(b"{}", **headers))
    assert (error.code, error.status) == ("unsupported_media_type", 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b"9" * 5_000,
        b"null null",
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    error = refusal(read_json, request(body, Content_Type="application/json"))
    assert (error.code, error.status) == ("invalid_json", 400)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        read_json(request(body, Content_Type="application/json"))
    except FixRequest as error:
        if error.code != "invalid_json":
            raise


def test_a_body_in_chunks_does_not_arrive() -> None:
    error = refusal(read_json, request(b"", Content_Type="application/json", Transfer_Encoding="chunked"))
    assert (error.code, error.status) == ("length_required", 411)


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": BASE_URL},
        {"Sec-Fetch-Site": "same-origin", "Origin": BASE_URL},
    ],
)
def test_our_own_pages_and_programs_may_write(headers: dict[str, str]) -> None:
    refuse_other_sites(headers, BASE_URL)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "SAME-ORIGIN"},
        {"Sec-Fetch-Site": "cross-site", "Origin": BASE_URL},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": f"{BASE_URL}:8443"},
        {"Origin": f"{BASE_URL}.evil.example.com"},
        {"Origin": BASE_URL.replace("https", "http")},
    ],
)
def test_other_sites_may_not(headers: dict[str, str]) -> None:
    error = refusal(refuse_other_sites, headers, BASE_URL)
    assert (error.code, error.status) == ("cross_site_request", 403)


# Roles


def test_roles_are_required() -> None:
    reader = Principal("1", "A", None, frozenset({Role.TICKETS_READ}), is_application=False)
    require_roles(reader, frozenset({Role.TICKETS_READ, Role.CONNECTIONS_MANAGE}))
    error = refusal(require_roles, reader, frozenset({Role.TICKETS_CREATE}))
    assert (error.code, error.status) == ("role_missing", 403)
    error = refusal(require_roles, None, frozenset(Role))
    assert (error.code, error.status) == ("not_signed_in", 401)


# Addresses


def test_query_parameters_keep_what_is_blank() -> None:
    query = read_query(f"{BASE_URL}/api/tickets?a=&b=1&b=2&c=%E6%BC%A2+x&d")
    assert query == {"a": "", "b": "2", "c": "漢 x", "d": ""}
    assert read_query(f"{BASE_URL}/api/tickets") == {}


@given(st.text(max_size=60))
def test_any_address_is_read_or_refused(query: str) -> None:
    try:
        read_query(f"{BASE_URL}/api/tickets?{query}")
    except FixRequest as error:
        if error.code != "invalid_query":
            raise


def test_too_many_parameters_are_refused() -> None:
    error = refusal(read_query, f"{BASE_URL}/?{'&'.join(f'p{number}=1' for number in range(51))}")
    assert (error.code, error.status) == ("invalid_query", 400)


@given(ticket_ids)
def test_a_cursor_leads_back(ticket_id: str) -> None:
    cursor = encode_cursor(ticket_id)
    assert decode_cursor(cursor) == ticket_id
    assert read_query(f"{BASE_URL}/?cursor={cursor}") == {"cursor": cursor}
    for broken in (cursor[:-1], f"{cursor}A", f"{cursor}=", f" {cursor}", cursor[:5] + "!" + cursor[6:]):
        assert decode_cursor(broken) is None


@given(st.text(max_size=40))
def test_any_cursor_is_a_place_or_nothing(cursor: str) -> None:
    place = decode_cursor(cursor)
    assert place is None or is_ticket_id(place)


LIMIT = count("limit", "", maximum=200, default=50)
OPEN = flag("open", "")
KIND = choice("kind", "", TicketKind)
TEXT = short_text("text", "", max_length=3)


@pytest.mark.parametrize(
    ("parameter", "text", "values"),
    [
        *(
            (LIMIT, text, {"variant": "number", "parameter": "limit", "limit": 200})
            for text in ["", "0", "-1", "1.5", "201", "x", "٣", "9" * 5_000, " 1", "+1", "1e2", "000000001"]
        ),
        *(
            (OPEN, text, {"variant": "choice", "parameter": "open", "choices": ["true", "false"]})
            for text in ["", "yes", "True", "1"]
        ),
        *(
            (KIND, text, {"variant": "choice", "parameter": "kind", "choices": ["incident", "change"]})
            for text in ["", "Incident", "problem"]
        ),
        (TEXT, "abcd", {"variant": "length", "parameter": "text", "limit": 3}),
    ],
)
def test_a_parameter_that_is_not_of_its_schema_is_refused(
    parameter: Parameter[object], text: str, values: dict[str, object]
) -> None:
    error = refusal(parameter.read, {parameter.name: text})
    assert (error.code, error.status, error.values) == ("invalid_parameter", 400, values)


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (LIMIT, None, 50),
        (LIMIT, "1", 1),
        (LIMIT, "200", 200),
        (OPEN, None, False),
        (OPEN, "true", True),
        (OPEN, "false", False),
        (KIND, None, None),
        (KIND, "change", TicketKind.CHANGE),
        (TEXT, None, None),
        (TEXT, "", None),
        (TEXT, "abc", "abc"),
    ],
)
def test_a_parameter_that_is_of_its_schema_is_read(
    parameter: Parameter[object], text: str | None, value: object
) -> None:
    assert parameter.read({} if text is None else {parameter.name: text}) == value


# Answers


def test_a_problem_document() -> None:
    error = FixRequest(
        "invalid_ticket",
        status=422,
        count=1,
        errors=[{"pointer": "/é", "code": "string_too_long", "values": {"max_length": 3}}],
    )
    response = problem(error, "request", languages()["en"])
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(response.get_body()) == {
        "title": "Unprocessable Content",
        "status": 422,
        "code": "invalid_ticket",
        "detail": "The ticket has errors: 1. Nothing was saved.",
        "request_id": "request",
        "next_step": "Correct the members named in errors and send the request again.",
        "errors": [{"pointer": "/é", "code": "string_too_long", "detail": "This has to be at most 3 characters."}],
    }


@pytest.mark.parametrize(("code", "said"), [("en", "Nobody"), ("ja", "サインインしていません")])
def test_a_problem_speaks_the_language_of_whoever_asks(code: str, said: str) -> None:
    response = problem(refusal(require_roles, None, frozenset(Role)), "request", languages()[code])
    assert said in json.loads(response.get_body())["detail"]
    assert response.headers["Content-Language"] == code
    assert response.headers["Vary"] == "Accept-Language"


def test_an_answer_says_in_which_language_its_words_are() -> None:
    spoken = JsonAnswer({"message": "…"}, language=languages()["ja"]).to_response()
    assert (spoken.headers["Content-Language"], spoken.headers["Vary"]) == ("ja", "Accept-Language")
    assert "Content-Language" not in JsonAnswer({"count": 1}).to_response().headers


def test_values_of_an_error_that_are_for_its_words_alone_are_no_members() -> None:
    error = FixConfiguration(
        "authorization_user_locked", user="abel.tuter", connection_id="contoso", log_out_first=True
    )
    document = json.loads(problem(error, "request", languages()["en"]).get_body())
    assert document["authorize_path"] == "/api/oauth/authorize?connection_id=contoso&log_out_first=true"
    assert document.keys() == {"title", "status", "code", "detail", "next_step", "request_id", "authorize_path"}


@pytest.mark.parametrize(("asked_s", "header"), [(0.2, "1"), (90.4, "90"), (None, None)])
def test_retry_after(asked_s: float | None, header: str | None) -> None:
    response = problem(ServiceNowThrottled(retry_after_s=asked_s), "request", languages()["en"])
    assert response.status_code == 503
    assert response.headers.get("Retry-After") == header


def test_an_answer() -> None:
    response = JsonAnswer({"name": "漢"}, status=201, headers={"Location": "/x"}).to_response()
    assert response.status_code == 201
    assert json.loads(response.get_body()) == {"name": "漢"}
    assert response.headers["Location"] == "/x"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "application/json"
    empty = JsonAnswer(status=204).to_response()
    assert (empty.status_code, empty.get_body()) == (204, b"")
