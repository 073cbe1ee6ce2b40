"""What a ticket is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from shared.connections.model import Connection, Portal, TicketKind
from shared.errors import Failure
from shared.request_texts import EmailText, Line, LinkText
from shared.tickets.outcomes import Verification
from shared.value_object import value_object

CORRELATION_PREFIX: Final = "m365:"
USUAL_LANGUAGE: Final = "en"
"""Of records whose connection has chosen none, and of all that release 0.1 writes."""
CORRELATION_DISPLAY: Final = "Microsoft 365 recommendation"

NAME_MAX_LENGTH: Final = 160
"""Length of ServiceNow's ``short_description`` (ServiceNow §5.1), as :func:`shared.texts.utf16_length` counts."""
DESCRIPTION_MAX_LENGTH: Final = 4000
"""Length of ServiceNow's ``description``, our own block included (ServiceNow §5.1), counted in the same way.

ServiceNow is written in Java, and no other way of counting gives a higher number."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing of ours is due or happens before this; Table Storage holds no time before 1601."""

TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
"""ServiceNow's format of raw date-times, in UTC (ServiceNow §2.4)."""


def time_of(text: str | None) -> datetime | None:
    """Return a stored ServiceNow time, or None if it is not a time: earlier releases stored whatever a record said."""
    try:
        moment = datetime.strptime(text or "", TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment >= EARLIEST else None


class Priority(StrEnum):
    """How urgent a ticket is, in ServiceNow's five steps."""

    CRITICAL = "critical"
    HIGH = "high"
    MODERATE = "moderate"
    LOW = "low"
    PLANNING = "planning"


class RecommendedBy(StrEnum):
    """Who made the recommendation."""

    USER = "user"
    MICROSOFT = "microsoft"


class RecommendationCategory(StrEnum):
    """What a recommendation is about."""

    DEVICES = "devices"
    DATA = "data"
    APPS = "apps"
    IDENTITY = "identity"
    INFRASTRUCTURE = "infrastructure"


class Phase(StrEnum):
    """What a ticket's state in ServiceNow means, whatever the instance calls it."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    ON_HOLD = "on_hold"
    RESOLVED = "resolved"
    CLOSED = "closed"
    CANCELED = "canceled"
    DELETED = "deleted"
    """The record is no longer visible to us. A deleted record and one in another domain look alike (ServiceNow §17)."""
    UNMAPPED = "unmapped"
    """A state that we do not know. It is shown as it is, never skipped."""


OPEN_PHASES: Final = frozenset({Phase.NEW, Phase.IN_PROGRESS, Phase.ON_HOLD, Phase.UNMAPPED})
"""Phases in which somebody still has to work."""


class Delivery(StrEnum):
    """Whether the ticket has reached ServiceNow."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@value_object
class Recommendation:
    """The recommendation a ticket is made from."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    source: Annotated[RecommendedBy, Field(description="Who recommends: a user or Microsoft.")]
    category: Annotated[RecommendationCategory, Field(description="What the recommendation is about.")]
    id: Annotated[
        Annotated[Line, Field(min_length=1, max_length=200)] | None,
        Field(description="The recommendation's own identifier in its portal."),
    ] = None
    link: Annotated[LinkText | None, Field(description="Where a person can read the recommendation.")] = None


@value_object
class Requester:
    """The user who initiated the ticket."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: Annotated[
        Annotated[Line, Field(min_length=1, max_length=100)], Field(description="The user's object id in Entra ID.")
    ]
    name: Annotated[Line, Field(min_length=1, max_length=100)]
    email: EmailText | None = None


MOST_REFERENCES: Final = 25
"""How many stored recommendations one ticket can be for."""


@value_object
class RecommendationReference:
    """All that a ticket knows of a stored recommendation that it is for.

    Attributes:
        tenant_id: The Microsoft 365 tenant's GUID, lower case.
        source: Where the recommendation comes from.
        source_id: The source's own id, exactly as it is.
    """

    tenant_id: str
    source: str
    source_id: str

    @property
    def key(self) -> str:
        """The recommendation's key within the tenant, for rows and addresses."""
        return reference_key(self.source, self.source_id)


