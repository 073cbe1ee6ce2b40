"""Tickets in memory, with the contract of :class:`shared.tickets.ports.TicketStore`."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from shared.connections.ports import RowChanged
from shared.errors import StorageUnavailable
from shared.evidence.model import EvidenceBatch
from shared.storage.ticket_rows import CHANGING_COLUMNS, ticket_of, ticket_row
from shared.tickets.counted import counted_under
from shared.tickets.evidence import batch_of, events_between
from shared.tickets.listed import CurrentTickets, ListedTicket, listed
from shared.tickets.lists import is_wanted
from shared.tickets.model import Delivery, Ticket
from shared.tickets.ports import (
    Overview,
    TicketExists,
    TicketFilter,
    TicketGivenUp,
    UpdateChange,
    WatchedTicket,
)
from shared.tickets.summary import Summary, SummaryChange
from shared.tickets.updates.model import Update
from shared.tickets.warnings import recommendation_keys
from tests.memory.steps import Step, at_once

SCAN_PAGE = 7


class WriteFault(StrEnum):
    """The faults of a write."""

    NOT_CARRIED_OUT = "not carried out"
    ANSWER_LOST = "carried out, but the answer is lost"
    REPEATED = "carried out, its answer lost, and repeated; only a create knows its own write again"


class MemoryTicketStore:
    """Implements :class:`shared.tickets.ports.TicketStore`."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self._etags = (f'W/"{number}"' for number in itertools.count(1))
        self.tickets: defaultdict[str, dict[str, Ticket]] = defaultdict(dict)
        self._numbers: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._folded: dict[str, Summary] = {}
        self._changes: defaultdict[str, list[SummaryChange]] = defaultdict(list)
        self._checked_at: dict[str, datetime] = {}
        self._given_up: set[tuple[str, str]] = set()
        self.updates: defaultdict[str, dict[tuple[str, str], Update]] = defaultdict(dict)
        self.unrecorded: defaultdict[str, dict[str, EvidenceBatch]] = defaultdict(dict)
        self.faults: deque[WriteFault] = deque()
        """Faults for the next writes, one each."""

    async def create_ticket(self, ticket: Ticket) -> Ticket:
        """See the port."""
        await self._step("create_ticket")
        fault = self._fault()
        if ticket.ticket_id in self.tickets[ticket.connection_id]:
            raise TicketExists(ticket.ticket_id)
        if self._is_given_up(ticket):
            raise TicketGivenUp(ticket.ticket_id)
        stored = self._put([(None, ticket)])[0]
        await self._answer("create_ticket", fault)
        return stored

    async def create_tickets(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """See the port; each transaction holds two tickets."""
        stored: list[Ticket] = []
        for part in itertools.batched(tickets, 2, strict=False):
            await self._step("create_tickets")
            fault = self._fault()
            free = [each for each in part if each.ticket_id not in self.tickets[each.connection_id]]
            stored += self._put([(None, each) for each in free if not self._is_given_up(each)])
            await self._answer("create_tickets", fault)
        return stored

    async def give_up(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """See the port."""
        await self._step("give_up")
        fault = self._fault()
        self._given_up.add((connection_id, ticket_id))
        await self._answer("give_up", fault)
        return self.tickets[connection_id].get(ticket_id)

    def _is_given_up(self, ticket: Ticket) -> bool:
        return bool(ticket.content.references) and (ticket.connection_id, ticket.ticket_id) in self._given_up

    async def get_ticket(self, connection_id: str, ticket_id: str) -> Ticket | None:
        """See the port."""
        await self._step("get_ticket")
        return self.tickets[connection_id].get(ticket_id)

    async def find_by_number(self, connection_id: str, number: str) -> Ticket | None:
        """See the port."""
        await self._step("find_by_number")
        return self.tickets[connection_id].get(self._numbers[connection_id].get(number.strip().upper(), ""))

    async def update_ticket(self, before: Ticket, after: Ticket, updates: Sequence[UpdateChange] = ()) -> Ticket:
        """See the port."""
        await self._step("update_ticket")
        fault = self._fault()
        if self._is_changed(before) or any(self._is_update_changed(change) for change in updates):
            raise RowChanged(before.ticket_id)
        stored = self._put([(before, after)])[0]
        for change in updates:
            self._change_update(change)
        if fault is WriteFault.REPEATED:
            raise RowChanged(before.ticket_id)
        await self._answer("update_ticket", fault)
        return stored

    async def update_tickets(self, changes: Sequence[tuple[Ticket, Ticket]]) -> Sequence[tuple[Ticket, Ticket]]:
        """See the port."""
        await self._step("update_tickets")
        fault = self._fault()
        conflicts = [change for change in changes if self._is_changed(change[0])]
        self._put([change for change in changes if change not in conflicts])
        if fault is WriteFault.REPEATED:
            return list(changes)
        await self._answer("update_tickets", fault)
        return conflicts

    async def get_tickets(
        self, connection_id: str, ticket_ids: Sequence[str], *, whole: bool = True
    ) -> Mapping[str, Ticket]:
        """See the port."""
        await self._step("get_tickets")
        present = self.tickets[connection_id]
        found = [present[ticket_id] for ticket_id in ticket_ids if ticket_id in present]
        return {ticket.ticket_id: ticket if whole else _without_the_rest(ticket) for ticket in found}

    async def list_tickets(
        self, connection_ids: Sequence[str], wanted: TicketFilter, *, limit: int, after: str | None = None
    ) -> Sequence[Ticket]:
        """See the port."""
        await self._step("list_tickets")
        found = [
            ticket
            for connection_id in connection_ids
            for ticket in self._wanted(connection_id, wanted)
            if after is None or ticket.ticket_id > after
        ]
        return sorted(found, key=lambda ticket: ticket.ticket_id)[:limit]

    async def list_current(self, connection_ids: Sequence[str]) -> Sequence[CurrentTickets]:
        """See the port."""
        await self._step("list_current")
        return [
            CurrentTickets(
                connection_id,
                self._folded.get(connection_id, Summary()).plus(self._changes[connection_id]),
                [each for each in map(listed, self.tickets[connection_id].values()) if each.is_current],
            )
            for connection_id in connection_ids
        ]

    async def list_every(self, connection_ids: Sequence[str]) -> Sequence[ListedTicket]:
        """See the port."""
        await self._step("list_every")
        return [listed(each) for connection_id in connection_ids for each in self.tickets[connection_id].values()]

    def _wanted(self, connection_id: str, wanted: TicketFilter) -> list[Ticket]:
        candidates = list(self.tickets[connection_id].values())
        if (ticket_id := self._numbers[connection_id].get((wanted.text or "").strip().upper())) is not None:
            candidates, wanted = [self.tickets[connection_id][ticket_id]], replace(wanted, text=None)
        return [ticket for ticket in candidates if is_wanted(wanted)(listed(ticket))]

    async def scan_tickets(self, connection_id: str, *, after: str | None = None) -> AsyncIterator[Sequence[Ticket]]:
        """See the port."""
        while True:
            await self._step("scan_tickets")
            ids = sorted(each for each in self.tickets[connection_id] if after is None or each > after)[:SCAN_PAGE]
            if not ids:
                return
            yield [_without_the_rest(self.tickets[connection_id][ticket_id]) for ticket_id in ids]
            after = ids[-1]

    async def list_pending(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """See the port."""
        await self._step("list_pending")
        pending = [
            ticket
            for ticket in self.tickets[connection_id].values()
            if ticket.delivery.status is Delivery.PENDING and (after is None or ticket.ticket_id < after)
        ]
        return sorted(pending, key=lambda ticket: ticket.ticket_id, reverse=True)[:limit]

    async def list_unlinked(self, connection_id: str, *, limit: int, after: str | None = None) -> Sequence[Ticket]:
        """See the port."""
        await self._step("list_unlinked")
        unlinked = sorted(
            ticket_id for ticket_id, each in self.tickets[connection_id].items() if each.is_followed_by_sys_id
        )
        found = [self.tickets[connection_id][each] for each in unlinked if after is None or each > after]
        return [_without_the_rest(ticket) for ticket in found[:limit]]

    async def list_watched(self, connection_id: str, tenant_id: str) -> Sequence[WatchedTicket]:
        """See the port."""
        await self._step("list_watched")
        return [
            WatchedTicket(connection_id, ticket_id, ticket.verification)
            for ticket_id, ticket in sorted(self.tickets[connection_id].items())
            if ticket.verification is not None
            and ticket.verification.is_watched
            and any(item.tenant_id == tenant_id for item in ticket.verification.items)
        ]

    async def list_unread_closings(self, connection_id: str, *, limit: int) -> Sequence[Ticket]:
        """See the port."""
        await self._step("list_unread_closings")
        present = (each for _, each in sorted(self.tickets[connection_id].items()))
        unread = (each for each in present if each.verification is not None and each.verification.has_unread_closing)
        return [_without_the_rest(ticket) for ticket in itertools.islice(unread, limit)]

    async def list_updates(self, connection_id: str, *, limit: int, after: Update | None = None) -> Sequence[Update]:
        """See the port."""
        await self._step("list_updates")
        place = None if after is None else (after.ticket_id, after.update_id)
        stored = sorted(self.updates[connection_id].items())
        return [update for key, update in stored if place is None or key > place][:limit]

    async def list_updates_of(self, connection_id: str, ticket_id: str) -> Sequence[Update]:
        """See the port."""
        await self._step("list_updates_of")
        return [update for key, update in sorted(self.updates[connection_id].items()) if key[0] == ticket_id]

    async def save_update(self, before: Update, after: Update) -> Update:
        """See the port."""
        await self._step("save_update")
        fault = self._fault()
        change = UpdateChange(before, after)
        if self._is_update_changed(change):
            raise RowChanged(before.update_id)
        self._change_update(change)
        stored = self.updates[after.connection_id][after.ticket_id, after.update_id]
        await self._answer("save_update", fault)
        return stored

    def _is_update_changed(self, change: UpdateChange) -> bool:
        update = change.before or change.after
        assert update is not None, "a change has a before or an after"
        stored = self.updates[update.connection_id].get((update.ticket_id, update.update_id))
        return (None if stored is None else stored.etag) != (None if change.before is None else change.before.etag)

    def _change_update(self, change: UpdateChange) -> None:
        if change.after is not None:
            after = change.after
            stored = replace(after, etag=next(self._etags))
            self.updates[after.connection_id][after.ticket_id, after.update_id] = stored
        elif change.before is not None:
            del self.updates[change.before.connection_id][change.before.ticket_id, change.before.update_id]

    async def list_unrecorded(self, connection_id: str, *, limit: int) -> Sequence[EvidenceBatch]:
        """See the port."""
        await self._step("list_unrecorded")
        return [batch for _, batch in sorted(self.unrecorded[connection_id].items())][:limit]

    async def delete_unrecorded(self, connection_id: str, batches: Sequence[EvidenceBatch]) -> None:
        """See the port."""
        await self._step("delete_unrecorded")
        fault = self._fault()
        for batch in batches:
            self.unrecorded[connection_id].pop(batch.batch_id, None)
        await self._answer("delete_unrecorded", fault)

    async def list_of_recommendation(self, ticket: Ticket, *, limit: int) -> Sequence[Ticket]:
        """See the port."""
        await self._step("list_of_recommendation")
        older = [each for each in self.tickets[ticket.connection_id].values() if each.ticket_id > ticket.ticket_id]
        newest_first = sorted(older, key=lambda each: each.ticket_id)
        found: dict[str, Ticket] = {}
        for key in recommendation_keys(ticket.content):
            named = [each for each in newest_first if key in recommendation_keys(each.content)]
            found |= {each.ticket_id: each for each in named[:limit]}
        return sorted(found.values(), key=lambda each: each.ticket_id)

    async def get_summary(self, connection_id: str) -> Summary:
        """See the port."""
        await self._step("get_summary")
        return self._folded.get(connection_id, Summary()).plus(self._changes[connection_id])

    async def get_overview(self, connection_id: str) -> Overview:
        """See the port."""
        await self._step("get_overview")
        changes = self._changes[connection_id]
        summary = self._folded.get(connection_id, Summary()).plus(changes)
        return Overview(
            summary=summary,
            is_folded=not changes,
            may_have_pending=summary.total(Delivery.PENDING) > 0,
            has_unlinked=any(each.is_followed_by_sys_id for each in self.tickets[connection_id].values()),
            has_unread_closings=any(
                each.verification is not None and each.verification.has_unread_closing
                for each in self.tickets[connection_id].values()
            ),
            has_unrecorded=bool(self.unrecorded[connection_id]),
            has_updates=bool(self.updates[connection_id]),
            lists_checked_at=self._checked_at.get(connection_id),
        )

    async def compact_summary(self, connection_id: str, now: datetime) -> None:
        """See the port."""
        await self._step("compact_summary")
        changes = self._changes.pop(connection_id, [])
        if changes:
            self._folded[connection_id] = self._folded.get(connection_id, Summary()).plus(changes).folded(now)

    async def check_lists(self, connection_id: str, now: datetime) -> bool:
        """See the port."""
        await self._step("check_lists")
        self._checked_at[connection_id] = now
        return True

    def _fault(self) -> WriteFault | None:
        fault = self.faults.popleft() if self.faults else None
        if fault is WriteFault.NOT_CARRIED_OUT:
            raise StorageUnavailable()
        return fault

    async def _answer(self, name: str, fault: WriteFault | None) -> None:
        await self._step(f"{name} answers")
        if fault is WriteFault.ANSWER_LOST:
            raise StorageUnavailable()

    def _is_changed(self, before: Ticket) -> bool:
        assert before.etag is not None, "only a stored ticket can be replaced"
        stored = self.tickets[before.connection_id].get(before.ticket_id)
        return stored is None or stored.etag != before.etag

    def _put(self, changes: Sequence[tuple[Ticket | None, Ticket]]) -> list[Ticket]:
        stored = []
        for before, after in changes:
            record = after.record
            if record is not None:
                record = replace(record, correlation_id=after.correlation_id)
                self._numbers[after.connection_id][record.number.upper()] = after.ticket_id
            if before is not None and not before.is_whole:
                assert before.delivery == after.delivery, "only what was read can be changed"
                after = after.made_whole(self.tickets[after.connection_id][after.ticket_id])
            counted = counted_under(after, () if before is None else before.counted)
            ticket = replace(after, record=record, counted=counted, etag=next(self._etags))
            self.tickets[after.connection_id][after.ticket_id] = ticket
            self._changes[after.connection_id].append(SummaryChange.between([(before, ticket)]))
            stored.append(ticket)
            if events := list(events_between(before, ticket)):
                batch = batch_of(events)
                self.unrecorded[after.connection_id][batch.batch_id] = batch
        return stored


def _without_the_rest(ticket: Ticket) -> Ticket:
    """Return a ticket as Table Storage returns it for a partial read."""
    if ticket.delivery.status is not Delivery.DELIVERED:
        return ticket
    row = {name: value for name, value in ticket_row(ticket).items() if name in CHANGING_COLUMNS}
    return ticket_of(row, ticket.etag, is_whole=False)
