"""What a row of a list of tickets shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shared.connections.model import Connection
from shared.tenants.model import Tenant
from shared.tickets.listed import ListedTicket
from shared.tickets.outcomes import Outcome
from shared.tickets.views import own_state_names, record_address
from shared.value_object import value_object
from shared.words.language import Language


@value_object
class TicketRow:
    """A ticket in a list.

    Attributes:
        link: Opens its record in ServiceNow; None until it has one.
        state: The state's name for people; empty until it is delivered.
        customer: The name of its connection; empty if that is gone.
        tenants: Names of the Microsoft 365 tenants whose tickets go to that connection.
        time_zone: The connection's.
        reason: Why it is not delivered; empty if nothing is known to be wrong.
        is_dormant: Whether its connection was removed.
    """

    ticket: ListedTicket
    link: str | None
    state: str
    customer: str
    tenants: Sequence[str]
    time_zone: str
    reason: str
    is_dormant: bool

    @property
    def is_fixed(self) -> bool:
        """Whether it is open, although its recommendations are fixed or decided otherwise."""
        return self.ticket.is_open and self.ticket.outcome in {Outcome.VERIFIED, Outcome.DISPOSED}


def ticket_rows(
    tickets: Iterable[ListedTicket],
    connections: Mapping[str, Connection],
    t: Language,
    tenants: Iterable[Tenant] = (),
) -> Sequence[TicketRow]:
    """Return the rows of a list.

    Args:
        connections: By id.
        tenants: All of them, if the rows are to name them.
    """
    names: dict[str, list[str]] = {}
    for tenant in tenants:
        if tenant.connection_id is not None:
            names.setdefault(tenant.connection_id, []).append(tenant.name)
    return [
        _row(ticket, connections.get(ticket.connection_id), names.get(ticket.connection_id, ()), t)
        for ticket in tickets
    ]


def _row(ticket: ListedTicket, connection: Connection | None, tenants: Sequence[str], t: Language) -> TicketRow:
    own_names = own_state_names(ticket.kind, ticket.table, connection)
    return TicketRow(
        ticket=ticket,
        link=record_address(ticket.instance, ticket.table, ticket.sys_id, connection) if ticket.sys_id else None,
        state=own_names.get(ticket.state) or ticket.state_label or ticket.state,
        customer="" if connection is None else connection.display_name,
        tenants=tenants,
        time_zone="UTC" if connection is None else connection.time_zone,
        reason=t.filled(f"error.{ticket.error_code}.message", {}) or "",
        is_dormant=connection is None or connection.is_removed,
    )