def reference_key(source: str, source_id: str) -> str:
    """Return the key of a recommendation within its tenant: 32 hexadecimal digits that only source and id decide."""
    return hashlib.sha256(f"{source}\n{source_id}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


@value_object
class TicketContent:
    """What somebody asked for: the seven values of a ticket and where they come from.

    Attributes:
        references: The stored recommendations that it is for; a person can change them later.
        company: ``sys_id`` of the ServiceNow company that it belongs to, or None.
        assignment_group, assigned_to, configuration_item: ``sys_id`` of the group, the user and the configuration item
            that somebody chose for this ticket, or None.
        shares_requester: Whether ServiceNow may learn the requester's e-mail address and object id.
        language: Code of the language of the connection when the ticket was made: its record is written in it, whatever
            the connection's language is later.
    """

    kind: TicketKind
    portal: Portal
    name: str
    description: str
    priority: Priority
    due_at: datetime | None
    recommendation: Recommendation
    requester: Requester
    references: tuple[RecommendationReference, ...] = ()
    company: str | None = None
    assignment_group: str | None = None
    assigned_to: str | None = None
    configuration_item: str | None = None
    shares_requester: bool = True
    language: str = USUAL_LANGUAGE


@value_object
class Record:
    """What ServiceNow says about the ticket's record.

    Attributes:
        sys_id: The record's id; equals the ticket id when the instance honoured ours.
        table: ``sys_class_name``.
        state: Raw state value.
        state_label: ServiceNow's own label, or None when it gave none.
        updated_at_text: ``sys_updated_on`` as ServiceNow writes it (UTC), ``YYYY-MM-DD HH:MM:SS``; empty when
            ServiceNow's value is not a time.
        mod_count: ``sys_mod_count``; see :func:`shared.tickets.record_effects.is_outdated`.
        due_at: The record's ``due_date``.
        phase: What the state means. Not stored: the ticket keeps the phase that counts.
        phase_by_table: What the state would mean in each table, if the instance hides which one the record is in;
            None if it shows it. Not stored.
        texts: ServiceNow's texts by field, for comparison with what was sent; None if we did not ask for them or
            ServiceNow does not show them. Never stored.
    """

    sys_id: str
    table: str
    number: str
    state: str
    active: bool
    updated_at_text: str
    mod_count: int
    state_label: str | None = None
    priority: str | None = None
    assigned_to: str | None = None
    assignment_group: str | None = None
    due_at: datetime | None = None
    correlation_id: str | None = None
    phase: Phase = field(default=Phase.UNMAPPED, compare=False)
    phase_by_table: Mapping[str, Phase] | None = field(default=None, compare=False, repr=False)
    texts: Mapping[str, str] | None = field(default=None, compare=False, repr=False)

    def in_table(self, table: str) -> Record:
        """Return the record, placed in this table if the instance hides which one it is in."""
        if self.phase_by_table is None:
            return self
        return replace(self, table=table, phase=self.phase_by_table.get(table, self.phase), phase_by_table=None)


class EventKind(StrEnum):
    """What happened to a ticket."""

    CREATED = "created"
    DELIVERED = "delivered"
    DELIVERY_POSTPONED = "delivery_postponed"
    DELIVERY_FAILED = "delivery_failed"
    RETRIED = "retried"
    STATE_CHANGED = "state_changed"
    DUE_DATE_CHANGED = "due_date_changed"
    MOVED = "moved"
    DELETED = "deleted"
    FOUND_AGAIN = "found_again"
    DOUBLED = "doubled"
    UNLINKED = "unlinked"
    """The record no longer carries our correlation id, or never did."""
    ARCHIVED = "archived"
    """A closed ticket's record can no longer be found."""
    RECOMMENDATION_LINKED = "recommendation_linked"
    """A person said that it is for a stored recommendation, too."""
    RECOMMENDATION_UNLINKED = "recommendation_unlinked"
    ADOPTED = "adopted"
    """The record is gone, and a copy with the same correlation id has taken its place."""
    OUTCOME = "outcome"
    """A measurement, or what is known of the closing, changed what became of a recommendation."""
    UPDATE_ASKED = "update_asked"
    """Somebody, or a policy, asked for a change of the record."""
    UPDATE_SENT = "update_sent"
    UPDATE_REFUSED = "update_refused"
    UPDATE_UNCERTAIN = "update_uncertain"
    """It may or may not have been written, and nothing can show which; it is not sent again."""
    UPDATE_DISCARDED = "update_discarded"
    FOLLOWED_UP = "followed_up"
    """A policy made a new ticket for the same recommendations."""
    SHORTENED = "shortened"
    """ServiceNow did not keep the whole texts; the details give the number of characters lost, by field."""


@value_object
class TimelineEvent:
    """One thing that happened to a ticket.

    Attributes:
        details: Short texts by name (such as ``from``, ``to``, ``number``). For a failure: its code and its values,
            and as ``message`` the English words that another release stored with them. Never a secret.
    """

    kind: EventKind
    at: datetime
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def failure(self) -> Failure | None:
        """The failure that this event reports, or None."""
        values = dict(self.details)
        code, message = values.pop("code", None), values.pop("message", "")
        return None if code is None else Failure(code, values, message)


@value_object
class DeliveryProgress:
    """How far the delivery has come.

    Attributes:
        attempts: How many times the record was sent or was about to be sent.
        attempt_started_at: When the last attempt with an unknown outcome began; None when it is known that nothing
            was written. Such an attempt is never repeated without a look-up first.
        next_attempt_at: The earliest time for the next attempt.
        leased_until_at: Until then only one deliverer works on it.
        refused_since_at: When ServiceNow began to refuse the integration user; None when the last attempt had another
            outcome.
        failure: Why the last attempt did not succeed.
        error_status: HTTP status that a caller gets for a refusal.
    """

    status: Delivery = Delivery.PENDING
    attempts: int = 0
    attempt_started_at: datetime | None = None
    next_attempt_at: datetime | None = None
    leased_until_at: datetime | None = None
    refused_since_at: datetime | None = None
    delivered_at: datetime | None = None
    failure: Failure | None = None
    error_status: int | None = None

    @property
    def error_code(self) -> str | None:
        """The code of the failure, or None."""
        return None if self.failure is None else self.failure.code


@value_object
class Ticket:
    """A ticket: what was asked for, the state of its delivery, and what ServiceNow says about it.

    Attributes:
        ticket_id: 32 hexadecimal digits, newest first in text order; proposed to ServiceNow as ``sys_id``.
        instance: Base URL of the instance it belongs to; it is dormant while the connection points elsewhere.
        phase: None until it is delivered.
        due_at: The current due date: ServiceNow's once it is delivered, the requested one before.
        is_unlinked: Its record does not carry our correlation id exactly as we write it.
        verification: What became of the stored recommendations that it is for; None if it is for none.
        counted: Under which weeks and durations the stored ticket is counted
            (:func:`shared.tickets.counted.counted_under`); only the store sets it.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
        is_whole: False when the parts that no longer change in a delivered ticket were not read: ``content`` except
            its kind and references, ``created_at`` (which is then the id's time), ``delivery`` except its status, and
            ``kept``.
        revision: How many times this release has changed what lists show of it; only the store sets it.
        etag: Version of the stored row.
    """

    ticket_id: str
    connection_id: str
    instance: str
    content: TicketContent
    created_at: datetime
    delivery: DeliveryProgress
    record: Record | None = None
    phase: Phase | None = None
    timeline: tuple[TimelineEvent, ...] = ()
    is_unlinked: bool = False
    verification: Verification | None = None
    counted: tuple[str, ...] = field(default=(), compare=False, repr=False)
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    is_whole: bool = field(default=True, compare=False)
    revision: int = field(default=0, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)

    @property
    def correlation_id(self) -> str:
        """The value of ServiceNow's ``correlation_id``."""
        return f"{CORRELATION_PREFIX}{self.ticket_id}"

    @property
    def due_at(self) -> datetime | None:
        """The current due date."""
        return self.record.due_at if self.record is not None else self.content.due_at

    @property
    def is_sendable(self) -> bool:
        """Whether this release can send it: another release may have made a ticket of a kind unknown to this one."""
        return self.content.kind in set(TicketKind) and self.content.priority in set(Priority)

    @property
    def is_open(self) -> bool:
        """Whether it is in ServiceNow and somebody still has to work on it."""
        return self.phase in OPEN_PHASES

    @property
    def is_followed_by_sys_id(self) -> bool:
        """Whether the synchronisation has to ask for its record by ``sys_id``; closed tickets are checked at night."""
        return self.is_unlinked and self.is_open

    def made_whole(self, stored: Ticket) -> Ticket:
        """Return this ticket with the parts that no longer change taken from the stored one."""
        return replace(
            self,
            content=replace(stored.content, references=self.content.references),
            created_at=stored.created_at,
            delivery=stored.delivery,
            kept=stored.kept,
            is_whole=stored.is_whole,
        )

    def is_of(self, connection: Connection) -> bool:
        """Whether it belongs to the connection's present instance; otherwise nothing happens to it."""
        return connection.is_at(self.instance)

    def is_overdue(self, now: datetime) -> bool:
        """Whether it is still open after its due date."""
        return self.is_open and self.due_at is not None and self.due_at < now
