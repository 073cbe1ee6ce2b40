"""What a request would send to ServiceNow, before anything is stored or sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Final

from shared.connections.model import KindSettings
from shared.service import service
from shared.tickets.create import TicketCreation
from shared.tickets.model import Requester, Ticket
from shared.tickets.requests import TicketRequest
from shared.tickets.warnings import TicketWarning, keys_of
from shared.value_object import value_object

MADE_WHEN_SENT: Final = frozenset({"sys_id", "correlation_id"})
"""Fields that hold the ticket's id, which a preview's ticket does not have yet."""

type RecordFields = Callable[[Ticket, KindSettings, str | None], Mapping[str, str]]
"""Returns the values to insert for a ticket, by ServiceNow's field names; takes the requester's sys_id if known."""


@value_object
class Preview:
    """What will be sent, by ServiceNow's field names, and possible mistakes in it.

    Attributes:
        labels: What people call a value, by field, where the connection's settings say so.
    """

    fields: Sequence[tuple[str, str]]
    warnings: Sequence[TicketWarning]
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> str:
        """The keys of the warnings that a person accepts by sending it anyway."""
        return " ".join(sorted(keys_of(self.warnings)))


@service
class TicketPreview:
    """Shows what a request would become."""

    creation: TicketCreation
    record_fields: RecordFields

    async def show(self, request: TicketRequest, requester: Requester) -> Preview:
        """Return what the request would send, and possible mistakes in it.

        Raises what :meth:`shared.tickets.create.TicketCreation.create` raises if the request cannot become a ticket.
        """
        ticket, connection = await self.creation.draft(request, requester)
        settings = connection.kinds[ticket.content.kind]
        fields = self.record_fields(ticket, settings, None)
        shown = [(name, value) for name, value in fields.items() if name not in MADE_WHEN_SENT]
        labels = {column: name for column, value in shown if (name := connection.record_names.get(value))}
        labels |= {
            each.column: each.label
            for each in settings.fixed_fields
            if each.label and fields.get(each.column) == each.value
        }
        return Preview(shown, await self.creation.warnings(ticket), labels)
