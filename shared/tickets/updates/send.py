"""Sending updates: what people and policies ask of a record is carried out in ServiceNow, and no note twice.

The promises are those of :mod:`shared.tickets.deliver`. A note adds an entry to a journal, which cannot be repeated
safely. So the same request writes a marker into ``correlation_display``. After a write with an unknown outcome, the
marker shows whether the note was written. If it does not, another marker is tried: where that can be written and read,
the note was not written, and it is sent again. Where it cannot, nobody can know: the note is given up, and the timeline
says so. Everything else can be repeated.

The updates of one ticket are sent one at a time, in the order in which they were asked for; a refused one does not hold
up the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from shared.clock import Clock
from shared.connections.model import Connection, TicketKind
from shared.connections.ports import RowChanged
from shared.error_codes import Code
from shared.errors import (
    AccessRefused,
    AccessTokenRefused,
    ConnectorError,
    FixConfiguration,
    FixRequest,
    InstanceClosed,
    OutcomeUnknown,
    Reauthorize,
    TryLater,
)
from shared.log import log_context, log_event
from shared.service import service
from shared.telemetry import UPDATES_REFUSED, UPDATES_SENT, span
from shared.tickets.attempts import LEFT_PATIENCE_S, is_leased, send_by, without_wrong_times
from shared.tickets.failing import ConnectionNotes
from shared.tickets.model import OPEN_PHASES, EventKind, Phase, Ticket
from shared.tickets.ports import RecommendationClaims, TicketStore, UpdateChange
from shared.tickets.record_effects import is_outdated, with_record
from shared.tickets.timeline import details_of
from shared.tickets.updates.ask import with_update_event
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus
from shared.tickets.updates.ports import FollowUp, FollowUps, NoFollowUp, RecordUpdates, Seen
from shared.tickets.updates.progress import (
    NOTES,
    STATE_CHANGES,
    as_follow_up,
    attempt_due_at,
    begin_attempt,
    in_order,
    is_sendable,
    leased,
    made_way,
    may_not_overtake,
    postponed,
    refused,
    waiting_for_rights,
    waits,
)

UPDATES_PAGE: Final = 500
AT_ONCE_S: Final = 15.0
"""No attempt begins after this if a person is waiting for the answer."""
_STORE_TRIES: Final = 5


@dataclass(slots=True)
class UpdateCounts:
    """What one run through a connection's updates did."""

    sent: int = 0
    refused: int = 0
    postponed: int = 0
    uncertain: int = 0

    @property
    def total(self) -> int:
        """How many attempts there were."""
        return self.sent + self.refused + self.postponed + self.uncertain


