"""An instance, as a connection check sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from shared.check.observations import (
    Account,
    ClientRecord,
    Greeting,
    MarkedRecord,
    RateLimit,
    Reach,
    RegistryTable,
    SignIn,
    SignInPage,
)
from shared.check.preflight.model import DataPolicy
from shared.connections.model import Connection, TicketKind
from shared.secret import Secret

HANGS = "hangs"


@dataclass
class MemoryProbe:
    """Implements :class:`shared.check.observations.InstanceProbe` for an instance on which everything works.

    Attributes:
        mishaps: What happens instead of an answer, by the name of the look: an exception, or :data:`HANGS`.
        asked: Names of the looks, in order.
        records: Records of dry runs; True after they are closed.
        numbers: Numbers of other records, by sys_id.
        hidden: Records that cannot be seen.
        policies: Its data policies; None if nobody may read them.
        changes: What its rules make of the fields of a new record.
        found: The records of dry runs, as they read.
        closed_by_people: Those that somebody has closed in the instance.
    """

    mishaps: dict[str, Exception | str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    records: dict[str, bool] = field(default_factory=dict)
    loses_answers: bool = False
    numbers: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    policies: Sequence[DataPolicy] | None = None
    changes: Mapping[str, str] = field(default_factory=dict)
    found: dict[str, MarkedRecord] = field(default_factory=dict)
    closed_by_people: set[str] = field(default_factory=set)

    def with_token(self, token: Secret) -> Self:
        """See the port: every token sees the same."""
        return self

    async def greet(self, instance: str) -> Greeting:
        """See the port."""
        await self._look("greet")
        return Greeting(Reach.API, 401, 0.0)

    async def sign_in_page(self, authorization_url: str) -> SignInPage:
        """See the port."""
        await self._look("sign_in_page")
        return SignInPage(SignIn.LOGIN_FORM, authorization_url.partition("?")[0])

    async def serves_tokens(self, instance: str) -> bool:
        """See the port."""
        await self._look("serves_tokens")
        return True

    async def rate_limit(self, connection: Connection) -> RateLimit:
        """See the port."""
        await self._look("rate_limit")
        return RateLimit(None)

    async def client_record(self, connection: Connection, client_id: str) -> ClientRecord | None:
        """See the port."""
        await self._look("client_record")
        return None

    async def registry_table(self, connection: Connection) -> RegistryTable | None:
        """See the port."""
        await self._look("registry_table")
        return None

    async def account(self, connection: Connection, user_sys_id: str) -> Account | None:
        """See the port."""
        await self._look("account")
        return Account(True, False, False, False)

    async def is_seen_exempted(self, connection: Connection, user_sys_id: str) -> bool:
        """See the port."""
        await self._look("is_seen_exempted")
        return False

    async def query_by_time(self, connection: Connection) -> None:
        """See the port."""
        await self._look("query_by_time")

    async def read_kind(self, connection: Connection, kind: TicketKind) -> None:
        """See the port."""
        await self._look("read_kind")

    async def visible(self, connection: Connection, sys_ids: Collection[str]) -> Mapping[str, str]:
        """See the port."""
        await self._look("visible")
        return {sys_id: self.numbers.get(sys_id, "") for sys_id in sys_ids if sys_id not in self.hidden}

    async def may_read_choices(self, connection: Connection, kind: TicketKind) -> bool:
        """See the port."""
        await self._look("may_read_choices")
        return True

    async def release(self, connection: Connection) -> str | None:
        """See the port."""
        await self._look("release")
        return None

    async def data_policies(
        self, connection: Connection, kind: TicketKind, sent: Mapping[str, str]
    ) -> Sequence[DataPolicy] | None:
        """See the port."""
        await self._look("data_policies")
        return self.policies

    async def create_marked(
        self, connection: Connection, kind: TicketKind, sys_id: str, fields: Mapping[str, str]
    ) -> MarkedRecord:
        """See the port."""
        if self.loses_answers:
            self._keep(kind, sys_id, fields)
        await self._look("create_marked")
        self._keep(kind, sys_id, fields)
        return self.found[sys_id]

    async def find_marked(
        self, connection: Connection, kind: TicketKind, sys_id: str, columns: Collection[str]
    ) -> MarkedRecord | None:
        """See the port."""
        await self._look("find_marked")
        found = self.found.get(sys_id)
        if found is None or "active" not in columns:
            return found
        is_closed = self.records[sys_id] or sys_id in self.closed_by_people
        return MarkedRecord(found.sys_id, found.number, {"active": "false" if is_closed else "true"})

    async def cancel_marked(self, connection: Connection, kind: TicketKind, record: MarkedRecord) -> bool:
        """See the port."""
        await self._look("cancel_marked")
        self.records[record.sys_id] = True
        return True

    def _keep(self, kind: TicketKind, sys_id: str, fields: Mapping[str, str]) -> None:
        self.records[sys_id] = False
        number = f"{kind}-{len(self.records)}"
        self.found[sys_id] = MarkedRecord(sys_id, number, {**fields, **self.changes})

    async def _look(self, name: str) -> None:
        self.asked.append(name)
        mishap = self.mishaps.get(name)
        if isinstance(mishap, Exception):
            raise mishap
        if mishap == HANGS:
            await asyncio.Event().wait()
