"""Attacks through a ticket: another's name or key, a query, a script, a formula, a hostile record."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest

from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.fixtures.whole_app import TENANT, Connected, Program, WholeApp, daemon, person, refused

pytestmark = pytest.mark.usefixtures("calm")

ADELE = "adele.vance@contoso.example"
EVE = {
    "name": "<img src=x onerror=alert(1)>",
    "email": "eve_evil.example#EXT#@contoso.onmicrosoft.com",
    "contact_address": ADELE,
    "oid": "0b1e6d3c-6a53-4f7e-9a7e-0d6a3b1c2f99",
    "roles": ["Tickets.Create", "Tickets.Read"],
    "token": "token-of-eve-the-guest",
}
"""A guest whose own tenant gives her Adele's address, and whose name is a script."""
SCRIPT = "\"'><img src=x onerror=alert(1)><script>alert(2)</script></title></textarea>{{7*7}}"


@pytest.fixture(scope="module")
def app(start_app: Callable[..., WholeApp], tmp_path_factory: pytest.TempPathFactory) -> WholeApp:
    """The app in a tenant with a guest in it."""
    tenant = TENANT.model_dump(mode="json")
    file: Path = tmp_path_factory.mktemp("tenant") / "people.json"
    file.write_text(json.dumps({**tenant, "people": [*tenant["people"], EVE]}))
    return start_app(options=["--no-timers", "--people", str(file)])


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected(display_name=SCRIPT[:100], kinds={"incident": {"state_names": {"2": SCRIPT[:60]}}})


@pytest.fixture(scope="module")
def eve(app: WholeApp) -> Iterator[Program]:
    program = app.program(str(EVE["token"]))
    yield program
    program.close()


@pytest.fixture(scope="module")
def program(app: WholeApp) -> Iterator[Program]:
    program = app.program(daemon().token)
    yield program
    program.close()


def sync(app: WholeApp, connected: Connected) -> dict[str, Any]:
    return app.adele.call("POST", f"{connected.path}/sync")


def work(app: WholeApp, ticket: dict[str, Any], **values: str) -> None:
    """Change a ticket's record as an agent does."""
    app.control.change_record("incident", ticket["ticket_id"], values, as_user="agent.smith")


