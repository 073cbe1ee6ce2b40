"""Parts start, become ready, are watched, and end, whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.azurite import start_azurite
from sandbox.certificates import Certificates, ensure_certificates
from sandbox.processes import Processes, SandboxError, accepts_connections, free_port, require_free_port
from tests.sandbox.process_table import end_within, is_running

FOREVER = "import time; print('ready', flush=True); time.sleep(600)"


def test_everything_ends_with_the_block(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        one = processes.start("Part one", [sys.executable, "-c", FOREVER])
        two = processes.start("Part two", [sys.executable, "-c", FOREVER])
        processes.wait_for_line(one, "^ready$")
        assert one.log == tmp_path / "part-one.log"
        processes.raise_if_any_ended()
    assert not is_running(one.popen.pid)
    assert not is_running(two.popen.pid)


def test_everything_ends_when_the_block_fails(tmp_path: Path) -> None:
    def fail_inside() -> int:
        with Processes(tmp_path) as processes:
            part = processes.start("Part", [sys.executable, "-c", FOREVER])
            pids.append(part.popen.pid)
            raise KeyboardInterrupt

    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        fail_inside()
    assert not is_running(pids[0])


def test_a_part_that_ignores_termination_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.processes._GRACE_S", 0.2)
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER
    with Processes(tmp_path) as processes:
        part = processes.start("Stubborn", [sys.executable, "-c", stubborn])
        processes.wait_for_line(part, "^ready$")
        processes.stop(part)
        assert part.popen.returncode == -signal.SIGKILL


def test_what_a_part_started_ends_too(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time; "
        f"print(subprocess.Popen([sys.executable, '-c', {FOREVER!r}]).pid, flush=True); time.sleep(600)"
    )
    with Processes(tmp_path) as processes:
        part = processes.start("Parent", [sys.executable, "-c", parent])
        grandchild = int(processes.wait_for_line(part, r"^(\d+)$")[1])
        processes.kill(part)
        assert end_within([grandchild], 30.0)


def test_everything_ends_when_the_starter_is_killed(tmp_path: Path) -> None:
    starter = (
        "import sys, time; from pathlib import Path; from sandbox.processes import Processes\n"
        f"with Processes(Path({str(tmp_path)!r})) as processes:\n"
        f"    print(processes.start('Part', [sys.executable, '-c', {FOREVER!r}]).popen.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen([sys.executable, "-c", starter], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        part = int(process.stdout.readline())
        assert is_running(part)
        process.kill()
    assert end_within([part], 30.0)


def test_a_crash_is_told_with_the_last_lines(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        part = processes.start("Part", [sys.executable, "-c", "print('first'); raise SystemExit('out of memory')"])
        with pytest.raises(SandboxError, match=r"(?s)Part ended with status 1\..*first.*out of memory"):
            processes.wait_for_port(part, free_port())
        with pytest.raises(SandboxError, match="Part ended with status 1"):
            processes.raise_if_any_ended()


def test_a_signal_is_told_by_name(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        part = processes.start("Part", [sys.executable, "-c", FOREVER])
        os.kill(part.popen.pid, signal.SIGSEGV)
        part.popen.wait()
        with pytest.raises(SandboxError, match="Part was ended by SIGSEGV"):
            part.raise_if_ended()


def test_a_part_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        part = processes.start("Part", [sys.executable, "-c", FOREVER])
        processes.wait_for_line(part, "ready")
        with pytest.raises(SandboxError, match=r"(?s)Part was not ready within 0\.1 seconds.*ready"):
            processes.wait_for_port(part, free_port(), within_s=0.1)


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes, pytest.raises(SandboxError, match="Part needs the program no-such-program"):
        processes.start("Part", ["no-such-program"])


def test_a_missing_azurite_is_reported(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.azurite.PROGRAM", tmp_path / "azurite")
    with Processes(tmp_path) as processes, pytest.raises(SandboxError, match="make setup"):
        start_azurite(processes, certificates)


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert accepts_connections(port)
        with pytest.raises(SandboxError, match=f"Port {port}, wanted by Key Vault, is in use"):
            require_free_port(port, "Key Vault")
    require_free_port(free_port(), "Key Vault")


def test_certificates_are_made_once(tmp_path: Path) -> None:
    made = ensure_certificates(tmp_path / "certificates")
    before = made.authority.read_bytes()
    assert ensure_certificates(tmp_path / "certificates") == made
    assert made.authority.read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "certificates"]


def test_a_free_port_is_none_that_an_outgoing_connection_could_take() -> None:
    """A part begins to listen a moment after its port was chosen."""
    for _ in range(20):
        assert free_port() < 32_768


def test_threads_start_parts_at_once(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        with ThreadPoolExecutor() as threads:
            names = [f"Part {number}" for number in range(5)]
            parts = list(threads.map(lambda name: processes.start(name, [sys.executable, "-c", FOREVER]), names))
        assert [part.name for part in parts] == names
        processes.raise_if_any_ended()
    assert not any(is_running(part.popen.pid) for part in parts)


def test_nothing_starts_after_the_block(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        pass
    with pytest.raises(SandboxError, match="the sandbox has ended"):
        processes.start("Late", [sys.executable, "-c", FOREVER])
