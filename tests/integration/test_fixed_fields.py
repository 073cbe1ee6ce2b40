"""Further fields of new tickets, and what is chosen for one ticket, from the page to ServiceNow's record."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def mail_server(app: WholeApp) -> str:
    return str(app.control.insert_record("cmdb_ci", {"name": "Mail server 7"})["sys_id"])


@pytest.fixture
def connected(app: WholeApp) -> Connected:
    return app.connected()


def put(app: WholeApp, connected: Connected, kind: str, fields: dict[str, str]) -> Any:
    wanted = [{"column": column, "value": value} for column, value in fields.items()]
    return app.megan.ask("PUT", connected.path, {**connected.request, "kinds": {kind: {"fixed_fields": wanted}}})


@pytest.mark.parametrize("comparison", ["case_insensitive", "case_sensitive"])
@pytest.mark.parametrize("kind", ["incident", "change"])
def test_a_ticket_gets_exactly_the_fields_that_were_saved(
    app: WholeApp, connected: Connected, mail_server: str, kind: str, comparison: str
) -> None:
    app.control.set_properties({"simulator.query.text_comparison": comparison})
    named = {"cmdb_ci": "Mail server 7", "contact_type": "Email"}
    named |= {"risk": "High"} if kind == "change" else {}
    answer = put(app, connected, kind, named)
    assert answer.status_code == 200, answer.text
    saved = {each["column"]: (each["value"], each["label"]) for each in answer.json()["kinds"][kind]["fixed_fields"]}
    assert saved["cmdb_ci"] == (mail_server, "Mail server 7")
    assert saved.get("risk", ("2", "High")) == ("2", "High")
    record = app.record(app.create(connected, kind=kind))
    assert {column: record[column] for column in saved} == {column: value for column, (value, _) in saved.items()}
    assert put(app, connected, kind, {}).status_code == 200
    plain = app.record(app.create(connected, kind=kind, name="Another"))
    assert (plain["cmdb_ci"], plain["contact_type"]) == ("", "")


def test_a_name_that_is_not_there_is_refused_and_nothing_is_saved(app: WholeApp, connected: Connected) -> None:
    problem = refused(put(app, connected, "incident", {"cmdb_ci": "No such server"}), 422, "invalid_connection")
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [
        ("/kinds/incident/fixed_fields/0/value", "name_not_found")
    ]
    problem = refused(put(app, connected, "incident", {"caller_id": "somebody"}), 422, "invalid_connection")
    assert "Default caller" in problem["errors"][0]["detail"]
    assert app.megan.get(connected.path)["kinds"]["incident"]["fixed_fields"] == []


def field(html: str, name: str) -> str:
    match = re.search(rf'<input [^>]*name="{name}"[^>]*value="([^"]*)"', html)
    assert match is not None, name
    return unescape(match[1])


def test_the_page_saves_names_and_shows_them_again_without_a_script(
    app: WholeApp, connected: Connected, mail_server: str
) -> None:
    path = f"/configuration/{connected.connection_id}"
    form = {
        "display_name": "Contoso",
        "time_zone": "UTC",
        "portal_security": "on",
        "incident_enabled": "on",
        "change_enabled": "on",
        "incident_default_caller": "",
        "incident_fixed_0_column": "cmdb_ci",
        "incident_fixed_0_value": "mail server 7",
        "incident_fixed_2_column": "contact_type",
        "incident_fixed_2_value": "self-service",
        "shares_requester": "false",
    }
    wrong = app.megan.ask("POST", path, data=form | {"incident_default_caller": "Nobody At All"}, headers=PAGE)
    assert wrong.status_code == 422
    assert 'id="incident_default_caller-fault"' in wrong.text
    names = app.adele.get(f"{connected.path}/suggestions?kind=incident&column=assigned_to&text=smith")
    label = next(each["label"] for each in names["suggestions"] if each["value"] == user_sys_id("agent.smith"))
    answer = app.megan.ask("POST", path, data=form | {"incident_default_caller": label}, headers=PAGE)
    assert answer.status_code == 303, answer.text
    saved = app.megan.get(connected.path)
    assert saved["kinds"]["incident"]["default_caller"] == user_sys_id("agent.smith")
    assert saved["shares_requester"] is False
    fixed = {each["column"]: each["value"] for each in saved["kinds"]["incident"]["fixed_fields"]}
    assert fixed == {"cmdb_ci": mail_server, "contact_type": "self-service"}
    shown = app.megan.ask("GET", path, headers=PAGE).text
    assert field(shown, "incident_fixed_0_value") == "Mail server 7"
    assert field(shown, "incident_fixed_1_value") == "Self-service"


def test_a_ticket_has_its_own_group_assignee_and_item(app: WholeApp, connected: Connected, mail_server: str) -> None:
    chosen = {
        "assignment_group": group_sys_id("Network"),
        "assigned_to": user_sys_id("agent.smith"),
        "configuration_item": mail_server,
    }
    ticket = app.create(connected, **chosen)
    assert {name: ticket[name] for name in chosen} == chosen
    record = app.record(ticket)
    assert [record[name] for name in ("assignment_group", "assigned_to", "cmdb_ci")] == list(chosen.values())
    page = unescape(app.adele.ask("GET", f"/tickets/{ticket['ticket_id']}", headers=PAGE).text)
    assert "Mail server 7" in page
    assert "asked for:" not in page, "ServiceNow has what was asked for"


def test_the_form_of_a_new_ticket_takes_names(app: WholeApp, connected: Connected, mail_server: str) -> None:
    form = {
        "connection_id": connected.connection_id,
        "kind": "incident",
        "portal": "security",
        "name": "With a name",
        "priority": "low",
        "source": "microsoft",
        "category": "identity",
        "assignment_group": "network",
        "configuration_item": "Mail server 7",
    }
    missing = app.adele.ask("POST", "/tickets/new", data=form | {"assigned_to": "Nobody At All"}, headers=PAGE)
    assert missing.status_code == 422
    assert 'id="assigned_to-fault"' in missing.text
    preview = app.adele.ask("POST", "/tickets/new", data=form, headers=PAGE).text
    assert mail_server in preview
    assert field(preview, "configuration_item") == "Mail server 7"
    sent = app.adele.ask("POST", "/tickets/new", data=form | {"step": "send"}, headers=PAGE)
    assert sent.status_code == 303, sent.text
    ticket = app.adele.get(f"/api{sent.headers['Location'].partition('?')[0]}")
    assert (ticket["assignment_group"], ticket["configuration_item"]) == (group_sys_id("Network"), mail_server)
