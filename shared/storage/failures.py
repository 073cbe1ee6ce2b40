"""Failures in rows: a code, its values as JSON and, for one more release, the English words.

Release 0.1 shows the words that it finds in a row. Words from other releases are kept, since those releases may know
codes that this one does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from shared.errors import Failure
from shared.storage.rows import json_object
from shared.tickets.model import TimelineEvent
from shared.tickets.timeline import shortened
from shared.words.error_words import ErrorWords, words_of
from shared.words.language import FALLBACK, languages


def english(failure: Failure) -> ErrorWords:
    """Return the words to store with a failure: those read with it, or ours."""
    if failure.message:
        return ErrorWords(failure.message, failure.next_step)
    words = words_of(failure, languages()[FALLBACK])
    return ErrorWords(str(words.message), str(words.next_step))


def values_text(failure: Failure) -> str | None:
    """Return the values as JSON; None if there are none."""
    return json.dumps(failure.values, ensure_ascii=False) if failure.values else None


def failure_of(code: str | None, values: str | None, message: str | None, next_step: str | None) -> Failure | None:
    """Return the failure in a row, with its stored words only if they are not ours; None without a code.

    Raises ValueError if the values are not a JSON object.
    """
    if code is None:
        return None
    ours, stored = Failure(code, json_object(values)), ErrorWords(message or "", next_step or "")
    return ours if stored in {ErrorWords("", ""), english(ours)} else replace(ours, **asdict(stored))


def details_with_words(event: TimelineEvent) -> dict[str, str]:
    """Return the details of an event as stored; a failure has its English message."""
    failure, details = event.failure, dict(event.details)
    return details if failure is None else details | {"message": shortened(english(failure).message)}


def details_without_words(details: Mapping[str, str]) -> Mapping[str, str]:
    """Return the details of a stored event, with a failure's message only if it is not ours."""
    bare = {name: text for name, text in details.items() if name != "message"}
    if "code" not in bare:
        return details
    ours = english(Failure(bare["code"], {name: text for name, text in bare.items() if name != "code"}))
    return bare if details.get("message") == shortened(ours.message) else details
