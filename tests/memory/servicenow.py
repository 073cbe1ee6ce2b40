"""ServiceNow's records, and everything that can happen on the way to them (ServiceNow §2, §3 and §10)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.connections.directory import Place
from shared.connections.model import Connection, KindSettings
from shared.errors import (
    AccessRefused,
    AccessTokenRefused,
    ConnectorError,
    InstanceClosed,
    InsufficientRights,
    MandatoryFieldsMissing,
    NewAccessTokenRefused,
    OurBug,
    OutcomeUnknown,
    QueryRefused,
    QuotaExceeded,
    Reauthorize,
    RecordHidden,
    RecordsHidden,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    ValuesRefused,
)
from shared.servicenow.queries import is_safe_value
from shared.servicenow.records import ALL_CLASSES
from shared.servicenow.states import phase_of, phases_by_table
from shared.tickets.kinds import KINDS, TicketTable
from shared.tickets.model import CORRELATION_PREFIX, Record, Ticket
from shared.tickets.ports import RecordClosing, RecordPage
from shared.tickets.reach import Reach
from tests.memory.clock import ManualClock
from tests.memory.steps import Step, at_once

WRITE_MAY_TAKE_S = 30.0
"""How long the client waits for the answer to a write."""
COMMIT_MAY_TAKE_S = 60.0
"""How long after a request's arrival its transaction may still be committed."""


class WriteFault(StrEnum):
    """What can happen to one insert."""

    NOT_SENT = "the connection is refused"
    LOST_ON_THE_WAY = "reset before it arrived"
    ANSWER_LOST = "committed, then the connection breaks"
    COMMITTED_LATE = "the client gives up, the transaction is committed afterwards"
    THROTTLED = "429"
    NO_TOKEN = "the consent is no longer accepted"
    TOKEN_REFUSED = "401"
    COMMITTED_THEN_TOKEN_REFUSED = "committed, and answered 401"
    PAGE_IN_FRONT = "a proxy's page in place of the answer, committed"
    PAGE_INSTEAD = "a proxy's page in place of the instance"
    VALUES_REFUSED = "data policy"
    ACCESS_REFUSED = "rights"
    ADDRESS_BLOCKED = "IP filter"


class ReadFault(StrEnum):
    """What can happen to one query."""

    NO_ANSWER = "time-out"
    THROTTLED = "429"
    NO_TOKEN = "the consent is no longer accepted"
    TOKEN_REFUSED = "401, with a new token, too"
    ACCESS_REFUSED = "rights"
    ADDRESS_BLOCKED = "IP filter"


@dataclass(frozen=True)
class Version:
    """A record from some time on; None after it is deleted."""

    visible_at: datetime
    record: Record | None


