"""``make run``: the whole story succeeds, and nothing keeps running, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.processes import accepts_connections
from sandbox.world import Ports
from tests.sandbox.process_table import children, end_within

ROOT = Path(__file__).parent.parent.parent


class Run:
    """A running ``python -m sandbox.run``."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.run", "--beside", str(directory), *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        pytest.fail(f"{text!r} never came:\n{self.output}")

    def end(self) -> int:
        """Read the rest and return the exit status."""
        rest, _ = self.process.communicate(timeout=30)
        self.output += rest
        return self.process.returncode


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """Runs that end with the test, whatever happens."""
    started: list[Run] = []
    yield started
    for run in started:
        run.process.kill()
        run.process.communicate()


def test_the_story_holds_and_a_crash_afterwards_is_reported(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path / "run"))
    run.read_until("People in ServiceNow")
    for line in (
        "INC0010001",
        "CHG0010001",
        "In Progress (in_progress) → Resolved (resolved)",
        "9 of 9, verified; 0 of 8, not_fixed",
        "0 of 9 → 9 of 9",
        "CHG0010002                 Verified: 9 of 9 points, measured ",
        "INC0010002                 Not fixed: 0 of 8 points, measured ",
        "0 of 9, regressed",
        "names CHG0010002           yes",
        "2 of 3 tickets             ",
        "Every step succeeded.",
    ):
        assert line in run.output
    parts = children(run.process.pid)
    vault = next(pid for pid, command in parts.items() if "sandbox.key_vault" in command)
    os.kill(vault, signal.SIGKILL)
    assert run.end() == 1
    assert "The sandbox cannot run. Key Vault was ended by SIGKILL. Its last lines:" in run.output
    assert end_within(parts, 30.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(tmp_path: Path, runs: list[Run], number: signal.Signals) -> None:
    runs.append(run := Run(tmp_path / "run"))
    run.read_until("Starting")
    while len(parts := children(run.process.pid)) < 3:
        time.sleep(0.02)
    run.process.send_signal(number)
    assert run.end() == 0
    assert "Everything is stopped." in run.output
    assert end_within(parts, 30.0)


def test_a_port_in_use_is_reported() -> None:
    port = Ports().functions_host
    with contextlib.ExitStack() as stack:
        if not accepts_connections(port):
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        command = [sys.executable, "-m", "sandbox.run", "--once"]
        completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert completed.returncode == 1
    assert f"Port {port}, wanted by functions host, is in use" in completed.stderr
