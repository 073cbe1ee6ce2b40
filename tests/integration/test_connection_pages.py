"""Provisioning, configuration and check, as pages and in the API, in the whole app."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from html import unescape
from typing import Any

import httpx
import pytest

from sandbox.servicenow.stage.seed.people import group_sys_id, user_sys_id
from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

PAGE = {"Accept": "text/html"}


def form_of(connected: Connected, **changes: str) -> dict[str, str]:
    """The provisioning form, filled in."""
    names = ("instance", "client_id", "client_secret", "integration_user")
    return {**{name: str(connected.request[name]) for name in names}, "display_name": "Contoso", **changes}


def post(app: WholeApp, path: str, form: Mapping[str, str], **headers: str) -> httpx.Response:
    return app.megan.ask("POST", path, data=dict(form), headers={**PAGE, **headers})


def shown(app: WholeApp, path: str, language: str = "en") -> str:
    answer = app.megan.ask("GET", path, headers={**PAGE, "Accept-Language": language})
    assert answer.status_code == 200, answer.text
    return unescape(answer.text).replace("\u00a0", " ")


def step_classes(html: str) -> list[str]:
    return re.findall(r'<li class="(\w*)"(?: id="next")? aria-labelledby="step-', html)


def provisioned(app: WholeApp, **changes: str) -> tuple[Connected, str]:
    """Enter a connection on the page; return it and its new id."""
    registered = app.registered()
    answer = post(app, "/ticketProvisioning", form_of(registered, **changes))
    assert answer.status_code == 303, answer.text
    match = re.match(r"/ticketProvisioning\?connection_id=([a-z0-9-]+)&done=saved#next", answer.headers["Location"])
    assert match is not None, answer.headers["Location"]
    return Connected(
        match[1], registered.client_id, registered.client_secret, registered.user_name, registered.request
    ), match[1]


def checked(app: WholeApp, path: str, language: str = "en") -> str:
    """The page of a check that has ended; while it runs, it loads itself again without a script."""
    deadline = time.monotonic() + 20
    while "data-poll" in (page := shown(app, path, language)):
        assert '<noscript><meta http-equiv="refresh"' in page
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert 'http-equiv="refresh"' not in page
    return page


@pytest.fixture
def connected(app: WholeApp) -> Connected:
    return app.connected(time_zone="UTC")


def test_the_checklist_leads_from_nothing_to_a_connection(app: WholeApp) -> None:
    empty = shown(app, "/ticketProvisioning?new=true")
    assert step_classes(empty) == ["", "", "", "now", "", ""]
    assert f"{app.host.public_url}/api/oauth/callback" in empty
    assert re.search(r'value="client_credentials"[^>]* checked', empty), "what is recommended is chosen"
    assert empty.count("First, in ServiceNow") == 3
    connected, connection_id = provisioned(app)
    saved = shown(app, f"/ticketProvisioning?connection_id={connection_id}")
    assert step_classes(saved) == ["unchecked", "done", "done", "unchecked", "now", ""], "only what was seen is done"
    assert connected.client_secret not in saved
    assert f'href="/api/oauth/authorize?connection_id={connection_id}"' in saved
    back = app.authorize(connected)
    assert back.headers["Location"] == f"/configuration/{connection_id}?done=authorized"
    landed = shown(app, back.headers["Location"])
    assert f"ServiceNow issues tokens for “{connected.user_name}”" in landed, "what was achieved"
    assert "The consent lasts until" in landed
    assert f'href="/configuration/{connection_id}/preflight"' in landed
    finished = shown(app, f"/ticketProvisioning?connection_id={connection_id}")
    assert step_classes(finished) == ["done"] * 6
    assert f"Client ID: {connected.client_id}</span></summary>" in finished, "what is done is one line"
    next_steps = re.findall(r'<a class="button primary" href="([^"]+)"', finished)
    assert next_steps == [f"/tickets/new?connection={connection_id}"], "one next step"


def test_saving_twice_makes_one_connection(app: WholeApp) -> None:
    registered = app.registered()
    first, second = (post(app, "/ticketProvisioning", form_of(registered)) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]


def test_what_is_wrong_stands_at_its_field_and_nothing_is_kept(app: WholeApp) -> None:
    before = app.megan.get("/api/connections")
    form = form_of(app.registered(), instance="https://evil.example", display_name="<b>Contoso</b>")
    answer = post(app, "/ticketProvisioning", form)
    assert answer.status_code == 422
    assert 'aria-describedby="instance-hint instance-fault"' in answer.text
    assert "&lt;b&gt;Contoso&lt;/b&gt;" in answer.text, "the entered values are still there"
    assert form["client_secret"] not in answer.text
    assert app.megan.get("/api/connections") == before


def test_a_new_connection_needs_its_secret(app: WholeApp) -> None:
    answer = post(app, "/ticketProvisioning", form_of(app.registered(), client_secret=""))
    assert answer.status_code == 422
    assert "client_secret-fault" in answer.text


def test_steps_check_themselves(app: WholeApp) -> None:
    registered = app.registered()
    answer = post(app, "/ticketProvisioning", form_of(registered, client_id="f" * 32))
    unknown = shown(app, answer.headers["Location"].partition("#")[0])
    assert step_classes(unknown) == ["unchecked", "", "done", "now", "", ""]
    assert unknown.count(f"does not know the client ID {'f' * 32}") == 1
    assert 'id="client_id-fault"' in unknown, "it is shown at its field"
    app.control.set_fault("address_blocked", remaining=None)
    blocked = shown(app, answer.headers["Location"].partition("#")[0], "ja")
    assert "ServiceNow がコネクタのアドレスを拒否しました" in blocked


def test_a_dead_instance_is_found_when_it_is_saved(app: WholeApp) -> None:
    answer = post(app, "/ticketProvisioning", form_of(app.registered(), instance="http://127.0.0.1:9"))
    dead = shown(app, answer.headers["Location"].partition("#")[0])
    assert step_classes(dead)[3] == "now"
    assert 'id="instance-fault"' in dead


def test_client_credentials_connect_when_they_are_saved(app: WholeApp) -> None:
    property_name = "glide.oauth.inbound.client.credential.grant_type.enabled"
    registered = app.registered()
    [user] = app.control.records("sys_user", f"user_name={registered.user_name}")
    app.control.change_oauth_client(registered.client_id, user=user["sys_id"])
    form = form_of(registered, grant="client_credentials")
    refused = post(app, "/ticketProvisioning", form)
    assert refused.status_code == 502
    assert property_name in unescape(refused.text), "the refusal says what to look at"
    banner = refused.text.split('role="alert"', 1)[1].split("</div>", 1)[0]
    assert banner.count("_list.do?sysparm_query=") == banner.count("<li>") == 3, "and where: property, client and user"
    connection_id = next(each for each in re.findall(r'name="connection_id" value="([^"]+)"', refused.text))
    assert step_classes(refused.text)[4] == "now", "it is saved, and connecting is the next step"
    assert f'action="/configuration/{connection_id}/connect"' in refused.text
    assert "Authorization code" in refused.text
    assert "MFA Exempted" in refused.text, "without :has() in a browser, both grants are explained"

    app.control.set_properties({property_name: True})
    path = f"/configuration/{connection_id}/connect"
    connected = post(app, path, {})
    landed = f"/configuration/{connection_id}?done=authorized"
    assert (connected.status_code, connected.headers["Location"]) == (303, landed)
    assert "Client credentials: nothing to renew" in shown(app, landed)
    assert step_classes(shown(app, f"/ticketProvisioning?connection_id={connection_id}")) == ["done"] * 6
    again = post(app, "/ticketProvisioning", {**form, "client_secret": "", "connection_id": connection_id})
    assert again.headers["Location"].endswith("&done=saved#next"), "nothing changed, so it stays connected"


def test_somebody_elses_client_credentials_are_refused_at_the_field(app: WholeApp) -> None:
    app.control.set_properties({"glide.oauth.inbound.client.credential.grant_type.enabled": True})
    registered = app.registered()
    [user] = app.control.records("sys_user", "user_name=adele.vance")
    app.control.change_oauth_client(registered.client_id, user=user["sys_id"])
    refused = post(app, "/ticketProvisioning", form_of(registered, grant="client_credentials"))
    assert refused.status_code == 403
    assert "adele.vance" in refused.text
    assert 'id="integration_user-fault"' in refused.text


def test_who_has_the_second_factor_is_asked_for_and_shown(app: WholeApp) -> None:
    connected, connection_id = provisioned(app, second_factor_holder="Security <Operations>")
    checklist = shown(app, f"/ticketProvisioning?connection_id={connection_id}")
    assert "ServiceNow asks for a second factor: Security <Operations>." in checklist
    assert f"sys_user_list.do?sysparm_query=user_name%3D{connected.user_name}" in checklist
    kept = post(app, "/ticketProvisioning", form_of(connected, client_secret="", connection_id=connection_id))
    assert kept.status_code == 303
    assert app.megan.get(connected.path)["second_factor_holder"] == "Security <Operations>", "not in the form: it stays"


def needs_attention(app: WholeApp, connected: Connected) -> list[str]:
    """The items of the home page's list that are about this connection."""
    items = re.findall("<li>.*?</li>", shown(app, "/"), re.DOTALL)
    return [each for each in items if f'<span class="subject">{connected.request["display_name"]}</span>' in each]


