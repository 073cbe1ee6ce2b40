"""What reminders are: their settings, what was said already, and messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.value_object import value_object

MESSAGE_LIFE_S: Final = 86_400.0
"""How long a message is tried; then it is given up."""


class Receiver(StrEnum):
    """Where messages go."""

    TEAMS = "teams"
    """A channel or chat of Microsoft Teams, through a workflow that waits for requests."""
    WEBHOOK = "webhook"
    """Any program, by a signed JSON document."""


class Cause(StrEnum):
    """What an urgent message can be about."""

    CONSENT_ENDS = "consent_ends"
    REGRESSION = "regression"
    REFUSED = "refused"
    OVERDUE = "overdue"


class MessageKind(StrEnum):
    """The kinds of message."""

    DIGEST = "digest"
    URGENT = "urgent"
    TEST = "test"


class MessageState(StrEnum):
    """How far the delivery of a message has come."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class ResultCode(StrEnum):
    """What became of one attempt to deliver a message."""

    ACCEPTED = "accepted"
    """The receiver accepted it; with Teams, that is no proof that the card was shown (Webhooks §T4)."""
    ADDRESS_MISSING = "address_missing"
    """The address, or the signing secret, is not in Key Vault any more."""
    ADDRESS_NOT_PUBLIC = "address_not_public"
    """The host's name leads into a private network, and no setting allows that."""
    HOST_UNKNOWN = "host_unknown"
    CERTIFICATE_REFUSED = "certificate_refused"
    NO_CONNECTION = "no_connection"
    NO_ANSWER = "no_answer"
    """The request left, and no complete answer came: the message may have arrived."""
    REDIRECTED = "redirected"
    CONTENT_REFUSED = "content_refused"
    SIGNATURE_REFUSED = "signature_refused"
    GONE = "gone"
    TOO_LARGE = "too_large"
    THROTTLED = "throttled"
    FAILED = "failed"
    """Any other answer."""


class Why(StrEnum):
    """Why a ticket is in a message."""

    REFUSED = "refused"
    REGRESSED = "regressed"
    NOT_FIXED = "not_fixed"
    OVERDUE = "overdue"
    DUE = "due"


@value_object
class ReminderSettings:
    """What an administrator chose for a connection.

    Attributes:
        receivers: Those whose address is in Key Vault.
        has_digest: Whether there is a weekly digest.
        digest_weekday: ISO weekday: 1 is Monday, 7 is Sunday.
        digest_at: Local time of the digest, ``HH:MM``, in the connection's time zone.
        digest_since_at: Since when the digest has this weekday and time: an earlier one is not sent later.
        causes: What urgent messages are about; none if there are no urgent messages.
        quiet_from, quiet_to: Local times, ``HH:MM``, between which nothing is sent; None if there are no quiet hours.
        secrets_renew_at: When the secrets are written to Key Vault again, before their versions expire there.
        tested_at: When test messages were last sent; None if an address was changed since, or none were.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
        etag: Version of the stored row, None before it is stored.
    """

    receivers: tuple[Receiver, ...] = ()
    has_digest: bool = True
    digest_weekday: int = 1
    digest_at: str = "08:00"
    digest_since_at: datetime | None = None
    causes: tuple[Cause, ...] = tuple(Cause)
    quiet_from: str | None = None
    quiet_to: str | None = None
    secrets_renew_at: datetime | None = None
    tested_at: datetime | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)


@value_object
class Reported:
    """What the last urgent message said about a cause that is not over.

    Attributes:
        level: How bad it was: the number of tickets, or the stage of the consent (:func:`rules.levels`).
        at: When the message was made.
    """

    cause: Cause
    level: int
    at: datetime


@value_object
class Figures:
    """The numbers of a digest.

    Attributes:
        created: All tickets that were ever made.
        finished: Tickets on which nobody has to work any more.
        waiting: Closed tickets that wait for a proof.
        points, points_before: Secure Score of the connection's tenants, now and a week ago; None if unknown.
    """

    open: int = 0
    overdue: int = 0
    refused: int = 0
    waiting: int = 0
    not_fixed: int = 0
    regressed: int = 0
    created: int = 0
    finished: int = 0
    points: Decimal | None = None
    points_before: Decimal | None = None


