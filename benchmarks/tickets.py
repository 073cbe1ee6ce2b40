"""Tickets: the connector's own share of a create, synchronisation, idle runs, counts; on Azurite and the simulator."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any, Final

from azure.data.tables import TransactionOperation
from azure.data.tables.aio import TableClient
from azure.identity.aio import ManagedIdentityCredential

from benchmarks.report import figure
from sandbox.azurite import start_azurite
from sandbox.certificates import ensure_certificates
from sandbox.key_vault.process import start_key_vaults
from sandbox.managed_identity.process import start_managed_identity
from sandbox.processes import Processes
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.browser import sign_in_and_consent
from sandbox.servicenow.stage.control_client import ControlClient
from sandbox.servicenow.stage.seed import PEOPLE, plant_essentials
from sandbox.world import start_servicenow
from shared.application import Application
from shared.connections.model import Connection, Portal, TicketKind
from shared.connections.requests import ConnectionRequest
from shared.settings import Settings
from shared.storage.tables import open_tables
from shared.storage.ticket_rows import summary_change_row, ticket_row
from shared.tickets.identity import new_ticket_id
from shared.tickets.model import (
    CORRELATION_PREFIX,
    Delivery,
    DeliveryProgress,
    EventKind,
    Phase,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Record,
    Requester,
    Ticket,
    TicketContent,
)
from shared.tickets.ports import IdempotencyReservation
from shared.tickets.requests import TicketRequest
from shared.tickets.summary import SummaryChange
from shared.tickets.sync import LATE_COMMIT_S, SyncCounts
from shared.tickets.timeline import with_event

CREATES: Final = 300
CHANGED: Final = 10_000
SMALL: Final = 100
LARGE: Final = 100_000
IDLE_RUNS: Final = 11
CONNECTION_ID: Final = "contoso"
SMALL_CONNECTION_ID: Final = "fabrikam"
OTHER_PARTITION: Final = 1000
"""Rows of other connections stand in partitions of this size: the emulator gets slower with the size of a partition."""
REQUESTER: Final = Requester("0b1e6d3c-6a53-4f7e-9a7e-0d6a3b1c2f01", "Adele Vance", "adele.vance@contoso.example")
REQUEST: Final = TicketRequest.model_validate(
    {
        "connection_id": CONNECTION_ID,
        "kind": "incident",
        "portal": "security",
        "name": "Require multifactor authentication for administrators",
        "description": "Three administrators can still sign in with a password alone.",
        "priority": "high",
        "due_date": "2030-06-30",
        "recommendation": {"source": "microsoft", "category": "identity"},
    }
)


async def measure(directory: Path, tell: Callable[[str], None]) -> None:
    """Measure everything and tell each line of the report."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    ids = [new_ticket_id(now - timedelta(milliseconds=number)) for number in range(LARGE)]
    small_database, large_database = directory / "small.sqlite", directory / "large.sqlite"
    _plant(small_database, ids[:SMALL])
    _plant(large_database, ids)
    with Processes(directory / "logs") as processes:
        small_instance = start_servicenow(processes, database=small_database)
        large_instance = start_servicenow(processes, database=large_database)
        azurite = start_azurite(processes, ensure_certificates())
        identity = start_managed_identity(processes)
        os.environ.update(identity.environment)
        settings = Settings.from_environment(
            {
                "PUBLIC_BASE_URL": "http://localhost:7071",
                "KEY_VAULT_URL": start_key_vaults(processes).new_vault(),
                "TABLES_URL": azurite.account("devstoreaccount1").tables_url,
                "ALLOW_LOOPBACK_HTTP": "true",
            }
        )
        credential = ManagedIdentityCredential()
        tables = open_tables(settings, credential)
        await tables.create_missing()
        clock = _Clock()
        app = Application.build(settings, credential, clock)
        with ControlClient(small_instance.url) as control:
            small = await _connect(app, control, SMALL_CONNECTION_ID, small_instance.url)
            synchronisation = _Synchronisation(app, clock, small, tables.tickets, ids[:SMALL], now, tell)
            await synchronisation.measure_idle()
            await synchronisation.measure_changes(control, "2")
        with ControlClient(large_instance.url) as control:
            large = await _connect(app, control, CONNECTION_ID, large_instance.url)
            await _creates(app, tell)
            await _tables_alone(app, large, tell)
            synchronisation = _Synchronisation(app, clock, large, tables.tickets, ids[:CHANGED], now, tell)
            await synchronisation.measure_idle(in_servicenow=LARGE)
            await synchronisation.measure_changes(control, "2")
            await synchronisation.measure_counts()
        await tables.aclose()
        await app.aclose()