def test_the_warning_of_an_ending_consent_names_who_has_the_second_factor(app: WholeApp) -> None:
    connected = app.connected(consent_lifetime_s=7200, second_factor_holder="Vault entry 12")
    [item] = needs_attention(app, connected)
    assert "The consent ends on" in item
    assert "Second factor: Vault entry 12." in item
    assert "Vault entry 12" in shown(app, f"/configuration/{connected.connection_id}")
    app.megan.ask("PUT", connected.path, {**connected.request, "client_secret": "another"})
    assert app.status(connected) == "reauthorization_required"
    [item] = needs_attention(app, connected)
    assert "ServiceNow no longer accepts the consent" in item
    assert "Second factor: Vault entry 12." in item


def test_the_instructions_for_an_administrator_can_be_read_without_scripts(app: WholeApp) -> None:
    page = shown(app, "/ticketProvisioning?new=true", "ja")
    for grant in ("authorization_code", "client_credentials"):
        [text] = re.findall(f'<pre class="preview" id="instructions-{grant}"[^>]*>(.*?)</pre>', page, re.DOTALL)
        assert "m365.connector" in text
        assert ("/api/oauth/callback" in text) == (grant == "authorization_code")


def test_several_connections_are_to_choose_from(app: WholeApp, connected: Connected) -> None:
    app.connected()
    choices = app.megan.ask("GET", "/ticketProvisioning", headers=PAGE)
    assert (choices.status_code, choices.headers["Location"]) == (303, "/configuration")
    page = shown(app, "/configuration")
    assert f'href="/configuration/{connected.connection_id}"' in page
    assert "/ticketProvisioning?new=true" in page


