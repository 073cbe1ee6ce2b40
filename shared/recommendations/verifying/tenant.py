"""After a reading: what became of the tickets that are for a tenant's recommendations.

An index has what the rules need of each ticket (:meth:`shared.tickets.ports.TicketStore.list_watched`), so only tickets
that change are read. A change is stored in one transaction with its event, its note for ServiceNow and what the
connection's policy asks for: so nothing is lost or doubled, wherever a host stops. What one reading does not get to,
because it took too long or failed, is a change for the next one, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from shared.access.current import sees_everything
from shared.clock import Clock
from shared.connections.model import Connection, OutcomeNotes, OutcomePolicy
from shared.connections.ports import ConnectionStore, RowChanged
from shared.connections.turns import Turns
from shared.errors import ConnectorError, StorageUnavailable
from shared.log import log_bug, log_context, log_event
from shared.recommendations.model import ImprovementAction, Snapshot
from shared.recommendations.ports import Claim, ClaimStore, RecommendationStore
from shared.recommendations.verification import assessed, new_verification
from shared.recommendations.verifying.baselines import known_before
from shared.recommendations.verifying.notes import note_about
from shared.recommendations.verifying.observations import ObservedTenant, Reach, observed_tenant
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.service import service
from shared.tenants.model import Tenant
from shared.tickets.closings import closing_of
from shared.tickets.model import Delivery, Phase, Ticket
from shared.tickets.outcome_events import OutcomeChange, changed_items, with_verification
from shared.tickets.outcomes import Outcome, Verification, with_closing
from shared.tickets.policies import policy_of
from shared.tickets.ports import TicketStore, UpdateChange, WatchedTicket
from shared.tickets.updates.ask import asked
from shared.tickets.updates.model import MOST_PRESENT, UpdateKind, new_update_id

AT_MOST_S: Final = 20.0
"""The step ends after this: together with the reading it is far below the tenant's hold."""
MOST_TICKETS: Final = 500
"""How many tickets one reading changes."""
AT_ONCE: Final = 8
TRIES: Final = 5
POLICY: Final = "policy:"
"""Begins the id of the requester of what no person asked for; the outcome follows."""

_NOTES: Final = {OutcomeNotes.WORK_NOTE: UpdateKind.WORK_NOTE, OutcomeNotes.COMMENT: UpdateKind.COMMENT}
_ACTIONS: Final = {OutcomePolicy.REOPEN: UpdateKind.REOPEN, OutcomePolicy.NEW_TICKET: UpdateKind.FOLLOW_UP}
_UNSETTLED: Final = frozenset({Outcome.OPEN, Outcome.WAITING})
_LATER: Final = timedelta(milliseconds=1)
"""Between a note and what follows it: updates of a ticket are sent in the order of their ids."""


@dataclass(slots=True)
class _Work:
    """What the step knows of the tenant and its tickets.

    Attributes:
        order: For each recommendation, the tickets whose outcome can change, the last claimed first.
        snapshots: Past snapshots, once somebody needed them.
        woken: Connections with new updates.
    """

    tenant: Tenant
    observed: ObservedTenant
    actions: Mapping[str, ImprovementAction]
    waits: WaitingTimes
    order: Mapping[str, Sequence[str]] = field(default_factory=dict)
    connections: Mapping[str, Connection | None] = field(default_factory=dict)
    snapshots: Sequence[Snapshot] | None = None
    woken: set[str] = field(default_factory=set)

    def after(self, ticket_id: str, verification: Verification, now: datetime) -> Verification:
        """Return the verification of a ticket after the reading."""
        after = assessed(verification, self.observed, now, self.waits)
        is_over = after.is_watched and after.closing is not None and self._is_followed(ticket_id, after)
        return replace(after, is_superseded=True) if is_over else after

    def _is_followed(self, ticket_id: str, verification: Verification) -> bool:
        """Whether newer tickets are for all recommendations of a ticket, and nothing about it is undecided."""
        return all(
            item.outcome not in _UNSETTLED
            and item.tenant_id == self.tenant.tenant_id
            and (order := self.order.get(item.key, ()))
            and order[0] != ticket_id
            for item in verification.items
        )


