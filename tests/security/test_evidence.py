"""Attacks on the evidence: texts that a spreadsheet runs, and questions that take all memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest

from tests.fixtures.whole_app import Connected, WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")

TENANT = "11111111-aaaa-4bbb-8ccc-000000000093"
LIST = b"Rank,Recommended action,Points achieved,Status,Product\n1,Block legacy sign-in,0/8,To address,AzureAD\n"
PLANTED = '=HYPERLINK("https://evil.example");=1+1|@SUM(1)'


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected()


@pytest.fixture
def planted(app: WholeApp, connected: Connected) -> Iterator[str]:
    """Yield the id of a ticket for a recommendation, whose name is a formula."""
    tenant = {"name": "A tenant", "connection_id": connected.connection_id, "files_only": True}
    assert app.megan.ask("PUT", f"/api/tenants/{TENANT}", tenant).status_code == 201
    files = {"file": ("export.csv", LIST, "text/csv")}
    assert app.megan.ask("POST", f"/api/tenants/{TENANT}/import", files=files).status_code == 200
    (action,) = app.adele.get(f"/api/recommendations?tenant_id={TENANT}")["recommendations"]
    body = {"tenant_id": TENANT, "kind": "incident", "recommendation_ids": [action["id"]], "name": PLANTED}
    made = app.adele.ask("POST", "/api/tickets", body)
    assert made.status_code == 201, made.text
    yield str(made.json()["ticket_id"])
    assert app.megan.ask("DELETE", f"/api/tenants/{TENANT}").status_code == 204


def test_a_formula_in_the_evidence_stays_text(app: WholeApp, connected: Connected, planted: str) -> None:
    app.run_timer()  # A turn of the connection copies what happened to its tickets.
    assert [each["ticket_id"] for each in app.adele.get(f"/api/evidence?tenant_id={TENANT}")["items"]] == [planted]
    export = app.adele.ask("GET", f"/api/evidence?tenant_id={TENANT}&format=csv").content.decode("utf-8-sig")
    assert "HYPERLINK" in export
    for delimiter in ",;\t|":
        cells = [cell for row in csv.reader(io.StringIO(export), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.strip(' "').startswith(("=", "+", "-", "@"))], delimiter
    # OSCAL reads titles and descriptions as Markdown: no text of a user is in one.
    document = app.adele.ask("GET", f"/api/evidence?tenant_id={TENANT}&format=oscal").json()
    assert PLANTED in json.dumps(document).replace('\\\\"', '"').replace('\\"', '"')
    [result] = document["assessment-results"]["results"]
    for each in [*result["observations"], *result["findings"]]:
        assert PLANTED not in each["title"] + each["description"]


def test_a_question_about_a_huge_period_is_refused(app: WholeApp) -> None:
    for query in ("since=0001-01-01", "since=2020-01-01&until=2022-01-01", "until=9999-12-31"):
        refused(app.adele.ask("GET", f"/api/evidence?{query}"), 400, "invalid_period")
    refused(app.adele.ask("GET", "/api/evidence?sample=100000000"), 400, "invalid_parameter")