def time_text(at: datetime) -> str:
    """Return a time as ServiceNow writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def as_shown(record: Record) -> Record:
    """Return the record with the meaning of its state; a query of the parent table hides its class."""
    return replace(
        record,
        phase=phase_of(record.table, record.state, active=record.active),
        phase_by_table=phases_by_table(record.state, active=record.active) if record.table == ALL_CLASSES else None,
    )


class MemoryServiceNow:
    """Implements :class:`shared.tickets.ports.TicketRecords` for an instance with its own clock.

    Attributes:
        clock: Our clock; the instance's own is ``skew`` ahead of it.
        honours_sys_id: Whether a proposed sys_id is used. If so, a second record with the same one is refused.
        write_faults: Faults for the next inserts, one each.
        late_by_s: How long after arrival a ``COMMITTED_LATE`` insert is committed.
        read_faults: Faults for the next reads, one each.
        caller_mandatory: Whether a data policy refuses a record without a caller.
        callers: The caller of each record, by sys_id.
        query_refused: Whether query rules forbid range and sort on ``sys_updated_on``.
        hidden: sys_ids that access controls hide.
        hides_new: Whether a rule moves each new record out of our sight.
        case_counts: Whether the instance distinguishes case when it compares text.
        cancels: Which reads by time and by correlation id are too expensive.
        cancels_by: The error of such a read.
        closings: How records were closed, by sys_id.
        requests: Number of requests by operation.
    """

    def __init__(
        self, clock: ManualClock, *, skew: timedelta = timedelta(), honours_sys_id: bool = True, step: Step = at_once
    ) -> None:
        self.clock = clock
        self.skew = skew
        self.honours_sys_id = honours_sys_id
        self._step = step
        self._versions: dict[str, list[Version]] = {}
        self._created: dict[str, int] = {}
        self.write_faults: deque[WriteFault] = deque()
        self.late_by_s = COMMIT_MAY_TAKE_S
        self.read_faults: deque[ReadFault] = deque()
        self.query_refused = False
        self.caller_mandatory = False
        self.callers: dict[str, str | None] = {}
        self.hidden: set[str] = set()
        self.hides_new = False
        self.case_counts = False
        self.cancels: Callable[[Reach], bool] = lambda reach: False
        self.cancels_by: type[ServiceNowUnavailable] = QuotaExceeded
        self.closings: dict[str, RecordClosing] = {}
        self.requests: Counter[str] = Counter()

    # Actions of the instance's own people

    @property
    def now(self) -> datetime:
        """The instance's time."""
        return self.clock() + self.skew

    def record(self, sys_id: str) -> Record | None:
        """Return the current record."""
        visible = [each for each in self._versions.get(sys_id, []) if each.visible_at <= self.clock()]
        return visible[-1].record if visible else None

    @property
    def records(self) -> list[Record]:
        """Return all current records, oldest first."""
        ordered = sorted(self._versions, key=self._created.__getitem__)
        return [record for sys_id in ordered if (record := self.record(sys_id)) is not None]

    def records_of(self, ticket_id: str) -> list[Record]:
        """Return the records with a ticket's correlation id, including those that are still being committed."""
        newest = (versions[-1].record for versions in self._versions.values())
        correlation_id = f"{CORRELATION_PREFIX}{ticket_id}"
        return [each for each in newest if each is not None and each.correlation_id == correlation_id]

    def insert(self, record: Record, *, commit_after_s: float = 0.0) -> Record:
        """Add a record; its time is now, but it is visible only after it is committed."""
        record = as_shown(replace(record, updated_at_text=time_text(self.now)))
        self._created.setdefault(record.sys_id, len(self._created))
        self._write(record.sys_id, record, commit_after_s)
        return record

    def change(self, sys_id: str, *, commit_after_s: float = 0.0, **values: object) -> Record:
        """Change a record: its time is now and its count goes up, but it is visible only after it is committed."""
        record = self._versions[sys_id][-1].record
        assert record is not None, "a deleted record cannot be changed"
        stamped = {"updated_at_text": time_text(self.now), "mod_count": record.mod_count + 1}
        changed = replace(record, **{**stamped, **values})  # type: ignore[arg-type]
        self._write(sys_id, changed, commit_after_s)
        return changed

    def delete(self, sys_id: str) -> None:
        """Delete a record."""
        self._write(sys_id, None, 0.0)

    def _write(self, sys_id: str, record: Record | None, commit_after_s: float) -> None:
        record = None if record is None else as_shown(record)
        at = self.clock() + timedelta(seconds=commit_after_s)
        versions = self._versions.setdefault(sys_id, [])
        at = max(at, versions[-1].visible_at) if versions else at
        versions.append(Version(at, record))

    # The connector's requests

    async def create_record(
        self,
        connection: Connection,
        ticket: Ticket,
        kind_settings: KindSettings,
        requester_sys_id: str | None,
        *,
        send_by: datetime,
    ) -> Record:
        """See the port. The request arrives at once; only the access token or the answer is slow."""
        await self._step("access_token")
        if self.clock() > send_by:
            raise ServiceNowUnavailable()
        self.requests["create_record"] += 1
        sent_at = self.clock()
        fault = self.write_faults.popleft() if self.write_faults else None
        error = self.error_of(fault)
        if error is None and self.caller_mandatory and requester_sys_id is None:
            error = MandatoryFieldsMissing()
        record: Record | None = None
        if error is None and fault not in {WriteFault.LOST_ON_THE_WAY, WriteFault.PAGE_INSTEAD}:
            if self.honours_sys_id and ticket.ticket_id in self._versions:
                error = AccessRefused()
            else:
                record = self._committed(ticket, self.late_by_s if fault is WriteFault.COMMITTED_LATE else 0.0)
                self.callers[record.sys_id] = requester_sys_id
        await self._step("create_record answers")
        if error is not None:
            raise error
        if fault is WriteFault.COMMITTED_THEN_TOKEN_REFUSED:
            raise _token_refused()
        if fault in {WriteFault.PAGE_IN_FRONT, WriteFault.PAGE_INSTEAD}:
            raise InstanceClosed("servicenow_redirects", writing=True)
        too_late = self.clock() > sent_at + timedelta(seconds=WRITE_MAY_TAKE_S)
        if record is None or fault is not None or too_late:
            raise OutcomeUnknown()
        if self.hides_new:
            self.hidden.add(record.sys_id)
            raise RecordHidden(correlation_id=ticket.correlation_id)
        return record

    def error_of(self, fault: WriteFault | None) -> ConnectorError | None:
        """Return the error with which ServiceNow, or something in front of it, refuses a write; None if it does not."""
        match fault:
            case WriteFault.NO_TOKEN:
                return _no_token()
            case WriteFault.TOKEN_REFUSED:
                return _token_refused()
            case WriteFault.NOT_SENT:
                return ServiceNowUnavailable()
            case WriteFault.THROTTLED:
                return _throttled()
            case WriteFault.VALUES_REFUSED:
                return ValuesRefused("data_policy_refused")
            case WriteFault.ACCESS_REFUSED:
                return _lacks_rights()
            case WriteFault.ADDRESS_BLOCKED:
                return _address_blocked()
            case _:
                return None

    def _committed(self, ticket: Ticket, commit_after_s: float) -> Record:
        number = f"{'INC' if KINDS[ticket.content.kind].table == 'incident' else 'CHG'}{len(self._created) + 10001:07}"
        record = Record(
            sys_id=ticket.ticket_id if self.honours_sys_id else f"{len(self._created):032x}",
            table=KINDS[ticket.content.kind].table,
            number=number,
            state="1" if KINDS[ticket.content.kind].table == "incident" else "-5",
            active=True,
            updated_at_text="",
            mod_count=0,
            state_label="New",
            due_at=ticket.content.due_at,
            correlation_id=ticket.correlation_id,
        )
        return self.insert(record, commit_after_s=commit_after_s)

    async def find_records(
        self, connection: Connection, table: str, *, sys_id: str, correlation_id: str
    ) -> Sequence[Record]:
        """See the port."""
        await self.read("find_records")
        found = [
            record
            for record in self.records
            if record.sys_id == sys_id or (record.correlation_id or "").lower() == correlation_id
        ]
        visible = [record for record in found if record.sys_id not in self.hidden]
        await self._step("find_records answers")
        if found and not visible:
            raise RecordsHidden()
        return visible

    async def list_changes(
        self,
        connection: Connection,
        *,
        since: str | None,
        inclusive: bool,
        until: str | None,
        place: Place,
        reach: Reach,
    ) -> RecordPage:
        """See the port."""
        await self.read("list_changes", reach)
        if self.query_refused:
            raise QueryRefused()
        rows = [((record.updated_at_text, record.sys_id), record) for record in self._matching]
        if place.after is None and since is not None:
            rows = [row for row in rows if row[0][0] > since or (inclusive and row[0][0] == since)]
        page = self._page(rows, until, place, reach)
        await self._step("list_changes answers")
        return page

    async def list_by_sys_id(self, connection: Connection, sys_ids: Sequence[str]) -> Sequence[Record]:
        """See the port."""
        await self.read("list_by_sys_id")
        return [record for record in self._visible if record.sys_id in set(sys_ids)]

    async def list_closings(
        self, connection: Connection, table: TicketTable, sys_ids: Sequence[str]
    ) -> Sequence[RecordClosing]:
        """See the port."""
        await self.read("list_closings")
        visible = {record.sys_id for record in self._visible if record.table == table} & set(sys_ids)
        return [self.closings.get(sys_id, RecordClosing(sys_id)) for sys_id in sys_ids if sys_id in visible]

    async def list_by_correlation(
        self, connection: Connection, *, until: str | None, place: Place, reach: Reach
    ) -> RecordPage:
        """See the port."""
        await self.read("list_by_correlation", reach)
        rows = [((self._compared(record.correlation_id), record.sys_id), record) for record in self._matching]
        if place.after is not None:
            place = replace(place, after=(self._compared(place.after[0]), place.after[1]))
        return self._page(rows, until, place, reach)

    def _page(
        self, rows: Sequence[tuple[tuple[str, str], Record]], until: str | None, place: Place, reach: Reach
    ) -> RecordPage:
        """Return one page; the limit applies before access controls."""
        if place.after is not None and not is_safe_value(place.after[0]):
            raise OurBug("unsafe_query_value")
        matching = sorted((row for row in rows if until is None or row[0][0] < until), key=lambda row: row[0])
        behind = [row for row in matching if place.after is None or row[0] > place.after][place.offset :]
        window = behind[: reach.page_size]
        visible: list[Record] = []
        following = replace(place, offset=place.offset + len(window))
        for number, (key, record) in enumerate(window):
            if record.sys_id not in self.hidden:
                visible.append(record)
                if is_safe_value(key[0]):
                    following = Place(key, len(window) - number - 1)
        more = len(behind) > reach.page_size if reach.counted else bool(visible)
        return RecordPage(visible, following if more else None)

    def _compared(self, text: str | None) -> str:
        return (text or "") if self.case_counts else (text or "").lower()

    async def read(self, operation: str, reach: Reach | None = None) -> None:
        """Count a request that reads, and let its fault happen."""
        self.requests[operation] += 1
        if reach is not None and self.cancels(reach):
            raise self.cancels_by()
        await self._step(operation)
        fault = self.read_faults.popleft() if self.read_faults else None
        match fault:
            case ReadFault.NO_TOKEN:
                raise _no_token()
            case ReadFault.TOKEN_REFUSED:
                raise NewAccessTokenRefused()
            case ReadFault.NO_ANSWER:
                raise ServiceNowUnavailable()
            case ReadFault.THROTTLED:
                raise _throttled()
            case ReadFault.ACCESS_REFUSED:
                raise _lacks_rights()
            case ReadFault.ADDRESS_BLOCKED:
                raise _address_blocked()

    @property
    def _visible(self) -> list[Record]:
        return [record for record in self.records if record.sys_id not in self.hidden]

    @property
    def _matching(self) -> list[Record]:
        """Return the records with the prefix of our correlation ids, including hidden ones."""
        return [each for each in self.records if self._compared(each.correlation_id).startswith(CORRELATION_PREFIX)]


def _no_token() -> Reauthorize:
    return Reauthorize()


def _token_refused() -> AccessTokenRefused:
    return AccessTokenRefused(writing=True)


def _throttled() -> ServiceNowThrottled:
    return ServiceNowThrottled(retry_after_s=90.0)


def _lacks_rights() -> AccessRefused:
    return InsufficientRights()


def _address_blocked() -> InstanceClosed:
    return InstanceClosed("ip_address_blocked")
