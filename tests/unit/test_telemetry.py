"""What OpenTelemetry sees when it is on, and that none of it is loaded when it is off."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from opentelemetry import context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from shared import telemetry
from shared.connections.turns import Turns
from shared.errors import ServiceNowThrottled
from shared.log import log_context
from shared.outbound.repeating import LONGEST_WAIT_BETWEEN_READS_S
from shared.outbound.transport import Transport
from shared.recommendations.ticketing.ticket_claims import TicketClaims
from shared.reminders.addresses import new_signing_secret
from shared.reminders.links import Links
from shared.reminders.model import Receiver, ResultCode
from shared.secret import Secret
from shared.telemetry import SUPPRESSED, Instrument, Metric, OpenTelemetryRecorder, record_with, span
from shared.tenants.companies import TenantCompanies
from shared.tickets.create import TicketCreation
from shared.tickets.deliver import TicketDelivery
from shared.tickets.model import Delivery, Ticket
from shared.tickets.requests import TicketRequest
from shared.tickets.search import TicketSearch
from shared.webhooks.sender import WebhookSender
from tests.fixtures.servicenow import WholeClient
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.idempotency_store import MemoryIdempotencyStore
from tests.memory.instance import MemoryInstanceHealth, MemoryRequesterDirectory
from tests.memory.maintenance import memory_maintenance
from tests.memory.recommendation_store import MemoryClaimStore
from tests.memory.servicenow import MemoryServiceNow
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.tokens import MemoryTokens
from tests.unit.connections.surroundings import Surroundings
from tests.unit.outbound.support import Answering
from tests.unit.servicenow.support import error_reply, json_reply, raw_reply, record_cells
from tests.unit.storage.test_reminder_rows import MESSAGE
from tests.unit.tickets.examples import CONNECTION_ID, REQUESTER, a_connection

ROOT: Final = Path(__file__).parent.parent.parent
REQUEST: Final = TicketRequest.model_validate(
    {
        "kind": "incident",
        "portal": "security",
        "name": "canary-name",
        "description": "canary-description",
        "priority": "high",
        "recommendation": {"source": "microsoft", "category": "identity"},
    }
)


class Recorded:
    """The export of a process with OpenTelemetry's SDK."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._tracers = TracerProvider()
        self._tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._metrics = InMemoryMetricReader()
        self._meters = MeterProvider(metric_readers=[self._metrics])
        self.recorder = OpenTelemetryRecorder(self._tracers.get_tracer("test"), self._meters.get_meter("test"))

    @property
    def spans(self) -> list[ReadableSpan]:
        """Return every span so far, in the order of their beginnings."""
        return sorted(self._spans.get_finished_spans(), key=lambda each: each.start_time or 0)

    def span(self, name: str) -> ReadableSpan:
        """Return the only span with this name."""
        (found,) = (each for each in self.spans if each.name == name)
        return found

    def figures(self, metric: Metric) -> dict[frozenset[tuple[str, object]], float]:
        """Return a metric's values by their attributes; for a distribution, the sum."""
        found: dict[frozenset[tuple[str, object]], float] = {}
        for each in self._collected():
            if each.name == metric.name:
                for point in each.data.data_points:
                    assert isinstance(point, NumberDataPoint | HistogramDataPoint)
                    value = point.value if isinstance(point, NumberDataPoint) else point.sum
                    found[frozenset((point.attributes or {}).items())] = value
        return found

    def everything(self) -> str:
        """Return everything as text."""
        return " ".join([*(each.to_json() for each in self.spans), *(each.to_json() for each in self._collected())])

    def close(self) -> None:
        """End the SDK's threads."""
        self._tracers.shutdown()
        self._meters.shutdown()

    def _collected(self) -> list[Any]:
        data = self._metrics.get_metrics_data()
        if data is None:
            return []
        return [
            metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """Everything recorded during the test."""
    everything = Recorded()
    before = record_with(everything.recorder)
    yield everything
    record_with(before)
    everything.close()


def figure(value: float, **attributes: str) -> dict[frozenset[tuple[str, object]], float]:
    """One value with its attributes."""
    return {frozenset(attributes.items()): value}


def attributes(recorded_span: ReadableSpan) -> Mapping[str, object]:
    """The attributes of a span."""
    return dict(recorded_span.attributes or {})


def inserted(request: httpx.Request) -> httpx.Response:
    """Insert the requested record."""
    sent = json.loads(request.content)
    cells = record_cells(sys_id=sent["sys_id"], correlation_id=sent["correlation_id"])
    return json_reply({"result": cells}, 201, {"X-Transaction-ID": "a1b2c3"})(request)


class World:
    """Creation and delivery through the real client for ServiceNow."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response] = inserted) -> None:
        self.clock = ManualClock()
        self.answer = answer
        self.connection = a_connection()
        self.store = MemoryTicketStore()
        self.client = WholeClient(
            Transport(network=Answering(lambda request: self.answer(request))),
            MemoryTokens(Secret("canary token")),
            clock=self.clock,
        )
        self.delivery = TicketDelivery(
            store=self.store,
            records=self.client.records,
            requesters=MemoryRequesterDirectory(),
            health=MemoryInstanceHealth(),
            clock=self.clock,
            random=lambda: 0.0,
        )
        connections = MemoryConnectionStore(self.connection)
        search = TicketSearch(connections, self.store)
        turns = Turns(MemoryDirectory(), connections, self.clock)
        claims = TicketClaims(MemoryClaimStore(), self.store, connections, self.clock)
        self.creation = TicketCreation(
            connections,
            self.store,
            MemoryIdempotencyStore(),
            search,
            claims,
            turns,
            self.delivery,
            TenantCompanies(MemoryTenantStore(), self.clock),
            self.clock,
        )

    async def create(self) -> Ticket:
        """Create a ticket as a request does."""
        with log_context(request_id="0b0b"), span("create_ticket"):
            return (await self.creation.create(REQUEST, REQUESTER, caller="somebody", idempotency_key=None)).ticket


class TestTraces:
    async def test_a_ticket_is_followed_from_the_request_to_servicenow(self, recorded: Recorded) -> None:
        ticket = await World().create()
        assert ticket.delivery.status is Delivery.DELIVERED
        operation, creation, delivery, sent = recorded.spans
        names = [each.name for each in recorded.spans]
        assert names == ["create_ticket", "ticket_creation", "ticket_delivery", "POST incident"]
        for child, parent in ((creation, operation), (delivery, creation), (sent, delivery)):
            assert child.parent is not None
            assert child.parent == parent.context
        ids = {"request_id": "0b0b", "connection_id": CONNECTION_ID, "ticket_id": ticket.ticket_id}
        assert attributes(operation) == {"request_id": "0b0b"}
        assert attributes(creation) == ids
        assert attributes(delivery) == {**ids, "attempt": 1, "delivery": "delivered"}
        assert attributes(sent) == {
            **ids,
            "attempt": 1,
            "table": "incident",
            "status": 201,
            "outcome": "ok",
            "transaction_id": "a1b2c3",
            "peer.service": "servicenow",
        }
        assert [each.kind for each in recorded.spans] == [*[SpanKind.INTERNAL] * 3, SpanKind.CLIENT]
        assert all(each.status.is_unset for each in recorded.spans)

    async def test_a_later_delivery_is_another_trace_with_the_same_ticket(self, recorded: Recorded) -> None:
        world = World(raw_reply(b"<html>Bad Gateway</html>", 502))
        ticket = await world.create()
        assert ticket.delivery.status is Delivery.PENDING
        world.answer = lambda request: (
            inserted(request) if request.method == "POST" else json_reply({"result": []})(request)
        )
        world.clock.advance(3600)
        await world.delivery.deliver_pending(world.connection, deadline=world.clock() + timedelta(seconds=40))
        first, second = (each for each in recorded.spans if each.name == "ticket_delivery")
        assert first.context.trace_id != second.context.trace_id
        assert attributes(first)["ticket_id"] == attributes(second)["ticket_id"] == ticket.ticket_id
        assert (attributes(first)["attempt"], attributes(second)["attempt"]) == (1, 2)
        assert (attributes(first)["delivery"], attributes(second)["delivery"]) == ("pending", "delivered")
        assert attributes(first)["error.type"] == "outcome_unknown"
        assert not first.status.is_ok
        assert second.status.is_unset

    async def test_what_failed_says_so_by_a_code(self, recorded: Recorded) -> None:
        refusal = "Operation against file 'incident' was aborted by Business Rule 'canary-rule'"
        await World(error_reply(403, "Operation Failed", refusal)).create()
        failed = [each for each in recorded.spans if not each.status.is_unset]
        assert [each.name for each in failed] == ["ticket_delivery", "POST incident", "GET task"]
        codes = {attributes(each)["error.type"] for each in failed}
        assert codes == {attributes(failed[1])["outcome"]}
        assert all(each.status.description is None for each in failed)

    async def test_an_exceptions_text_is_not_recorded(self, recorded: Recorded) -> None:
        with pytest.raises(LookupError), span("work"):
            raise LookupError("canary")
        assert attributes(recorded.span("work")) == {"error.type": "LookupError"}
        assert recorded.span("work").events == ()
        assert "canary" not in recorded.everything()

    async def test_no_name_from_an_answer_becomes_an_attribute(
        self, recorded: Recorded, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A redirect may name any path, a record any class, a header anything."""
        caplog.set_level(logging.INFO)
        world = World(raw_reply(b"", 302, headers={"Location": "/canary-path", "X-Transaction-ID": "canary"}))
        await world.client.probe.sign_in_page(f"{world.connection.instance}/oauth_auth.do")
        world.answer = json_reply({"result": [record_cells(sys_class_name="canary")]})
        await world.client.records.list_by_sys_id(world.connection, [f"{1:032x}"])
        assert "canary" not in recorded.everything() + caplog.text
        assert {attributes(each)["table"] for each in recorded.spans} == {"sign_in_page", "task"}

    async def test_libraries_below_a_request_are_told_to_be_silent(self, recorded: Recorded) -> None:
        """They would record the whole address, and some of ours contain an e-mail address."""
        silent: list[object] = []

        def answer(request: httpx.Request) -> httpx.Response:
            silent.append(context.get_value(SUPPRESSED))
            return inserted(request)

        await World(answer).create()
        assert silent == [True]
        assert context.get_value(SUPPRESSED) is None

    @pytest.mark.parametrize("receiver", Receiver)
    async def test_no_library_records_the_address_of_a_receiver(self, receiver: Receiver, recorded: Recorded) -> None:
        """It is a secret, and libraries would record it whole."""
        silent = []

        def answer(request: httpx.Request) -> httpx.Response:
            silent.append(context.get_value(SUPPRESSED))
            return httpx.Response(202)

        sender = WebhookSender(
            Transport(network=Answering(answer)), Links("https://tickets.contoso.com"), ManualClock(), ["hooks.example"]
        )
        address = Secret("https://hooks.example/canary")
        result = await sender.send(replace(MESSAGE, receiver=receiver), address, new_signing_secret())
        assert (result.code, silent) == (ResultCode.ACCEPTED, [True])
        assert recorded.span(f"POST {receiver}").kind is SpanKind.CLIENT
        assert "hooks.example" not in recorded.everything()

    async def test_neither_people_nor_texts_nor_secrets_are_recorded(self, recorded: Recorded) -> None:
        world = World()
        await world.create()
        world.answer = json_reply({"result": []})
        await world.client.users.find_user_by_email(world.connection, "aiko@contoso.com")
        everything = recorded.everything()
        assert "GET sys_user" in everything
        for canary in ("canary", "aiko", "Tanaka", world.client.tokens.token.reveal(), REQUESTER.id):
            assert canary not in everything, canary


class TestMetrics:
    async def test_of_a_delivered_ticket(self, recorded: Recorded) -> None:
        world = World()

        def answer_after_a_second(request: httpx.Request) -> httpx.Response:
            world.clock.advance(1)
            return inserted(request)

        world.answer = answer_after_a_second
        await world.create()
        connection = {"connection_id": CONNECTION_ID}
        assert recorded.figures(telemetry.TICKETS_CREATED) == figure(
            1, kind="incident", portal="security", **connection
        )
        assert recorded.figures(telemetry.TICKETS_DELIVERED) == figure(1, **connection)
        assert recorded.figures(telemetry.DELIVERY_AGE) == figure(1, **connection)
        assert recorded.figures(telemetry.SERVICENOW_REQUESTS) == figure(
            1, table="incident", outcome="ok", **connection
        )
        assert recorded.figures(telemetry.TICKETS_FAILED) == {}

    async def test_of_a_refused_ticket(self, recorded: Recorded) -> None:
        refusal = "Operation against file 'incident' was aborted by Business Rule 'x'"
        ticket = await World(error_reply(403, "Operation Failed", refusal)).create()
        code = str(ticket.delivery.error_code)
        assert recorded.figures(telemetry.TICKETS_FAILED) == figure(1, connection_id=CONNECTION_ID, code=code)
        assert recorded.figures(telemetry.SERVICENOW_REQUESTS) == {
            **figure(1, connection_id=CONNECTION_ID, table="incident", outcome=code),
            **figure(1, connection_id=CONNECTION_ID, table="task", outcome=code),
        }
        assert recorded.figures(telemetry.TICKETS_DELIVERED) == {}

    async def test_of_throttling(self, recorded: Recorded) -> None:
        wait = int(LONGEST_WAIT_BETWEEN_READS_S) + 7
        world = World(error_reply(429, "Rate limit exceeded", None, {"Retry-After": str(wait)}))
        with pytest.raises(ServiceNowThrottled):
            await world.client.records.list_by_sys_id(world.connection, ["1" * 32])
        assert recorded.figures(telemetry.RATE_LIMIT_WAIT) == figure(wait)
        assert recorded.figures(telemetry.SERVICENOW_REQUESTS) == figure(
            1, table="task", outcome="servicenow_throttled"
        )

    async def test_of_a_run_of_the_timer(self, recorded: Recorded) -> None:
        app = Surroundings()
        connection = await app.connected()
        maintenance = memory_maintenance(
            connections=app.store,
            directory=app.directory,
            authorizations=app.authorizations,
            tokens=app.tokens,
            renewal=app.renewal,
            health=app.health,
            store=MemoryTicketStore(),
            servicenow=MemoryServiceNow(app.clock),
            clock=app.clock,
            SYNC_INTERVAL_S=600,
        )
        app.clock.advance(25 * 60)
        await maintenance.run()
        app.clock.advance(300)
        await maintenance.run()
        mine = {"connection_id": connection.connection_id}
        assert recorded.figures(telemetry.TOKENS_REFRESHED) == figure(1, **mine)
        assert recorded.figures(telemetry.CONSENT_DAYS_LEFT) == figure(99, **mine)
        assert recorded.figures(telemetry.SYNC_LAG) == figure(300, **mine)
        runs = [each for each in recorded.spans if each.name == "connection_maintenance"]
        assert [attributes(each) for each in runs] == [mine, mine]

    def test_each_is_explained_to_operators(self) -> None:
        page = (ROOT / "docs" / "operations.md").read_text()
        metrics = [each for each in vars(telemetry).values() if isinstance(each, Metric)]
        assert len(metrics) == 14
        for metric in metrics:
            assert f"| `{metric.name}` |" in page, metric.name

    def test_each_way_of_putting_values_together(self, recorded: Recorded) -> None:
        for instrument in Instrument:
            metric = Metric(instrument.value, instrument, "s", "")
            metric.record(2)
            metric.record(3)
        assert [
            recorded.figures(Metric(name, Instrument.SUM, "s", "")) for name in ("sum", "distribution", "latest")
        ] == [figure(5), figure(5), figure(3)]


class TestLog:
    async def test_every_event_of_a_delivery_names_the_ticket(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="connector")
        ticket = await World().create()
        lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "connector"]
        assert [line["event"] for line in lines] == ["ticket_created", "servicenow_request", "ticket_delivered"]
        for line in lines:
            assert (line["connection_id"], line["ticket_id"]) == (CONNECTION_ID, ticket.ticket_id)
        assert [line.get("attempt") for line in lines] == [None, 1, 1]
        assert lines[1]["transaction_id"] == "a1b2c3"

    async def test_requests_for_tokens_name_the_connection(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="connector")
        world = World(json_reply({"access_token": "a" * 86, "refresh_token": "r" * 86, "expires_in": 1799}))
        await world.client.oauth.refresh(world.connection, Secret("s"), Secret("r"))
        await world.client.oauth.revoke(world.connection, Secret("r"))
        lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "connector"]
        assert [line["table"] for line in lines] == ["oauth_token", "oauth_revoke"]
        assert {line["connection_id"] for line in lines} == {CONNECTION_ID}


