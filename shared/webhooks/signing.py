"""Signatures of webhooks (Webhooks §W1 to §W4). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac

from shared.reminders.addresses import signing_key
from shared.secret import Secret


def signed_headers(secret: Secret, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver recognises that we have sent a body.

    Args:
        message_id: The same for each repetition; it holds no full stop.
        timestamp: When it is sent, in whole seconds since 1970.
    """
    signed = b".".join((message_id.encode("ascii"), str(timestamp).encode("ascii"), body))
    signature = base64.b64encode(hmac.new(signing_key(secret), signed, hashlib.sha256).digest()).decode("ascii")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
