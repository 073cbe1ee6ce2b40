"""Attacks on recommendations: another tenant's, and more tickets than one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

CONTOSO, FABRIKAM = "11111111-aaaa-4bbb-8ccc-000000000091", "11111111-aaaa-4bbb-8ccc-000000000092"
LIST = b"Rank,Recommended action,Points achieved,Status,Product\n1,Block legacy sign-in,0/8,To address,AzureAD\n"


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected()


@pytest.fixture
def action(app: WholeApp, connected: Connected) -> Iterator[dict[str, Any]]:
    """Yield a recommendation of one of two tenants."""
    for tenant_id in (CONTOSO, FABRIKAM):
        tenant = {"name": "A tenant", "connection_id": connected.connection_id, "files_only": True}
        assert app.megan.ask("PUT", f"/api/tenants/{tenant_id}", tenant).status_code == 201
    files = {"file": ("export.csv", LIST, "text/csv")}
    answer = app.megan.ask("POST", f"/api/tenants/{CONTOSO}/import", files=files)
    assert answer.status_code == 200, answer.text
    (found,) = app.adele.get(f"/api/recommendations?tenant_id={CONTOSO}")["recommendations"]
    yield found
    for tenant_id in (CONTOSO, FABRIKAM):
        assert app.megan.ask("DELETE", f"/api/tenants/{tenant_id}").status_code == 204


def test_nothing_of_a_tenant_is_reached_through_another(
    app: WholeApp, connected: Connected, action: dict[str, Any]
) -> None:
    here, there = f"/api/recommendations/{action['id']}", f"?tenant_id={FABRIKAM}"
    assert app.adele.get(f"/api/recommendations{there}&hidden=true")["total"] == 0
    refused(app.adele.ask("GET", "/api/recommendations"), 409, "tenant_ambiguous")
    ticket = app.create(connected)
    number = ticket["servicenow"]["number"]
    body = {"tenant_id": FABRIKAM, "kind": "incident", "recommendation_ids": [action["id"]]}
    for answer in (
        app.adele.ask("GET", f"{here}{there}"),
        app.adele.ask("POST", f"{here}/tickets", {"tenant_id": FABRIKAM, "number": number}),
        app.adele.ask("DELETE", f"{here}/tickets/{ticket['ticket_id']}{there}"),
        app.adele.ask("POST", "/api/tickets", body),
    ):
        refused(answer, 404, "recommendation_not_found")
    batch = app.adele.ask("POST", "/api/tickets/bulk", {**body, "mode": "all"}).json()
    assert [each["code"] for each in batch["recommendations"]] == ["recommendation_not_found"]


def test_many_requests_at_once_make_one_ticket(app: WholeApp, action: dict[str, Any]) -> None:
    body = {"tenant_id": CONTOSO, "kind": "incident", "recommendation_ids": [action["id"]]}

    def ask(number: int) -> int:
        if number % 2:
            return app.adele.ask("POST", "/api/tickets", body).status_code
        app.adele.ask("POST", "/api/tickets/bulk", {**body, "mode": "each"})
        return 0

    with ThreadPoolExecutor(6) as several:
        list(several.map(ask, range(6)))
    shown = app.adele.get(f"/api/recommendations/{action['id']}?tenant_id={CONTOSO}")
    assert len(shown["tickets"]) == 1


def test_a_file_verifies_no_ticket(app: WholeApp, connected: Connected, action: dict[str, Any]) -> None:
    body = {"tenant_id": CONTOSO, "kind": "incident", "recommendation_ids": [action["id"]], "create_another": True}
    ticket = app.adele.call("POST", "/api/tickets", body)
    edited = LIST.replace(b"0/8,To address", b"8/8,Completed")
    files = {"file": ("export.csv", edited, "text/csv")}
    assert app.megan.ask("POST", f"/api/tenants/{CONTOSO}/import", files=files).status_code == 200
    shown = app.adele.get(f"/api/recommendations/{action['id']}?tenant_id={CONTOSO}")
    assert (shown["points"], shown["status"]) == (8, "completed")
    assert app.show(ticket)["verification"]["outcome"] == "open"