def _plant(database: Path, ids: Sequence[str]) -> None:
    """Fill an instance with the people of the sandbox and as many tickets of ours as the largest figure needs."""
    instance = Instance(database=str(database))
    plant_essentials(instance)
    rows = (
        {
            "sys_id": ticket_id,
            "correlation_id": f"{CORRELATION_PREFIX}{ticket_id}",
            "short_description": "Benchmark",
            "number": _number(ticket_id),
            "state": "1",
            "active": "true",
        }
        for ticket_id in ids
    )
    instance.records.insert_many("incident", rows)
    instance.close()


class _Clock:
    """The time, which the measurement may move on.

    Attributes:
        ahead: By how much.
    """

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def _connect(app: Application, control: ControlClient, connection_id: str, url: str) -> Connection:
    client = control.create_oauth_client("Benchmark", app.settings.redirect_uri)
    user = next(person for person in PEOPLE if person.user_name == "m365.connector")
    request = ConnectionRequest.model_validate(
        {
            "display_name": "Contoso",
            "instance": url,
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "integration_user": user.user_name,
        }
    )
    await app.configuration.put(connection_id, request)
    start = await app.authorization.begin(connection_id, started_by=REQUESTER.object_id)
    callback = sign_in_and_consent(start.location, user.user_name, user.password)
    parameters = dict(part.split("=", 1) for part in callback.partition("?")[2].split("&"))
    return await app.authorization.complete(parameters, {start.cookie.name: start.cookie.value.reveal()})


