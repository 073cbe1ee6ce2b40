"""What a connection sends, reads and keeps, taken from what the code does, for people who have to decide about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.connections.fixed_fields import RESERVED_COLUMNS, reservation
from shared.connections.model import Connection, KindSettings, Portal, TicketKind
from shared.service import service
from shared.tickets.identity import new_ticket_id
from shared.tickets.model import (
    DeliveryProgress,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Requester,
    Ticket,
    TicketContent,
)
from shared.tickets.preview import RecordFields
from shared.value_object import value_object

_SOMEBODY: Final = "0" * 32
"""Stands for the requester's ``sys_id``, to find out where it goes."""
_OF_UPDATES: Final = frozenset({"notes", "state"})
_EXAMPLE: Final = TicketContent(
    kind=TicketKind.INCIDENT,
    portal=Portal.SECURITY,
    name="Block legacy authentication",
    description="Nine accounts still sign in by protocols that know no second factor.",
    priority=Priority.HIGH,
    due_at=None,
    recommendation=Recommendation(
        RecommendedBy.MICROSOFT,
        RecommendationCategory.IDENTITY,
        id="BlockLegacyAuthentication",
        link="https://security.microsoft.com/securescore",
    ),
    requester=Requester("", ""),
)


@value_object
class SentField:
    """A field of a new record.

    Attributes:
        value: In the example; None for what is looked up in ServiceNow first.
        label: What people call the value of a fixed field; empty if nobody knows.
        source: Where the value comes from, as a key of words.
    """

    column: str
    value: str | None
    source: str
    label: str = ""


@value_object
class SentRecord:
    """What a new record of a kind is made of.

    Attributes:
        later: The further columns that changes on a ticket's page write.
    """

    kind: TicketKind
    fields: Sequence[SentField]
    later: Sequence[str]


@value_object
class Kept:
    """Something that the connector keeps.

    Attributes:
        name: Key of the words that say what it is.
        place: The table, or another place.
        lasts: None for as long as the deployment exists.
        is_table: Whether the place is a table.
    """

    name: str
    place: str
    lasts: timedelta | None = None
    is_table: bool = True


@service
class DataExchange:
    """Says what is exchanged.

    Attributes:
        record_fields: Makes the fields of a new record.
        read: The columns that are read of a record.
        kept: What is kept.
        microsoft: The addresses that are read at Microsoft.
    """

    record_fields: RecordFields
    read: Sequence[str]
    kept: Sequence[Kept]
    microsoft: Sequence[str]

    def sent(self, connection: Connection, requester: Requester, now: datetime) -> Sequence[SentRecord]:
        """Return an example of each enabled kind: a ticket that this person asks for."""
        return [
            self._record(connection, kind, settings, requester, now)
            for kind, settings in connection.kinds.items()
            if settings.enabled
        ]

    def _record(
        self, connection: Connection, kind: TicketKind, settings: KindSettings, requester: Requester, now: datetime
    ) -> SentRecord:
        content = replace(
            _EXAMPLE, kind=kind, requester=requester, due_at=now, shares_requester=connection.shares_requester
        )
        ticket = Ticket(
            ticket_id=new_ticket_id(now, connection.connection_id),
            connection_id=connection.connection_id,
            instance=connection.instance,
            content=content,
            created_at=now,
            delivery=DeliveryProgress(),
        )
        labels = {each.column: each.label for each in settings.fixed_fields}
        looked_up = bool(content.shares_requester and requester.email)
        values = self.record_fields(ticket, settings, _SOMEBODY if looked_up else None)
        fields = [
            SentField(
                column,
                None if value == _SOMEBODY else value,
                reservation(kind, column) or "fixed",
                labels.get(column) or "",
            )
            for column, value in values.items()
        ]
        later = [column for column, words in RESERVED_COLUMNS[kind].items() if words in _OF_UPDATES]
        return SentRecord(kind, fields, later)
