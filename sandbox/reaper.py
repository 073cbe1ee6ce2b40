"""Ends the processes that an owner started when the owner is gone, even after SIGKILL.

Its standard input is a pipe. The owner writes ``+<pid>`` for each process group that it starts, and ``-<pid>`` for each
that it has seen end. When the pipe closes, the owner is gone: the remaining groups are terminated, and killed two
seconds later.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE_S = 2.0


def main() -> None:
    """Read the pipe to its end, then end the remaining groups."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            left.add(group)
        else:
            left.discard(group)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        if left and number == signal.SIGTERM:
            time.sleep(GRACE_S)


if __name__ == "__main__":
    main()