class _ServiceNowTime(logging.Handler):
    """Adds up what requests to ServiceNow took, from the log."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.requests = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(record.getMessage())
        if line["event"] == "servicenow_request":
            self.seconds += line["duration_s"]
            self.requests += 1

    def take(self) -> tuple[float, int]:
        taken = self.seconds, self.requests
        self.seconds, self.requests = 0.0, 0
        return taken


async def _creates(app: Application, tell: Callable[[str], None]) -> None:
    logger, spent = logging.getLogger("connector"), _ServiceNowTime()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(spent)
    shares, requests = [], 0
    for number in range(CREATES + 20):
        spent.take()
        began = time.perf_counter()
        creation = await app.creation.create(
            REQUEST, REQUESTER, caller=REQUESTER.object_id, idempotency_key=f"bench-{number}"
        )
        total = time.perf_counter() - began
        assert creation.ticket.delivery.status is Delivery.DELIVERED, creation.ticket.delivery
        in_servicenow, asked = spent.take()
        if number >= 20:
            shares.append((total - in_servicenow) * 1000)
            requests += asked
    logger.removeHandler(spent)
    cuts = statistics.quantiles(shares, n=100)
    tell(figure("create: connector's own share, p50", f"{cuts[49]:.1f} ms", "at most 15 ms"))
    tell(figure("create: connector's own share, p99", f"{cuts[98]:.1f} ms", ""))
    tell(figure("create: ServiceNow requests", f"{requests / CREATES:.2f}", "1"))


async def _tables_alone(app: Application, connection: Connection, tell: Callable[[str], None]) -> None:
    """Tell what the table requests of a create take when nothing else is done."""
    times = []
    for number in range(CREATES):
        now = datetime.now(UTC)
        done = replace(_ticket(connection, new_ticket_id(now), now), instance="benchmark")
        pending = replace(done, delivery=DeliveryProgress(attempts=1), record=None, phase=None)
        reservation = IdempotencyReservation(f"{number:064x}", "", done.ticket_id, now)
        began = time.perf_counter()
        await asyncio.gather(
            app.creation.reservations.reserve(reservation), app.connection_store.get_connection(CONNECTION_ID)
        )
        stored = await app.tickets.create_ticket(pending)
        await app.tickets.update_ticket(stored, done)
        times.append((time.perf_counter() - began) * 1000)
    tell(figure("  of that: the Azure SDK's requests to tables, p50", f"{statistics.median(times):.1f} ms", ""))


@dataclass(frozen=True)
class _Synchronisation:
    """Synchronises the tickets of one connection."""

    app: Application
    clock: _Clock
    connection: Connection
    table: TableClient
    ids: Sequence[str]
    now: datetime
    tell: Callable[[str], None]

    async def measure_idle(self, *, in_servicenow: int | None = None) -> None:
        """Store the tickets, synchronise once, then measure runs that find nothing."""
        await self._store()
        await self._sync()
        # Until then every run reads again what may have been committed late.
        self.clock.ahead += timedelta(seconds=LATE_COMMIT_S)
        await self._sync()
        times, requests = [], 0
        for _ in range(IDLE_RUNS):
            seconds, counts = await _timed(self._sync)
            times.append(seconds)
            requests = max(requests, counts.requests)
        count = f"{in_servicenow or len(self.ids):,}"
        self.tell(figure(f"idle sync at {count} tickets: ServiceNow requests", f"{requests}", "1"))
        self.tell(
            figure(f"idle sync at {count} tickets: time (median)", f"{statistics.median(times) * 1000:.0f} ms", "")
        )

    async def measure_changes(self, control: ControlClient, state: str) -> None:
        """Change every ticket in ServiceNow, all within seconds, and bring the states back."""
        for part in batched(self.ids, 500, strict=False):
            control.bulk_touch("incident", f"sys_idIN{','.join(part)}", {"state": state})
        seconds, counts = await _timed(self._sync)
        goal = -(-counts.seen // self.app.maintenance.sync.page_size)
        self.tell(figure(f"sync of {counts.applied:,} changes", f"{seconds:.1f} s", ""))
        self.tell(figure("  applied per second", f"{counts.applied / seconds:,.0f} /s", "at least 2,000 /s"))
        self.tell(figure("  ServiceNow requests", f"{counts.requests}", f"{goal}"))

    async def measure_counts(self) -> None:
        """Fill the table with rows of other connections, then count this one's tickets."""
        others = LARGE - len(self.ids)
        rows = (
            {"PartitionKey": f"other-{number // OTHER_PARTITION}", "RowKey": f"{number:032x}"}
            for number in range(others)
        )
        await self._submit(batched(rows, 100, strict=False))
        await self.app.tickets.compact_summary(CONNECTION_ID, self.now)
        times = [(await _timed(lambda: self.app.summaries([CONNECTION_ID])))[0] for _ in range(IDLE_RUNS)]
        measured = f"{statistics.median(times) * 1000:.0f} ms"
        self.tell(figure(f"counts of a card, {LARGE:,} tickets in the table", measured, "under 100 ms"))

    async def _store(self) -> None:
        """Store the tickets as if they had been delivered long ago."""

        def rows(part: Sequence[str]) -> list[dict[str, Any]]:
            tickets = [_ticket(self.connection, ticket_id, self.now) for ticket_id in part]
            change = SummaryChange.between((None, ticket) for ticket in tickets)
            return [*map(ticket_row, tickets), summary_change_row(self.connection.connection_id, part[0], change)]

        await self._submit(rows(part) for part in batched(self.ids, 99, strict=False))

    async def _submit(self, transactions: Iterable[Sequence[dict[str, Any]]]) -> None:
        for part in batched(transactions, 3, strict=False):
            await asyncio.gather(
                *(self.table.submit_transaction([(TransactionOperation.CREATE, row) for row in rows]) for rows in part)
            )

    async def _sync(self) -> SyncCounts:
        deadline = self.clock() + timedelta(minutes=10)
        return await self.app.maintenance.sync.run(self.connection, deadline=deadline)


def _ticket(connection: Connection, ticket_id: str, now: datetime) -> Ticket:
    record = Record(
        sys_id=ticket_id,
        table="incident",
        number=_number(ticket_id),
        state="1",
        active=True,
        updated_at_text="2020-01-01 00:00:00",
        mod_count=-1,
        correlation_id=f"{CORRELATION_PREFIX}{ticket_id}",
    )
    content = TicketContent(
        kind=TicketKind.INCIDENT,
        portal=Portal.SECURITY,
        name="Benchmark",
        description="",
        priority=Priority.MODERATE,
        due_at=None,
        recommendation=Recommendation(RecommendedBy.MICROSOFT, RecommendationCategory.IDENTITY),
        requester=REQUESTER,
    )
    ticket = Ticket(
        ticket_id=ticket_id,
        connection_id=connection.connection_id,
        instance=connection.instance,
        content=content,
        created_at=now,
        delivery=DeliveryProgress(status=Delivery.DELIVERED, attempts=1, delivered_at=now),
        record=record,
        phase=Phase.NEW,
    )
    return with_event(ticket, EventKind.CREATED, now)


def _number(ticket_id: str) -> str:
    return f"INC{int(ticket_id[:12], 16)}"


async def _timed[Result](work: Callable[[], Awaitable[Result]]) -> tuple[float, Result]:
    began = time.perf_counter()
    result = await work()
    return time.perf_counter() - began, result
