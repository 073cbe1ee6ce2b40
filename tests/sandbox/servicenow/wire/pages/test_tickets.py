"""Playing the ServiceNow side by hand."""

from collections.abc import Iterator

import pytest

from sandbox.servicenow.engine.agent_steps import STEPS
from sandbox.servicenow.engine.caller import SYSTEM
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.stage.browser import Browser, Page, sign_in
from tests.sandbox.servicenow.simulator import PASSWORD, Simulated, simulated


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        world.instance.choices.plant()
        yield world


@pytest.fixture
def browser(simulator: Simulated) -> Iterator[Browser]:
    with simulator.browser() as window:
        sign_in(window, window.open(f"{simulator.url}/login.do"), "agent", PASSWORD)
        yield window


def ticket(simulator: Simulated, table: str = "incident") -> Row:
    values = {"short_description": "Turn on <MFA>", "correlation_id": "m365:1"}
    return simulator.instance.operations.insert(table, values, SYSTEM)


def opened(simulator: Simulated, browser: Browser, row: Row) -> Page:
    return browser.open(f"{simulator.url}/{row['sys_class_name']}.do?sys_id={row['sys_id']}")


def offered(page: Page) -> list[str]:
    """Return the steps for which the page has a form, in order."""
    return [form.id for form in page.forms if form.id in STEPS]


def stored(simulator: Simulated, row: Row) -> Row:
    found = simulator.instance.records.get(row["sys_class_name"], row["sys_id"])
    assert found is not None
    return found


def test_the_list_shows_tickets_of_every_kind(simulator: Simulated, browser: Browser) -> None:
    rows = [ticket(simulator, table) for table in ("incident", "change_request", "problem", "sc_task")]
    page = browser.open(f"{simulator.url}/")
    assert {row["number"] for row in rows} <= page.links.keys()
    only_changes = browser.open(f"{simulator.url}/?kind=change_request")
    assert rows[1]["number"] in only_changes.links
    assert rows[0]["number"] not in only_changes.links