def run(program: str, **environment: str) -> str:
    """Run a program in a new process at the top of the repository; return its output."""
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return outcome.stdout


def pins(name: str) -> dict[str, str]:
    """Return the versions in a requirements file."""
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


class TestOptionalRequirements:
    def test_they_only_add_to_what_runs_in_azure(self) -> None:
        added = pins("requirements-telemetry.txt")
        assert "azure-monitor-opentelemetry" in added
        assert added.keys() & pins("requirements.txt").keys() == set()

    def test_they_are_the_versions_that_these_tests_run_with(self) -> None:
        added, tested = pins("requirements-telemetry.txt"), pins("requirements-dev.txt")
        common = added.keys() & tested.keys()
        assert {"opentelemetry-api", "opentelemetry-sdk"} <= common
        assert {name: added[name] for name in common} == {name: tested[name] for name in common}


class TestSwitch:
    def test_off_nothing_is_recorded(self) -> None:
        before = record_with(None)
        try:
            with span("work") as work:
                work.note(code="x")
                work.failed("x")
            telemetry.TICKETS_CREATED.record()
        finally:
            record_with(before)

    def test_off_it_is_not_imported_by_the_app_though_it_is_installed(self) -> None:
        program = "import function_app, sys; print([name for name in sys.modules if name.startswith('opentelemetry')])"
        assert run(program).strip() == "[]"

    @pytest.mark.parametrize("switch", ["true", "false"])
    def test_the_workers_setting_is_the_switch(self, switch: str) -> None:
        """The worker itself indexes and calls the app as in Azure, with an exporter in its process."""
        told: dict[str, Any] = json.loads(run(_IN_THE_WORKER, PYTHON_ENABLE_OPENTELEMETRY=switch))
        assert told["status"] == "200"
        if switch == "false":
            assert told["spans"] == []
            return
        (answered,) = told["spans"]
        assert answered["name"] == "check_health"
        assert answered["attributes"] == {"request_id": "0b0b", "status": 200}
        assert answered["context"]["trace_id"] == "0x" + "ab" * 16
        assert answered["parent_id"] == "0x" + "cd" * 8


_IN_THE_WORKER: Final = """
import asyncio, json
from pathlib import Path
from sandbox.functions_host.messages import HttpInput, Invocation
from sandbox.functions_host.worker import Worker

async def main():
    settings = json.loads(Path("local.settings.sample.json").read_text())["Values"]
    worker = await Worker.start(Path.cwd(), settings)
    assert worker.index.error is None, worker.index.error
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    health = next(each for each in worker.index.functions if each.name == "check_health")
    asked = HttpInput("GET", "http://localhost:7071/api/health", {}, {}, {}, b"")
    traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    answer = await worker.invoke(Invocation("0b0b", health.function_id, "req", asked, traceparent))
    finished = [json.loads(each.to_json()) for each in spans.get_finished_spans()]
    print(json.dumps({"status": answer.status, "spans": finished}))
    await worker.close()

asyncio.run(main())
"""