@service
class UpdateDelivery:
    """Sends updates; see the module's description for what it promises."""

    store: TicketStore
    records: RecordUpdates
    follow_ups: FollowUps
    claims: RecommendationClaims
    notes: ConnectionNotes
    clock: Clock
    random: Callable[[], float] = field(default=random.random)

    async def send_due(self, connection: Connection, *, deadline: datetime) -> UpdateCounts:
        """Send what is due, until the deadline or until the connection fails; what has waited longest goes first."""
        counts = UpdateCounts()
        by_ticket = _by_ticket(await self.all_updates(connection.connection_id))
        for updates in sorted(by_ticket, key=lambda each: _due_at(each, self.clock())):
            if not await self._send_in_order(connection, updates, counts, deadline=deadline):
                break
        return counts

    async def send_now(self, connection: Connection, ticket: Ticket, update: Update) -> tuple[Ticket, Update | None]:
        """Send an update, and those of the ticket before it, while a person waits; no attempt begins after 15 s.

        Returns:
            The ticket as stored afterwards, and the update if it is still waiting or was refused.
        """
        deadline = self.clock() + timedelta(seconds=AT_ONCE_S)
        updates = in_order(await self.store.list_updates_of(ticket.connection_id, ticket.ticket_id))
        ids = [each.update_id for each in updates]
        if update.update_id in ids:
            until = updates[: ids.index(update.update_id) + 1]
            await self._send_in_order(connection, until, UpdateCounts(), deadline=deadline)
        stored = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id) or ticket
        left = await self.store.list_updates_of(ticket.connection_id, ticket.ticket_id)
        return stored, next((each for each in left if each.update_id == update.update_id), None)

    async def all_updates(self, connection_id: str) -> Sequence[Update]:
        """Return all updates of a connection, those of one ticket together and oldest first."""
        found: list[Update] = []
        while True:
            page = await self.store.list_updates(connection_id, limit=UPDATES_PAGE, after=found[-1] if found else None)
            found += page
            if len(page) < UPDATES_PAGE:
                return found

    async def _send_in_order(
        self, connection: Connection, updates: Sequence[Update], counts: UpdateCounts, *, deadline: datetime
    ) -> bool:
        """Send the updates of one ticket up to the first one that has to wait.

        Returns:
            False if the deadline came first or the connection fails.
        """
        for each in updates:
            update: Update | None = each
            while update is not None and update.status is UpdateStatus.WAITING:
                now = self.clock()
                if now >= deadline:
                    return False
                if (corrected := without_wrong_times(update, now)) is not update:
                    await self._saved(update, corrected)
                    return True
                if not is_sendable(update, now):
                    return True
                attempt = await self._attempt_again(connection, update, counts)
                if attempt is None:
                    return True
                if await self._is_failing(connection, attempt):
                    return False
                if not attempt.is_over:
                    return True
                update = attempt.instead
        return True

    async def _attempt_again(self, connection: Connection, update: Update, counts: UpdateCounts) -> _Attempt | None:
        """Take the lease and attempt the update; None if it is not ours to send now."""
        ticket = await self.store.get_ticket(update.connection_id, update.ticket_id)
        if ticket is None or ticket.record is None:
            return None
        with log_context(
            connection_id=update.connection_id,
            ticket_id=update.ticket_id,
            update_id=update.update_id,
            attempt=update.attempts + 1,
        ):
            if not ticket.is_of(connection):
                return await self._left_behind(connection, ticket, update, counts)
            attempt = await self._begun(ticket, update)
            if attempt is None:
                return None
            with span("ticket_update") as measured:
                await self._attempt(connection, attempt, counts)
                if attempt.error is not None:
                    measured.failed(attempt.error.code)
            return attempt

    async def _begun(self, ticket: Ticket, update: Update) -> _Attempt | None:
        """Take the lease and begin an attempt; None if somebody else has it, or another update has to go first.

        The lease is stored before the other updates are read. So of two that begin at the same time, at least one sees
        the other.
        """
        taken = await self._saved(update, leased(update, self.clock()))
        if taken is None:
            return None
        others = await self.store.list_updates_of(update.connection_id, update.ticket_id)
        now = self.clock()
        if any(each.update_id != update.update_id and may_not_overtake(update, each, now) for each in others):
            await self._saved(taken, made_way(taken, now))
            return None
        may_exist = taken.attempt_started_at is not None
        if taken.kind is UpdateKind.REOPEN and not may_exist:
            return await self._begun_reopening(ticket, taken)
        begun = await self._saved(taken, begin_attempt(taken, now))
        return None if begun is None else _Attempt(ticket, begun, may_exist)

    async def _begun_reopening(self, ticket: Ticket, taken: Update) -> _Attempt | None:
        """Begin to reopen a ticket; None if it cannot begin now.

        Reopening makes the ticket an open one. So it takes the claims first, and then writes the ticket's row in the
        version that was read before. Until the outcome is known, the update that has begun keeps the claims. If a
        recommendation has another open ticket, a follow-up takes the place of reopening: it finds that ticket.
        """
        try:
            await self.claims.take(ticket)
        except FixRequest as error:
            now = self.clock()
            if error.code == "ticket_being_created":
                await self._saved(taken, made_way(taken, now))
                return None
            follow_up = leased(as_follow_up(taken), now)
            begun = await self._saved(taken, begin_attempt(follow_up, now))
            return None if begun is None else _Attempt(ticket, begun)
        now = self.clock()
        begun = begin_attempt(taken, now)
        try:
            claiming = await self.store.update_ticket(ticket, ticket, [UpdateChange(taken, begun)])
        except RowChanged:
            # Perhaps somebody has passed over this ticket.
            await self._saved(taken, made_way(taken, now))
            return None
        stored = await self._present(begun)
        if stored is None or stored.attempts != begun.attempts:
            return None
        return _Attempt(claiming, stored)

    async def _left_behind(
        self, connection: Connection, ticket: Ticket, update: Update, counts: UpdateCounts
    ) -> _Attempt | None:
        """Refuse an update for an instance that the connection left a while ago."""
        now = self.clock()
        since_at = connection.consented_at
        if since_at is None or now < since_at + timedelta(seconds=LEFT_PATIENCE_S) or is_leased(update, now):
            return None
        attempt = _Attempt(ticket, update)
        await self._end_refused(attempt, FixConfiguration("ticket_other_instance"), counts)
        return None

    async def _attempt(self, connection: Connection, attempt: _Attempt, counts: UpdateCounts) -> None:
        """Attempt a leased update, and store the outcome."""
        update = attempt.leased
        try:
            if update.kind is UpdateKind.FOLLOW_UP:
                await self._end_followed_up(attempt, await self.follow_ups.make(attempt.ticket, update), counts)
                return
            seen = await self._carried_out(connection, attempt)
        except _NobodyKnows:
            await self._end_uncertain(attempt, counts)
        except (TryLater, Reauthorize, FixConfiguration, FixRequest) as error:
            attempt.error = error
            await self._note_failure(connection, update, error)
            await self._end_failed(attempt, error, counts)
        else:
            await self.notes.succeeded(connection)
            await self._end_seen(attempt, seen, counts)

    async def _carried_out(self, connection: Connection, attempt: _Attempt) -> Seen:
        """Carry out the update; if ServiceNow refuses the access token of the write, look, and send it once more."""
        if attempt.leased.kind is UpdateKind.REOPEN and not _is_reopenable(attempt.ticket):
            raise FixConfiguration("reopening_not_possible")
        try:
            return await self._looked_up_and_sent(connection, attempt)
        except AccessTokenRefused as error:
            if not error.may_be_written:
                raise
        # ServiceNow may have written it anyway.
        attempt.may_exist = True
        return await self._looked_up_and_sent(connection, attempt)

    async def _looked_up_and_sent(self, connection: Connection, attempt: _Attempt) -> Seen:
        ticket, update = attempt.ticket, attempt.leased
        latest = send_by(update.leased_until_at)
        if attempt.may_exist:
            seen = await self.records.look_up(connection, ticket, update)
            # A change of state can take several requests, so only the state shows whether the last one was written.
            if seen.is_marked if update.kind not in STATE_CHANGES else seen.is_done:
                return seen
            if update.kind in NOTES and not await self._is_markable(connection, attempt, latest):
                raise _NobodyKnows
            attempt.may_exist = False
        return await self.records.change(connection, ticket, update, send_by=latest)

    async def _is_markable(self, connection: Connection, attempt: _Attempt, latest: datetime) -> bool:
        """Whether the marker can be written and read, so that the first write would have left it."""
        return await self.records.can_be_marked(connection, attempt.ticket, attempt.leased, send_by=latest)

    async def _end_seen(self, attempt: _Attempt, seen: Seen, counts: UpdateCounts) -> None:
        """Store what ServiceNow shows after the attempt."""
        update = attempt.leased
        if seen.is_done is False:
            await self._end_refused(attempt, FixConfiguration(_NOT_KEPT[update.kind]), counts, seen)
            return
        unread = "true" if seen.is_done is None else None

        def sent(ticket: Ticket, now: datetime) -> Ticket:
            shown = _with_seen(ticket, seen, now)
            return with_update_event(shown, EventKind.UPDATE_SENT, update, now, not_read_back=unread)

        await self._store(attempt, sent, None)
        counts.sent += 1
        UPDATES_SENT.record(kind=str(update.kind))
        log_event("ticket_update_sent", kind=str(update.kind))

    async def _end_followed_up(self, attempt: _Attempt, found: FollowUp | NoFollowUp, counts: UpdateCounts) -> None:
        update = attempt.leased
        details: Mapping[str, str | None]
        if isinstance(found, NoFollowUp):
            details = {"why_none": found.value}
        else:
            record = found.ticket.record
            number = None if record is None else record.number
            names = ("follow_up_id", "number") if found.is_new else ("open_id", "open_number")
            details = dict(zip(names, (found.ticket.ticket_id, number), strict=True))
        await self._store(
            attempt,
            lambda ticket, now: with_update_event(
                ticket,
                EventKind.FOLLOWED_UP,
                update,
                now,
                by_id=update.asked_by_id,
                **details,
            ),
            None,
        )
        counts.sent += 1
        UPDATES_SENT.record(kind=str(update.kind))
        log_event("ticket_update_sent", kind=str(update.kind))

    async def _end_uncertain(self, attempt: _Attempt, counts: UpdateCounts) -> None:
        update = attempt.leased
        await self._store(
            attempt, lambda ticket, now: with_update_event(ticket, EventKind.UPDATE_UNCERTAIN, update, now), None
        )
        counts.uncertain += 1
        log_event("ticket_update_uncertain", kind=str(update.kind))

    async def _end_failed(self, attempt: _Attempt, error: ConnectorError, counts: UpdateCounts) -> None:
        """Postpone or refuse the update, or give up a note of which nobody can know whether it was written."""
        update, now = attempt.leased, self.clock()
        unknown = attempt.may_exist or error.may_be_written
        after: Update | None
        match error:
            case TryLater() | Reauthorize() | InstanceClosed():
                after = postponed(update, error, now, jitter=self.random(), unknown=unknown)
            case AccessRefused():
                after = waiting_for_rights(update, error, now, unknown=unknown)
            case _:
                after = None
        if after is not None:
            await self._saved(update, after)
            counts.postponed += 1
            log_event("ticket_update_postponed", kind=str(update.kind), code=error.code)
        elif unknown and update.kind in NOTES:
            await self._end_uncertain(attempt, counts)
        else:
            await self._end_refused(attempt, error, counts)

    async def _end_refused(
        self, attempt: _Attempt, error: ConnectorError, counts: UpdateCounts, seen: Seen | None = None
    ) -> None:
        """Keep the update as refused; a follow-up takes the place of reopening."""
        update = attempt.leased
        reopening = update.kind is UpdateKind.REOPEN
        await self._store(
            attempt,
            lambda ticket, now: with_update_event(
                ticket if seen is None else _with_seen(ticket, seen, now),
                EventKind.UPDATE_REFUSED,
                update,
                now,
                instead=UpdateKind.FOLLOW_UP.value if reopening else None,
                **details_of(error.failure),
            ),
            as_follow_up(update) if reopening else refused(update, error.failure),
        )
        counts.refused += 1
        UPDATES_REFUSED.record(kind=str(update.kind), code=error.code)
        log_event("ticket_update_refused", kind=str(update.kind), code=error.code)

    async def _is_failing(self, connection: Connection, attempt: _Attempt) -> bool:
        """Whether the connection fails. A follow-up ticket is only stored, so it says nothing about ServiceNow."""
        if attempt.leased.kind is UpdateKind.FOLLOW_UP:
            return False
        return await self.notes.is_failing(connection, attempt.error, attempt.leased.ticket_id)

    async def _note_failure(self, connection: Connection, update: Update, error: ConnectorError) -> None:
        """Note a failure of the connection; what ServiceNow says about one record is not noted."""
        if update.kind is UpdateKind.FOLLOW_UP:
            return
        if isinstance(error, TryLater | Reauthorize | InstanceClosed) and not isinstance(error, OutcomeUnknown):
            await self.notes.failed(connection, error)

    async def _saved(self, before: Update, after: Update) -> Update | None:
        """Store the update's progress; None if somebody else has changed it."""
        try:
            return await self.store.save_update(before, after)
        except RowChanged:
            return None

    async def _store(
        self, attempt: _Attempt, change: Callable[[Ticket, datetime], Ticket], update: Update | None
    ) -> None:
        """Store the outcome with its event, in one transaction.

        If the update is gone, somebody else has stored its outcome, or the answer to our own write was lost. If
        somebody else has it now because the lease ran out, our outcome still counts: it is what ServiceNow says.
        """
        ticket, stored = attempt.ticket, attempt.leased
        for _ in range(_STORE_TRIES):
            try:
                await self.store.update_ticket(ticket, change(ticket, self.clock()), [UpdateChange(stored, update)])
            except RowChanged:
                present = await self._present(stored)
                current = await self.store.get_ticket(ticket.connection_id, ticket.ticket_id)
                if present is not None and current is not None and present.kind is stored.kind and waits(present):
                    ticket, stored = current, present
                    continue
            attempt.is_over = True
            if update is not None and waits(update):
                attempt.instead = await self._present(stored)
            return

    async def _present(self, update: Update) -> Update | None:
        updates = await self.store.list_updates_of(update.connection_id, update.ticket_id)
        return next((each for each in updates if each.update_id == update.update_id), None)