def test_a_repair_begins_and_ends_on_the_connections_page(app: WholeApp) -> None:
    property_name = "glide.oauth.inbound.client.credential.grant_type.enabled"
    app.control.set_properties({property_name: True})
    registered = app.registered()
    [user] = app.control.records("sys_user", f"user_name={registered.user_name}")
    app.control.change_oauth_client(registered.client_id, user=user["sys_id"])
    place = post(app, "/ticketProvisioning", form_of(registered, grant="client_credentials")).headers["Location"]
    path = place.partition("?")[0]
    assert path.startswith("/configuration/")
    broken = form_of(registered, client_secret="no longer right", grant="client_credentials")
    wrong = post(app, f"{path}/account", broken)
    assert wrong.status_code == 502
    assert wrong.text.count("_list.do?sysparm_query=") == 3, "it says what to look at, and where"
    assert 'id="step-' not in wrong.text, "it is not the checklist"
    page = shown(app, path)
    assert "No token from ServiceNow" in page
    assert "Authorization needed" not in page
    assert re.findall(r'<button class="button primary"[^>]*>([^<]+)', page) == ["Connect"]
    refused_again = post(app, f"{path}/connect", {})
    assert (refused_again.status_code, 'id="step-' in refused_again.text) == (502, False)
    fixed = post(app, f"{path}/account", broken | {"client_secret": registered.client_secret})
    assert (fixed.status_code, fixed.headers["Location"]) == (303, f"{path}?done=authorized")


def test_a_changed_account_needs_a_new_authorization(app: WholeApp, connected: Connected) -> None:
    form = form_of(connected, client_secret="", integration_user="somebody.else", connection_id=connected.connection_id)
    assert post(app, "/ticketProvisioning", form).status_code == 303
    after = app.megan.get(connected.path)
    assert (after["status"], after["integration_user"]) == ("reauthorization_required", "somebody.else")
    assert after["time_zone"] == "UTC", "settings that the page does not show stay"