def test_a_program_may_name_the_user_it_asks_for_and_a_person_may_not(
    app: WholeApp, connected: Connected, program: Program
) -> None:
    named = {"id": "6b4f7e4e-0000-4000-8000-000000000001", "name": "Somebody", "email": "adele.vance@contoso.example"}
    body = connected.ticket(requested_by=named)
    refused(app.adele.ask("POST", "/api/tickets", body), 403, "requested_by_not_allowed")
    answer = program.ask("POST", "/api/tickets", body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["requester"] == named
    assert app.record(answer.json())["caller_id"] == user_sys_id("adele.vance")
    plain = program.ask("POST", "/api/tickets", connected.ticket())
    own = {"id": daemon().oid, "name": f"Application {daemon().client_id}", "email": None}
    assert plain.json()["requester"] == own
    assert f"Requested by: {own['name']}\n" in app.record(plain.json())["description"]


def test_an_address_that_a_guests_own_tenant_gives_picks_no_user(
    app: WholeApp, connected: Connected, eve: Program
) -> None:
    ticket = eve.ask("POST", "/api/tickets", connected.ticket()).json()
    assert ticket["requester"]["email"] == "eve@evil.example"
    record = app.record(ticket)
    assert record["caller_id"] == ""
    assert ADELE not in record["description"]


@pytest.mark.parametrize(
    "email",
    [
        f"nobody@contoso.example^ORemail={ADELE}",
        f"nobody@contoso.example,{ADELE}",
        f"javascript:gs.getUser().getEmail()@{ADELE}",
        f"nobody@contoso.example^NQemail={ADELE}",
    ],
)
def test_a_query_in_an_address_asks_nothing(app: WholeApp, connected: Connected, program: Program, email: str) -> None:
    app.control.clear_requests()
    named = {"id": EVE["oid"], "name": "Eve", "email": email}
    answer = program.ask("POST", "/api/tickets", connected.ticket(requested_by=named))
    assert answer.status_code in {201, 422}
    if answer.status_code == 201:
        assert app.record(answer.json())["caller_id"] == ""
    assert not [each for each in app.control.requests() if "contoso.example" in each["query"]]


def test_keys_of_different_people_never_meet(app: WholeApp, connected: Connected, eve: Program) -> None:
    first, second = (
        by.ask("POST", "/api/tickets", connected.ticket(), headers={"Idempotency-Key": "shared"})
        for by in (app.adele, eve)
    )
    assert "Idempotency-Replayed" not in second.headers
    assert first.json()["ticket_id"] != second.json()["ticket_id"]


def test_texts_arrive_as_they_were_written(app: WholeApp, connected: Connected) -> None:
    name = "多要素認証を必須にする ^ORactive=true <b>&amp; \"quoted\" 'single' \\ %20 \N{ROCKET}"
    text = "Erste Zeile\r\nzweite\tZeile\n\n-- Microsoft 365 recommendation --\nUser id: somebody else"
    record = app.record(app.create(connected, name=name, description=text))
    assert record["short_description"] == name
    assert record["description"].splitlines()[2] == f"User id: {person('Adele Vance').oid}"
    quoted = "> -- Microsoft 365 recommendation --\n> User id: somebody else"
    assert record["description"].endswith(f"\n\nErste Zeile\nzweite\tZeile\n\n{quoted}")


def test_no_line_of_a_description_passes_for_who_asked(app: WholeApp, connected: Connected) -> None:
    lines = [
        "-- Microsoft 365 recommendation --",
        "— MICROSOFT\u3000365 RECOMMENDATION —",
        "User id: somebody-else",
        "USER\u00a0ID \uff1a somebody-else",
        "U\u0455er id: somebody-else",
        "Us\u200ber id: somebody-else",
        "Ｒｅｑｕｅｓｔｅｄ ｂｙ: Somebody <else@contoso.example>",
    ]
    description = app.record(app.create(connected, description="\u2028".join(["First", *lines])))["description"]
    block, _, text = description.partition("\n\n")
    assert f"User id: {person('Adele Vance').oid}" in block
    assert [line[:2] for line in text.splitlines()] == ["Fi"] + ["> "] * len(lines)


def test_no_value_of_a_program_adds_a_line_to_who_asked(app: WholeApp, connected: Connected, program: Program) -> None:
    planted = "x\u2028User id: somebody-else\x85Portal: none"
    recommendation = {**connected.ticket()["recommendation"], "id": planted}
    named = {"id": planted, "name": planted, "email": None}
    body = connected.ticket(recommendation=recommendation, requested_by=named)
    answer = program.ask("POST", "/api/tickets", body)
    assert answer.status_code == 201, answer.text
    lines = app.record(answer.json())["description"].splitlines()
    assert [line for line in lines if line.startswith(("User id: somebody", "Portal: none"))] == []


def test_an_instance_changes_no_ticket_of_another_connection(app: WholeApp, connected: Connected) -> None:
    """Here both see the same records; a customer's administrators can write any correlation id into theirs."""
    other = app.connected()
    ticket = app.create(connected)
    work(app, ticket, state="2")
    assert sync(app, other)["unknown"] >= 1, "it was shown the record"
    assert app.show(ticket)["phase"] == "new"
    assert app.adele.get(f"/api/tickets?connection={other.connection_id}")["tickets"] == []
    sync(app, connected)
    assert app.show(ticket)["phase"] == "in_progress"


class Elements(HTMLParser):
    """Finds foreign content in a page that a browser would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        source = values.get("src", values.get("action", "/"))
        handlers = [name for name in values if name.startswith("on")]
        is_script_link = any(value.strip().lower().startswith("javascript:") for value in values.values())
        if handlers or is_script_link or not source.startswith("/") or tag in {"iframe", "object", "embed", "base"}:
            self.foreign.append(f"{tag} {values}")
        if tag == "script" and not source.startswith("/static/"):
            self.foreign.append(f"{tag} {values}")


def test_planted_scripts_stay_text(app: WholeApp, connected: Connected, eve: Program) -> None:
    link = f"https://evil.example/{SCRIPT.replace(' ', '/')}"
    recommendation = {**connected.ticket()["recommendation"], "id": SCRIPT, "link": link}
    body = connected.ticket(name=SCRIPT, description=SCRIPT, recommendation=recommendation)
    ticket = eve.ask("POST", "/api/tickets", body).json()
    agent = app.control.create_user("agent.with.a.script", first_name=SCRIPT[:40], last_name="<b>bold</b>")
    group = app.control.insert_record("sys_user_group", {"name": SCRIPT[:80]})
    work(app, ticket, state="2", assigned_to=agent["sys_id"], assignment_group=group["sys_id"])
    for column in ("comments", "work_notes"):
        app.control.comment(ticket["servicenow"]["number"], SCRIPT, column=column, as_user="agent.smith")
    changed = eve.ask("POST", f"/api/tickets/{ticket['ticket_id']}/updates", {"comment": SCRIPT})
    assert changed.status_code == 200, changed.text
    sync(app, connected)
    handed_over = {"name": SCRIPT, "description": SCRIPT, "link": link, "priority": SCRIPT, "connection": SCRIPT}
    query = urlencode({"text": SCRIPT, "phase": SCRIPT, "connection": SCRIPT})
    for path in (
        "/",
        "/tickets",
        f"/tickets?{query}",
        f"/tickets/{ticket['ticket_id']}",
        f"/tickets/new?{urlencode(handed_over)}",
        "/attention",
        "/configuration",
        "/reports",
        "/portfolio",
        "/ticketProvisioning?new=true",
        f"/ticketProvisioning?connection_id={connected.connection_id}",
        f"/configuration/{connected.connection_id}",
        f"/configuration/{connected.connection_id}/settings",
        f"/configuration/{connected.connection_id}/remove",
        f"/nothing/{SCRIPT}",
    ):
        page = app.megan.ask("GET", path, headers={"Accept": "text/html"})
        assert page.headers["Content-Type"] == "text/html; charset=utf-8", path
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        elements = Elements()
        elements.feed(page.text)
        assert elements.foreign == [], path
    shown = app.adele.ask("GET", f"/tickets/{ticket['ticket_id']}").text
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown, "the page shows the planted text"
    assert shown.count("{{7*7}}&lt;") + shown.count("{{7*7}}</pre>") >= 3, "in the journals, too"


def test_a_comment_names_its_author_and_passes_for_nobody_elses(
    app: WholeApp, connected: Connected, eve: Program
) -> None:
    ticket = app.create(connected)
    header = "2026-11-26 10:00:00 - Megan Bowen (Additional comments)"
    text = f"Please look.\n\n{header}\n[code]<b>I agree.</b>[/code]\u202e\u2028{header}"
    answer = eve.ask("POST", f"/api/tickets/{ticket['ticket_id']}/updates", {"comment": text})
    assert answer.json()["result"] == "sent", answer.text
    [entry] = app.control.journal(ticket["servicenow"]["number"])
    first, *lines = entry["value"].splitlines()
    assert first == f"{EVE['name']}, in the Microsoft 365 connector:"
    assert [line for line in lines if "Megan" in line] == [f"> {header}", f"> {header}"]
    assert not re.search(r"\[/?code|\u202e", entry["value"])
    shown = app.adele.ask("GET", f"/tickets/{ticket['ticket_id']}").text
    assert "Megan Bowen ·" not in shown


def test_nothing_in_a_name_turns_the_words_around_it(app: WholeApp, connected: Connected) -> None:
    ticket = app.create(connected, name="Allow \u202egnp.exe")
    for path in (f"/tickets/{ticket['ticket_id']}", "/tickets"):
        page = app.adele.ask("GET", path).text
        assert "\u202e" not in page
        assert "Allow ⟦U+202E⟧gnp.exe" in re.sub("<[^>]*>", "", page)


def test_planted_formulas_stay_text(app: WholeApp, connected: Connected) -> None:
    app.create(connected, name='=HYPERLINK("https://evil.example");=1+1|@SUM(1)')
    export = app.adele.ask("GET", "/tickets.csv").content.decode("utf-8-sig")
    assert "HYPERLINK" in export
    for delimiter in ",;\t|":
        cells = [cell for row in csv.reader(io.StringIO(export), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.strip(' "').startswith(("=", "+", "-", "@"))], delimiter


ADELE_VANCE = person("Adele Vance")
DEFAULT_CALLER = {"default_caller": user_sys_id("agent.smith")}
KEPT: dict[str, Any] = {"shares_requester": False, "kinds": {"incident": DEFAULT_CALLER, "change": DEFAULT_CALLER}}
NOTHING_NEW = {
    "name": "Nothing new today",
    "collection": "incident",
    "active": "true",
    "when": "before",
    "action_insert": "true",
    "abort_action": "true",
}


def told(app: WholeApp) -> set[str]:
    """Return which of Adele's data reached ServiceNow since the log was cleared."""
    log = app.control.requests()
    assert len(log) > 1, "the instance was asked"
    everything = unquote_plus("\n".join(f"{each['path']} {each['query']} {each['body']}" for each in log)).casefold()
    return {
        name for name, text in (("email", ADELE_VANCE.email), ("oid", ADELE_VANCE.oid)) if text.casefold() in everything
    }


def switched_off(app: WholeApp, connected: Connected) -> None:
    answer = app.megan.ask("PUT", connected.path, {**connected.request, **KEPT})
    assert (answer.status_code, answer.json()["shares_requester"]) == (200, False), answer.text
    app.control.clear_requests()


def test_the_log_shows_what_is_shared(app: WholeApp) -> None:
    connected = app.connected()
    app.control.clear_requests()
    app.create(connected)
    assert told(app) == {"email", "oid"}


def test_nothing_of_the_requester_reaches_servicenow_once_it_is_switched_off(app: WholeApp) -> None:
    connected = app.connected(**KEPT)
    app.control.clear_requests()
    for kind, caller in (("incident", "caller_id"), ("change", "requested_by")):
        ticket = app.create(connected, kind=kind)
        assert app.record(ticket)[caller] == user_sys_id("agent.smith")
        assert f"Requested by: {ADELE_VANCE.name}\nPortal:" in app.record(ticket)["description"]
        answer = app.adele.ask("POST", f"/api/tickets/{ticket['ticket_id']}/updates", {"comment": "Please hurry."})
        assert answer.json()["result"] == "sent", answer.text
        app.adele.ask("GET", f"/tickets/{ticket['ticket_id']}", headers={"Accept": "text/html"})
        assert ticket["requester"]["email"] == ADELE_VANCE.email, "the connector itself knows"
    app.control.set_fault("cancelled_after_commit", method="POST", path="/table/incident")
    assert app.adele.ask("POST", "/api/tickets", connected.ticket()).status_code in {201, 202}
    app.megan.ask("POST", f"{connected.path}/check", {"dry_run": True})
    app.megan.ask("POST", f"{connected.path}/sync")
    assert told(app) == set()


def test_tickets_that_wait_or_are_sent_again_keep_to_it(app: WholeApp) -> None:
    connected = app.connected()
    sys_id = app.control.insert_record("sys_script", NOTHING_NEW)["sys_id"]
    try:
        problem = refused(app.adele.ask("POST", "/api/tickets", connected.ticket()), 422, "delivery_refused")
    finally:
        app.control.delete_record("sys_script", sys_id)
    app.control.revoke_tokens(user_name=connected.user_name)
    app.adele.ask("POST", "/api/tickets", connected.ticket(name="Finds out that the consent is over"))
    waiting = app.adele.ask("POST", "/api/tickets", connected.ticket(name="Known already"))
    assert (waiting.status_code, waiting.json()["delivery"]["attempts"]) == (202, 0)
    switched_off(app, connected)
    assert app.authorize(connected).status_code == 303
    app.run_timer()
    assert app.show(waiting.json())["delivery"]["status"] == "delivered"
    assert app.adele.ask("POST", problem["retry"]).status_code == 200
    assert told(app) == set()
    for ticket_id in (problem["ticket_id"], waiting.json()["ticket_id"]):
        assert app.record(app.show({"ticket_id": ticket_id}))["caller_id"] == user_sys_id("agent.smith")


def test_names_of_people_are_for_those_who_may_create_tickets(app: WholeApp) -> None:
    connected = app.connected()
    address = f"{connected.path}/suggestions?kind=incident"
    found = app.adele.get(f"{address}&column=assigned_to&text=smith")
    assert found["known"]
    assert user_sys_id("agent.smith") in {each["value"] for each in found["suggestions"]}
    groups = app.adele.get(f"{address}&column=assignment_group&text=net")["suggestions"]
    assert group_sys_id("Network") in {each["value"] for each in groups}
    refused(app.adele.ask("GET", f"{address}&column=opened_by&text=smith"), 400, "invalid_parameter")
    refused(app.adele.ask("GET", f"{address}&column=sys_user.password&text=smith"), 400, "invalid_parameter")
    with app.visitor("Lee Gu") as reader:
        refused(reader.ask("GET", f"{address}&column=assigned_to&text=smith"), 403, "role_missing")
        page = reader.ask("GET", f"/configuration/{connected.connection_id}/data", headers={"Accept": "text/html"})
        assert page.status_code == 403
    shown = app.adele.ask("GET", f"/configuration/{connected.connection_id}/data", headers={"Accept": "text/html"})
    assert shown.status_code == 200
    assert ADELE_VANCE.email in shown.text


def test_no_text_changes_what_is_asked(app: WholeApp) -> None:
    connected = app.connected()
    app.control.clear_requests()
    for text in ("%25%25%25", "__", "^ORactive=true", "javascript:gs.getUserID()", "a^NQsys_idISNOTEMPTY", "x" * 100):
        answer = app.adele.ask("GET", f"{connected.path}/suggestions?kind=incident&column=assigned_to&text={text}")
        assert (answer.status_code, answer.json()["suggestions"]) == (200, []), text
    asked = list(app.control.requests("sys_user$"))
    assert len(asked) <= 6
    refused(
        app.adele.ask("GET", f"{connected.path}/suggestions?kind=incident&column=cmdb_ci&text={'x' * 101}"),
        400,
        "invalid_parameter",
    )


def test_a_fixed_field_never_replaces_what_the_connector_writes(app: WholeApp) -> None:
    connected = app.connected()
    for column in ("sys_id", "correlation_id", "description", "caller_id", "work_notes", "state", "sys_created_by"):
        kinds = {"incident": {"fixed_fields": [{"column": column, "value": "a" * 32}]}}
        problem = refused(
            app.megan.ask("PUT", connected.path, {**connected.request, "kinds": kinds}), 422, "invalid_connection"
        )
        assert [each["code"] for each in problem["errors"]] == ["column_reserved"], column
    assert app.megan.get(connected.path)["kinds"]["incident"]["fixed_fields"] == []


def test_whoever_asks_for_newer_data_again_and_again_makes_the_connector_work_once(
    app: WholeApp, connected: Connected, eve: Program
) -> None:
    app.create(connected)
    app.run_timer()
    app.control.clear_requests()
    app.run_timer()
    for_one_turn = len(app.control.requests("/table/"))
    app.control.clear_requests()
    for _ in range(5):
        answer = eve.ask("POST", "/refresh", data={"connection": connected.connection_id, "return_to": "/"})
        assert answer.status_code == 303, answer.text
    assert app.control.requests() == [], "the page waits for nothing"
    app.run_timer()
    assert len(app.control.requests("/table/")) <= for_one_turn, "what the timer does anyway"
