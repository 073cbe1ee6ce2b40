"""A host is killed in the middle of its work and started again: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
from azure.identity.aio import ManagedIdentityCredential

from sandbox.managed_identity.process import ManagedIdentityEndpoint
from sandbox.world import FunctionsHost, World
from shared.application import Application
from shared.settings import Settings
from tests.faults.gate import Gate, Mishap, serving
from tests.faults.in_process import AGAIN_S, of_its_own
from tests.fixtures.whole_app import Connected, WholeApp, daemon
from tests.memory.clock import ManualClock

MOST_STEPS = 12
"""More than the requests of a creation; the last creations end before their step."""
MOST_SWEEPS = 4
AT_ONCE = 6
IN_A_ROW = 2
TURNS = int(os.environ.get("KILLS", "1"))


@dataclass
class Gated:
    """The app, with a gate in front of both Table Storage and ServiceNow.

    Attributes:
        host: The running host.
        told: The answer to each idempotency key.
    """

    app: WholeApp
    gate: Gate
    connected: Connected
    host: FunctionsHost
    told: dict[str, list[str]] = field(default_factory=dict)

    def send(self, key: str) -> bool:
        """Ask for a ticket under a key; return whether an answer came."""
        told = self.told.setdefault(key, [])
        program = self.app.program(daemon().token, self.host)
        try:
            answer = program.ask(
                "POST", "/api/tickets", self.connected.ticket(**of_its_own(key)), headers={"Idempotency-Key": key}
            )
        except httpx.TransportError:
            return False
        finally:
            program.close()
        if answer.status_code not in {201, 202}:
            assert answer.status_code in {500, 503}, answer.text
            return False
        told.append(answer.json()["ticket_id"])
        return True

    def kill_host(self) -> None:
        """End the host and its worker with SIGKILL, and start a new host on the same storage."""
        self.app.world.processes.kill(self.host.process)
        self.host = self.app.another_host()

    def kill_worker(self) -> None:
        """End only the worker with SIGKILL; the host starts a new one."""
        self.host.process.popen.send_signal(signal.SIGUSR1)

    async def recover(self) -> None:
        """Run the timer after every lease has expired, on an instance whose clock is ahead."""
        settings = Settings.from_environment(
            {
                "PUBLIC_BASE_URL": self.app.host.public_url,
                "TABLES_URL": self.app.account.tables_url,
                "KEY_VAULT_URL": self.app.vault_url,
                "ALLOW_LOOPBACK_HTTP": "true",
            }
        )
        clock = ManualClock(datetime.now(UTC))
        instance = Application.build(settings, ManagedIdentityCredential(), clock)
        for _ in range(3):
            clock.advance(AGAIN_S)
            await instance.maintenance.run()
        await instance.aclose()

    def check(self) -> None:
        """Check that every key has one ticket, every ticket one record, and that nothing else exists."""
        asyncio.run(self.recover())
        program = self.app.program(daemon().token, self.host)
        listed = program.ask("GET", f"/api/tickets?limit=200&connection={self.connected.connection_id}").json()[
            "tickets"
        ]
        program.close()
        assert sorted(ticket["name"] for ticket in listed) == sorted(self.told)
        for ticket in listed:
            assert ticket["delivery"]["status"] == "delivered", ticket
            [record] = self.app.records(ticket["ticket_id"])
            assert record["number"] == ticket["servicenow"]["number"]
            assert set(self.told[ticket["name"]]) == {ticket["ticket_id"]}
        for name in self.told:
            assert len(self.app.control.records("incident", f"short_description={name}")) == 1


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    opened = Gate()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def gated(world: World, gate: Gate, start_app: Callable[..., WholeApp]) -> Iterator[Gated]:
    authority = str(world.certificates.authority)
    storage = f"https://127.0.0.1:{world.azurite.ports['Table']}"
    with (
        serving(gate.in_front_of(storage, authority=authority), world.certificates) as tables_at,
        serving(gate.in_front_of(world.servicenow.url)) as instance,
    ):
        app = start_app(tables_at=tables_at)
        yield Gated(app, gate, app.connected(instance=instance), app.host)
        gate.close()
        app.stop()


@pytest.fixture(autouse=True)
def identity(managed_identity: ManagedIdentityEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in managed_identity.environment.items():
        monkeypatch.setenv(name, value)


def stop_at_each_step(gated: Gated, sweep: int) -> list[str]:
    """Let each creation stop one step later than the one before, kill the host with all of them; return the steps."""
    stopped: list[tuple[str, Future[bool]]] = []
    with ThreadPoolExecutor(MOST_STEPS) as threads:
        for step in range(1, MOST_STEPS + 1):
            over = threading.Event()
            gated.gate.begin({step: Mishap("keep")})
            sent = threads.submit(gated.send, f"killed at step {step} of sweep {sweep}")
            sent.add_done_callback(lambda _, over=over: over.set())  # type: ignore[misc]
            if not gated.gate.wait_until_met_or(over):
                break
            stopped.append((gated.gate.passed[step - 1], sent))
        gated.kill_host()
    # On a slow machine, the first ones may give up waiting for the kept answer and end before the kill.
    return [path for path, sent in stopped if not sent.result()]


def test_a_host_killed_at_each_step_of_a_creation(gated: Gated) -> None:
    # Do not count the look-ups of the first creation, which later ones remember.
    assert gated.send("killed at no step")
    # Reads go on beside the writes, and either may come first. If that hides a write, another sweep stops at it.
    for sweep in range(MOST_SWEEPS):
        steps = stop_at_each_step(gated, sweep)
        written = [path.rpartition("/")[2] for path in steps if path.startswith("POST")]
        if written[-3:] == ["$batch", "incident", "$batch"]:
            break
    else:
        pytest.fail(f"no creation stopped at one of the writes: {steps}")
    gated.gate.begin()
    with ThreadPoolExecutor(MOST_STEPS) as threads:
        assert all(threads.map(gated.send, list(gated.told)))
    gated.check()


@pytest.mark.parametrize("what", ["host", "worker"])
@pytest.mark.parametrize("turn", range(TURNS))
def test_killed_at_any_moment(gated: Gated, what: str, turn: int) -> None:
    gated.gate.begin()
    moment_s = random.uniform(0.02, 0.5)
    prefix = f"killed with its {what} after {moment_s:.3f} s in turn {turn}"
    keys = [[f"{prefix}, {number}.{turn}" for turn in range(IN_A_ROW)] for number in range(AT_ONCE)]

    def send_in_a_row(row: list[str]) -> None:
        for key in row:
            gated.send(key)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        sending = [threads.submit(send_in_a_row, row) for row in keys]
        time.sleep(moment_s)
        if what == "host":
            gated.kill_host()
        else:
            gated.kill_worker()
    for each in sending:
        each.result()
    deadline = time.monotonic() + 90
    # None of those that were under way: a request waits for its twin, even for one that was killed.
    while not gated.send(f"{prefix}, and back again"):
        assert time.monotonic() < deadline, "the app did not come back"
        time.sleep(0.05)
    with ThreadPoolExecutor(AT_ONCE * IN_A_ROW) as threads:
        assert all(threads.map(gated.send, [key for row in keys for key in row]))
    gated.check()