@value_object
class ReminderState:
    """What was said already; only the holder of the connection's turn writes it.

    Attributes:
        digest_day: ISO date, in the connection's time zone, for which the newest digest was made.
        figures: Those of the newest digest.
        reported: One entry for each cause that is not over.
        urgent_at: When urgent messages were made within the last day, oldest first.
        kept, etag: As in :class:`ReminderSettings`.
    """

    digest_day: str | None = None
    figures: Figures | None = None
    reported: tuple[Reported, ...] = ()
    urgent_at: tuple[datetime, ...] = ()
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)


@value_object
class TicketLine:
    """A ticket in a message.

    Attributes:
        number: Its number in ServiceNow; None before it has one.
        days_late: Whole days since it was due; None unless it is overdue.
    """

    ticket_id: str
    name: str
    why: Why
    number: str | None = None
    due_at: datetime | None = None
    days_late: int | None = None


@value_object
class CauseLine:
    """A cause in an urgent message.

    Attributes:
        count: How many tickets it concerns; 0 for the consent.
        until_at: When the consent ends; None if it has ended, and for tickets.
    """

    cause: Cause
    count: int = 0
    until_at: datetime | None = None


@value_object
class Content:
    """What a message says. It is stored, so that a repeated message says the same.

    Attributes:
        connection_name: What people call the connection.
        language: Code of the language that the words are in.
        time_zone: IANA name of the zone that times are shown in.
        created_at: When the message was made.
        causes: What an urgent message is about.
        figures: The numbers of a digest.
        former: Those of the digest before it; None for the first one.
        tickets: The most urgent tickets, the most urgent one first.
    """

    kind: MessageKind
    connection_id: str
    connection_name: str
    language: str
    time_zone: str
    created_at: datetime
    causes: tuple[CauseLine, ...] = ()
    figures: Figures | None = None
    former: Figures | None = None
    tickets: tuple[TicketLine, ...] = ()


@value_object
class Result:
    """What became of an attempt.

    Attributes:
        status: HTTP status of the answer; None if there was none.
        retry_after_s: Seconds that the receiver asked us to wait; None if it asked for nothing.
    """

    code: ResultCode
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has the message."""
        return self.code is ResultCode.ACCEPTED


@value_object
class Message:
    """A message for one receiver, from before it is first sent until some time after its end.

    Attributes:
        message_id: The same for every receiver and for every attempt.
        attempts: How often it was, or may have been, sent.
        next_attempt_at: When it may be sent again; None once it is delivered or given up.
        code, status: Result of the last attempt; None before there is one.
        tried_at: When the last attempt began.
        kept, etag: As in :class:`ReminderSettings`.
    """

    message_id: str
    receiver: Receiver
    content: Content
    state: MessageState = MessageState.WAITING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    code: ResultCode | None = None
    status: int | None = None
    tried_at: datetime | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)


@value_object
class Reminders:
    """Everything that is stored about the reminders of a connection.

    Attributes:
        messages: Waiting and finished ones, oldest first.
    """

    settings: ReminderSettings = field(default_factory=ReminderSettings)
    state: ReminderState = field(default_factory=ReminderState)
    messages: tuple[Message, ...] = ()

    @property
    def waiting(self) -> tuple[Message, ...]:
        """The messages that are not finished, oldest first."""
        return tuple(each for each in self.messages if each.state is MessageState.WAITING)


@value_object
class SaidLine:
    """A line of a message in words.

    Attributes:
        text: The words, with no markup.
        address: Where it leads; None for a line without a link.
    """

    text: str
    address: str | None = None


@value_object
class Said:
    """A message in words.

    Attributes:
        paragraphs: What it is about.
        facts: Names and values.
        tickets_title: What :attr:`tickets` are; empty without any.
        tickets: The tickets.
        links: Where to go on.
    """

    language: str
    title: str
    paragraphs: tuple[SaidLine, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tickets_title: str = ""
    tickets: tuple[SaidLine, ...] = ()
    links: tuple[SaidLine, ...] = ()