def test_the_list_can_be_searched(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    for words in ("MFA", row["number"], "m365:1"):
        found = browser.open(f"{simulator.url}/?search={words}")
        assert [name for name in found.links if name.startswith("INC")] == [row["number"]]
    assert not [name for name in browser.open(f"{simulator.url}/?search=x^ORactive=true").links if name[:3] == "INC"]


def test_the_list_has_pages(simulator: Simulated, browser: Browser) -> None:
    for _ in range(51):
        ticket(simulator)
    first = browser.open(f"{simulator.url}/")
    second = browser.follow(first, "next_page")
    numbers = [{name for name in page.links if name.startswith("INC")} for page in (first, second)]
    assert [len(found) for found in numbers] == [50, 2]
    assert not numbers[0] & numbers[1]


def test_somebody_without_rights_sees_only_their_own(simulator: Simulated) -> None:
    row, person = ticket(simulator), simulator.users["person"]["sys_id"]
    own = simulator.instance.operations.insert("incident", {"caller_id": person}, SYSTEM)
    with simulator.browser() as browser:
        page = sign_in(browser, browser.open(f"{simulator.url}/"), "person", PASSWORD)
        assert own["number"] in page.links
        assert row["number"] not in page.links
        assert opened(simulator, browser, row).status == 404


def test_a_ticket_is_found_at_the_addresses_of_a_real_instance(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    for address in (
        f"/nav_to.do?uri=incident.do?sys_id={row['sys_id']}",
        f"/nav_to.do?uri=%2Fincident.do%3Fsys_id%3D{row['sys_id']}",
        f"/now/nav/ui/classic/params/target/incident.do%3Fsys_id%3D{row['sys_id']}",
        f"/task.do?sys_id={row['sys_id']}",
    ):
        assert row["number"] in browser.open(simulator.url + address).text


def test_navigation_stays_on_the_instance(simulator: Simulated) -> None:
    response = simulator.send("GET", "/nav_to.do?uri=//evil.example/")
    assert response.headers["location"] == "/evil.example/"


def test_what_people_wrote_is_escaped(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    assert "Turn on <MFA>" in opened(simulator, browser, row).text


def test_changing_the_state(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    page = browser.submit(opened(simulator, browser, row), "change_state", {"state": "2"})
    assert "In Progress" in page.text
    after = stored(simulator, row)
    assert (after["state"], after["sys_updated_by"], after["sys_mod_count"]) == ("2", "agent", "1")


def test_resolving_with_code_and_notes(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    form = {"close_code": "Solution provided", "close_notes": "MFA is on"}
    browser.submit(opened(simulator, browser, row), "resolve", form)
    after = stored(simulator, row)
    assert (after["state"], after["close_code"], after["close_notes"]) == ("6", "Solution provided", "MFA is on")
    assert after["resolved_by"] == simulator.users["agent"]["sys_id"]


def test_the_whole_life_of_an_incident_by_buttons(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    form = {"close_code": "Duplicate", "close_notes": "Twice"}
    page = browser.submit(opened(simulator, browser, row), "resolve", form)
    assert offered(page) == ["close", "reopen"]
    page = browser.submit(page, "reopen", {"comments": "Still broken"})
    assert (stored(simulator, row)["state"], "Still broken" in page.text) == ("2", True)
    assert offered(page) == ["resolve", "close", "cancel"]
    page = browser.submit(page, "close")
    after = stored(simulator, row)
    assert (after["state"], after["close_code"], after["close_notes"]) == ("7", "Duplicate", "Twice")
    assert after["closed_by"] == simulator.users["agent"]["sys_id"]
    assert "Duplicate" in page.text
    assert offered(page) == [], "only administrators reopen a closed incident"
    with simulator.browser() as administrator:
        page = sign_in(administrator, administrator.open(f"{simulator.url}/"), "administrator", PASSWORD)
        page = administrator.submit(opened(simulator, administrator, row), "reopen")
        administrator.submit(page, "cancel")
    assert stored(simulator, row)["state"] == "8"


def test_a_change_is_closed_in_review_and_canceled_before(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator, "change_request")
    assert offered(opened(simulator, browser, row)) == ["cancel"]
    values = {"state": "0", "assignment_group": "a" * 32}
    simulator.instance.records.overwrite("change_request", row["sys_id"], values)
    page = opened(simulator, browser, row)
    assert offered(page) == ["close"]
    page = browser.submit(page, "close", {"close_code": "unsuccessful", "close_notes": "Broke"})
    after = stored(simulator, row)
    assert (after["state"], after["close_code"], offered(page)) == ("3", "unsuccessful", [])
    other = ticket(simulator, "change_request")
    browser.submit(opened(simulator, browser, other), "cancel", {"comments": "Not needed"})
    assert stored(simulator, other)["state"] == "4"


def test_a_form_that_a_kind_does_not_have_changes_no_state(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator, "change_request")
    browser.submit(opened(simulator, browser, row), "cancel", {"action": "reopen"})
    assert stored(simulator, row)["state"] == "-5"


def test_the_rules_of_the_table_api_hold(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    page = browser.submit(opened(simulator, browser, row), "change_state", {"state": "6"})
    assert page.status == 400
    assert "The following fields are mandatory: Resolution code, Close notes" in page.text
    change = ticket(simulator, "change_request")
    page = browser.submit(opened(simulator, browser, change), "change_state", {"state": "-1"})
    assert "Change Model: Check State Transition" in page.text
    assert stored(simulator, change)["state"] == "-5"


def test_assigning(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    group = simulator.instance.records.insert("sys_user_group", {"name": "Security Operations"})
    form = {"assignment_group": group["sys_id"], "assigned_to": simulator.users["agent"]["sys_id"]}
    page = browser.submit(opened(simulator, browser, row), "assign", form)
    assert "Security Operations" in page.text
    assert stored(simulator, row)["assigned_to"] == simulator.users["agent"]["sys_id"]


def test_commenting(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    page = browser.submit(opened(simulator, browser, row), "comment", {"comments": "Hello", "work_notes": "Psst"})
    assert "Hello" in page.text
    assert "Psst" in page.text
    entries = simulator.instance.records.query("sys_journal_field", f"element_id={row['sys_id']}")
    assert {(entry["element"], entry["value"], entry["sys_created_by"]) for entry in entries} == {
        ("comments", "Hello", "agent"),
        ("work_notes", "Psst", "agent"),
    }


def test_the_caller_of_an_incident_sees_comments_only(simulator: Simulated) -> None:
    values = {"caller_id": simulator.users["person"]["sys_id"], "comments": "Hello", "work_notes": "Psst"}
    own = simulator.instance.operations.insert("incident", values, SYSTEM)
    with simulator.browser() as browser:
        sign_in(browser, browser.open(f"{simulator.url}/"), "person", PASSWORD)
        text = opened(simulator, browser, own).text
    assert ("Hello" in text, "Psst" in text) == (True, False)


def test_an_approver_decides_on_the_page_of_the_change(simulator: Simulated, browser: Browser) -> None:
    group = simulator.instance.records.insert("sys_user_group", {"name": "Change Management"})
    agent = simulator.users["agent"]["sys_id"]
    simulator.instance.records.insert("sys_user_grmember", {"group": group["sys_id"], "user": agent})
    change = ticket(simulator, "change_request")
    assert opened(simulator, browser, change).form("decide") is None
    values = {"state": "-4", "assignment_group": group["sys_id"]}
    simulator.instance.operations.update("change_request", change["sys_id"], values, SYSTEM)
    page = browser.submit(opened(simulator, browser, change), "decide", {"comments": "no"}, button="rejected")
    assert "Saved." in page.text
    assert page.form("decide") is None
    left = stored(simulator, change)
    assert (left["state"], left["approval"]) == ("-5", "rejected")
    [approval] = simulator.instance.records.query("sysapproval_approver")
    assert (approval["state"], approval["comments"]) == ("rejected", "no")


def test_a_form_without_the_check_token_changes_nothing(simulator: Simulated, browser: Browser) -> None:
    row = ticket(simulator)
    page = browser.submit(opened(simulator, browser, row), "change_state", {"state": "2", "sysparm_ck": "forged"})
    assert page.status == 403
    assert stored(simulator, row)["state"] == "1"
