"""Whether somebody waits for what is being done: whoever called the app, and not its timer.

It travels with the context of the work, so that what limits background work need not be passed through everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_WAITS: Final = ContextVar("somebody_waits", default=False)


def somebody_waits() -> bool:
    """Whether a person or a program waits for the present work."""
    return _WAITS.get()


@contextmanager
def waiting() -> Iterator[None]:
    """Say inside the block that somebody waits."""
    token = _WAITS.set(True)
    try:
        yield
    finally:
        _WAITS.reset(token)
