"""What is said first about a connection: its status in words, and the one thing to do next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.connections.customers import Customer
from shared.connections.model import CONSENT_WARNING_DAYS, Connection, ConnectionStatus, Grant, consent_days_left
from shared.errors import ConnectorError, Failure
from shared.value_object import value_object
from shared.words.error_words import words_of
from shared.words.language import Language

_TONES: Final[Mapping[ConnectionStatus, str]] = {
    ConnectionStatus.CONNECTED: "good",
    ConnectionStatus.UNAVAILABLE: "warn",
    ConnectionStatus.REAUTHORIZATION_REQUIRED: "bad",
}


class NextStep(StrEnum):
    """The one thing to do next about a connection."""

    FINISH = "finish"
    """Go on with the set-up: the client secret is missing."""
    AUTHORIZE = "authorize"
    CONNECT = "connect"
    CHECK = "check"
    RENEW = "renew"
    CREATE_TICKET = "create_ticket"


@value_object
class Problem:
    """What is wrong with a connection, in words.

    Attributes:
        causes: Where ServiceNow does not say why, what to look at in turn: keys of the words, and of the links there.
    """

    message: str
    next_step: str
    causes: Sequence[str] = ()


_CAUSES: Final[Mapping[str, Sequence[str]]] = {"client_credentials_refused": ("grant_property", "client", "user")}


def problem_of(error: ConnectorError | Failure, t: Language) -> Problem:
    """Return an error as a page shows it: a list of causes instead of a long paragraph."""
    words = words_of(error, t)
    return Problem(words.message, words.next_step, _CAUSES.get(error.code, ()))


def status_key(connection: Connection | Customer) -> str:
    """Return the key of the status in words; only a consent is authorized, client credentials are connected."""
    is_consent = connection.grant is Grant.AUTHORIZATION_CODE
    differs = connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED and not is_consent
    return f"status.{connection.status}.client_credentials" if differs else f"status.{connection.status}"


def status_words(connection: Connection | Customer, t: Language) -> str:
    """Return the status in words; the value itself if another release wrote it."""
    return t.get(status_key(connection)) or connection.status


def status_tone(connection: Connection | Customer) -> str:
    """Return the tone of the status; empty if it is neither good nor bad."""
    return _TONES.get(connection.status, "")


def next_step(connection: Connection | Customer, now: datetime) -> NextStep:
    """Return the one thing to do next about a connection that is not removed."""
    proves = NextStep.AUTHORIZE if connection.grant is Grant.AUTHORIZATION_CODE else NextStep.CONNECT
    match connection.status:
        case ConnectionStatus.NOT_CONFIGURED:
            return NextStep.FINISH
        case ConnectionStatus.AWAITING_AUTHORIZATION | ConnectionStatus.REAUTHORIZATION_REQUIRED:
            return proves
        case ConnectionStatus.UNAVAILABLE:
            return NextStep.CHECK
    if connection.last_error is not None:
        return NextStep.CHECK
    days = consent_days_left(connection, now)
    return NextStep.RENEW if days is not None and days <= CONSENT_WARNING_DAYS[1] else NextStep.CREATE_TICKET
