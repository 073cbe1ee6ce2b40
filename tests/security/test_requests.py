"""Requests that cannot be carried out: each gets a clear answer, and nothing of it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.compliance_manager.actions import invented_actions
from sandbox.compliance_manager.workbook import export_workbook
from tests.fixtures.whole_app import Connected, WholeApp, refused
from tests.hostile_files import HOSTILE

NO_TICKET = "/api/tickets/" + "0" * 32
LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected()


@pytest.fixture(autouse=True)
def keeps_nothing(app: WholeApp, connected: Connected) -> Iterator[None]:
    yield
    assert app.adele.get("/api/tickets")["tickets"] == []
    assert app.adele.get("/api/tenants")["tenants"] == []
    assert [each["connection_id"] for each in app.adele.get("/api/connections")["connections"]] == [
        connected.connection_id
    ]


TENANT_ID = "11111111-aaaa-4bbb-8ccc-000000000001"
PLANTED = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("tenant_id", "changes", "status", "code"),
    [
        (PLANTED.replace("/", ""), {}, 400, "invalid_tenant_id"),
        (f"{TENANT_ID}'%20or%20RowKey%20gt%20'", {}, 400, "invalid_tenant_id"),
        (TENANT_ID, {"name": f"\u202e{PLANTED}"}, 422, "invalid_tenant"),
        (TENANT_ID, {"company": PLANTED}, 422, "invalid_tenant"),
        (TENANT_ID, {"connection_id": "../tickets"}, 422, "invalid_tenant"),
        (TENANT_ID, {"graph_url": "https://attacker.example"}, 422, "invalid_tenant"),
        (TENANT_ID, {"connection_id": "no-such-connection"}, 404, "connection_not_found"),
    ],
)
def test_a_tenant_that_makes_no_sense_is_refused(
    app: WholeApp, tenant_id: str, changes: dict[str, str], status: int, code: str
) -> None:
    answer = app.megan.ask("PUT", f"/api/tenants/{tenant_id}", {"name": "Contoso", "files_only": True, **changes})
    refused(answer, status, code)
    assert "alert(1)" not in answer.text


BODIES = {"PUT": "/api/connections/new", "POST": "/api/tickets"}
JSON = {"Content-Type": "application/json"}


def send_body(app: WholeApp, method: str, content: object, headers: dict[str, str] | None = None) -> Any:
    return app.megan.ask(method, BODIES[method], content=content, headers=JSON if headers is None else headers)


@pytest.mark.parametrize("method", BODIES)
def test_a_body_too_large(app: WholeApp, method: str) -> None:
    body = json.dumps({"name": "x" * LIMIT}).encode()
    refused(send_body(app, method, body), 413, "request_too_large")


@pytest.mark.parametrize("method", BODIES)
def test_a_body_just_small_enough(app: WholeApp, method: str) -> None:
    body = json.dumps({"unknown": ""}).encode()
    body += b" " * (LIMIT - len(body))
    assert send_body(app, method, body).status_code == 422


@pytest.mark.parametrize("method", BODIES)
def test_a_body_in_chunks(app: WholeApp, method: str) -> None:
    chunks = iter([b'{"kind": ', b'"incident"}'])
    refused(send_body(app, method, chunks), 411, "length_required")


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"{",
        b"\xff\xfe",
        b"[" * 30_000,
        b'{"a": 1}{"b": 2}',
    ],
    ids=["empty", "text", "cut off", "binary", "deep", "two values"],
)
def test_a_body_not_json(app: WholeApp, method: str, body: bytes) -> None:
    refused(send_body(app, method, body), 400, "invalid_json")


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize("declared", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}])
def test_a_body_not_declared_as_json(app: WholeApp, method: str, declared: dict[str, str]) -> None:
    refused(send_body(app, method, b"{}", declared), 415, "unsupported_media_type")


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1", b"NaN", b"1e999", b'{"\\ud800": "\\ud800"}'])
def test_a_body_not_an_object_of_ours(app: WholeApp, method: str, body: bytes) -> None:
    answer = send_body(app, method, body)
    problem = refused(answer, 422, {"PUT": "invalid_connection", "POST": "invalid_ticket"}[method])
    assert problem["errors"]


def parts(count: int) -> bytes:
    return b"".join(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' for _ in range(count)) + b"--x--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", parts(1)),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", parts(1)[:-6]),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"X: y\r\n" * 10_000),
        ("multipart/form-data; boundary=" + "x" * 80, parts(1)),
        ("application/x-www-form-urlencoded", b"a=&" * 10_000),
    ],
    ids=["no boundary", "empty", "cut off", "endless headers", "long boundary", "many fields"],
)
def test_a_malformed_form(app: WholeApp, content_type: str, body: bytes) -> None:
    for address in ("/tickets/new", "/ticketProvisioning"):
        answer = app.megan.ask("POST", address, content=body, headers={"Content-Type": content_type})
        refused(answer, 400, "invalid_form")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("kind", "problem"),
        ("kind", 1),
        ("portal", None),
        ("name", ""),
        ("name", "x" * 161),
        ("name", "two\nlines"),
        ("name", "bell\a"),
        ("name", ["a"]),
        ("description", 1),
        ("priority", "urgent"),
        ("due_date", "tomorrow"),
        ("due_date", 20310331),
        ("due_date", "2031-02-30"),
        ("recommendation", None),
        ("recommendation/source", "somebody"),
        ("recommendation/category", ""),
        ("recommendation/link", "javascript:alert(1)"),
        ("recommendation/id", "x" * 201),
        ("recommendation/secret", "x"),
        ("requested_by", "Adele"),
        ("state", "6"),
        ("requester", {"id": "somebody else"}),
        ("connection_id", "Not An Id"),
    ],
)
def test_a_wrong_member_of_a_ticket_is_named(app: WholeApp, connected: Connected, member: str, value: object) -> None:
    body = json.loads(json.dumps(connected.ticket()))
    target, *rest = member.split("/")
    if rest:
        body[target][rest[0]] = value
    else:
        body[target] = value
    problem = refused(app.adele.ask("POST", "/api/tickets", body), 422, "invalid_ticket")
    assert problem["errors"]
    assert all(fault["pointer"].startswith(f"/{member}") for fault in problem["errors"])


@pytest.mark.parametrize("due_date", ["0001-01-01", "9999-12-31T23:59:59-14:00"])
def test_a_due_date_beyond_the_calendar(app: WholeApp, connected: Connected, due_date: str) -> None:
    refused(app.adele.ask("POST", "/api/tickets", connected.ticket() | {"due_date": due_date}), 422, "invalid_ticket")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("display_name", ""),
        ("client_secret", "line\nbreak"),
        ("client_secret", ""),
        ("client_secret", {"value": "x"}),
        ("client_id", "two words"),
        ("integration_user", None),
        ("portals", []),
        ("portals", ["security", "defender"]),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../etc/passwd"),
        ("consent_lifetime_s", "8640000"),
        ("consent_lifetime_s", True),
        ("kinds", {"incident": {"enabled": False}, "change": {"enabled": False}}),
        ("kinds", {"problem": {}}),
        ("kinds", {"incident": {"assignment_group": "Service Desk"}}),
        ("status", "connected"),
        ("access_token", "planted-by-the-caller"),
    ],
)
def test_a_wrong_member_of_a_connection_is_named(
    app: WholeApp, connected: Connected, member: str, value: object
) -> None:
    body = {**connected.request, member: value}
    problem = refused(app.megan.ask("PUT", "/api/connections/new", body), 422, "invalid_connection")
    assert problem["errors"]
    assert all(fault["pointer"].startswith(f"/{member}") for fault in problem["errors"])
    assert connected.client_secret not in json.dumps(problem)


def test_a_secret_in_a_faulty_request_is_not_repeated(app: WholeApp, connected: Connected) -> None:
    secret = "a-secret-with-ümlaut-that-is-refused"
    app.canary.plant("client secret", secret)
    body = {**connected.request, "client_secret": secret}
    assert app.megan.ask("PUT", "/api/connections/new", body).status_code == 422


@pytest.mark.parametrize("missing", ["kind", "portal", "name", "priority", "recommendation"])
def test_a_missing_member_of_a_ticket_is_named(app: WholeApp, connected: Connected, missing: str) -> None:
    body = connected.ticket()
    del body[missing]
    problem = refused(app.adele.ask("POST", "/api/tickets", body), 422, "invalid_ticket")
    assert [fault["pointer"] for fault in problem["errors"]] == [f"/{missing}"]


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", NO_TICKET, 404, "ticket_not_found"),
        ("GET", "/api/tickets/not-an-id", 404, "ticket_not_found"),
        ("GET", "/api/tickets/%2e%2e%2fconnections", 404, "ticket_not_found"),
        ("GET", "/api/tickets/'%20or%20RowKey%20gt%20'0", 404, "ticket_not_found"),
        ("POST", f"{NO_TICKET}/retry", 404, "ticket_not_found"),
        ("POST", f"{NO_TICKET}/updates/{'0' * 32}/retry", 404, "ticket_not_found"),
        ("DELETE", f"{NO_TICKET}/updates/{'0' * 32}", 404, "ticket_not_found"),
        ("GET", "/api/tickets?outcome=fixed", 400, "invalid_parameter"),
        ("GET", "/api/connections/nobody", 404, "connection_not_found"),
        ("DELETE", "/api/connections/nobody", 404, "connection_not_found"),
        ("POST", "/api/connections/nobody/sync", 404, "connection_not_found"),
        ("GET", "/api/connections/No-Body", 400, "invalid_connection_id"),
        ("GET", "/api/connections/" + "a" * 41, 400, "invalid_connection_id"),
        ("GET", "/api/tickets?connection=nobody", 404, "connection_not_found"),
        ("GET", "/api/tickets/summary?connection=nobody", 404, "connection_not_found"),
        ("GET", "/api/tickets?limit=0", 400, "invalid_parameter"),
        ("GET", "/api/tickets?limit=201", 400, "invalid_parameter"),
        ("GET", "/api/tickets?limit=1e2", 400, "invalid_parameter"),
        ("GET", "/api/tickets?limit=%D9%A1", 400, "invalid_parameter"),
        ("GET", "/api/tickets?cursor=abc", 400, "invalid_parameter"),
        ("GET", "/api/tickets?cursor=%0A", 400, "invalid_parameter"),
        ("GET", "/api/tickets?phase=done", 400, "invalid_parameter"),
        ("GET", "/api/tickets?kind=Incident", 400, "invalid_parameter"),
        ("GET", "/api/tickets?overdue=1", 400, "invalid_parameter"),
        ("GET", "/api/tickets?sort=name", 400, "unknown_parameter"),
        ("GET", "/api/tickets/summary?kind=incident", 400, "unknown_parameter"),
        ("GET", "/api/health?verbose=true", 400, "unknown_parameter"),
        ("GET", "/api/tickets?" + "&".join(f"a{number}=1" for number in range(60)), 400, "invalid_query"),
    ],
)
def test_what_is_not_there_or_not_understood(app: WholeApp, method: str, address: str, status: int, code: str) -> None:
    refused(app.megan.ask(method, address), status, code)


def test_every_answer_says_that_nobody_may_keep_or_frame_it(app: WholeApp) -> None:
    for address in ("/api/tickets", "/api/connections", "/api/openapi.json", "/api/tickets/x", "/"):
        headers = app.megan.ask("GET", address).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src" in headers["Content-Security-Policy"]
        assert "unsafe-inline" not in headers["Content-Security-Policy"]


TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
ONE_FOR_EACH_REASON = {reason: content for content, reason in HOSTILE.values() if len(content) < 100_000}


@pytest.fixture
def importing(app: WholeApp) -> Iterator[str]:
    """The address that imports files into a tenant that is never read from Microsoft."""
    answer = app.megan.ask("PUT", f"/api/tenants/{TENANT}", {"name": "Contoso", "files_only": True})
    assert answer.status_code == 201, answer.text
    yield f"/tenants/{TENANT}/import"
    assert app.megan.ask("DELETE", f"/api/tenants/{TENANT}").status_code == 204


def test_a_hostile_file_is_refused_and_changes_nothing(app: WholeApp, importing: str) -> None:
    for reason, content in ONE_FOR_EACH_REASON.items():
        answer = app.megan.ask("POST", f"/api{importing}", files={"file": ("ExportActions.xlsx", content)})
        assert refused(answer, 422, "file_unreadable")["detail"].endswith("Nothing was changed."), reason
    too_large = {"file": ("ExportActions.xlsx", b"PK" + bytes(5 * 1024 * 1024))}
    refused(app.megan.ask("POST", f"/api{importing}", files=too_large), 413, "request_too_large")
    refused(app.megan.ask("POST", f"/api{importing}", content=b"PK"), 415, "unsupported_media_type")
    small = {"file": ("a.xlsx", export_workbook(invented_actions(2)))}
    refused(app.adele.ask("POST", f"/api{importing}", files=small), 403, "role_missing")
    imported = app.megan.ask("POST", f"/api{importing}", files=small)
    assert (imported.status_code, len(imported.json()["new"]), imported.json()["changed"]) == (200, 2, [])
    again = app.megan.ask("POST", f"/api{importing}", files=small)
    assert (again.status_code, again.json()["new"], again.json()["unchanged"]) == (200, [], 2)


def test_scripts_in_a_file_stay_text(app: WholeApp, importing: str) -> None:
    planted = "<script>alert(1)</script>"
    rows = f"Recommended action,Points achieved,Status,Product\n{planted},0/1,{planted},{planted}\n"
    page = {"Accept": "text/html"}
    form = app.megan.ask("GET", importing, headers=page).text
    assert 'enctype="multipart/form-data"' in form
    result = app.megan.ask("POST", importing, files={"file": ("a.csv", rows.encode())}, headers=page)
    assert result.status_code == 200
    assert "&lt;script&gt;alert(1)" in result.text
    assert planted not in result.text
    listed = app.adele.ask("GET", f"/recommendations?tenant_id={TENANT}&hidden=true", headers=page).text
    assert "&lt;script&gt;alert(1)" in listed
    assert planted not in listed
    headings = f"Name,{planted}\n1,2\n".encode()
    refusal = app.megan.ask("POST", importing, files={"file": ("a.csv", headings)}, headers=page)
    assert refusal.status_code == 422
    assert "Recommended action" in refusal.text
    assert planted not in refusal.text
    bad = b"Recommended action,Points achieved,Status\n,ten,Completed\n"
    faults = app.megan.ask("POST", importing, files={"file": ("a.csv", bad)}, headers=page)
    assert faults.status_code == 422
    assert faults.text.count("<td") == 8


def test_a_formula_in_a_file_stays_text_in_what_we_export(app: WholeApp, importing: str) -> None:
    planted = "=HYPERLINK(1)"
    rows = f"Recommended action,Points achieved,Status,Product,Category\n{planted},0/1,To address,{planted},{planted}\n"
    assert app.megan.ask("POST", f"/api{importing}", files={"file": ("a.csv", rows.encode())}).status_code == 200
    exported = app.adele.ask("GET", f"/recommendations.csv?tenant_id={TENANT}&hidden=true")
    assert exported.text.count(planted) == exported.text.count(f"'{planted}") >= 3


MADE_UP_IDS = ("%ED%A0%80", "%00", "%F0%9F", "..%2F..%2Ftenants", "claim:x", "%E2%80%AE%E2%81%A6", "x" * 1500, "'or'1")
"""Such as half a surrogate pair, half a character, a path, or the key of a row."""


def test_a_made_up_id_finds_no_recommendation(app: WholeApp, importing: str) -> None:
    for made_up in MADE_UP_IDS:
        for address in (
            f"/recommendations?tenant_id={TENANT}&actionId={made_up}",
            f"/recommendations/{made_up}?tenant_id={TENANT}",
            f"/api/recommendations/{made_up}?tenant_id={TENANT}",
        ):
            assert app.adele.ask("GET", address).status_code in {400, 404}, address
