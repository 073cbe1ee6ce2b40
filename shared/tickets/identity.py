"""The identity of a ticket and of a request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.tickets.model import CORRELATION_PREFIX

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST_FIRST: Final = 0xFFFF_FFFF_FFFF
_TIME_DIGITS: Final = 12
_CONNECTION_DIGITS: Final = 8
_TICKET_ID: Final = re.compile(r"[0-9a-f]{32}")


def new_ticket_id(now: datetime, connection_id: str) -> str:
    """Return a new id: 12 hexadecimal digits that decrease with time, 8 of the connection's hash, 12 random ones.

    Text order is newest first, to the millisecond. The id is proposed to ServiceNow as ``sys_id``, its only idempotency
    key (ServiceNow §2.5).
    """
    return f"{_first_digits(now)}{connection_digits(connection_id)}{secrets.token_hex(6)}"


def connection_digits(connection_id: str) -> str:
    """Return the digits that stand for the connection in its tickets' ids."""
    return hashlib.sha256(connection_id.encode()).hexdigest()[:_CONNECTION_DIGITS]


def connection_digits_of(ticket_id: str) -> str:
    """Return the digits that stand for the connection in a ticket id; random ones if release 0.1 made it."""
    return ticket_id[_TIME_DIGITS : _TIME_DIGITS + _CONNECTION_DIGITS]


def first_id_of(at: datetime) -> str:
    """Return the first id of that time in text order: ids before it are newer, ids after it are not."""
    return _first_digits(at).ljust(32, "0")


def _first_digits(at: datetime) -> str:
    return f"{_NEWEST_FIRST - (at - _EPOCH) // timedelta(milliseconds=1):0{_TIME_DIGITS}x}"


def creation_time_of(ticket_id: str) -> datetime:
    """Return when a ticket id was made, to the millisecond. Raises ValueError if it is not a ticket id."""
    return _EPOCH + timedelta(milliseconds=_NEWEST_FIRST - int(ticket_id[:_TIME_DIGITS], 16))


def is_ticket_id(text: str) -> bool:
    """Whether the text has the form of a ticket id."""
    return _TICKET_ID.fullmatch(text) is not None


def ticket_id_of(correlation_id: str) -> str | None:
    """Return the ticket id in a ServiceNow correlation id, or None if it is not one of ours.

    Case does not matter, as on most instances.
    """
    plain = correlation_id.lower()
    if not plain.startswith(CORRELATION_PREFIX):
        return None
    ticket_id = plain.removeprefix(CORRELATION_PREFIX)
    return ticket_id if is_ticket_id(ticket_id) else None


def key_hash(caller: str, idempotency_key: str) -> str:
    """Return the hash under which an idempotency key is stored: keys of different callers never collide."""
    return hashlib.sha256(f"{caller}\n{idempotency_key}".encode()).hexdigest()


def request_hash(request: Mapping[str, object]) -> str:
    """Return a hash of the meaning of a request: the order and white space of its JSON do not matter."""
    canonical = json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def encode_cursor(ticket_id: str) -> str:
    """Return the opaque cursor that points after a ticket."""
    return base64.urlsafe_b64encode(bytes.fromhex(ticket_id)).decode().rstrip("=")


def decode_cursor(cursor: str) -> str | None:
    """Return the ticket id in a cursor, or None if it is not one of ours."""
    try:
        ticket_id = base64.b64decode(cursor + "==", altchars=b"-_", validate=True).hex()
    except (binascii.Error, ValueError):
        return None
    return ticket_id if is_ticket_id(ticket_id) else None
