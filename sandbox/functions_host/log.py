"""The host's log: text from the app or a request can neither control a terminal nor imitate an entry.

Control characters and Unicode's line and paragraph separators are written as escapes. An entry keeps the lines of a
stack trace; all but its first line are indented.
"""

from __future__ import annotations

import io
import logging
import re
import sys

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_CONTINUED = "\n    "
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def escape(text: str) -> str:
    """Escape line separators and all control characters except tab and line feed."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


class EscapedStream(io.TextIOWrapper):
    """A text stream that escapes all that is written to it."""

    def write(self, text: str) -> int:
        """Write the text escaped; return its length before escaping."""
        super().write(escape(text))
        return len(text)


class EntryFormatter(logging.Formatter):
    """Indents every line of an entry except the first."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry without a line break at its end."""
        return super().format(record).replace("\n", _CONTINUED)


def write_escaped() -> None:
    """Send this process's log to standard error, and escape what is logged or printed, exceptions included."""
    sys.stdout, sys.stderr = (
        EscapedStream(stream.buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        for stream in (sys.stdout, sys.stderr)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EntryFormatter(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
