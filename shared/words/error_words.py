"""The words of errors: from a code and its values to sentences in a language."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import ConnectorError
from shared.words.language import Language


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """What a person reads about an error.

    Attributes:
        message: What happened and what was kept.
        next_step: What to do next; empty when there is nothing to do.
    """

    message: str
    next_step: str


def words_of(error: ConnectorError, t: Language) -> ErrorWords:
    """Return an error in the words of a language; in its own where the language has none for its code."""
    return ErrorWords(
        t.get(f"error.{error.code}.message", **error.extra) or error.message,
        t.get(f"error.{error.code}.next_step", **error.extra) or error.next_step,
    )
