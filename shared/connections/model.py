"""What a connection is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Protocol

from pydantic import ConfigDict, Field

from shared.connections.fixed_fields import MOST_FIXED_FIELDS, FixedField
from shared.errors import Failure
from shared.request_texts import Name, SysId
from shared.texts import ascii_lower
from shared.value_object import value_object

MAX_STATE_NAMES: Final = 50
MAX_NOT_DONE_CODES: Final = 20
DEFAULT_CONSENT_LIFETIME_S: Final = 8_640_000
"""ServiceNow's default refresh token lifespan, 100 days, counted from the consent (ServiceNow §1.5)."""
CONSENT_WARNING_DAYS: Final = (30, 14, 3)
"""With this many days left, a consent is mentioned, more urgently each time."""


class TicketKind(StrEnum):
    """The kinds of ticket that a recommendation can become."""

    INCIDENT = "incident"
    CHANGE = "change"


class Portal(StrEnum):
    """The portal a recommendation comes from."""

    SECURITY = "security"
    COMPLIANCE = "compliance"


class Grant(StrEnum):
    """How the connector gets access tokens (ServiceNow §1.4)."""

    AUTHORIZATION_CODE = "authorization_code"
    """Somebody consents in a browser as the integration user; the consent ends."""
    CLIENT_CREDENTIALS = "client_credentials"
    """ServiceNow gives tokens for the user that its administrator entered in the OAuth client; nothing ends."""


class ConnectionStatus(StrEnum):
    """The status of a connection."""

    NOT_CONFIGURED = "not_configured"
    """No client secret yet."""
    AWAITING_AUTHORIZATION = "awaiting_authorization"
    """Configured; nobody has consented yet."""
    CONNECTED = "connected"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    """ServiceNow no longer accepts the consent."""
    UNAVAILABLE = "unavailable"
    """There is a consent, but ServiceNow does not answer."""
    DISCONNECTED = "disconnected"
    """Removed; its tickets are kept as dormant."""


class OutcomePolicy(StrEnum):
    """What happens when a closed ticket turns out not to be fixed, or a verified fix has regressed."""

    NOTE_ONLY = "note_only"
    """The outcome is noted, and nobody is asked to work."""
    REOPEN = "reopen"
    """A resolved incident goes back to work. Whatever ServiceNow does not reopen gets a new ticket instead."""
    NEW_TICKET = "new_ticket"
    """A new ticket, which names the old one."""


class OutcomeNotes(StrEnum):
    """Where ServiceNow's record says what became of its recommendations."""

    WORK_NOTE = "work_note"
    """Only the people who work on the record see it."""
    COMMENT = "comment"
    """The record's caller sees it, too."""
    NONE = "none"


