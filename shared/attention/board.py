"""Gathers what needs attention: exactly, where a page shows it, and from memory, where a page only counts it.

Exactly means now, while the connections are few enough to ask each of them for its tickets
(:data:`shared.connections.present.EXACT_UP_TO`); beyond, it means as of their last turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Final

from shared.access.current import seen_by
from shared.access.model import EVERYTHING
from shared.access.sight import Sight
from shared.attention.model import AttentionItem, SubjectKind, TicketNeeds
from shared.attention.needs import needs_of_tickets, needs_of_turn, with_refused_changes
from shared.attention.rules import WatchedConnection, attention_items
from shared.clock import Clock
from shared.connections.customers import ListedCustomer
from shared.connections.model import Connection
from shared.connections.present import CustomerReading
from shared.errors import StorageUnavailable
from shared.service import service
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore
from shared.tickets.listed import CurrentTickets
from shared.tickets.ports import TicketStore
from shared.value_object import value_object

REMEMBERED_FOR: Final = timedelta(minutes=1)
MOST_UPDATES: Final = 1000
"""How many changes of a connection's records are looked at for the ones that ServiceNow refused."""


@value_object
class Surroundings:
    """The customers and tenants at one time.

    Attributes:
        customers: Those that are not removed, ordered by connection id.
        connections: As those of :class:`shared.connections.present.PresentCustomers`.
    """

    customers: Sequence[ListedCustomer]
    connections: Mapping[str, Connection] | None
    tenants: Sequence[Tenant]
    read_at: datetime

    @property
    def counted(self) -> Sequence[ListedCustomer]:
        """The customers without excluded ones."""
        return [each for each in self.customers if not each.customer.is_excluded]

    @property
    def asked_connections(self) -> Sequence[Connection]:
        """Those of the counted ones whose tickets a page may ask for; none if there are too many."""
        if self.connections is None:
            return ()
        return [self.connections[each.connection_id] for each in self.counted if each.customer.ever_consented]

    @property
    def counted_tenants(self) -> Sequence[Tenant]:
        """The tenants without those of excluded customers."""
        excluded = {each.connection_id for each in self.customers if each.customer.is_excluded}
        return [each for each in self.tenants if each.connection_id not in excluded]


@service
class AttentionBoard:
    """What needs attention, except at excluded customers; see the module's description.

    Attributes:
        sight: Says which connections the caller may not see.
        unreadable_rows: Says how many stored rows this release cannot read.
        sync_interval: How often a connection is synchronised.
    """

    customers: CustomerReading
    tenants: TenantStore
    tickets: TicketStore
    sight: Sight
    unreadable_rows: Callable[[], int]
    sync_interval: timedelta
    clock: Clock
    _remembered: list[tuple[datetime, tuple[Surroundings, Sequence[AttentionItem]] | None]] = field(
        default_factory=list
    )
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def surroundings(self) -> Surroundings:
        """Return the customers and tenants, with a few requests. Raises StorageUnavailable."""
        present, tenants = await asyncio.gather(self.customers.present(), self.tenants.list_tenants())
        return Surroundings(present.listed, present.connections, tenants, self.clock())

    async def items(self, around: Surroundings, current: Sequence[CurrentTickets]) -> Sequence[AttentionItem]:
        """Return what needs attention now, and remember it if the caller sees everything. Raises StorageUnavailable.

        Args:
            current: Of the connections whose tickets have been read; the others' last turns count.
        """
        read = {each.connection_id: each for each in current}

        async def watched(listed: ListedCustomer) -> WatchedConnection:
            tickets = read.get(listed.connection_id)
            if tickets is None:
                return _watched(listed)
            return WatchedConnection(listed, await self._needs(around, listed, tickets), tickets.is_complete)

        found = self._found(around, await asyncio.gather(*map(watched, around.counted)))
        if hidden := await self.sight.hidden():
            return visible_items(around, found, hidden)
        self._remembered[:] = [(around.read_at, (around, found))]
        return found

    async def remembered_items(self) -> Sequence[AttentionItem] | None:
        """Return what needed attention at most :data:`REMEMBERED_FOR` ago, without reading any tickets.

        It is None while storage does not answer; that is remembered as well, so that not every page waits for it.
        Everything is remembered, and the caller gets what they may see.
        """
        async with self._reading:
            remembered = await self._everything()
        if remembered is None:
            return None
        try:
            return visible_items(*remembered, await self.sight.hidden())
        except StorageUnavailable:
            return None

    async def _everything(self) -> tuple[Surroundings, Sequence[AttentionItem]] | None:
        if self._remembered:
            read_at, remembered = self._remembered[-1]
            if abs(self.clock() - read_at) < REMEMBERED_FOR:
                return remembered
        try:
            with seen_by(EVERYTHING):
                around = await self.surroundings()
        except StorageUnavailable:
            self._remembered[:] = [(self.clock(), None)]
            return None
        found = self._found(around, list(map(_watched, around.counted)))
        self._remembered[:] = [(around.read_at, (around, found))]
        return around, found

    async def _needs(self, around: Surroundings, listed: ListedCustomer, current: CurrentTickets) -> TicketNeeds:
        needs = needs_of_tickets(current, listed.figures, around.read_at)
        if not needs.refused_changes:
            return needs
        updates = await self.tickets.list_updates(current.connection_id, limit=MOST_UPDATES)
        return with_refused_changes(needs, updates)

    def _found(self, around: Surroundings, watched: Sequence[WatchedConnection]) -> Sequence[AttentionItem]:
        return attention_items(
            watched,
            around.counted_tenants,
            around.read_at,
            sync_interval=self.sync_interval,
            unreadable_rows=self.unreadable_rows(),
        )


def visible_items(
    around: Surroundings, items: Sequence[AttentionItem], hidden: Collection[str]
) -> Sequence[AttentionItem]:
    """Return the items that are about nothing hidden; one about the whole service can be about a hidden connection."""
    if not hidden:
        return items
    tenant_ids = {each.tenant_id for each in around.tenants if each.connection_id not in hidden}

    def is_visible(item: AttentionItem) -> bool:
        if item.about is None:
            return False
        return item.about.id in tenant_ids if item.about.kind is SubjectKind.TENANT else item.about.id not in hidden

    return [each for each in items if is_visible(each)]


def _watched(listed: ListedCustomer) -> WatchedConnection:
    """Return what the last turn knew of a connection."""
    return WatchedConnection(listed, needs_of_turn(listed.figures))