def test_the_configuration_is_shown_previewed_and_saved(app: WholeApp, connected: Connected) -> None:
    path = f"/configuration/{connected.connection_id}/settings"
    page = shown(app, path)
    assert "Security Operations" in page, "groups of the instance"
    assert "Inquiry / Help" in page, "categories of the instance"
    assert 'name="incident_code_No resolution provided" value="on" checked' in page, "close codes of the instance"
    form = {
        "display_name": "Contoso",
        "time_zone": "Asia/Tokyo",
        "consent_lifetime_s": "8640000",
        "portal_security": "on",
        "incident_enabled": "on",
        "incident_category": "network",
        "incident_state_1": "Just in <b>",
        "outcome_notes": "comment",
        "incident_not_fixed": "reopen",
        "incident_codes": "own",
        "incident_code_Duplicate": "on",
    }
    preview = post(app, path, {**form, "step": "preview"})
    assert preview.status_code == 200
    assert "Just in &lt;b&gt;</bdi>" in preview.text
    assert app.megan.get(connected.path)["time_zone"] == "UTC"
    saved = post(app, path, {**form, "step": "save"})
    assert (saved.status_code, saved.headers["Location"]) == (303, f"{path}?done=saved")
    after = app.megan.get(connected.path)
    assert after["kinds"]["incident"]["state_names"] == {"1": "Just in <b>"}
    assert after["kinds"]["incident"]["category"] == "network"
    assert after["kinds"]["incident"]["not_fixed"] == "reopen"
    assert (after["kinds"]["incident"]["not_done_codes"], after["outcome_notes"]) == (["Duplicate"], "comment")
    assert after["kinds"]["change"]["enabled"] is False
    assert (after["portals"], after["time_zone"], after["status"]) == (["security"], "Asia/Tokyo", "connected")
    refused = post(app, path, {**form, "time_zone": "Mars/Phobos", "incident_enabled": ""})
    assert refused.status_code == 422
    assert "time_zone-fault" in refused.text


def test_groups_that_cannot_be_listed_are_entered(app: WholeApp, connected: Connected) -> None:
    app.control.set_fault("bad_gateway", path="^/api/now/table/(sys_user_group|sys_choice)", remaining=None)
    page = shown(app, f"/configuration/{connected.connection_id}/settings")
    assert '<input type="text" id="incident_group"' in page
    assert '<textarea id="incident_typed_codes"' in page
    assert "In Progress" in page, "the usual states"


def test_synchronise_now(app: WholeApp, connected: Connected) -> None:
    answer = post(app, f"/configuration/{connected.connection_id}/sync", {})
    assert answer.headers["Location"].endswith("?done=synchronised")
    assert app.megan.get(connected.path)["last_sync_at"]


def test_removal_asks_first_and_says_what_is_kept(app: WholeApp, connected: Connected) -> None:
    ticket = app.create(connected)
    path = f"/configuration/{connected.connection_id}"
    assert "tickets are kept here" in shown(app, f"{path}/remove")
    assert app.megan.get(connected.path)["status"] == "connected"
    removed = post(app, f"{path}/remove", {})
    assert (removed.status_code, removed.headers["Location"]) == (303, f"{path}/removed")
    assert "no longer connected" in shown(app, f"{path}/removed")
    assert app.megan.get(connected.path)["status"] == "disconnected"
    assert app.show(ticket)["dormant"] is True
    assert app.megan.ask("GET", path, headers=PAGE).status_code == 404


def test_the_check_as_a_page(app: WholeApp, connected: Connected) -> None:
    path = f"/configuration/{connected.connection_id}/check"
    assert "Nobody has checked" in shown(app, path)
    started = post(app, path, {})
    assert (started.status_code, started.headers["Location"]) == (303, path)
    page = checked(app, path)
    primary = re.findall(r'<button class="button primary"[^>]*>([^<]+)', page)
    assert primary == ["Check with a test ticket"], "what several findings ask for is the next step"
    assert re.search(r"<summary>\d\d checks passed</summary>", page)
    assert re.search(r"\d\d passed, 0 failed", shown(app, path.removesuffix("/check"))), "the last check"
    post(app, path, {"dry_run": "true"})
    tried = checked(app, path, "ja")
    assert re.search(r"テスト チケット INC\d+ を作成し、キャンセルしました", tried)


def test_the_check_names_the_cause_once_with_its_button(app: WholeApp, connected: Connected) -> None:
    app.megan.ask("PUT", connected.path, {**connected.request, "client_secret": "another"})
    path = f"/configuration/{connected.connection_id}/check"
    post(app, path, {})
    page = checked(app, path)
    authorize = f"/api/oauth/authorize?connection_id={connected.connection_id}"
    assert re.findall(r'<a class="button primary" href="([^"]+)"', page) == [authorize]
    assert re.search(r"<summary>\d\d checks wait for this</summary>", page)
    assert page.partition("checks wait for this")[0].count('class="badge bad"') == 1


def test_the_check_as_an_operation(app: WholeApp, connected: Connected) -> None:
    answer = app.megan.ask("POST", f"{connected.path}/check")
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    outcomes = [each["outcome"] for each in report["findings"]]
    assert report["failed"] == 0, [each for each in report["findings"] if each["outcome"] == "failed"]
    assert [report[name] for name in ("passed", "failed", "unknown")] == [
        outcomes.count(name) for name in ("passed", "failed", "unknown")
    ]
    assert all(each["title"] and each["seen"] for each in report["findings"])
    tried = app.megan.ask("POST", f"{connected.path}/check", {"dry_run": True}).json()
    assert (tried["dry_run"], tried["left_open"]) == (True, [])
    assert {each["name"]: each["reason"] for each in tried["findings"]}["create_change"] == "created"


