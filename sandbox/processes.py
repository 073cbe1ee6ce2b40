"""Starts the parts of the sandbox as child processes, waits until they are ready, and ends them all."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
_GRACE_S = 2.0
_POLL_S = 0.02
_TAIL_LINES = 15
_SERVER_PORTS = range(20_000, 32_768)
"""Below the range for outgoing connections: one of those could take a port before its server does."""


class SandboxError(Exception):
    """The sandbox cannot do it; the text says why and what to do."""


@dataclass(frozen=True)
class Process:
    """A running part.

    Attributes:
        name: Its name for people.
        popen: The process; it leads its own process group.
        log: The file with its output.
    """

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        """Return its output so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self) -> str:
        """Return the last lines of its output, indented."""
        lines = self.text().splitlines()[-_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (it printed nothing)"

    def raise_if_ended(self) -> None:
        """Raise :class:`SandboxError` with its last lines if it is no longer running."""
        status = self.popen.poll()
        if status is not None:
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            raise SandboxError(f"{self.name} {how}. Its last lines:\n{self.tail()}")


class Processes:
    """Child processes that end together with the ``with`` block, and with this process if it is killed.

    Threads may start parts at the same time. Once the block has ended, none can be started any more.

    Args:
        log_directory: Receives one log file for each part, named after it.
    """

    def __init__(self, log_directory: Path) -> None:
        self._log_directory = log_directory
        self._running: list[Process] = []
        self._reaper: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()
        self._is_over = False

    def __enter__(self) -> Self:
        self._log_directory.mkdir(parents=True, exist_ok=True)
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py"))],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._starting:
            self._is_over = True
        self._end(self._running)
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait()

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Process:
        """Start a part.

        Args:
            name: Its name for people; also the stem of its log file's name.
            command: Program and arguments.
            environment: Variables to add to this process's own.

        Raises:
            SandboxError: The program is not installed, or the block has ended.
        """
        if shutil.which(command[0]) is None:
            raise SandboxError(f"{name} needs the program {command[0]}, which is not on PATH.")
        log = self._log_directory / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.log"
        with self._starting, log.open("wb") as output:
            if self._is_over:
                raise SandboxError(f"{name} is not started: the sandbox has ended.")
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                start_new_session=True,
            )
            process = Process(name, popen, log)
            self._running.append(process)
            self._tell_reaper(f"+{popen.pid}")
        return process

    def wait_until[T](self, process: Process, ready: Callable[[], T | None], *, within_s: float = 30.0) -> T:
        """Call ``ready`` until it returns something, and return that.

        Raises:
            SandboxError: The part ended or was not ready in time; the text holds its last lines.
        """
        deadline = time.monotonic() + within_s
        while (answer := ready()) is None:
            process.raise_if_ended()
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{process.name} was not ready within {within_s:g} seconds. Its last lines:\n{process.tail()}"
                )
            time.sleep(_POLL_S)
        return answer

    def wait_for_port(self, process: Process, port: int, *, within_s: float = 30.0) -> None:
        """Wait until the part accepts connections; raises as :meth:`wait_until`."""
        self.wait_until(process, lambda: accepts_connections(port) or None, within_s=within_s)

    def wait_for_line(self, process: Process, pattern: str, *, within_s: float = 30.0) -> re.Match[str]:
        """Wait for the first match in the part's output and return it; raises as :meth:`wait_until`."""
        expression = re.compile(pattern, re.MULTILINE)
        return self.wait_until(process, lambda: expression.search(process.text()), within_s=within_s)

    def raise_if_any_ended(self) -> None:
        """Raise :class:`SandboxError` if a part has ended unexpectedly."""
        for process in self._running:
            process.raise_if_ended()

    def stop(self, process: Process) -> None:
        """End a part, with SIGTERM first, and wait for it."""
        self._end([process])

    def kill(self, process: Process) -> None:
        """End a part with SIGKILL, as in a crash, and wait for it."""
        _signal(process, signal.SIGKILL)
        process.popen.wait()
        self._forget(process)

    def _end(self, processes: Sequence[Process]) -> None:
        for process in processes:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        for process in list(processes):
            try:
                process.popen.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.kill(process)
            else:
                self._forget(process)

    def _forget(self, process: Process) -> None:
        with contextlib.suppress(ProcessLookupError):  # processes that the part may have left behind
            os.killpg(process.popen.pid, signal.SIGKILL)
        self._running.remove(process)
        self._tell_reaper(f"-{process.popen.pid}")

    def _tell_reaper(self, line: str) -> None:
        if self._reaper is None or self._reaper.stdin is None:
            raise RuntimeError("Processes is used outside its with block")
        self._reaper.stdin.write(f"{line}\n")
        self._reaper.stdin.flush()


def accepts_connections(port: int) -> bool:
    """Say whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """Return a loopback port that is free now and that no outgoing connection will take."""
    while True:
        port = random.choice(_SERVER_PORTS)  # noqa: S311 - no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def require_free_port(port: int, wanted_by: str) -> None:
    """Raise :class:`SandboxError` if a fixed port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SandboxError(
                f"Port {port}, wanted by {wanted_by}, is in use, most likely by another sandbox. "
                "End it, or run beside it: .venv/bin/python -m sandbox.run --beside DIRECTORY"
            ) from error


def _signal(process: Process, number: signal.Signals) -> None:
    if process.popen.poll() is None:
        os.killpg(process.popen.pid, number)
