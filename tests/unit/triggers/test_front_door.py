"""A declared route checks requests by its declaration, and answers errors with a page or a problem document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import azure.functions as func
import pytest

from shared.application import application
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, Handler, answer, section_of
from shared.triggers.openapi import openapi_document
from shared.triggers.request_bodies import FormBody
from shared.triggers.routes import Route
from tests.english import ENGLISH

URL = "https://connector.example.com"
MIB = 1024 * 1024
UPLOAD = Route(
    "upload",
    "POST",
    "api/tickets/upload",
    roles=None,
    summary="Take a file",
    answers={200: None},
    body=FormBody(max_bytes=5 * MIB, files=frozenset({"file"})),
)
PAGE = Route("some_page", "POST", "some/page", roles=None, html=True, body=FormBody())


@pytest.fixture(autouse=True)
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("PUBLIC_BASE_URL", URL)
    monkeypatch.setenv("KEY_VAULT_URL", "https://contoso.vault.azure.net")
    monkeypatch.setenv("TABLES_URL", "https://contoso.table.core.windows.net")
    yield
    await application().aclose()


async def take(call: Call) -> JsonAnswer:
    return JsonAnswer({"fields": dict(call.form), "bytes": len(call.content.files["file"].content)})


async def show(call: Call) -> JsonAnswer:
    return JsonAnswer({"fields": dict(call.form)})


async def break_down(call: Call) -> JsonAnswer:
    raise KeyError("a text that nobody may see")


def upload(content: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n"


async def sent(
    route: Route, handler: Handler, body: bytes, content_type: str, query: str = "", accept: str = "*/*"
) -> func.HttpResponse:
    headers = {"Content-Type": content_type, "Accept": accept}
    request = func.HttpRequest(method=route.method, url=f"{URL}/{route.path}{query}", headers=headers, body=body)
    return await answer(route, handler, request, "a-request")


async def test_a_file_is_taken_up_to_the_limit_of_its_route() -> None:
    body = upload(b"y" * (5 * MIB - len(upload(b""))))
    assert len(body) == 5 * MIB
    taken = await sent(UPLOAD, take, body, "multipart/form-data; boundary=x")
    assert (taken.status_code, json.loads(taken.get_body())["bytes"]) == (200, 5 * MIB - len(upload(b"")))
    refused = await sent(UPLOAD, take, body + b"\n", "multipart/form-data; boundary=x")
    assert (refused.status_code, json.loads(refused.get_body())["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (upload(b"")[:-6], "multipart/form-data; boundary=x", 400, "invalid_form"),
        (upload(b""), "multipart/form-data", 400, "invalid_form"),
        (b"file=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", "application/json", 415, "unsupported_media_type"),
    ],
)
async def test_what_is_no_upload_is_a_problem(body: bytes, content_type: str, status: int, code: str) -> None:
    response = await sent(UPLOAD, take, body, content_type)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (response.status_code, json.loads(response.get_body())["code"]) == (status, code)


async def test_only_an_operation_refuses_query_parameters_that_it_does_not_declare() -> None:
    refused = await sent(UPLOAD, take, upload(b""), "multipart/form-data; boundary=x", query="?more=1")
    assert (refused.status_code, json.loads(refused.get_body())["code"]) == (400, "unknown_parameter")
    shown = await sent(PAGE, show, b"a=1", "application/x-www-form-urlencoded", query="?more=1")
    assert json.loads(shown.get_body()) == {"fields": {"a": "1"}}


@pytest.mark.parametrize(
    ("route", "accept", "content_type"),
    [
        (PAGE, "text/html", "text/html; charset=utf-8"),
        (PAGE, "*/*", "application/problem+json"),
        (UPLOAD, "text/html", "application/problem+json"),
    ],
)
async def test_a_bug_is_a_page_for_people_and_a_problem_for_programs(
    route: Route, accept: str, content_type: str
) -> None:
    response = await sent(route, break_down, upload(b""), "multipart/form-data; boundary=x", accept=accept)
    assert (response.status_code, response.headers["Content-Type"]) == (500, content_type)
    assert b"internal_error" in response.get_body()
    assert b"nobody may see" not in response.get_body()


@pytest.mark.parametrize(("route", "words"), [(PAGE, "12\u00a0件"), (UPLOAD, "12 件")])
async def test_a_number_keeps_its_counter_on_pages_only(route: Route, words: str) -> None:
    async def count(call: Call) -> JsonAnswer:
        return JsonAnswer({"said": call.language("tickets.total", count=12)})

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Accept-Language": "ja"}
    request = func.HttpRequest(method="POST", url=f"{URL}/{route.path}", headers=headers, body=upload(b""))
    assert json.loads((await answer(route, count, request, "a-request")).get_body()) == {"said": words}


def test_an_upload_is_described() -> None:
    document = json.loads(json.dumps(openapi_document([UPLOAD], URL)))
    body = document["paths"]["/api/tickets/upload"]["post"]["requestBody"]
    file = {"type": "string", "format": "binary"}
    schema = {"type": "object", "properties": {"file": file}, "required": ["file"]}
    assert body == {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


@pytest.mark.parametrize(
    ("path", "section"),
    [
        (f"/tickets/{'0' * 32}", "/tickets"),
        ("/configuration/contoso/check", "/configuration"),
        ("/tickets", None),
        ("/elsewhere/0", None),
        ("/", None),
    ],
)
def test_a_page_that_is_gone_leads_back_to_its_list(path: str, section: str | None) -> None:
    found = section_of(path)
    assert (found and found[0]) == section
    assert found is None or ENGLISH(found[1])
