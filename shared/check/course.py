"""A check that goes on in the background while any host can show how far it is; the newest one of a connection is kept.

One conditional write begins a check, so a second one at the same time finds the first. The host that runs it notes what
it has found so far in the row, and that it is alive. If nobody has noted anything for :data:`SILENT_FOR`, the check has
stopped, for example because its host died, and another one can begin.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.background import begun
from shared.check.findings import ANY_CHECK, REASONS, CheckName, Finding, Outcome
from shared.check.preflight.trial import NOBODY
from shared.check.run import CheckReport, ConnectionCheck
from shared.clock import Clock, believed
from shared.connections.model import Connection
from shared.connections.ports import RowChanged
from shared.errors import Failure, StorageUnavailable
from shared.log import log_bug, log_context, log_event
from shared.service import service
from shared.tickets.model import Requester
from shared.value_object import value_object

NOTED_EVERY_S: Final = 0.4
"""How often new findings are stored, at most."""
ALIVE_EVERY_S: Final = 5.0
"""How often the row says that the check goes on, at least."""
SILENT_FOR: Final = timedelta(seconds=20)


@value_object
class NotedFinding:
    """A finding as it is stored; members as for :class:`shared.check.findings.Finding`."""

    check: str
    reason: str
    values: Mapping[str, str] = field(default_factory=dict)
    problem: Failure | None = None


@value_object
class CheckRun:
    """A check that goes on, has ended or has stopped.

    Attributes:
        run_id: Random.
        noted_at: When its host last said that it goes on.
        ended_at: None before its end.
        is_broken_off: Whether it will never end.
        dry_run: Whether it makes test tickets.
        total: How many findings there will be.
        noted: What has been found so far.
        left_open: Numbers of test tickets that could not be closed.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
        etag: Version of the stored row, None before it is stored.
    """

    run_id: str
    began_at: datetime
    noted_at: datetime
    ended_at: datetime | None = None
    is_broken_off: bool = False
    dry_run: bool = False
    total: int = 0
    noted: tuple[NotedFinding, ...] = ()
    left_open: tuple[str, ...] = ()
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)

    @property
    def findings(self) -> Sequence[Finding]:
        """What has been found, in the order of the checks, without what only another release knows."""
        order = {each.value: each for each in CheckName}
        known = [each for each in self.noted if each.check in order and _has_words(order[each.check], each.reason)]
        known.sort(key=lambda each: list(order).index(each.check))
        return [Finding(order[each.check], each.reason, each.values, each.problem) for each in known]

    def count(self, outcome: Outcome) -> int:
        """Return how many findings have this outcome."""
        return sum(each.outcome is outcome for each in self.findings)

    def is_running(self, now: datetime) -> bool:
        """Whether a host is at work on it."""
        noted_at = believed(self.noted_at, now)
        is_alive = noted_at is not None and now - noted_at < SILENT_FOR
        return self.ended_at is None and not self.is_broken_off and is_alive


class CheckStore(Protocol):
    """The newest check of each connection. Every method can raise StorageUnavailable."""

    async def get(self, connection_id: str) -> CheckRun | None:
        """Return the newest check; None if there is none or it cannot be read."""
        ...

    async def save(self, connection_id: str, run: CheckRun) -> CheckRun:
        """Store a check if its etag is still the stored one (None: none is stored). Raises RowChanged otherwise."""
        ...


@service
class CheckCourse:
    """Begins checks, and notes how far they are."""

    check: ConnectionCheck
    store: CheckStore
    clock: Clock

    async def begin(
        self, connection: Connection, *, dry_run: bool, requester: Requester = NOBODY
    ) -> tuple[CheckRun, bool]:
        """Begin a check, which goes on by itself; return it, and whether it is new: one may be running already.

        Raises:
            StorageUnavailable: Nobody knows whether one is running.
        """
        connection_id = connection.connection_id
        before, now = await self.store.get(connection_id), self.clock()
        if before is not None and before.is_running(now):
            return before, False
        run = CheckRun(
            run_id=secrets.token_hex(8),
            began_at=now,
            noted_at=now,
            dry_run=dry_run,
            total=self.check.total(connection),
            etag=None if before is None else before.etag,
        )
        try:
            run = await self._stored(connection_id, run)
        except RowChanged:
            other = await self.store.get(connection_id)
            return (run, False) if other is None else (other, False)
        begun(self._follow(connection_id, run, requester))
        return run, True

    async def keep(self, report: CheckReport) -> None:
        """Keep the result of a check that somebody waited for, unless another one is running."""
        connection_id, now = report.connection.connection_id, self.clock()
        try:
            before = await self.store.get(connection_id)
            if before is None or not before.is_running(now):
                run = CheckRun(
                    secrets.token_hex(8), report.checked_at, now, etag=None if before is None else before.etag
                )
                await self.store.save(connection_id, _ended(run, report))
        except (RowChanged, StorageUnavailable):
            log_event("check_not_kept", level=logging.WARNING, connection_id=connection_id)

    async def _follow(self, connection_id: str, run: CheckRun, requester: Requester) -> None:
        """Run the check, and note what it finds until it has ended or another one has begun."""
        found: Sequence[Finding] = ()

        def note(findings: Sequence[Finding]) -> None:
            nonlocal found
            found = findings

        with log_context(connection_id=connection_id):
            work = begun(self.check.run(connection_id, dry_run=run.dry_run, requester=requester, note=note))
            try:
                while not work.done():
                    await asyncio.wait({work}, timeout=NOTED_EVERY_S)
                    noted, now = _noted(found), self.clock()
                    is_silent = (now - run.noted_at).total_seconds() >= ALIVE_EVERY_S
                    if not work.done() and (noted != run.noted or is_silent):
                        run = await self._saved(connection_id, replace(run, noted=noted, noted_at=now))
                await self._saved(connection_id, await self._result(run, work))
            except RowChanged:
                log_event("check_not_kept", level=logging.WARNING, connection_id=connection_id)

    async def _result(self, run: CheckRun, work: asyncio.Task[CheckReport]) -> CheckRun:
        try:
            return _ended(run, await work)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: the page says that it broke off
            log_bug("unexpected_error", error)
            return replace(run, is_broken_off=True)

    async def _saved(self, connection_id: str, run: CheckRun) -> CheckRun:
        """Store how far the check is; without storage the next note does. Raises RowChanged."""
        try:
            return await self._stored(connection_id, run)
        except StorageUnavailable:
            log_event("check_not_kept", level=logging.WARNING, connection_id=connection_id)
            return run

    async def _stored(self, connection_id: str, run: CheckRun) -> CheckRun:
        """Store a check that only this host writes. Raises RowChanged if another one has begun, or StorageUnavailable.

        If the answer to an earlier write was lost, the stored version is our own, although we do not know it.
        """
        try:
            return await self.store.save(connection_id, run)
        except RowChanged:
            present = await self.store.get(connection_id)
            if present is None or present.run_id != run.run_id:
                raise
            return present if present == run else await self.store.save(connection_id, replace(run, etag=present.etag))


def _ended(run: CheckRun, report: CheckReport) -> CheckRun:
    return replace(
        run,
        ended_at=report.checked_at,
        noted_at=report.checked_at,
        dry_run=report.dry_run,
        noted=_noted(report.findings),
        total=len(report.findings),
        left_open=tuple(report.left_open),
    )


def _noted(findings: Sequence[Finding]) -> tuple[NotedFinding, ...]:
    return tuple(NotedFinding(each.check.value, each.reason, each.values, each.problem) for each in findings)


def _has_words(check: CheckName, reason: str) -> bool:
    return reason in REASONS[check.topic] or reason in ANY_CHECK
