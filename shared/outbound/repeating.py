"""Repeating a read when a service stumbles; nothing else is ever repeated here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import stamina

READ_ATTEMPTS: Final = 3
LONGEST_WAIT_BETWEEN_READS_S: Final = 5.0
"""If a service asks for a longer wait, the caller has to come back."""

# Each attempt is already in the log.
stamina.instrumentation.set_on_retry_hooks([])


async def read_again[Result](
    read: Callable[[float], Awaitable[Result]],
    *,
    total_s: float,
    wait_before_repeating: Callable[[Exception], bool | float],
    first_wait_s: float = 0.2,
    longest_wait_s: float = 2.0,
) -> Result:
    """Read, and once or twice more after a wait.

    Args:
        read: Reads within this many seconds.
        total_s: Seconds for all attempts and waits together.
        wait_before_repeating: Returns for an error whether to repeat (after a short random wait), or after how many
            seconds.
        first_wait_s: The wait before the first repetition, plus up to a second; it doubles with each repetition.
        longest_wait_s: The longest such wait.

    Raises:
        Exception: What the last attempt raises.
    """
    ends = time.monotonic() + total_s
    async for attempt in stamina.retry_context(
        on=wait_before_repeating,
        attempts=READ_ATTEMPTS,
        timeout=total_s,
        wait_initial=first_wait_s,
        wait_max=longest_wait_s,
    ):
        with attempt:
            return await read(ends - time.monotonic())
    raise AssertionError("the last attempt returns or raises")


def short_wait(retry_after_s: float | None) -> bool | float:
    """Return the wait that a service asked for if it is short enough to wait here; False otherwise."""
    short = retry_after_s is not None and retry_after_s <= LONGEST_WAIT_BETWEEN_READS_S
    return retry_after_s if short and retry_after_s is not None else False
