"""More connections than the timer serves by itself: the app sends messages, and the host brings them back to it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx

from sandbox.world import table_service_headers
from shared.connections.directory import TURN_S
from shared.maintenance.fan_out import DONE_HERE
from shared.storage.directory import PARTITION
from tests.fixtures.whole_app import WholeApp


def rows(app: WholeApp) -> dict[str, dict[str, Any]]:
    """Return the rows of the directory of connections."""
    certificates = app.world.certificates
    answer = httpx.get(
        f"{app.account.tables_url}/directory",
        params={"$filter": f"PartitionKey eq '{PARTITION}'"},
        headers=table_service_headers(certificates),
        verify=ssl.create_default_context(cafile=certificates.authority),
    )
    return {row["RowKey"]: row for row in answer.raise_for_status().json()["value"]}


def test_many_connections_are_served_through_the_queue(start_app: Callable[..., WholeApp]) -> None:
    app = start_app(has_queues=True, options=["--no-timers", "--pace", "20"])
    ids = {app.configured().connection_id for _ in range(DONE_HERE + 1)}
    assert not any(row.get("served_at") for row in rows(app).values())
    app.run_timer()
    deadline = time.monotonic() + 20
    while {row_key for row_key, row in rows(app).items() if row.get("served_at")} != ids:
        assert time.monotonic() < deadline, app.host.process.tail()
        time.sleep(0.1)
    log = app.host.process.text()
    assert "Executed 'Functions.maintain_connections' (Succeeded" in log
    assert "'Functions.read_tenants'" not in log


def test_a_host_that_is_killed_in_the_middle_loses_nothing(start_app: Callable[..., WholeApp], calm: None) -> None:
    options = ["--no-timers", "--pace", "20"]
    app = start_app(has_queues=True, options=options)
    connected = app.connected()
    ids = {connected.connection_id, *(app.configured().connection_id for _ in range(DONE_HERE))}
    ticket = app.create(connected)
    app.control.set_fault("slow", path="/api/now/table", delay_s=30, remaining=None)
    app.run_timer()
    deadline = time.monotonic() + 20
    while "New queue message detected" not in app.host.process.text():
        assert time.monotonic() < deadline, app.host.process.tail()
        time.sleep(0.1)
    app.world.processes.kill(app.host.process)
    before = rows(app)[connected.connection_id]
    app.control.clear_faults()
    another = app.another_host("--pace", "20", clock_ahead_s=2 * TURN_S)
    app.run_timer(another)
    while {key for key, row in rows(app).items() if row.get("served_at")} != ids or (
        rows(app)[connected.connection_id] == before
    ):
        assert time.monotonic() < deadline + 40, another.process.tail()
        time.sleep(0.1)
    assert len(app.records(ticket["ticket_id"])) == 1
