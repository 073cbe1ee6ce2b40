"""The English texts that people read."""

from __future__ import annotations

from typing import Final

from shared.errors import ConnectorError, Failure
from shared.words.error_words import words_of
from shared.words.language import FALLBACK, languages

ENGLISH: Final = languages()[FALLBACK]


def told(error: ConnectorError | Failure | None) -> str:
    """Return the message and the next step of an error."""
    assert error is not None
    words = words_of(error, ENGLISH)
    return f"{words.message} {words.next_step}"
