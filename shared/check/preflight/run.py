"""The pre-flight: looks at what an instance will do with tickets, and tries it out with a test ticket.

A test ticket is stored before it is created. If making it is interrupted, it is still named, and the next attempt first
cancels it. Only one person at a time makes test tickets of a connection.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.check.observations import InstanceProbe, MarkedRecord
from shared.check.observe import Observed, Unobserved, observe
from shared.check.preflight.model import (
    Fate,
    FieldOutlook,
    Hint,
    KindOutlook,
    LeftBehind,
    SeenField,
    TicketHint,
    Trial,
    TrialOutcome,
)
from shared.check.preflight.ports import TrialStore
from shared.check.preflight.rules import MADE_BY_US, Knowledge, names_in, outlook, refused_fields, seen_fields
from shared.check.preflight.trial import NOBODY, example_ticket, settings_of
from shared.clock import Clock
from shared.connections.columns import Column, InstanceColumns
from shared.connections.grant.lease import Lease
from shared.connections.held_lease import HeldLease
from shared.connections.model import Connection, TicketKind
from shared.errors import (
    ConnectionNotAuthorized,
    ConnectorError,
    Failure,
    RowUnreadable,
    StorageUnavailable,
    ValuesRefused,
)
from shared.log import log_event
from shared.service import service
from shared.tickets.addresses import real_address
from shared.tickets.attempts import COMMIT_MAY_TAKE_S
from shared.tickets.model import Delivery, Requester
from shared.tickets.ports import Companies, RequesterDirectory, TicketFilter, TicketStore
from shared.tickets.preview import RecordFields
from shared.tickets.summary import Summary
from shared.value_object import value_object

LOOK_S: Final = 10.0
"""Limit for each look at the instance; a person waits for the page."""
CREATING_S: Final = 15.0
READING_BACK_S: Final = 8.0
CANCELING_S: Final = 15.0
TEST_TICKETS: Final = "test_ticket"
"""Purpose of the lease for making test tickets of a connection."""
MOST_LEFT_BEHIND: Final = 10
MAY_APPEAR: Final = timedelta(seconds=CREATING_S + COMMIT_MAY_TAKE_S)
"""A test ticket whose answer was lost can appear for this long."""
NAMED_FOR: Final = timedelta(days=30)
"""How long a test ticket is named after it was created and can no longer be found."""
REFUSALS_READ: Final = 5
"""How many failed tickets of a kind are read for their reasons."""


@value_object
class DryRun:
    """What happened to a test ticket.

    Attributes:
        created: The record; None if nobody knows whether it was created.
        seen: Whether the integration user sees the record through the parent table.
        closed: Whether the record is certainly closed again.
        sent: The fields that were sent.
        not_remembered: Why the result could not be stored.
    """

    proposed_sys_id: str
    created: Observed[MarkedRecord | None]
    seen: Observed[bool] = Unobserved("not_checked")
    closed: bool = False
    sent: Mapping[str, str] | None = None
    not_remembered: StorageUnavailable | None = None


@service
class Preflight:
    """Says what an instance will do with a connection's tickets."""

    columns: InstanceColumns
    tickets: TicketStore
    requesters: RequesterDirectory
    trials: TrialStore
    record_fields: RecordFields
    companies: Companies
    lease: Lease
    clock: Clock

    async def look(
        self, connection: Connection, probe: InstanceProbe, requester: Requester = NOBODY
    ) -> Sequence[KindOutlook]:
        """Return what is known about the tickets of each enabled kind. What cannot be found out is not known.

        Args:
            connection: The connection.
            probe: Looks at its instance.
            requester: In whose name an example is made.

        Raises:
            StorageUnavailable: What we know ourselves cannot be read.
        """
        kinds = [kind for kind in TicketKind if connection.kinds[kind].enabled]
        return await asyncio.gather(*(self._look_at(connection, kind, probe, requester) for kind in kinds))

    async def try_out(
        self, connection: Connection, kinds: Sequence[TicketKind], probe: InstanceProbe, requester: Requester = NOBODY
    ) -> Mapping[TicketKind, DryRun]:
        """Create test tickets with the fields of real ones, read them back, cancel them, and remember what was seen.

        Args:
            connection: A connection with a consent.
            kinds: Kinds of the tickets, which are made at the same time.
            probe: Looks at the instance.
            requester: In whose name they are made.

        Raises:
            TryLater: 503 ``connection_busy``: somebody else is making test tickets. Or storage does not answer, and
                a test ticket that cannot be remembered is not made.
        """
        async with self.lease.held(connection.connection_id) as lease:
            return await self._made(connection, kinds, probe, requester, lease)

    async def try_out_unless_just_done(
        self, connection: Connection, kinds: Sequence[TicketKind], probe: InstanceProbe, requester: Requester
    ) -> None:
        """Create test tickets as :meth:`try_out` does, except those that somebody else has made while we waited.

        Raises:
            ConnectionNotAuthorized: Nobody has consented yet.
            TryLater: As :meth:`try_out`, or what was seen cannot be remembered.
        """
        if not connection.ever_consented or connection.is_removed:
            raise ConnectionNotAuthorized()
        before = {kind: await self._trial(connection, kind) for kind in kinds}
        async with self.lease.held(connection.connection_id) as lease:
            wanted = kinds
            if lease.waited:
                wanted = [kind for kind in kinds if not await self._was_tried_since(before[kind], connection, kind)]
            done = await self._made(connection, wanted, probe, requester, lease)
        for each in done.values():
            if each.not_remembered is not None:
                raise each.not_remembered

    async def _was_tried_since(self, before: Trial | None, connection: Connection, kind: TicketKind) -> bool:
        """Whether there is a newer result for the present settings."""
        now = await self._trial(connection, kind)
        if now is None or now == before or now.outcome is TrialOutcome.UNKNOWN:
            return False
        return now.settings == settings_of(connection, kind)

    async def _made(
        self,
        connection: Connection,
        kinds: Sequence[TicketKind],
        probe: InstanceProbe,
        requester: Requester,
        lease: HeldLease,
    ) -> Mapping[TicketKind, DryRun]:
        done = await asyncio.gather(
            *(self._try_out(connection, kind, probe, requester, lease) for kind in kinds), return_exceptions=True
        )
        # Only now: even if one kind fails, the others are made under the lease.
        for each in done:
            if isinstance(each, BaseException):
                raise each
        return dict(zip(kinds, (each for each in done if isinstance(each, DryRun)), strict=True))

    async def _try_out(
        self, connection: Connection, kind: TicketKind, probe: InstanceProbe, requester: Requester, lease: HeldLease
    ) -> DryRun:
        before, fields = await asyncio.gather(self._trial(connection, kind), self._fields(connection, kind, requester))
        left_behind = await self._canceled(connection, kind, probe, () if before is None else before.may_be_open)
        begun = Trial(
            kind=kind,
            tried_at=self.clock(),
            settings=settings_of(connection, kind),
            outcome=TrialOutcome.UNKNOWN,
            sys_id=secrets.token_hex(16),
            instance=connection.instance,
            left_behind=left_behind,
        )
        lease.require()
        await self.trials.save(connection.connection_id, begun)
        done = await _dry_run(probe, connection, kind, begun.sys_id, fields)
        trial = _after(begun, done, Knowledge(await self._columns(connection, kind)))
        _log(trial, connection)
        try:
            await self.trials.save(connection.connection_id, trial)
        except StorageUnavailable as error:
            return replace(done, not_remembered=error)
        return done

    async def _canceled(
        self, connection: Connection, kind: TicketKind, probe: InstanceProbe, possibly_open: Sequence[LeftBehind]
    ) -> tuple[LeftBehind, ...]:
        """Cancel earlier test tickets; return those that may still be open."""
        after = [await self._left(connection, kind, probe, each) for each in possibly_open]
        return tuple(each for each in after if each is not None)[:MOST_LEFT_BEHIND]

    async def _left(
        self, connection: Connection, kind: TicketKind, probe: InstanceProbe, left: LeftBehind
    ) -> LeftBehind | None:
        """Cancel an earlier test ticket; return it if it may still be open, otherwise None."""
        if left.instance not in {"", connection.instance}:
            return left
        found = await observe(lambda: probe.find_marked(connection, kind, left.sys_id, ("active",)), READING_BACK_S)
        if found is None:
            # It was deleted, or a rule hides it.
            lasts = NAMED_FOR if left.number else MAY_APPEAR
            return left if self.clock() - left.tried_at < lasts else None
        if isinstance(found, Unobserved):
            return left
        if found.values.get("active") == "false":
            return None
        record = found
        closed = await observe(lambda: probe.cancel_marked(connection, kind, record), CANCELING_S)
        return None if closed is True else replace(left, number=record.number or record.sys_id)

    async def hint(self, connection: Connection, kind: TicketKind) -> TicketHint | None:
        """Return what to say before the first ticket of a kind is sent; None if nothing. Asks ServiceNow nothing.

        Raises StorageUnavailable.
        """
        counts, trial = await asyncio.gather(
            self.tickets.get_summary(connection.connection_id), self._trial(connection, kind)
        )
        if _has_delivered(counts, kind):
            return None
        if trial is None:
            refusals = await self._refusals(connection, kind, counts)
            names = [name for failure in refusals[:1] for name in names_in(failure)]
            return TicketHint(kind, Hint.REFUSED if names else Hint.UNTRIED, names)
        if trial.settings != settings_of(connection, kind):
            return TicketHint(kind, Hint.OLDER)
        if trial.outcome is TrialOutcome.ACCEPTED:
            return None
        if trial.outcome is not TrialOutcome.REFUSED:
            return TicketHint(kind, Hint.UNTRIED)
        return TicketHint(kind, Hint.REFUSED, [name_of(each) for each in trial.refused])

    async def _look_at(
        self, connection: Connection, kind: TicketKind, probe: InstanceProbe, requester: Requester
    ) -> KindOutlook:
        sent = await self._fields(connection, kind, requester)
        asks = connection.ever_consented and not connection.is_removed
        counts = await self.tickets.get_summary(connection.connection_id)
        columns, policies, trial, refusals = await asyncio.gather(
            self._columns(connection, kind),
            observe(lambda: probe.data_policies(connection, kind, sent), LOOK_S) if asks else _nothing(),
            self._trial(connection, kind),
            self._refusals(connection, kind, counts),
        )
        readable = None if isinstance(policies, Unobserved) else policies
        is_older = trial is not None and trial.settings != settings_of(connection, kind)
        known = Knowledge(columns, readable, refusals, None if is_older else trial)
        return KindOutlook(
            kind=kind,
            fields=outlook(sent, known),
            trial=trial,
            is_trial_older=is_older,
            columns_readable=columns is not None,
            policies_readable=readable is not None,
            has_delivered=_has_delivered(counts, kind),
        )

    async def _fields(self, connection: Connection, kind: TicketKind, requester: Requester) -> Mapping[str, str]:
        """Return what a real ticket would send, found out as at its delivery."""
        email = real_address(requester.email or "") if connection.shares_requester else ""
        caller: Observed[str | None] = None
        if email and connection.ever_consented and not connection.is_removed:
            caller = await observe(lambda: self.requesters.sys_id_of(connection, email), LOOK_S)
        company = await self.companies.company_for(connection.connection_id, None)
        ticket = example_ticket(connection, kind, requester, secrets.token_hex(16), self.clock(), company=company)
        return self.record_fields(ticket, connection.kinds[kind], caller if isinstance(caller, str) else None)

    async def _columns(self, connection: Connection, kind: TicketKind) -> Mapping[str, Column] | None:
        if not connection.ever_consented or connection.is_removed:
            return None
        seen = await observe(lambda: self.columns.columns(connection, kind), LOOK_S)
        return None if isinstance(seen, Unobserved) else seen

    async def _trial(self, connection: Connection, kind: TicketKind) -> Trial | None:
        try:
            return await self.trials.get(connection.connection_id, kind)
        except RowUnreadable:
            # Another release wrote it; a new test ticket replaces it.
            return None

    async def _refusals(self, connection: Connection, kind: TicketKind, counts: Summary) -> Sequence[Failure]:
        """Return why ServiceNow refused tickets of a kind, newest first."""
        if not counts.delivery_count(kind, Delivery.FAILED):
            return ()
        wanted = TicketFilter(kind=kind, delivery=Delivery.FAILED)
        failed = await self.tickets.list_tickets([connection.connection_id], wanted, limit=REFUSALS_READ)
        found = [each.delivery.failure for each in failed if each.is_of(connection)]
        return [failure for failure in found if failure is not None]


