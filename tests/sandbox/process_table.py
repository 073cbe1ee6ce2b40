"""What runs on this machine, as ``ps`` shows it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Collection


def is_running(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    state = _ps("-o", "stat=", "-p", str(pid))
    return bool(state.strip()) and not state.startswith("Z")


def children(pid: int) -> dict[int, str]:
    """Return the command lines of a process's children."""
    rows = (line.split(maxsplit=2) for line in _ps("-A", "-o", "ppid=,pid=,args=").splitlines())
    return {int(child): command for parent, child, command in rows if int(parent) == pid}


def end_within(pids: Collection[int], seconds: float) -> bool:
    """Wait for processes to end; return False if one still runs after that time."""
    deadline = time.monotonic() + seconds
    while any(is_running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _ps(*options: str) -> str:
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout
