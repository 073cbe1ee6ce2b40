"""What the directory says of each customer, so that the portfolio of a thousand is one read.

The end of a turn writes it, and so does a change by a person. It is derived from the connection and its tickets, so
the next turn writes again whatever is missing.
"""

from __future__ import annotations

from datetime import datetime

from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.value_object import value_object


@value_object
class Customer:
    """A connection as configured, and its status.

    Attributes:
        name: What people call it.
        group: The group that it belongs to; None for none.
        is_excluded: Whether totals and lists leave it out unless somebody asks for it.
        consent_ends_at: When somebody has to authorize it again; None if no consent ends.
        instance: Base URL of its instance; empty if a release that did not store it wrote the row.
    """

    name: str
    group: str | None = None
    is_excluded: bool = False
    status: ConnectionStatus = ConnectionStatus.NOT_CONFIGURED
    grant: Grant = Grant.AUTHORIZATION_CODE
    consent_ends_at: datetime | None = None
    instance: str = ""


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
    """

    open: int = 0
    overdue: int = 0
    pending: int = 0
    failed: int = 0
    awaiting_proof: int = 0
    not_fixed: int = 0
    regressed: int = 0
    last_sync_at: datetime | None = None


@value_object
class ListedCustomer:
    """A customer in the directory.

    Attributes:
        figures: As the last turn found them; all zero before the first.
    """

    connection_id: str
    customer: Customer
    figures: Figures


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
    )
