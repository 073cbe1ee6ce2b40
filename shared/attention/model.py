"""What an item of the list *Needs attention* is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from shared.errors import Failure
from shared.value_object import value_object


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "critical"
    """Tickets do not arrive or measurements are missing, now or within days, until somebody acts."""
    WARNING = "warning"
    """Work is late, or something may fail soon."""
    INFORMATION = "information"
    """Something is not finished."""


class Cause(StrEnum):
    """What needs attention. About one connection, one tenant or the whole service, each gives at most one item."""

    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    """ServiceNow no longer accepts the consent."""
    RECONNECTION_REQUIRED = "reconnection_required"
    """ServiceNow issues no tokens for the client credentials."""
    CONSENT_ENDS = "consent_ends"
    UNAVAILABLE = "unavailable"
    CONNECTION_ERROR = "connection_error"
    """The connection works, but not everything on it succeeds."""
    NOT_SYNCHRONISED = "not_synchronised"
    SECRETS_NOT_RENEWED = "secrets_not_renewed"
    """Their versions in Key Vault are about to expire, or have."""
    SETUP_UNFINISHED = "setup_unfinished"
    TICKETS_REFUSED = "tickets_refused"
    TICKETS_OVERDUE = "tickets_overdue"
    TICKETS_NOT_FIXED = "tickets_not_fixed"
    TICKETS_REGRESSED = "tickets_regressed"
    CHANGES_REFUSED = "changes_refused"
    """ServiceNow refused changes of records."""
    REMINDERS_NOT_TAKEN = "reminders_not_taken"
    """A receiver of reminders has taken none for a day."""
    LISTS_INCOMPLETE = "lists_incomplete"
    """A new release is still collecting the tickets of lists."""
    TENANT_NO_PERMISSION = "tenant_no_permission"
    TENANT_UNREADABLE = "tenant_unreadable"
    TENANT_NOT_READ = "tenant_not_read"
    TENANT_WITHOUT_CONNECTION = "tenant_without_connection"
    ROWS_UNREADABLE = "rows_unreadable"
    """This release cannot read some stored rows."""


class Audience(StrEnum):
    """Who may see an item, or do something about it."""

    EVERYBODY = "everybody"
    READERS = "readers"
    """Whoever may see tickets."""
    MANAGERS = "managers"
    """Whoever may manage connections and tenants."""


class Action(StrEnum):
    """What the item's button does."""

    AUTHORIZE = "authorize"
    CONNECT = "connect"
    RENEW_CONSENT = "renew_consent"
    OPEN_CONNECTION = "open_connection"
    CONTINUE_SETUP = "continue_setup"
    SHOW_TICKETS = "show_tickets"
    SHOW_TICKET = "show_ticket"
    OPEN_REMINDERS = "open_reminders"
    OPEN_TENANT = "open_tenant"
    SHOW_ROWS = "show_rows"


class SubjectKind(StrEnum):
    """What an item can be about."""

    CONNECTION = "connection"
    TENANT = "tenant"


@value_object
class Subject:
    """The connection or the tenant that an item is about."""

    kind: SubjectKind
    id: str
    name: str


@value_object
class AttentionItem:
    """Something that needs a person, and the one button that leads to where that person begins and ends.

    Attributes:
        values: Names and figures for its sentence.
        failure: What went wrong, where that says more than the cause.
        about: None if it concerns the whole service.
        since_at: Since when; None if nobody knows.
        address: Where the button leads, a path of this app.
        seen_by: Who may see it.
        done_by: Who may press the button.
    """

    severity: Severity
    cause: Cause
    action: Action
    address: str
    about: Subject | None = None
    since_at: datetime | None = None
    values: Mapping[str, str | int] = field(default_factory=dict)
    failure: Failure | None = None
    seen_by: Audience = Audience.EVERYBODY
    done_by: Audience = Audience.MANAGERS


@value_object
class TicketNeeds:
    """What a connection's tickets need from people.

    Attributes:
        failed: Tickets that ServiceNow refused.
        overdue: Open ones past their due dates.
        waiting: Closed ones that no measurement has proved yet; nobody has to do anything about them.
        not_fixed, regressed: Ones with these outcomes of which no newer ticket takes care.
        refused_changes: Changes of records that ServiceNow refused.
        since_at: Since when, by cause, as far as known.
        refused_change_of: Id of the ticket with the oldest refused change; None if unknown.
    """

    failed: int = 0
    overdue: int = 0
    waiting: int = 0
    not_fixed: int = 0
    regressed: int = 0
    refused_changes: int = 0
    since_at: Mapping[Cause, datetime] = field(default_factory=dict)
    refused_change_of: str | None = None
