"""What a tenant is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.clock import believed
from shared.errors import Failure
from shared.value_object import value_object

HOLD: Final = timedelta(minutes=3)
"""How long somebody holds a tenant at most. A reading is shorter, even between hosts whose clocks differ, so nobody
renews it; after a host has died, the next reading waits this long."""
LATEST_DUE: Final = timedelta(hours=6)
"""No reading is planned further ahead than this."""
NOT_READ_AFTER: Final = timedelta(days=2)
"""A tenant that is to be read and has not been for this long needs attention."""

CONSENT_LINK_LASTS: Final = timedelta(days=30)
CONSENT_PENDING_FOR: Final = timedelta(minutes=5)
"""After a consent, Microsoft can issue tokens without the role for some minutes (Microsoft Graph §2.4)."""


class TenantStatus(StrEnum):
    """What the last reading of a tenant showed."""

    NO_PERMISSION = "no_permission"
    """The access token lacks the role that reading needs, or there is no token for this tenant."""
    READABLE = "readable"
    PARTLY_READABLE = "partly_readable"
    """Microsoft left something out (206), so nothing can be concluded from what is missing."""
    UNREADABLE = "unreadable"
    """Microsoft does not answer, or what it answers makes no sense."""


@value_object
class TenantError:
    """Why the last reading did not succeed."""

    failure: Failure
    at: datetime


@value_object
class TenantScore:
    """A tenant's Secure Score at its last reading.

    Attributes:
        former_percent: What part of the maximum it had 30 days before; None if nobody knows.
        points_to_gain: Points that open improvement actions promise.
    """

    points: Decimal
    max_points: Decimal
    points_to_gain: Decimal
    former_percent: Decimal | None = None


@value_object
class AdminConsent:
    """A link for a customer's administrator, and what became of it.

    Attributes:
        nonce: Part of the link that nobody can guess; empty once it has been used. It is no secret that opens anything:
            whoever knows it can only make the tenant be read.
        made_at: When the link was made.
        answered_at: When their browser last came back, or one of our administrators said that they have consented.
        is_refused: Whether their last answer was a refusal.
    """

    nonce: str
    made_at: datetime
    answered_at: datetime | None = None
    is_refused: bool = False

    @property
    def ends_at(self) -> datetime:
        """When the link ends."""
        return self.made_at + CONSENT_LINK_LASTS

    def is_open(self, now: datetime) -> bool:
        """Whether the link can still be used."""
        return self.nonce != "" and now < self.ends_at


@value_object
class Tenant:
    """A Microsoft 365 tenant whose recommendations become tickets.

    Attributes:
        tenant_id: The directory's GUID, lower case.
        connection_id: The connection that its tickets go to; None until somebody has chosen one.
        company: ``sys_id`` of the ServiceNow company that its tickets belong to, or None.
        added_at: When somebody added it; None if unknown.
        status: What the last reading showed; None before the first one.
        roles: App roles in the last access token for Microsoft Graph, sorted; None if there was no token yet.
        roles_seen_at: When that token was looked at.
        snapshot_id: Microsoft's id of the newest snapshot that was read; None before the first one.
        snapshot_at: The day of that snapshot.
        score: Its Secure Score then; None before the first one.
        read_at: When the last successful reading ended, complete or not.
        history_read_at: When the past 90 days were read; None if the next reading has to ask for them.
        error: Why the last reading did not succeed; None if it did.
        due_at: When the next reading is due; None if it is not read from Microsoft.
        requested_at: When somebody asked for a reading at once; None if nobody is waiting.
        consent: The consent of its administrator, as far as we have asked for one.
        holder: Who is reading it; None if nobody is.
        held_until_at: When that ends unless it is renewed.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
        etag: Version of the stored row, None before it is stored.
    """

    tenant_id: str
    name: str
    connection_id: str | None = None
    company: str | None = None
    added_at: datetime | None = None
    status: TenantStatus | None = None
    roles: tuple[str, ...] | None = None
    roles_seen_at: datetime | None = None
    snapshot_id: str | None = None
    snapshot_at: datetime | None = None
    score: TenantScore | None = None
    read_at: datetime | None = None
    history_read_at: datetime | None = None
    error: TenantError | None = None
    due_at: datetime | None = None
    requested_at: datetime | None = None
    consent: AdminConsent | None = None
    holder: str | None = None
    held_until_at: datetime | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)

    def sends_to(self, connection_id: str) -> bool:
        """Whether its tickets can go to a connection: it is the tenant's, or the tenant has none."""
        return self.connection_id in {None, connection_id}

    @property
    def lacks_permission(self) -> bool:
        """Whether the access token for the tenant was without the role that reading needs."""
        return self.error is not None and self.error.failure.code == "graph_permission_missing"

    @property
    def lacks_consent(self) -> bool:
        """Whether the tenant has not let the connector in."""
        return self.error is not None and self.error.failure.code == "admin_consent_missing"

    def is_consent_pending(self, now: datetime) -> bool:
        """Whether its administrator consented so recently that tokens may not show it yet."""
        if self.consent is None or self.consent.is_refused:
            return False
        answered_at = believed(self.consent.answered_at, now)
        return answered_at is not None and now - answered_at < CONSENT_PENDING_FOR

    def is_held(self, now: datetime) -> bool:
        """Whether somebody is reading it. A hold that lasts too long, because of a wrong clock, counts as over."""
        until_at = believed(self.held_until_at, now, ahead=HOLD)
        return self.holder is not None and until_at is not None and until_at > now

    def is_due(self, now: datetime) -> bool:
        """Whether a reading is due. A time further ahead than we ever store counts as past."""
        if self.due_at is None:
            return False
        due_at = believed(self.due_at, now, ahead=LATEST_DUE)
        return due_at is None or due_at <= now

    def next_reading_at(self, now: datetime) -> datetime | None:
        """Return when it is next read, now at the earliest; None if only files are."""
        if self.due_at is None:
            return None
        return now if self.is_due(now) else self.due_at

    def unread_since_at(self, now: datetime) -> datetime | None:
        """Return since when it has not been read: the last reading, or when it was added; None if nobody knows."""
        return believed(self.read_at or self.added_at, now)