def test_a_dry_run_is_no_ticket(app: WholeApp, connected: Connected) -> None:
    app.megan.ask("POST", f"{connected.path}/check", {"dry_run": True})
    assert app.megan.ask("POST", f"{connected.path}/sync").status_code == 200
    assert app.adele.get(f"/api/tickets?connection={connected.connection_id}")["tickets"] == []


def test_before_the_first_ticket(app: WholeApp, connected: Connected) -> None:
    place = f"/configuration/{connected.connection_id}/preflight"
    before = app.megan.ask("GET", f"{connected.path}/preflight").json()
    assert [each["test_ticket"] for each in before["kinds"]] == [None, None]
    tried = app.megan.ask("POST", f"{connected.path}/preflight", {"kind": "incident"})
    assert tried.status_code == 200, tried.text
    incident, change = app.megan.ask("GET", f"{connected.path}/preflight").json()["kinds"]
    assert (incident["test_ticket"]["outcome"], change["test_ticket"]) == ("accepted", None)
    assert {each["outcome"] for each in incident["fields"]} == {"fine"}
    assert post(app, place, {"kind": "change"}).status_code == 303
    page = app.megan.ask("GET", place, headers=PAGE)
    assert page.text.count("and the connector canceled it") == 2
    assert "button primary" not in page.text, "nothing is left to do here"
    assert app.megan.ask("POST", f"{connected.path}/sync").status_code == 200
    assert app.adele.get(f"/api/tickets?connection={connected.connection_id}")["tickets"] == []


@pytest.mark.parametrize("fault", ["hibernating", "bad_gateway", "address_blocked", "huge_body", "accepted"])
def test_a_bad_day_is_a_report_not_an_error(app: WholeApp, connected: Connected, fault: str) -> None:
    app.control.set_fault(fault, remaining=None)
    answer = app.megan.ask("POST", f"{connected.path}/check", {"dry_run": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["failed"] + answer.json()["unknown"] > 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [({"dry_run": "yes"}, 422, "invalid_check"), ({"more": 1}, 422, "invalid_check"), ([], 422, "invalid_check")],
)
def test_what_cannot_be_asked(app: WholeApp, connected: Connected, body: Any, status: int, code: str) -> None:
    answer = app.megan.ask("POST", f"{connected.path}/check", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_only_managers_get_in(app: WholeApp, connected: Connected) -> None:
    path = f"/configuration/{connected.connection_id}"
    for method, address in (
        ("GET", "/ticketProvisioning"),
        ("POST", "/ticketProvisioning"),
        ("GET", "/configuration"),
        ("GET", path),
        ("POST", path),
        ("GET", f"{path}/settings"),
        ("POST", f"{path}/settings"),
        ("GET", f"{path}/account"),
        ("POST", f"{path}/account"),
        ("POST", f"{path}/connect"),
        ("POST", f"{path}/check"),
        ("POST", f"{path}/sync"),
        ("GET", f"{path}/remove"),
        ("POST", f"{path}/remove"),
        ("GET", f"{path}/removed"),
        ("POST", f"{connected.path}/check"),
    ):
        answer = app.adele.ask(method, address, headers=PAGE)
        assert answer.status_code == 403, f"{method} {address}"
    assert app.megan.get(connected.path)["status"] == "connected"


def test_other_sites_change_nothing(app: WholeApp, connected: Connected) -> None:
    path = f"/configuration/{connected.connection_id}"
    for address in (
        "/ticketProvisioning",
        path,
        f"{path}/settings",
        f"{path}/account",
        f"{path}/remove",
        f"{path}/check",
        f"{path}/sync",
    ):
        answer = post(app, address, {}, **{"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403, address
    assert app.megan.get(connected.path)["status"] == "connected"


@pytest.fixture(scope="module")
def mail_server(app: WholeApp) -> str:
    return str(app.control.insert_record("cmdb_ci", {"name": "Mail server 7"})["sys_id"])


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
    path = f"/configuration/{connected.connection_id}/settings"
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
    assert field(shown, "incident_default_caller") == label
    assert app.megan.ask("POST", path, data=form | {"incident_default_caller": label}, headers=PAGE).status_code == 303
    assert app.megan.get(connected.path)["kinds"] == saved["kinds"]


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
