"""One request makes one ticket, however often and wherever it is sent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected()


@pytest.fixture
def start_other(app: WholeApp) -> Callable[[], Any]:
    """Another instance of the app and Adele's browser there."""
    return lambda: app.visitor("Adele Vance", app.another_host())


def post(app: WholeApp, key: str, body: dict[str, Any], *, by: str = "adele") -> Any:
    return getattr(app, by).ask("POST", "/api/tickets", body, headers={"Idempotency-Key": key})


def test_the_same_request_has_the_same_answer(app: WholeApp, connected: Connected) -> None:
    first, second = (post(app, "the same", connected.ticket()) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["Location"] == second.headers["Location"] == f"/api/tickets/{first.json()['ticket_id']}"
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(app.records(first.json()["ticket_id"])) == 1


def test_another_body_is_refused(app: WholeApp, connected: Connected) -> None:
    post(app, "another body", connected.ticket())
    answer = post(app, "another body", connected.ticket(priority="low"))
    refused(answer, 422, "idempotency_key_reused")


def test_another_order_of_members_is_the_same_body(app: WholeApp, connected: Connected) -> None:
    body = connected.ticket()
    first = post(app, "order", body)
    second = post(app, "order", dict(reversed(body.items())))
    assert first.json() == second.json()


def test_keys_of_different_people_never_meet(app: WholeApp, connected: Connected) -> None:
    first = post(app, "shared", connected.ticket())
    second = post(app, "shared", connected.ticket(), by="megan")
    assert first.json()["ticket_id"] != second.json()["ticket_id"]


def test_without_a_key_nothing_is_guessed(app: WholeApp, connected: Connected) -> None:
    assert app.create(connected)["ticket_id"] != app.create(connected)["ticket_id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_a_key_has_to_be_printable(app: WholeApp, connected: Connected, key: str) -> None:
    refused(post(app, key, connected.ticket()), 400, "invalid_idempotency_key")


def test_a_request_refused_once_may_be_corrected_by_repeating_it(app: WholeApp) -> None:
    """Nothing was kept of the first, so the key is free for the same request."""
    connected = app.configured()
    refused(post(app, "too early", connected.ticket()), 409, "connection_not_authorized")
    app.authorize(connected)
    assert post(app, "too early", connected.ticket()).status_code == 201


def test_two_hosts_make_one_ticket(app: WholeApp, connected: Connected, start_other: Callable[[], Any]) -> None:
    app.control.set_fault("slow", method="POST", path="/api/now/table/incident", delay_s=0.5)
    with start_other() as other, ThreadPoolExecutor(6) as threads:
        sent = [
            threads.submit(by.ask, "POST", "/api/tickets", connected.ticket(), headers={"Idempotency-Key": "two hosts"})
            for by in (app.adele, other) * 3
        ]
        answers = [each.result() for each in sent]
    assert {answer.status_code for answer in answers} == {201}
    [ticket_id] = {answer.json()["ticket_id"] for answer in answers}
    assert len({answer.json()["servicenow"]["number"] for answer in answers}) == 1
    assert len(app.records(ticket_id)) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
