"""All tenants of the simulated Graph, and the days that pass over them."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from sandbox.clock import Clock
from sandbox.graph.engine.snapshot import Snapshot
from sandbox.graph.engine.switches import Switches
from sandbox.graph.engine.tenant import Tenant

_DAY = timedelta(days=1)


class World:
    """The tenants, the switches and the clock.

    Time passes only when somebody looks: :meth:`tenant` first takes the snapshots that have become due. Changes made to
    a tenant are therefore never seen by a snapshot that is older.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.switches = Switches()
        self._tenants: dict[str, Tenant] = {}

    def __contains__(self, tenant_id: str) -> bool:
        return tenant_id in self._tenants

    def add(self, tenant: Tenant) -> None:
        """Add a tenant, or replace the one with its id."""
        self._tenants[tenant.id] = tenant

    def clear(self) -> None:
        """Remove every tenant."""
        self._tenants.clear()

    def tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant with all snapshots that are due. Raises KeyError if there is none."""
        tenant = self._tenants[tenant_id]
        self._catch_up(tenant)
        return tenant

    def tenants(self) -> Mapping[str, Tenant]:
        """Return all tenants by id, with all snapshots that are due."""
        return {tenant_id: self.tenant(tenant_id) for tenant_id in self._tenants}

    def advance(self, *, days: float = 0, hours: float = 0) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(days=days, hours=hours).total_seconds())

    def _catch_up(self, tenant: Tenant) -> None:
        now = self.clock.now()
        while (due := self._at(tenant.next_day, "snapshot.hour")) <= now:
            self._revise(tenant, min(due, now))
            snapshot = self._taken(tenant, tenant.next_day, due)
            if snapshot.scores and tenant.next_day not in tenant.missing_days:
                tenant.snapshots.append(snapshot)
            tenant.next_day += _DAY
        self._revise(tenant, now)

    def _revise(self, tenant: Tenant, until: datetime) -> None:
        """Change the content of the newest snapshot, once, if its hour has come."""
        if not self.switches.number("snapshot.revised_at_hour") or not tenant.snapshots:
            return
        day = tenant.snapshots[-1].day
        due = self._at(day, "snapshot.revised_at_hour")
        if tenant.revised_day < day and due <= until:
            tenant.snapshots[-1] = self._taken(tenant, day, due)
            tenant.revised_day = day

    def _taken(self, tenant: Tenant, day: date, at: datetime) -> Snapshot:
        return tenant.take_snapshot(day, at, with_changes=self.switches.flag("signals.on_change"))

    def _at(self, day: date, switch: str) -> datetime:
        return datetime.combine(day, time(self.switches.number(switch)), self.clock.now().tzinfo)
