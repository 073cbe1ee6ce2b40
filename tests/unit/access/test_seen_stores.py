"""Every method of every store: nothing about a hidden customer reaches the store, or comes from it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.access.current import seen_by
from shared.access.model import EVERYTHING, Access
from shared.access.sight import Sight
from shared.check.course import CheckRun, CheckStore
from shared.check.preflight.model import Trial
from shared.check.preflight.ports import TrialStore
from shared.check.seen import SeenCheckStore, SeenTrialStore
from shared.connections.customers import Figures, ListedCustomer, customer_of
from shared.connections.directory import DirectoryEntry, SyncState
from shared.connections.model import TicketKind
from shared.connections.ports import ConnectionDirectory, ConnectionStore, RowChanged
from shared.connections.seen import SeenConnectionDirectory, SeenConnectionStore
from shared.errors import FixRequest
from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.evidence.ports import EvidenceStore
from shared.evidence.seen import SeenEvidenceStore
from shared.recommendations.ports import Batch, Claim, ClaimStore, RecommendationStore
from shared.recommendations.seen import SeenClaimStore, SeenRecommendationStore
from shared.reminders.model import Message, ReminderSettings
from shared.reminders.ports import ReminderStore
from shared.reminders.seen import SeenReminderStore
from shared.tenants.model import Tenant
from shared.tenants.ports import TenantStore
from shared.tenants.seen import SeenTenantStore, tenants_added_at
from shared.tickets.ports import TicketFilter, TicketStore
from shared.tickets.seen import SeenTicketStore
from shared.tickets.updates.model import Update, UpdateKind
from tests.memory.clock import ManualClock
from tests.memory.customer_limits import MemoryCustomerLimits, limited_to
from tests.memory.tenant_store import MemoryTenantStore
from tests.unit.tickets.examples import a_connection, new_ticket

OPEN, SECRET = "fabrikam", "northwind"
OPEN_TENANT, SECRET_TENANT = "11111111-aaaa-4bbb-8ccc-000000000001", "11111111-aaaa-4bbb-8ccc-000000000002"
AGELESS_TENANT = "11111111-aaaa-4bbb-8ccc-000000000003"
"""Nobody knows when it was added."""
NOW = datetime(2031, 1, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(seconds=1)
"""When the tenants that are there now were not there yet."""
STRANGER = Access(frozenset({"stranger"}))
FRIEND = Access(frozenset({"friend"}))


class Everything:
    """Takes the place of any store: it writes down what reaches it, and answers with what it was given."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.reached: list[tuple[str, Any]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def reached(*args: Any, **kwargs: Any) -> Any:
            self.reached.append((name, (args, kwargs)))
            answer = self._answers.get(name)
            return _pages(answer) if name in {"scan_tickets", "list_events"} else _later(answer)

        return reached


async def _later(value: Any) -> Any:
    return value


async def _pages(value: Any) -> AsyncIterator[Any]:
    yield value or []


def event(connection_id: str | None, tenant_id: str, at: datetime = NOW) -> EvidenceEvent:
    return EvidenceEvent("created", at, connection_id, None if connection_id is None else "t", tenant_id)


CONNECTIONS = [a_connection(connection_id=each) for each in (OPEN, SECRET)]
ENTRIES = [DirectoryEntry(each) for each in (OPEN, SECRET)]
ANSWERS: dict[str, Any] = {
    "list_connections": CONNECTIONS,
    "list_entries": ENTRIES,
    "list_customers": [ListedCustomer(each.connection_id, customer_of(each), Figures()) for each in CONNECTIONS],
    "list_sync_requests": {OPEN: NOW, SECRET: NOW},
    "list_events": [
        *(event(connection_id, OPEN_TENANT) for connection_id in (OPEN, SECRET)),
        *(event(None, tenant_id) for tenant_id in (OPEN_TENANT, SECRET_TENANT, AGELESS_TENANT, "removed")),
        event(None, OPEN_TENANT, BEFORE),
    ],
}
BROAD = {"list_connections", "list_customers", "list_entries", "list_sync_requests", "list_tenants", "list_events"}
"""Methods that return something of every customer."""
FOR_EVERYBODY = {"record", "delete_before"}
"""Methods of the app's own work with the evidence."""


def arguments(connection_id: str, tenant_id: str) -> dict[str, Any]:
    """Return a value for each parameter of the ports."""
    ticket = replace(new_ticket(NOW), connection_id=connection_id)
    update = Update(
        update_id="u",
        connection_id=connection_id,
        ticket_id=ticket.ticket_id,
        kind=UpdateKind.COMMENT,
        asked_by_id="a",
        asked_at=NOW,
    )
    batch = Batch(tenant_id, "b", connection_id, "a", NOW, (), ())
    return {
        "connection_id": connection_id,
        "connection_ids": [connection_id],
        "connection": a_connection(connection_id=connection_id),
        "entry": DirectoryEntry(connection_id),
        "state": SyncState(),
        "ticket": ticket,
        "tickets": [ticket],
        "before": ticket,
        "after": ticket,
        "changes": [(ticket, ticket)],
        "update": update,
        "tenant_id": tenant_id,
        "tenant": Tenant(tenant_id, "A tenant", connection_id),
        "claim": Claim(tenant_id, "k"),
        "batch": batch,
        "batches": [EvidenceBatch("b", NOW, ())],
        "ticket_id": ticket.ticket_id,
        "ticket_ids": [ticket.ticket_id],
        "number": "INC1",
        "wanted": TicketFilter(),
        "limit": 1,
        "now": NOW,
        "since": NOW,
        "until": NOW,
        "key": "k",
        "batch_id": "b",
        "hashes": [],
        "changed": [],
        "texts": {},
        "snapshots": [],
        "settings": ReminderSettings(),
        "kind": TicketKind.INCIDENT,
        "run": CheckRun("r", NOW, NOW),
        "trial": Trial.__new__(Trial),
        "message": Message.__new__(Message),
        "new": [],
        "old": [],
    }