def _after(begun: Trial, done: DryRun, known: Knowledge) -> Trial:
    """Return what to remember of a test ticket."""
    sent = done.sent or {}
    match done.created:
        case MarkedRecord() as record:
            return replace(
                begun,
                outcome=TrialOutcome.ACCEPTED,
                number=record.number or record.sys_id,
                is_canceled=done.closed,
                fields=seen_fields(sent, record.values, known),
            )
        case Unobserved(error=ValuesRefused() as error):
            fields = refused_fields(error.failure, sent, known)
            return replace(begun, outcome=TrialOutcome.REFUSED, problem=error.failure, fields=fields)
        case Unobserved(error=ConnectorError() as error):
            return replace(begun, outcome=TrialOutcome.FAILED, problem=error.failure)
    return begun


def _log(trial: Trial, connection: Connection) -> None:
    lost = sum(each.fate not in {Fate.FINE, Fate.NOT_KNOWN} for each in trial.fields)
    log_event(
        "test_ticket_made",
        connection_id=connection.connection_id,
        kind=trial.kind.value,
        outcome=trial.outcome.value,
        left_open=trial.is_left_open,
        fields_not_kept=lost,
    )


def name_of(field: SeenField | FieldOutlook) -> str:
    """Return the label of a field, with its column in brackets where that says more."""
    same = field.column in {"", field.label}
    return field.label or field.column if same or not field.label else f"{field.label} ({field.column})"


