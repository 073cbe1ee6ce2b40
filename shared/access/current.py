"""Whose eyes the present work looks through. A task that is begun keeps those of its beginner."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final

from shared.access.model import EVERYTHING, Access

_current: Final[ContextVar[Access]] = ContextVar("access", default=EVERYTHING)


def current_access() -> Access:
    """Return what the present caller may see; everything in the app's own work, such as the timer's."""
    return _current.get()


@contextmanager
def seen_by(access: Access) -> Iterator[None]:
    """Look through these eyes inside the block."""
    token = _current.set(access)
    try:
        yield
    finally:
        _current.reset(token)


def sees_everything[**Arguments, Result](
    work: Callable[Arguments, Coroutine[Any, Any, Result]],
) -> Callable[Arguments, Coroutine[Any, Any, Result]]:
    """Let a method see everything, whoever asked for it.

    It is for what keeps promises across customers, such as one open ticket for each recommendation. What it returns or
    raises must show nothing that its caller may not see.
    """

    @wraps(work)
    async def seeing(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with seen_by(EVERYTHING):
            return await work(*args, **kwargs)

    return seeing
