"""The whole app with rows of another release, and with rows that make no sense: everything else goes on."""

from __future__ import annotations

import ssl

import httpx

from sandbox.world import table_service_headers
from shared.words.language import languages
from tests.fixtures.whole_app import WholeApp


def change_row(app: WholeApp, table: str, keys: tuple[str, str], **columns: str) -> None:
    """Change columns of a row without the app."""
    partition, row = keys
    certificates = app.world.certificates
    with httpx.Client(
        base_url=app.account.tables_url,
        headers={**table_service_headers(certificates), "If-Match": "*"},
        verify=ssl.create_default_context(cafile=certificates.authority),
        trust_env=False,
    ) as client:
        address = f"/{table}(PartitionKey='{partition}',RowKey='{row}')"
        client.request("MERGE", address, json=columns).raise_for_status()


def test_rows_of_another_release_stop_nothing(app: WholeApp) -> None:
    working, newer, broken = app.connected(), app.connected(), app.connected()
    ticket, ticket_of_newer = app.create(working), app.create(working)
    change_row(app, "connections", (newer.connection_id, "connection"), status="paused", next_column="kept")
    change_row(app, "connections", (broken.connection_id, "connection"), kinds="nonsense")
    change_row(
        app,
        "tickets",
        (working.connection_id, ticket_of_newer["ticket_id"]),
        kind="problem",
        phase="in_review",
        timeline='[["escalated", "2026-03-02T09:30:00+00:00", {"to": "b"}]]',
    )

    for path in (
        "/",
        "/attention",
        "/tickets",
        f"/tickets/{ticket_of_newer['ticket_id']}",
        "/tickets.csv",
        "/configuration",
    ):
        assert app.megan.visit(path).status_code == 200, path
    assert languages()["en"]("attention.what.rows_unreadable.one") in app.megan.visit("/").text
    page = app.adele.visit(f"/tickets/{ticket_of_newer['ticket_id']}").text
    assert "problem" in page
    assert "escalated" in page

    listed = {each["connection_id"]: each for each in app.megan.get("/api/connections")["connections"]}
    assert listed[newer.connection_id]["status"] == "paused"
    assert broken.connection_id not in listed
    [unreadable] = app.megan.get("/api/status")["unreadable_rows"]
    assert (unreadable["table"], unreadable["partition_key"]) == ("connections", broken.connection_id)
    assert app.megan.ask("GET", broken.path).status_code == 503

    app.control.change_record("incident", ticket["servicenow"]["sys_id"], {"state": "2"}, as_user="agent.smith")
    assert app.megan.ask("POST", f"{working.path}/sync").status_code == 200
    app.run_timer()
    assert app.show(ticket)["phase"] == "in_progress"
    assert app.show(ticket_of_newer)["kind"] == "problem"
