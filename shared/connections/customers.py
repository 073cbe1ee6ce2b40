"""What the directory says of each customer, so that a page about a thousand of them is one read.

The end of a turn writes it, and so does a change by a person. It is derived from the connection and its tickets, so
the next turn writes again whatever is missing.
"""

from __future__ import annotations

from datetime import datetime

from shared.connections.model import (
    DEFAULT_CONSENT_LIFETIME_S,
    Connection,
    ConnectionStatus,
    Grant,
    LastError,
)
from shared.value_object import value_object


@value_object
class Customer:
    """A connection as configured, and its status: what pages about all of them need to know.

    Attributes:
        name: What people call it.
        group: The group that it belongs to; None for none.
        is_excluded: Whether totals and lists leave it out unless somebody asks for it.
        consent_ends_at: When somebody has to authorize it again; None if no consent ends.
        instance: Base URL of its instance; empty if a release that did not store it wrote the row.
        status_since_at, consented_at, consent_lifetime_s, secrets_renew_at, second_factor_holder, last_error: As those
            of :class:`shared.connections.model.Connection`.
        is_complete: Whether the row says all of this. False if a release that stored less wrote it: then only the
            connection itself knows the rest, until its next turn.
    """

    name: str
    group: str | None = None
    is_excluded: bool = False
    status: ConnectionStatus = ConnectionStatus.NOT_CONFIGURED
    grant: Grant = Grant.AUTHORIZATION_CODE
    consent_ends_at: datetime | None = None
    instance: str = ""
    status_since_at: datetime | None = None
    consented_at: datetime | None = None
    consent_lifetime_s: int = DEFAULT_CONSENT_LIFETIME_S
    secrets_renew_at: datetime | None = None
    second_factor_holder: str | None = None
    last_error: LastError | None = None
    is_complete: bool = False

    @property
    def ever_consented(self) -> bool:
        """As :attr:`shared.connections.model.Connection.ever_consented`."""
        return self.consented_at is not None


@value_object
class Figures:
    """A connection's tickets and its synchronisation at the end of a turn.

    Attributes:
        open: Tickets that somebody still works on in ServiceNow.
        overdue: Those of them whose due date has passed.
        pending: Tickets that wait for their delivery.
        failed: Tickets that ServiceNow refused.
        awaiting_proof: Closed tickets whose recommendation has not been measured since.
        not_fixed: Closed tickets whose recommendation still lacks points.
        regressed: Tickets whose fix did not last.
        last_sync_at: Start of the last synchronisation that read everything; None before the first.
        refused_changes: Changes of records that ServiceNow refused.
        refused_change_of: Id of the ticket with the oldest of them; None if unknown.
        reminders_failed_at: Since when a receiver of its reminders takes none; None if each takes them.
    """

    open: int = 0
    overdue: int = 0
    pending: int = 0
    failed: int = 0
    awaiting_proof: int = 0
    not_fixed: int = 0
    regressed: int = 0
    last_sync_at: datetime | None = None
    refused_changes: int = 0
    reminders_failed_at: datetime | None = None
    refused_change_of: str | None = None


@value_object
class ListedCustomer:
    """A customer in a list of all of them.

    Attributes:
        figures: As the last turn found them; all zero before the first.
        requested_at: When somebody asked for a synchronisation that has not ended; None also if that was not read.
    """

    connection_id: str
    customer: Customer
    figures: Figures
    requested_at: datetime | None = None


def customer_of(connection: Connection) -> Customer:
    """Return what the directory says of a connection."""
    return Customer(
        name=connection.display_name,
        instance=connection.instance,
        group=connection.customer_group,
        is_excluded=connection.is_excluded,
        status=connection.status,
        grant=connection.grant,
        consent_ends_at=connection.consent_ends_at,
        status_since_at=connection.status_since_at,
        consented_at=connection.consented_at,
        consent_lifetime_s=connection.consent_lifetime_s,
        secrets_renew_at=connection.secrets_renew_at,
        second_factor_holder=connection.second_factor_holder,
        last_error=connection.last_error,
        is_complete=True,
    )