@value_object
class KindSettings:
    """How tickets of one kind are created."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    enabled: Annotated[bool, Field(strict=True, description="Whether tickets of this kind can be created.")] = True
    assignment_group: Annotated[SysId | None, Field(description="sys_id of the group that new tickets get.")] = None
    category: Annotated[
        Annotated[Name, Field(max_length=40)] | None, Field(description="ServiceNow's category value for new tickets.")
    ] = None
    state_names: Annotated[
        Mapping[Annotated[str, Field(pattern=r"^[^\s]{1,40}$")], Annotated[Name, Field(max_length=60)]],
        Field(max_length=MAX_STATE_NAMES, description="Names shown to people, by ServiceNow's state value."),
    ] = field(default_factory=dict)
    default_caller: Annotated[
        SysId | None,
        Field(description="sys_id of the user in whose name a ticket is made if its requester is not found."),
    ] = None
    not_fixed: Annotated[
        OutcomePolicy,
        Field(
            description="What happens when a ticket was closed and later measurements show no fix. A change is never "
            "reopened: for it, reopen means new_ticket."
        ),
    ] = OutcomePolicy.NOTE_ONLY
    regressed: Annotated[
        OutcomePolicy, Field(description="What happens when a verified fix has regressed; choices as for not_fixed.")
    ] = OutcomePolicy.NOTE_ONLY
    not_done_codes: Annotated[
        tuple[Annotated[Name, Field(max_length=60)], ...] | None,
        Field(
            max_length=MAX_NOT_DONE_CODES,
            description="Close codes that claim no fix: such a ticket is not done. Null means the kind's usual ones.",
        ),
    ] = None
    fixed_fields: Annotated[
        tuple[FixedField, ...],
        Field(max_length=MOST_FIXED_FIELDS, description="Further fields that new tickets get, and their values."),
    ] = ()


class Operation(StrEnum):
    """A use of a connection that a success at something else says nothing about."""

    DELIVERY = "delivery"
    COMPARISON = "comparison"
    """The reconciliation: it compares both sides once a night."""


@value_object
class LastError:
    """The last thing that went wrong on a connection.

    Attributes:
        operation: Only a success at this operation clears the error; None if any success does.
    """

    failure: Failure
    at: datetime
    operation: Operation | None = None

    @property
    def code(self) -> str:
        """The code of what went wrong."""
        return self.failure.code


@value_object
class Connection:
    """One ServiceNow instance, as an administrator configured it, and its status.

    Attributes:
        connection_id: Chosen by the administrator, ``[a-z0-9-]{1,40}``.
        instance: Base URL of the instance without a trailing slash, such as ``https://contoso.service-now.com``.
        former_instances: Former addresses of this connection's instances, each with the instance's present address.
        record_names: What people called the records that the settings name when they saved them, by ``sys_id``. A
            record that was named by its ``sys_id`` is not among them.
        renamed_from: The former address that an administrator claims for the instance; None if nobody claims one or it
            has been proved (see :mod:`shared.connections.renaming`).
        integration_user: The only ServiceNow ``user_name`` whose consent, or whose token, is accepted.
        grant: How the connector gets access tokens.
        second_factor_holder: Who has the integration user's second factor, for people; None if nobody is named.
        language: Code of the language in which the connector writes to people of the instance.
        shares_requester: Whether a ticket gives ServiceNow its requester's e-mail address and object id.
        customer_group: The group of customers that it belongs to; None for none.
        is_excluded: Whether totals and lists of customers leave it out unless somebody asks for it.
        integration_user_sys_id: ``sys_id`` of that user, known after the consent.
        time_zone: IANA name; a due date without a time ends at the end of that day in this zone.
        consented_at: When the present consent was given; None before the first one. With client credentials, when the
            connection was last connected. It stays when consent and tokens are given up.
        consent_ends_at: When the refresh token expires unless somebody consents again; None with client credentials.
        access_token_issued_at: When the access token was requested; None if a release that did not store it wrote the
            row.
        access_token_expires_at: When the access token expires.
        access_token_refresh_at: When the timer refreshes the access token: after two thirds of its life.
        access_token_version: Key Vault version of the access token, so that any instance of the app knows whether
            the token it remembers is still the newest.
        refresh_token_outdated_until_at: Until then, an instance of the app holds a newer refresh token than Key Vault,
            and the others do not use the old one; None if Key Vault has the newest.
        refresh_again_at: When the connector automatically asks for a token again although ServiceNow refused the
            consent; None while it is not refused.
        secrets_renew_at: When client secret and refresh token are written to Key Vault again, before their versions
            expire there; None if nobody knows how old they are.
        last_success_at: When ServiceNow last gave a real answer.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
        etag: Version of the stored row, None before it is stored.
    """

    connection_id: str
    display_name: str
    instance: str
    client_id: str
    integration_user: str
    portals: tuple[Portal, ...] = (Portal.SECURITY, Portal.COMPLIANCE)
    kinds: Mapping[TicketKind, KindSettings] = field(
        default_factory=lambda: {kind: KindSettings() for kind in TicketKind}
    )
    outcome_notes: OutcomeNotes = OutcomeNotes.WORK_NOTE
    grant: Grant = Grant.AUTHORIZATION_CODE
    second_factor_holder: str | None = None
    shares_requester: bool = True
    customer_group: str | None = None
    is_excluded: bool = False
    language: str = "en"
    time_zone: str = "UTC"
    consent_lifetime_s: int = DEFAULT_CONSENT_LIFETIME_S
    status: ConnectionStatus = ConnectionStatus.NOT_CONFIGURED
    status_since_at: datetime | None = None
    integration_user_sys_id: str | None = None
    consented_at: datetime | None = None
    consent_ends_at: datetime | None = None
    access_token_issued_at: datetime | None = None
    access_token_expires_at: datetime | None = None
    access_token_refresh_at: datetime | None = None
    access_token_version: str | None = None
    refresh_token_outdated_until_at: datetime | None = None
    refresh_again_at: datetime | None = None
    secrets_renew_at: datetime | None = None
    last_success_at: datetime | None = None
    last_error: LastError | None = None
    former_instances: Mapping[str, str] = field(default_factory=dict)
    record_names: Mapping[str, str] = field(default_factory=dict)
    renamed_from: str | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)

    @property
    def ever_consented(self) -> bool:
        """Whether somebody has consented since the connection was configured or last removed."""
        return self.consented_at is not None

    @property
    def is_granted(self) -> bool:
        """Whether the connector has proved whose tokens it gets, and has not given them up since."""
        return self.integration_user_sys_id is not None

    @property
    def is_removed(self) -> bool:
        """Whether an administrator has removed it; its tickets are dormant."""
        return self.status is ConnectionStatus.DISCONNECTED

    def is_at(self, address: str) -> bool:
        """Whether the connection's instance has this address, or had it before it was renamed."""
        return self.former_instances.get(address, address) == self.instance

    def with_status(self, status: ConnectionStatus, now: datetime) -> Connection:
        """Return the connection with this status; ``status_since_at`` changes only with the status."""
        if status is self.status:
            return self
        return replace(self, status=status, status_since_at=now)


def is_same_user(one: str, other: str) -> bool:
    """Whether two ServiceNow user names mean the same user; ServiceNow ignores case.

    Non-ASCII letters must be identical: whose consent counts is too important to guess how an instance folds them.
    """
    return ascii_lower(one) == ascii_lower(other)


def without_tokens(connection: Connection) -> Connection:
    """Return the connection without any trace of its tokens."""
    return replace(
        connection,
        access_token_version=None,
        access_token_issued_at=None,
        access_token_expires_at=None,
        access_token_refresh_at=None,
        refresh_again_at=None,
        refresh_token_outdated_until_at=None,
        consent_ends_at=None,
        integration_user_sys_id=None,
    )


def consent_end(connection: Connection, consented_at: datetime) -> datetime:
    """Return when a consent given at that time ends."""
    return consented_at + timedelta(seconds=connection.consent_lifetime_s)


class Consented(Protocol):
    """What has a consent: a connection, or what the directory says of it."""

    @property
    def consent_ends_at(self) -> datetime | None:
        """When it ends; None if there is none that ends."""
        ...


def consent_days_left(connection: Consented, now: datetime) -> int | None:
    """Return how many whole days are left of the consent, 0 if it has ended, None if there is none."""
    if connection.consent_ends_at is None:
        return None
    return max(0, (connection.consent_ends_at - now).days)