class Seen:
    """The stores over a world with a customer for everybody, and one for friends."""

    def __init__(self) -> None:
        limits = MemoryCustomerLimits(limits={SECRET: limited_to("friend")})
        self.sight = Sight(limits, ManualClock())
        known = [
            Tenant(OPEN_TENANT, "Open", OPEN, added_at=NOW),
            Tenant(SECRET_TENANT, "Secret", SECRET, added_at=NOW),
            Tenant(AGELESS_TENANT, "Ageless", OPEN),
        ]
        tenants = SeenTenantStore(MemoryTenantStore(*known), self.sight)
        self.inner = Everything(ANSWERS)
        inner: Any = self.inner
        inner_tenants: Any = Everything({"list_tenants": known})
        inner_tenants.get_tenant = MemoryTenantStore(*known).get_tenant
        self.tenants = inner_tenants
        self.stores: dict[type, Any] = {
            ConnectionStore: SeenConnectionStore(inner, self.sight),
            ConnectionDirectory: SeenConnectionDirectory(inner, self.sight),
            TicketStore: SeenTicketStore(inner, self.sight),
            TenantStore: SeenTenantStore(inner_tenants, self.sight),
            EvidenceStore: SeenEvidenceStore(inner, self.sight, lambda: tenants_added_at(tenants)),
            RecommendationStore: SeenRecommendationStore(inner, tenants.is_hidden),
            ClaimStore: SeenClaimStore(inner, tenants.is_hidden),
            CheckStore: SeenCheckStore(inner, self.sight),
            TrialStore: SeenTrialStore(inner, self.sight),
            ReminderStore: SeenReminderStore(inner, self.sight),
        }

    async def call(self, port: type, name: str, connection_id: str, tenant_id: str) -> Any:
        """Call a method about a customer, and return what it returns."""
        known = arguments(connection_id, tenant_id)
        if name == "save_update":
            known["before"] = known["after"] = known["update"]
        signature = inspect.signature(getattr(port, name))
        wanted = [each for each in list(signature.parameters.values())[1:] if each.default is inspect.Parameter.empty]
        keywords = {each.name: known[each.name] for each in wanted if each.kind is each.KEYWORD_ONLY}
        found = getattr(self.stores[port], name)(
            *(known[each.name] for each in wanted if each.name not in keywords), **keywords
        )
        if hasattr(found, "__aiter__"):
            return [each async for page in found for each in page]
        return await found

    @property
    def reached(self) -> list[str]:
        return [name for name, _ in (*self.inner.reached, *self.tenants.reached)]


METHODS = [
    (port, name)
    for port in Seen().stores
    for name, member in vars(port).items()
    if not name.startswith("_") and inspect.isfunction(member)
]


@pytest.mark.parametrize(("port", "name"), METHODS, ids=lambda each: getattr(each, "__name__", each))
async def test_a_hidden_customer_is_out_of_reach(port: type, name: str) -> None:
    seen = Seen()
    with seen_by(STRANGER):
        if name in BROAD | FOR_EVERYBODY:
            found = await seen.call(port, name, SECRET, SECRET_TENANT)
            assert SECRET not in repr(found)
            assert SECRET_TENANT not in repr(found)
            return
        try:
            found = await seen.call(port, name, SECRET, SECRET_TENANT)
        except FixRequest as error:
            assert error.status in {404, 409}
        except RowChanged:
            pass
        else:
            assert not found or found == Claim(SECRET_TENANT, "k"), found
    of_several = {"list_tickets", "list_current", "list_every"}
    assert set(seen.reached) <= of_several
    assert SECRET not in repr(seen.inner.reached)


@pytest.mark.parametrize("access", [EVERYTHING, FRIEND])
@pytest.mark.parametrize(("port", "name"), METHODS, ids=lambda each: getattr(each, "__name__", each))
async def test_whoever_may_see_a_customer_reaches_it(port: type, name: str, access: Access) -> None:
    seen = Seen()
    with seen_by(access):
        found = await seen.call(port, name, SECRET, SECRET_TENANT)
    assert name in seen.reached or name == "get_tenant"
    if name in BROAD:
        assert SECRET in repr(found)


@pytest.mark.parametrize(("port", "name"), METHODS, ids=lambda each: getattr(each, "__name__", each))
async def test_a_customer_without_a_limit_is_there_for_everybody(port: type, name: str) -> None:
    seen = Seen()
    with seen_by(STRANGER):
        await seen.call(port, name, OPEN, OPEN_TENANT)
    assert name in seen.reached or name == "get_tenant"


async def test_events_from_before_a_tenant_was_added_are_hidden_from_whoever_does_not_see_everything() -> None:
    """It can have been another customer's, was removed, and added again by somebody who only knew its id."""
    seen = Seen()
    with seen_by(EVERYTHING):
        assert await seen.call(EvidenceStore, "list_events", OPEN, OPEN_TENANT) == ANSWERS["list_events"]
    with seen_by(STRANGER):
        found = await seen.call(EvidenceStore, "list_events", OPEN, OPEN_TENANT)
    assert found == [event(OPEN, OPEN_TENANT), event(None, OPEN_TENANT)]