@service
class TenantVerification:
    """Decides what became of a tenant's tickets; see the module's description."""

    claims: ClaimStore
    recommendations: RecommendationStore
    tickets: TicketStore
    connections: ConnectionStore
    turns: Turns
    waits: WaitingTimes
    clock: Clock

    @sees_everything
    async def run(
        self,
        tenant: Tenant,
        observed: ObservedTenant,
        actions: Iterable[ImprovementAction],
        *,
        within_s: float = AT_MOST_S,
    ) -> None:
        """Bring the tickets of a tenant up to date. No failure leaves this method.

        Args:
            observed: What is known of the tenant now.
            actions: Its improvement actions, as they are stored.
            within_s: Nobody waits longer than this; the next reading does the rest.
        """
        work = _Work(tenant, observed, {action.key: action for action in actions}, self.waits)
        with log_context(tenant_id=tenant.tenant_id):
            try:
                async with asyncio.timeout(within_s):
                    await self._run(work)
            except TimeoutError:
                log_event("outcomes_not_checked", level=logging.WARNING, code="no_time_left")
            except ConnectorError as error:
                log_event("outcomes_not_checked", level=logging.WARNING, code=error.code)
            except Exception as error:  # noqa: BLE001 - the reading counts, whatever happens to tickets
                log_bug("unexpected_error", error)

    async def _run(self, work: _Work) -> None:
        claims = await self.claims.list_claims(work.tenant.tenant_id)
        owners = sorted({each.connection_id for claim in claims for each in claim.tickets})
        parts = await asyncio.gather(*(self.tickets.list_watched(owner, work.tenant.tenant_id) for owner in owners))
        watched = [each for part in parts for each in part]
        work.order = _order(claims, watched)
        now = self.clock()
        changing = [
            (each.connection_id, each.ticket_id)
            for each in watched
            if work.after(each.ticket_id, each.verification, now) != each.verification
        ]
        others = () if work.observed.reach is Reach.REMOVED else _unknown(claims, watched)
        wanted = [*changing, *others][:MOST_TICKETS]
        if not wanted:
            return
        owners = sorted({owner for owner, _ in wanted})
        found = await asyncio.gather(*map(self.connections.get_connection, owners))
        work.connections = dict(zip(owners, found, strict=True))
        try:
            await _each(partial(self._change, work, owner, ticket_id) for owner, ticket_id in wanted)
        finally:
            for owner in sorted(work.woken):
                await self.turns.wake(owner)

    async def _change(self, work: _Work, owner: str, ticket_id: str) -> None:
        """Read one ticket and store what changes in it."""
        with log_context(connection_id=owner, ticket_id=ticket_id):
            for _ in range(TRIES):
                found = await self.tickets.get_tickets(owner, [ticket_id], whole=False)
                ticket = found.get(ticket_id)
                if ticket is None or all(each.tenant_id != work.tenant.tenant_id for each in ticket.content.references):
                    return None
                try:
                    return await self._store(work, ticket)
                except RowChanged:
                    continue
            raise StorageUnavailable(variant="contended")

    async def _store(self, work: _Work, ticket: Ticket) -> None:
        """Store a ticket's outcomes with what follows from them. Raises RowChanged."""
        now = self.clock()
        known = ticket.verification
        before = await self._first(work, ticket, now) if known is None else known
        after = work.after(ticket.ticket_id, before, now)
        if after == known or _is_told_later(ticket, work.observed.reach):
            return
        changes = changed_items(before, after)
        stored = with_verification(replace(ticket, verification=before), after, now)
        updates: list[UpdateChange] = []
        connection = work.connections.get(ticket.connection_id)
        # Nobody asked about a ticket of earlier releases, so its record is left alone.
        if known is not None and connection is not None and _can_be_told(ticket, connection):
            present = await self.tickets.list_updates_of(ticket.connection_id, ticket.ticket_id)
            has_room = len(present) < MOST_PRESENT
            is_followed_up = work.tenant.sends_to(ticket.connection_id)
            stored, updates = _with_updates(
                stored, changes, connection, work.actions, now, has_room=has_room, is_followed_up=is_followed_up
            )
        await self.tickets.update_ticket(ticket, stored, updates)
        for change in changes:
            log_event("ticket_outcome", outcome=str(change.after.outcome), reason=change.after.reason)
        if updates:
            work.woken.add(ticket.connection_id)

    async def _first(self, work: _Work, ticket: Ticket, now: datetime) -> Verification:
        """Return the verification of a ticket that a release without them has made."""
        references, tenant = ticket.content.references, work.tenant
        if work.snapshots is None:
            work.snapshots = await self.recommendations.list_snapshots(tenant.tenant_id)
        keys = [each.key for each in references if each.tenant_id == tenant.tenant_id]
        actions = [work.actions[key] for key in keys if key in work.actions]
        known = [known_before(tenant, actions, work.snapshots, ticket.created_at)]
        for reference in references:
            if reference.tenant_id != tenant.tenant_id:
                action = await self.recommendations.get_action(reference.tenant_id, reference.key)
                known.append(observed_tenant(reference.tenant_id, [] if action is None else [action], None, None))
        verification = new_verification(references, known, ticket.created_at)
        closing = closing_of(ticket, now)
        return verification if closing is None else with_closing(verification, closing, now)


