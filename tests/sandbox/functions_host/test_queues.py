"""Queue triggers (Storage Queue §1 to §6) over Azurite's queues; a host's clock may run faster than the machine's."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageAccount
from sandbox.certificates import Certificates
from sandbox.functions_host.clock import SystemClock
from sandbox.functions_host.functions import tabulate
from sandbox.functions_host.host_json import HostJson, HostJsonError
from sandbox.functions_host.messages import FunctionMetadata
from sandbox.functions_host.queue_service import NoConnectionError, QueueConnection, QueueService
from sandbox.functions_host.queues import LEASE_S, Pauses
from sandbox.managed_identity.process import ManagedIdentityEndpoint
from sandbox.processes import Processes
from tests.sandbox.functions_host.apps import write_app
from tests.sandbox.functions_host.conftest import StartHost, start_host

QUEUE = "maintain"
POISON = "maintain-poison"
APP = """
import asyncio, json, os
import azure.functions as func

app = func.FunctionApp()

@app.queue_trigger(arg_name="msg", queue_name="%MAINTAIN_QUEUE%", connection="WorkQueue")
async def maintain(msg: func.QueueMessage) -> None:
    body = msg.get_body().decode()
    seen = {"body": body, "id": msg.id, "count": msg.dequeue_count, "expires": msg.expiration_time.isoformat()}
    with open(os.environ["SEEN"], "a") as file:
        print(json.dumps(seen), file=file, flush=True)
    if "raises" in body:
        raise ValueError("as asked")
    if "hangs" in body and msg.dequeue_count == 1:
        await asyncio.sleep(60)
    if "takes" in body:
        await asyncio.sleep(float(json.loads(body)["takes"]))
