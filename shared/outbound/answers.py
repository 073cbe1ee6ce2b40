"""An HTTP answer, and how the values of its headers are read. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from shared.secret import Secret
from shared.value_object import value_object

LONGEST_RETRY_AFTER_S: Final = 3600.0
"""Services count requests over at most an hour: a longer wait comes from a wrong clock."""

_INTEGER_MAX_LENGTH: Final = 30


@value_object
class Answer:
    """An HTTP answer.

    Attributes:
        headers: By name in lower case.
        body: Complete and decompressed; left out of the representation, since it holds texts of people or tokens.
        access_token: The request's token; nothing taken from the answer may repeat it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    access_token: Secret | None = None

    def without_token(self, text: str) -> str:
        """Return a text of the answer without the access token of the request."""
        return text if self.access_token is None else text.replace(self.access_token.reveal(), "***")

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether its content type is JSON."""
        return self.media_type == "application/json"

    def document(self, *, parse_float: Callable[[str], object] = float) -> Mapping[str, object] | None:
        """Return the JSON object in the body; None if there is none or it is cut off.

        Args:
            parse_float: Reads a number with a fraction or an exponent.
        """
        try:
            document = json.loads(self.body, parse_int=_integer, parse_float=parse_float)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    def sent_at(self, now: datetime) -> datetime:
        """Return when it was sent, by the sender's clock; ``now`` for an answer without a ``Date``."""
        return date_of(self.headers.get("date", "")) or now

    def retry_after_s(self, now: datetime) -> float | None:
        """Return the seconds in ``Retry-After`` (RFC 9110, 10.2.3), at most an hour; None without one.

        A date is compared with the answer's own ``Date``, so that a wrong clock on either side does not matter.
        """
        text = self.headers.get("retry-after", "").strip()
        if (seconds := whole_number(text)) is not None:
            return bounded_wait_s(seconds)
        until = date_of(text)
        return None if until is None else bounded_wait_s((until - self.sent_at(now)).total_seconds())


def bounded_wait_s(seconds: float) -> float:
    """Return a requested wait within bounds: from nothing to :data:`LONGEST_RETRY_AFTER_S`."""
    return min(max(float(seconds), 0.0), LONGEST_RETRY_AFTER_S)


def date_of(text: str) -> datetime | None:
    """Read an HTTP date (RFC 9110, 5.6.7) as an aware time; None for any other text."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def whole_number(text: str) -> int | None:
    """Read a whole number of at most 15 digits; None for any other text."""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text.strip()) else None


def _integer(text: str) -> int | str:
    """Read a JSON integer; one with thousands of digits stays a text, since Python refuses to read it."""
    return int(text) if len(text) <= _INTEGER_MAX_LENGTH else text