_NOT_KEPT: Final[Mapping[UpdateKind, Code]] = {
    UpdateKind.WORK_NOTE: "note_not_kept",
    UpdateKind.COMMENT: "note_not_kept",
    UpdateKind.DUE_DATE: "due_date_not_kept",
    UpdateKind.RESOLVE: "state_not_changed",
    UpdateKind.CANCEL: "state_not_changed",
    UpdateKind.REOPEN: "reopening_not_possible",
}
"""What ServiceNow did not do although it accepted the request."""


class _NobodyKnows(Exception):
    """A note may or may not have been written, and nothing can show which."""


@dataclass(slots=True)
class _Attempt:
    """One attempt to carry out an update.

    Attributes:
        ticket: As read before.
        leased: The update as it was leased.
        may_exist: An earlier write has an unknown outcome, so the attempt begins with a look at the record.
        error: Why the attempt did not succeed.
        is_over: Whether the next update may follow: this one is carried out, refused, or given up.
        instead: The update that has taken its place and can be sent at once, or None.
    """

    ticket: Ticket
    leased: Update
    may_exist: bool = False
    error: TryLater | Reauthorize | FixConfiguration | FixRequest | None = None
    is_over: bool = False
    instead: Update | None = None


def next_update_at(updates: Iterable[Update], now: datetime) -> datetime | None:
    """Return when the next attempt may begin, or None if nothing waits."""
    times = (_due_at(each, now) for each in _by_ticket(updates) if any(waits(update) for update in each))
    return min(times, default=None)


def _by_ticket(updates: Iterable[Update]) -> Sequence[Sequence[Update]]:
    return [in_order(each) for _, each in groupby(updates, key=lambda update: update.ticket_id)]


def _due_at(updates: Sequence[Update], now: datetime) -> datetime:
    """Return when the first update of a ticket that waits is due."""
    first = next((each for each in updates if waits(each)), None)
    return (None if first is None else attempt_due_at(first, now)) or now


def _is_reopenable(ticket: Ticket) -> bool:
    """Whether a ticket may be reopened. Nobody looks for a reopening of one that is known to be closed."""
    phase = ticket.phase
    return ticket.content.kind is TicketKind.INCIDENT and (
        phase is None or phase is Phase.RESOLVED or phase in OPEN_PHASES
    )


def _with_seen(ticket: Ticket, seen: Seen, now: datetime) -> Ticket:
    """Return the ticket with the record that ServiceNow showed, so that our own change is no news to the sync."""
    return ticket if is_outdated(ticket, seen.record) else with_record(ticket, seen.record, now)