"""
QUICK = {"extensions": {"queues": {"maxPollingInterval": "00:00:00.100"}}}
PACE = 600.0
"""At this pace, the lease of ten minutes is one second of the machine."""


@dataclass(frozen=True)
class Queues:
    """The queues of one account, and what functions have seen of them."""

    service: QueueService
    settings: Mapping[str, str]
    file: Path

    def seen(self) -> list[dict[str, Any]]:
        """Return the messages that the function has got, in order."""
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    async def send(self, text: str, **options: Any) -> None:
        """Put a message, encoded as host.json asks by default."""
        await self.service.send(QUEUE, base64.b64encode(text.encode()).decode(), **options)

    async def poisoned(self) -> list[str]:
        """Take what is in the poison queue."""
        if not await self.service.exists(POISON):
            return []
        return [each.text for each in await self.service.receive(POISON, 32, 600)]


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


@pytest.fixture
async def queues(
    storage_account: StorageAccount,
    managed_identity: ManagedIdentityEndpoint,
    certificates: Certificates,
    tmp_path: Path,
) -> AsyncIterator[Queues]:
    settings = {
        **managed_identity.environment,
        "SSL_CERT_FILE": str(certificates.authority),
        "MAINTAIN_QUEUE": QUEUE,
        "WorkQueue__queueServiceUri": storage_account.queue_url,
        "WorkQueue__credential": "managedidentity",
        "SEEN": str(tmp_path / "seen"),
    }
    service = QueueService(QueueConnection.find("WorkQueue", settings), settings)
    yield Queues(service, settings, tmp_path / "seen")
    await service.close()


async def test_properties_of_the_body_replace_metadata(queues: Queues, host_of: StartHost) -> None:
    """§D1, §I1 to §I5, §M4: the message's own id gives way to the body's, and the message is deleted."""
    await queues.service.create(QUEUE)
    await queues.send('{"connection": "x", "id": "y", "dequeuecount": [1], "expirationTime": null}')
    await queues.send("no object")
    await host_of(APP, QUICK, environment=queues.settings)
    await until(lambda: len(queues.seen()) == 2)
    by_body = {each["body"]: each for each in queues.seen()}
    plain = by_body.pop("no object")
    (replaced,) = by_body.values()
    assert (replaced["id"], replaced["count"]) == ("y", 1)
    assert len(plain["id"]) == 36
    assert plain["expires"].endswith("+00:00")
    await asyncio.sleep(0.1)
    assert await queues.service.receive(QUEUE, 32, 1) == []


async def test_text_that_is_not_base64_is_poisoned_unseen(queues: Queues, host_of: StartHost) -> None:
    """§M2, §M5: no invocation, only a move to a queue that is created for it."""
    await queues.service.create(QUEUE)
    await queues.service.send(QUEUE, "no <base64>")
    await host_of(APP, QUICK, environment=queues.settings)
    await until_poisoned(queues, "no <base64>")
    assert queues.seen() == []


async def test_failing_message_is_poisoned_after_its_attempts(queues: Queues, host_of: StartHost) -> None:
    """§M5, §M6: visible again at once, five attempts, then the poison queue gets the same text."""
    await queues.service.create(QUEUE)
    await queues.send("raises")
    await host_of(APP, QUICK, environment=queues.settings)
    await until_poisoned(queues, base64.b64encode(b"raises").decode())
    assert [each["count"] for each in queues.seen()] == [1, 2, 3, 4, 5]


async def test_failing_message_is_hidden_as_long_as_host_json_asks(queues: Queues, host_of: StartHost) -> None:
    """§H4, §M6: between two attempts, nobody gets it."""
    await queues.service.create(QUEUE)
    await queues.send("raises")
    settings = {"maxPollingInterval": "00:00:00.100", "visibilityTimeout": "00:00:01"}
    await host_of(APP, {"extensions": {"queues": settings}}, environment=queues.settings)
    await until(lambda: len(queues.seen()) == 1)
    failed_at = time.monotonic()
    await until(lambda: len(queues.seen()) == 2)
    assert 0.5 < time.monotonic() - failed_at < 3
    assert [each["count"] for each in queues.seen()] == [1, 2]


async def until_poisoned(queues: Queues, text: str) -> None:
    """Wait for one message in the poison queue."""
    deadline = time.monotonic() + 10
    while not (found := await queues.poisoned()):
        assert time.monotonic() < deadline, "nothing was poisoned in time"
        await asyncio.sleep(0.05)
    assert found == [text]


async def test_message_that_was_tried_too_often_is_not_invoked(queues: Queues, host_of: StartHost) -> None:
    """§M1: workers that die before they report use up the attempts, too."""
    await queues.service.create(QUEUE)
    await queues.send("deadly")
    for _ in range(5):
        (message,) = await queues.service.receive(QUEUE, 1, 60)
        await queues.service.hide(QUEUE, message, 0)
    await host_of(APP, QUICK, environment=queues.settings)
    await until_poisoned(queues, base64.b64encode(b"deadly").decode())
    assert queues.seen() == []


async def test_message_of_a_killed_host_is_seen_again_after_its_lease(
    queues: Queues, processes: Processes, tmp_path: Path
) -> None:
    """§L2, §M9: two hosts, one message: the second has it only after ten minutes of their clock, counted twice."""
    app = write_app(tmp_path / "app", APP, QUICK)
    await queues.service.create(QUEUE)
    first, _ = start_host(processes, app, "--pace", str(PACE), environment=queues.settings)
    await queues.send("hangs")
    await until(lambda: len(queues.seen()) == 1)
    start_host(processes, app, "--pace", str(PACE), environment=queues.settings)
    await asyncio.sleep(1.5 * LEASE_S / PACE)
    assert len(queues.seen()) == 1, "the first host renews its lease"
    processes.kill(first)
    await until(lambda: len(queues.seen()) == 2)
    assert [each["count"] for each in queues.seen()] == [1, 2]
    assert await queues.poisoned() == []


async def test_queue_that_is_made_later_is_found(queues: Queues, host_of: StartHost) -> None:
    """§L1: the host waits for the queue and never creates it."""
    await host_of(APP, QUICK, environment=queues.settings)
    await asyncio.sleep(0.2)
    assert not await queues.service.exists(QUEUE)
    await queues.service.create(QUEUE)
    await queues.send("late")
    await until(lambda: [each["body"] for each in queues.seen()] == ["late"])


async def test_message_past_its_time_leaves_no_trace(queues: Queues, host_of: StartHost) -> None:
    """§W7: nobody has taken it in time."""
    await queues.service.create(QUEUE)
    await queues.send("expired", ttl_s=1)
    await queues.send("kept", ttl_s=60)
    await asyncio.sleep(1.1)
    await host_of(APP, QUICK, environment=queues.settings)
    await until(lambda: len(queues.seen()) > 0)
    assert [each["body"] for each in queues.seen()] == ["kept"]
    assert await queues.poisoned() == []


async def test_running_message_is_completed_when_the_host_stops(queues: Queues, host_of: StartHost) -> None:
    """§M8: the host polls no more, and deletes what has ended."""
    await queues.service.create(QUEUE)
    await queues.send('{"takes": 0.3}')
    host, _ = await host_of(APP, QUICK, environment=queues.settings, clock=SystemClock(PACE))
    await until(lambda: len(queues.seen()) == 1)
    await host.close()
    await asyncio.sleep(LEASE_S / PACE + 0.2)
    assert await queues.service.receive(QUEUE, 1, 1) == []


async def test_no_more_run_at_once_than_batch_and_threshold(queues: Queues, host_of: StartHost) -> None:
    """§L5: the next batch is asked for when no more than the threshold run."""
    await queues.service.create(QUEUE)
    for _ in range(8):
        await queues.send('{"takes": 0.3}')
    settings = {"batchSize": 2, "newBatchThreshold": 1, "maxPollingInterval": "00:00:00.100"}
    await host_of(APP, {"extensions": {"queues": settings}}, environment=queues.settings)
    await until(lambda: len(queues.seen()) >= 2)
    await asyncio.sleep(0.15)
    assert len(queues.seen()) == 2, "two run, and more than one of them still do"
    await until(lambda: len(queues.seen()) == 8)


def test_pauses_double_up_to_the_longest() -> None:
    """§L6."""
    pauses = Pauses(2.0, lambda: 1.0)
    assert [pauses.next_s() for _ in range(7)] == pytest.approx([0.2, 0.3, 0.5, 0.9, 1.7, 2.0, 2.0])
    pauses.reset()
    assert pauses.next_s() == pytest.approx(0.2)


def queue_trigger(name: str) -> FunctionMetadata:
    """Describe a function behind a queue."""
    binding = {"type": "queueTrigger", "direction": "IN", "name": "msg", "queueName": name, "connection": "WorkQueue"}
    return FunctionMetadata("tick", "id", (binding,))


@pytest.mark.parametrize("name", ["%MISSING%", "ab", "a" * 64, "-queue", "queue-", "two--hyphens", "under_score", ""])
def test_impossible_queue_puts_the_function_in_error(name: str) -> None:
    """§D4."""
    table = tabulate([queue_trigger(name)], "", {})
    assert table.queues == ()
    assert list(table.in_error or {}) == ["tick"]


def test_name_of_a_queue_is_a_setting_in_lower_case() -> None:
    """§D4."""
    table = tabulate([queue_trigger("%NAME%")], "", {"NAME": "Read-Tenants"})
    assert [each.queue_name for each in table.queues] == ["read-tenants"]


@pytest.mark.parametrize(
    ("settings", "url", "client_id"),
    [
        ({"WorkQueue__queueServiceUri": "https://a/"}, "https://a", None),
        ({"WorkQueue__serviceUri": "https://a", "WorkQueue__clientId": "c"}, "https://a", "c"),
        ({"WorkQueue__accountName": "acc"}, "https://acc.queue.core.windows.net", None),
        ({"AzureWebJobsWorkQueue__serviceUri": "https://b", "WorkQueue__serviceUri": "https://a"}, "https://b", None),
    ],
)
def test_connection_is_found_in_the_settings(settings: Mapping[str, str], url: str, client_id: str | None) -> None:
    """§C1, §C2."""
    assert QueueConnection.find("WorkQueue", settings) == QueueConnection(url, client_id)


async def test_host_without_the_connection_serves_the_rest(host_of: StartHost) -> None:
    """§C4: only the listener does not start."""
    text = (
        APP
        + """
@app.route(route="x", auth_level=func.AuthLevel.ANONYMOUS)
async def x(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x")
"""
    )
    _, client = await host_of(text, environment={"MAINTAIN_QUEUE": QUEUE})
    with pytest.raises(NoConnectionError, match="AzureWebJobsWorkQueue' does not exist"):
        QueueConnection.find("WorkQueue", {})
    assert (await client.get("/api/x")).text == "x"


@pytest.mark.parametrize(
    "queues",
    [
        {"batchSize": 33},
        {"batchSize": 0},
        {"maxDequeueCount": 0},
        {"newBatchThreshold": -1},
        {"maxPollingInterval": "00:00:00.05"},
        {"messageEncoding": "hex"},
    ],
)
def test_settings_out_of_bounds_are_a_host_error(tmp_path: Path, queues: Mapping[str, object]) -> None:
    """§3."""
    with pytest.raises(HostJsonError):
        HostJson.read(write_app(tmp_path, APP, {"extensions": {"queues": queues}}))
