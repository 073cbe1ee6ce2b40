"""The pre-flight: looks at what an instance will do with tickets, and tries it out with a test ticket."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.check.observations import InstanceProbe, MarkedRecord
from shared.check.observe import Observed, Unobserved, observe
from shared.check.preflight.model import (
    Fate,
    FieldOutlook,
    Hint,
    KindOutlook,
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
from shared.connections.model import Connection, TicketKind
from shared.errors import ConnectionNotAuthorized, ConnectorError, Failure, RowUnreadable, ValuesRefused
from shared.log import log_event
from shared.service import service
from shared.tickets.addresses import real_address
from shared.tickets.model import Delivery, Requester
from shared.tickets.ports import RequesterDirectory, TicketFilter, TicketStore
from shared.tickets.preview import RecordFields
from shared.tickets.summary import Summary
from shared.value_object import value_object

LOOK_S: Final = 10.0
"""Limit for each look at the instance; a person waits for the page."""
CREATING_S: Final = 15.0
READING_BACK_S: Final = 8.0
CANCELING_S: Final = 15.0
REFUSALS_READ: Final = 5
"""Failed tickets of a kind that are asked why."""


@value_object
class DryRun:
    """What happened to a test ticket.

    Attributes:
        created: The record; None if nobody knows whether it was created.
        seen: Whether the integration user sees the record through the parent table.
        closed: Whether the record is certainly closed again.
        sent: The fields that were sent.
    """

    proposed_sys_id: str
    created: Observed[MarkedRecord | None]
    seen: Observed[bool] = Unobserved("not_checked")
    closed: bool = False
    sent: Mapping[str, str] | None = None


@service
class Preflight:
    """Says what an instance will do with a connection's tickets."""

    columns: InstanceColumns
    tickets: TicketStore
    requesters: RequesterDirectory
    trials: TrialStore
    record_fields: RecordFields
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
        self, connection: Connection, kind: TicketKind, probe: InstanceProbe, requester: Requester = NOBODY
    ) -> DryRun:
        """Create a test ticket with the fields of a real one, read it back and cancel it.

        Args:
            connection: A connection with a consent.
            kind: Kind of the ticket.
            probe: Looks at the instance.
            requester: In whose name it is made.
        """
        return await _dry_run(probe, connection, kind, await self._fields(connection, kind, requester))

    async def try_out_and_remember(
        self, connection: Connection, kinds: Sequence[TicketKind], probe: InstanceProbe, requester: Requester
    ) -> None:
        """Create a test ticket of each of these kinds at the same time, and remember what was seen.

        Raises:
            ConnectionNotAuthorized: Nobody has consented yet.
            StorageUnavailable: What was seen cannot be remembered.
        """
        if not connection.ever_consented or connection.is_removed:
            raise ConnectionNotAuthorized()
        done = await asyncio.gather(*(self.try_out(connection, kind, probe, requester) for kind in kinds))
        for kind, each in zip(kinds, done, strict=True):
            await self.remember(connection, kind, each)

    async def remember(self, connection: Connection, kind: TicketKind, done: DryRun) -> None:
        """Remember what was seen of a test ticket. Raises StorageUnavailable."""
        columns = await self._columns(connection, kind)
        await self.trials.save(connection.connection_id, self._trial_of(done, connection, kind, columns))

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
        """Return what a real ticket would send, as its delivery finds it out."""
        email = real_address(requester.email or "") if connection.shares_requester else ""
        caller: Observed[str | None] = None
        if email and connection.ever_consented and not connection.is_removed:
            caller = await observe(lambda: self.requesters.sys_id_of(connection, email), LOOK_S)
        ticket = example_ticket(connection, kind, requester, secrets.token_hex(16), self.clock())
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

    def _trial_of(
        self, done: DryRun, connection: Connection, kind: TicketKind, columns: Mapping[str, Column] | None
    ) -> Trial:
        """Return what to remember of a test ticket."""
        sent = done.sent or {}
        known = Knowledge(columns)
        trial = Trial(
            kind=kind,
            tried_at=self.clock(),
            settings=settings_of(connection, kind),
            outcome=TrialOutcome.UNKNOWN,
            sys_id=done.proposed_sys_id,
        )
        match done.created:
            case MarkedRecord() as record:
                trial = replace(
                    trial,
                    outcome=TrialOutcome.ACCEPTED,
                    number=record.number or record.sys_id,
                    sys_id=record.sys_id,
                    is_canceled=done.closed,
                    fields=seen_fields(sent, record.values, known),
                )
            case Unobserved(error=ValuesRefused() as error):
                fields = refused_fields(error.failure, sent, known)
                trial = replace(trial, outcome=TrialOutcome.REFUSED, problem=error.failure, fields=fields)
            case Unobserved(error=ConnectorError() as error):
                trial = replace(trial, outcome=TrialOutcome.FAILED, problem=error.failure)
        lost = sum(each.fate not in {Fate.FINE, Fate.NOT_KNOWN} for each in trial.fields)
        log_event(
            "test_ticket_made",
            connection_id=connection.connection_id,
            kind=kind.value,
            outcome=trial.outcome.value,
            left_open=trial.is_left_open,
            fields_not_kept=lost,
        )
        return trial


def name_of(field: SeenField | FieldOutlook) -> str:
    """Return the label of a field, with its column in brackets where that says more."""
    same = field.column in {"", field.label}
    return field.label or field.column if same or not field.label else f"{field.label} ({field.column})"


def _has_delivered(counts: Summary, kind: TicketKind) -> bool:
    """Whether a ticket of a kind was delivered. Counting is cheap however many tickets there are."""
    return any(counts.phase_counts(kind).values())


async def _nothing() -> None:
    """Stands for a look at an instance that does not let us in."""


async def _dry_run(probe: InstanceProbe, connection: Connection, kind: TicketKind, fields: Mapping[str, str]) -> DryRun:
    """Create a marked record, read it back, check whether we see it, and cancel it."""
    proposed = secrets.token_hex(16)
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