def _has_delivered(counts: Summary, kind: TicketKind) -> bool:
    """Whether a ticket of a kind was delivered. Counting is cheap however many tickets there are."""
    return any(counts.phase_counts(kind).values())


async def _nothing() -> None:
    """Take the place of a look at an instance that does not let us in."""


async def _dry_run(
    probe: InstanceProbe, connection: Connection, kind: TicketKind, proposed: str, fields: Mapping[str, str]
) -> DryRun:
    """Create a marked record, read it back, check whether we see it, and cancel it."""
    sent = {column: value for column, value in fields.items() if column not in MADE_BY_US}
    created: Observed[MarkedRecord | None] = await observe(
        lambda: probe.create_marked(connection, kind, proposed, sent), CREATING_S
    )
    if isinstance(created, Unobserved):
        certainly_not = created.error is not None and not created.error.may_be_written
        if certainly_not:
            return DryRun(proposed, created, sent=sent)
    # The answer to an insert lacks what rules of the instance do afterwards, so the record is read in any case.
    found = await observe(lambda: probe.find_marked(connection, kind, proposed, tuple(sent)), READING_BACK_S)
    record = found if isinstance(found, MarkedRecord) else created
    if not isinstance(record, MarkedRecord):
        return DryRun(proposed, None, sent=sent)
    visible = await observe(lambda: probe.visible(connection, [record.sys_id]), READING_BACK_S)
    seen = visible if isinstance(visible, Unobserved) else record.sys_id in visible
    closed = await observe(lambda: probe.cancel_marked(connection, kind, record), CANCELING_S)
    return DryRun(proposed, record, seen=seen, closed=closed is True, sent=sent)
