"""Attacks through the answers of a hostile or broken ServiceNow instance, and their effect on others."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.words.language import languages
from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

TOO_LARGE = 24 * 1024 * 1024
HANGING = 24
"""More requests than one pool of connections could hold."""
AT_ONCE = 8
"""Concurrent requests to one instance."""
HANGS_S = 1.5


@pytest.fixture
def connected(app: WholeApp) -> Connected:
    return app.connected()


@pytest.fixture
def elsewhere(app: WholeApp) -> Connected:
    """A connection to the same instance under another name, so that the app takes it for another instance."""
    return app.connected(instance=app.world.servicenow.url.replace("127.0.0.1", "localhost"))


def sync(app: WholeApp, connected: Connected) -> Any:
    return app.adele.ask("POST", f"{connected.path}/sync")


def work(app: WholeApp, ticket: dict[str, Any], **values: str) -> None:
    """Change a ticket's record as an agent does."""
    app.control.change_record("incident", ticket["ticket_id"], values, as_user="agent.smith")


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_answers_that_are_too_large_are_given_up(
    app: WholeApp, connected: Connected, elsewhere: Connected, encoding: str
) -> None:
    """With gzip, each is a few kilobytes. Others are served during this."""
    app.control.set_fault("huge_body", path="/table/task", encoding=encoding, size_bytes=TOO_LARGE, remaining=None)
    with ThreadPoolExecutor(2) as threads:
        reading = [threads.submit(sync, app, each) for each in (connected, elsewhere)]
        assert app.create(connected)["delivery"]["status"] == "delivered"
    for each in reading:
        refused(each.result(), 503, "answer_too_large")


def test_an_answer_that_is_packed_twice_doubles_nothing(app: WholeApp, connected: Connected) -> None:
    app.control.set_fault("encoded", method="POST", path="/table/incident", encoding="gzip, gzip")
    answer = app.adele.ask("POST", "/api/tickets", connected.ticket())
    assert (answer.status_code, answer.json()["delivery"]["error_code"]) == (202, "outcome_unknown")
    ticket_id = answer.json()["ticket_id"]
    refused(app.adele.ask("POST", f"/api/tickets/{ticket_id}/retry"), 409, "delivery_under_way")
    assert len(app.records(ticket_id)) == 1


def test_an_instance_that_hangs_holds_up_no_other(app: WholeApp, connected: Connected, elsewhere: Connected) -> None:
    app.control.set_fault("slow", method="POST", path="/table/incident", delay_s=HANGS_S, remaining=None)
    with ThreadPoolExecutor(HANGING) as threads:
        hanging = [threads.submit(app.adele.ask, "POST", "/api/tickets", connected.ticket()) for _ in range(HANGING)]
        while app.control.faults()[0]["seen"] < AT_ONCE:
            time.sleep(0.01)
        served = app.create(elsewhere, kind="change")
        assert not any(each.done() for each in hanging)
        app.control.clear_faults()
    assert served["delivery"]["status"] == "delivered"
    assert {each.result().status_code for each in hanging} == {201}


def test_an_echoed_access_token_is_not_repeated(app: WholeApp, connected: Connected) -> None:
    app.control.set_fault("echoed_authorization", method="POST", path="/table/incident")
    problem = refused(app.adele.ask("POST", "/api/tickets", connected.ticket()), 422, "delivery_refused")
    assert "“Bearer ***”" in problem["detail"]
    [token] = app.tokens(connected, "access_token")
    assert token not in str(problem)


def test_an_address_from_an_answer_hides_nothing(app: WholeApp, connected: Connected) -> None:
    location = f"https://planted:password@evil.example/{'planted/' * 300}?planted=1"
    app.control.set_fault("redirected", path="^/oauth_auth", location=location, remaining=None)
    report = app.megan.call("POST", f"{connected.path}/check", {})
    [seen] = [finding["seen"] for finding in report["findings"] if "evil.example" in finding["seen"]]
    assert "planted:password" not in seen
    assert "planted=1" not in seen
    assert len(seen) < 500
    assert "planted" not in app.host.process.text()


def test_hostile_values_stop_neither_the_synchronisation_nor_the_other_tickets(
    app: WholeApp, connected: Connected
) -> None:
    spoilt, other = app.create(connected), app.create(connected)
    work(app, spoilt, state="2")
    values = {
        "number": "\x00" + "😀" * 20_000,
        "state": "x" * 40_000,
        "assigned_to": "\u202e" * 40_000,
        "sys_mod_count": "9" * 5_000,
        "sys_updated_on": "2026-02-30 99:99:99",
        "due_date": "0001-01-01 00:00:00",
    }
    for kind, options in (("hostile_values", {"values": values}), ("endless_count", {"digits": 5_000})):
        app.control.set_fault(kind, remaining=None, **options)
        app.adele.ask("POST", f"{connected.path}/sync")
        app.control.clear_faults()
    assert app.status(connected) == "connected"
    work(app, other, state="6", close_code="Solution provided", close_notes="Done")
    sync(app, connected)
    assert app.show(other)["phase"] == "resolved"
    shown = app.show(spoilt)
    assert len(shown["servicenow"]["number"]) <= 200


@pytest.mark.parametrize(("accepted", "spoken"), [("ja-JP, en;q=0.5", "ja"), ("fr", "en"), (None, "en")])
def test_a_program_hears_the_language_that_it_asks_for_whatever_a_cookie_says(
    app: WholeApp, accepted: str | None, spoken: str
) -> None:
    headers = {"Cookie": "language=ja" if spoken == "en" else "language=en"}
    answer = app.megan.ask(
        "GET", "/api/tickets/0", headers=headers if accepted is None else headers | {"Accept-Language": accepted}
    )
    assert (answer.headers["Content-Language"], answer.headers["Vary"]) == (spoken, "Accept-Language")
    assert answer.json()["detail"] == languages()[spoken]("error.ticket_not_found.message")
    listed = app.megan.ask("GET", "/api/connections", headers=headers | {"Accept-Language": accepted or "en"})
    assert listed.headers["Content-Language"] == spoken
