"""Why there is no usable answer."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why there is no usable answer."""

    HOST_UNKNOWN = "host_unknown"
    ADDRESS_NOT_PUBLIC = "address_not_public"
    """The host's name leads into a network that the request may not reach."""
    CERTIFICATE_REFUSED = "certificate_refused"
    NO_CONNECTION = "no_connection"
    NO_TURN = "no_turn"
    """Earlier requests of the same queue were not answered in time."""
    TIMEOUT = "timeout"
    BROKEN = "broken"
    """The connection broke after part of the request may have left."""
    CUT_OFF = "cut_off"
    TOO_LARGE = "too_large"
    ENCODED = "encoded"
    """The body has an encoding that was not asked for."""
    NO_ROOM = "no_room"
    """The answer is large, and others used all the memory for large ones."""


class NoAnswer(Exception):
    """There is no usable answer. Whether the request arrived depends on the reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
