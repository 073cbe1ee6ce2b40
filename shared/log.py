"""The log: one JSON object per line, one event name for each kind of event.

Fields are ids, counts, codes, durations. Never a secret, never a ticket's text, never a person's name.
The names are in ``docs/operations.md``; alerts and the workbook read them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

type Plain = bool | int | float | str

_logger = logging.getLogger("connector")

# The Azure SDK logs every request with its headers at INFO.
logging.getLogger("azure").setLevel(logging.WARNING)
_context: ContextVar[dict[str, object]] = ContextVar("log_context")


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Add these fields to every event logged inside the block."""
    token = _context.set({**_context.get({}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def fields_in_context() -> Mapping[str, Plain]:
    """Return the fields of every event logged in this context."""
    return _plain_fields(_context.get({}))


def log_event(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log one event, without the fields that are None."""
    if not _logger.isEnabledFor(level):
        return
    line = _plain_fields({"event": event, **_context.get({}), **fields})
    _logger.log(level, "%s", json.dumps(line, ensure_ascii=False, separators=(",", ":")))


def log_bug(event: str, error: BaseException, **fields: object) -> None:
    """Log an unexpected exception: its type and its place, but not its text, which could contain anything."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else None
    log_event(event, level=logging.ERROR, error=type(error).__qualname__, at=place, **fields)


def _plain_fields(fields: Mapping[str, object]) -> dict[str, Plain]:
    return {name: _plain(value) for name, value in fields.items() if value is not None}


def _plain(value: object) -> Plain:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return round(value, 3)
    return str(value)
