"""Recommendations and their tickets in the API of the whole app: read from the simulated Graph, sent to ServiceNow."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.demonstration import read_tenant
from sandbox.graph.stage.control.client import ControlClient as GraphControl
from sandbox.graph.stage.seed.tenants import E5
from sandbox.servicenow.stage.control.client import ControlClient as ServiceNowControl
from sandbox.servicenow.stage.seed.people import sys_id_of
from sandbox.world import World
from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

COMPANY = sys_id_of("core_company", "0")
OTHER = "11111111-aaaa-4bbb-8ccc-000000000099"


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    connected = app.connected()
    tenant = {"name": "Contoso", "connection_id": connected.connection_id, "company": COMPANY}
    assert app.megan.ask("PUT", f"/api/tenants/{E5}", tenant).status_code == 201
    assert read_tenant(app.adele)["status"] == "readable"
    return connected


def best(app: WholeApp, count: int, **query: str) -> list[dict[str, Any]]:
    """Return recommendations without a ticket, most points to gain first."""
    asked = {"sort": "points_to_gain", "descending": "true", "has_ticket": "false", "limit": str(count), **query}
    text = "&".join(f"{name}={value}" for name, value in asked.items())
    found: list[dict[str, Any]] = app.adele.get(f"/api/recommendations?{text}")["recommendations"]
    assert len(found) == count
    return found


def test_the_best_action_becomes_a_ticket_with_its_company(app: WholeApp, connected: Connected) -> None:
    (action,) = best(app, 1)
    assert action["ticket"] is None
    body = {"kind": "change", "recommendation_ids": [action["id"]]}
    created = app.adele.ask("POST", "/api/tickets", body)
    assert created.status_code == 201, created.text
    ticket = created.json()
    assert ticket["name"] == action["title"]
    assert [each["source_id"] for each in ticket["recommendations"]] == [action["source_id"]]
    record = app.record(ticket)
    assert record["company"] == COMPANY
    assert action["source_id"] in record["description"]
    shown = app.adele.get(f"/api/recommendations/{action['id']}")
    assert shown["ticket"]["number"] == record["number"]
    assert [each["ticket_id"] for each in shown["tickets"]] == [ticket["ticket_id"]]
    assert len(shown["history"]) > 30
    problem = refused(app.adele.ask("POST", "/api/tickets", body), 409, "recommendation_has_open_ticket")
    assert (problem["number"], problem["ticket_id"]) == (record["number"], ticket["ticket_id"])
    assert app.adele.ask("POST", "/api/tickets", {**body, "create_another": True}).status_code == 201
    members = refused(
        app.adele.ask("POST", "/api/tickets", {"kind": "change", "recommendation_ids": []}), 422, "invalid_ticket"
    )
    assert members["errors"][0]["pointer"] == "/recommendation_ids"


def test_many_become_tickets_that_the_timer_delivers(app: WholeApp, connected: Connected) -> None:
    wanted = [each["id"] for each in best(app, 6)]
    body = {"tenant_id": E5, "kind": "incident", "mode": "each", "recommendation_ids": [*wanted, "0" * 32]}
    answer = app.adele.ask("POST", "/api/tickets/bulk", body, headers={"Idempotency-Key": "bulk"})
    assert answer.status_code == 202, answer.text
    batch = answer.json()
    assert (batch["waiting"], batch["refused"], batch["done"]) == (6, 1, False)
    assert [each["code"] for each in batch["recommendations"]] == [None] * 6 + ["recommendation_not_found"]
    again = app.adele.ask("POST", "/api/tickets/bulk", body, headers={"Idempotency-Key": "bulk"})
    assert (again.json()["batch_id"], again.headers["Idempotency-Replayed"]) == (batch["batch_id"], "true")
    app.run_timer()
    done = app.adele.get(answer.headers["Location"])
    assert (done["delivered"], done["done"]) == (6, True)
    with_ticket = app.adele.get("/api/recommendations?has_ticket=true&limit=200")["recommendations"]
    assert set(wanted) <= {each["id"] for each in with_ticket if each["ticket"]["open"]}
    refused(app.adele.ask("GET", f"/api/tickets/bulk/{'0' * 32}"), 404, "batch_not_found")


def test_a_ticket_that_is_there_is_linked_by_its_number(app: WholeApp, connected: Connected) -> None:
    (action,) = best(app, 1)
    ticket = app.create(connected)
    path = f"/api/recommendations/{action['id']}/tickets"
    refused(app.adele.ask("POST", path, {"number": "INC9999999"}), 404, "ticket_number_not_found")
    linked = app.adele.call("POST", path, {"number": ticket["servicenow"]["number"]})
    assert [each["id"] for each in linked["recommendations"]] == [action["id"]]
    assert app.adele.get(f"/api/recommendations/{action['id']}")["ticket"]["ticket_id"] == ticket["ticket_id"]
    assert app.adele.ask("DELETE", f"{path}/{ticket['ticket_id']}").status_code == 204
    assert app.adele.get(f"/api/recommendations/{action['id']}")["ticket"] is None
    assert [each["kind"] for each in app.show(ticket)["timeline"]][-2:] == [
        "recommendation_linked",
        "recommendation_unlinked",
    ]


def test_pages_hold_everything_once(app: WholeApp, connected: Connected) -> None:
    whole = app.adele.get("/api/recommendations?limit=200")
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = app.adele.get(f"/api/recommendations?limit=90{f'&cursor={cursor}' if cursor else ''}")
        found += [each["id"] for each in page["recommendations"]]
        cursor = page["next_cursor"]
        assert page["total"] == whole["total"]
    assert len(found) == len(set(found)) == whole["total"]
    for query in ("sort=nothing", "cursor=xx", "min_points=-1", "has_ticket=maybe", "name=x"):
        assert app.adele.ask("GET", f"/api/recommendations?{query}").status_code == 400


def test_nothing_of_one_tenant_is_shown_under_another(app: WholeApp, connected: Connected) -> None:
    (action,) = best(app, 1)
    assert app.megan.ask("PUT", f"/api/tenants/{OTHER}", {"name": "Fabrikam", "files_only": True}).status_code == 201
    try:
        problem = refused(app.adele.ask("GET", "/api/recommendations"), 409, "tenant_ambiguous")
        assert problem["tenant_ids"] == sorted([E5, OTHER])
        assert app.adele.get(f"/api/recommendations?tenant_id={OTHER}&hidden=true")["total"] == 0
        of_other = f"/api/recommendations/{action['id']}?tenant_id={OTHER}"
        refused(app.adele.ask("GET", of_other), 404, "recommendation_not_found")
        body = {"tenant_id": OTHER, "kind": "incident", "recommendation_ids": [action["id"]]}
        refused(app.adele.ask("POST", "/api/tickets", body), 404, "recommendation_not_found")
        batch = app.adele.ask(
            "POST", "/api/tickets/bulk", {**body, "connection_id": connected.connection_id, "mode": "each"}
        ).json()
        assert [each["code"] for each in batch["recommendations"]] == ["recommendation_not_found"]
    finally:
        assert app.megan.ask("DELETE", f"/api/tenants/{OTHER}").status_code == 204


def test_what_became_of_a_ticket_is_said_here_and_in_servicenow(
    app: WholeApp, connected: Connected, world: World, control: ServiceNowControl
) -> None:
    # The risk of a device control is accepted elsewhere.
    accepted, duplicate = [each for each in best(app, 60) if not each["source_id"].startswith("scid_")][:2]
    body = {"kind": "incident", "priority": "low"}
    tickets = [
        app.adele.call("POST", "/api/tickets", {**body, "recommendation_ids": [each["id"]]})
        for each in (accepted, duplicate)
    ]
    resolved = {"state": "6", "close_code": "Duplicate", "close_notes": "Twice"}
    control.change_record("incident", tickets[1]["servicenow"]["sys_id"], resolved)
    with GraphControl(world.graph.url) as graph:
        graph.decide(E5, accepted["source_id"], "Ignored")
        try:
            assert read_tenant(app.adele)["status"] == "readable"
            app.run_timer()
        finally:
            graph.decide(E5, accepted["source_id"], "Default")
    first, second = map(app.show, tickets)
    [outcome] = first["verification"]["recommendations"]
    assert (first["verification"]["outcome"], outcome["reason"]) == ("disposed", "risk_accepted")
    kinds = [each["kind"] for each in first["timeline"]]
    assert kinds[kinds.index("outcome") :][:3] == ["outcome", "update_asked", "update_sent"]
    journal = control.journal(first["servicenow"]["number"])
    assert [each["value"] for each in journal if each["element"] == "work_notes"] == [
        "Not fixed: the risk was accepted in Microsoft's portal."
    ]
    # The close code says that nothing was done, and so nothing is waited for.
    assert second["verification"]["outcome"] == "not_done"