def _order(claims: Iterable[Claim], watched: Iterable[WatchedTicket]) -> Mapping[str, Sequence[str]]:
    """Return the watched tickets of each recommendation, the last claimed first."""
    places = {(item.tenant_id, item.key, each.ticket_id) for each in watched for item in each.verification.items}
    return {
        claim.key: [each.ticket_id for each in claim.tickets if (claim.tenant_id, claim.key, each.ticket_id) in places]
        for claim in claims
    }


def _unknown(claims: Iterable[Claim], watched: Iterable[WatchedTicket]) -> Sequence[tuple[str, str]]:
    """Return the recommendations' newest tickets that no index has: those of a release that verified nothing.

    They may also be about to be made, or never have been.
    """
    known = {each.ticket_id for each in watched}
    newest = (claim.tickets[0] for claim in claims if claim.tickets)
    return list(dict.fromkeys((each.connection_id, each.ticket_id) for each in newest if each.ticket_id not in known))


def _is_told_later(ticket: Ticket, reach: Reach) -> bool:
    """Whether the ticket is on its way: it has no record to write a note in yet, and the next reading says the same."""
    return ticket.delivery.status is Delivery.PENDING and reach is not Reach.REMOVED


def _can_be_told(ticket: Ticket, connection: Connection) -> bool:
    """Whether the ticket's record can be changed: the ticket is not dormant, and it has one."""
    is_there = ticket.record is not None and ticket.phase is not Phase.DELETED
    return is_there and not connection.is_removed and ticket.is_of(connection)


def _with_updates(
    ticket: Ticket,
    changes: Sequence[OutcomeChange],
    connection: Connection,
    actions: Mapping[str, ImprovementAction],
    now: datetime,
    *,
    has_room: bool,
    is_followed_up: bool,
) -> tuple[Ticket, list[UpdateChange]]:
    """Return the ticket with the note about its new outcomes, and with what the connection's policy asks for.

    Only a closed ticket is reopened or followed by another one.

    Args:
        has_room: Whether one more note may wait. Where ServiceNow refuses every note, they would become more and more;
            the timeline has what they say.
        is_followed_up: Whether further work on the tenant is asked for here. Once it has moved to another connection,
            work on it is asked for there.
    """
    updates: list[UpdateChange] = []
    names = {each.key: _name(each.key, each.source_id, actions) for each in ticket.content.references}
    text = note_about(changes, names, connection.language, is_only_one=len(names) == 1)
    note = _NOTES.get(connection.outcome_notes)
    if text and note is not None and has_room:
        ticket, update = asked(ticket, note, by_id=f"{POLICY}outcome", now=now, text=text)
        updates.append(update)
    wanted = _wanted(ticket, changes, connection) if is_followed_up else None
    if wanted is not None:
        outcome, kind = wanted
        ticket, update = asked(
            ticket, kind, by_id=f"{POLICY}{outcome.value}", now=now, text=text, update_id=new_update_id(now + _LATER)
        )
        updates.append(update)
    return ticket, updates


def _name(key: str, source_id: str, actions: Mapping[str, ImprovementAction]) -> str:
    return actions[key].shown_title if key in actions else source_id


def _wanted(
    ticket: Ticket, changes: Sequence[OutcomeChange], connection: Connection
) -> tuple[Outcome, UpdateKind] | None:
    """Return what a policy asks for, and for which outcome; None if it is no more than the note.

    Where a newer ticket takes care of everything, that one is acted on.
    """
    settings, verification = connection.kinds.get(ticket.content.kind), ticket.verification
    if settings is None or verification is None or verification.closing is None or verification.is_superseded:
        return None
    new = {change.after.outcome for change in changes}
    for outcome in (Outcome.REGRESSED, Outcome.NOT_FIXED):
        kind = _ACTIONS.get(policy_of(ticket.content.kind, outcome, settings))
        if outcome in new and kind is not None:
            return outcome, kind
    return None


async def _each(jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do several things, a few at a time; what fails holds up nothing else."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def in_turn(job: Callable[[], Awaitable[None]]) -> None:
        async with turn:
            try:
                await job()
            except ConnectorError as error:
                log_event("outcome_not_stored", level=logging.WARNING, code=error.code)
            except Exception as error:  # noqa: BLE001 - one ticket never holds up another
                log_bug("unexpected_error", error)

    await asyncio.gather(*map(in_turn, jobs))
