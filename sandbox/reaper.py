"""Ends what a process started when that process is gone, however it went (also by SIGKILL).

Run with a pipe as standard input, on which the owner writes ``+<pid>`` for each process group it starts and ``-<pid>``
for each that it has seen end. The end of the pipe means that the owner is gone: what is left is terminated, and killed
two seconds later.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE_S = 2.0


def main() -> None:
    """Follow the pipe to its end, then end what is left."""
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
