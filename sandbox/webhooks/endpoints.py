"""A program that receives signed webhooks, as the Standard Webhooks specification asks of it (Webhooks §W1 to §W6)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

TOLERANCE_S = 300


@dataclass
class Endpoint:
    """An endpoint.

    Attributes:
        secret: ``whsec_`` and base64; None before anybody has entered it: then it accepts nothing.
        seen: Ids of the messages that it has accepted.
    """

    secret: str | None = None
    seen: set[str] = field(default_factory=set)

    def fault(self, headers: Mapping[str, str], body: bytes, now_s: float) -> str | None:
        """Return why a message is not accepted; None if it is."""
        if self.secret is None:
            return "no secret has been entered"
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not message_id or not timestamp.isdecimal():
            return "a header is missing"
        if abs(now_s - int(timestamp)) > TOLERANCE_S:
            return "the timestamp is too old or too new"
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256))
        given = headers.get("webhook-signature", "").split(" ")
        if not any(hmac.compare_digest(each.encode(), b"v1," + expected) for each in given):
            return "no signature matches"
        return None
