"""All tenants of the simulated Graph, and the days that pass over them."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from sandbox.clock import Clock
from sandbox.graph.engine.control import Measure
from sandbox.graph.engine.disposition import State, StateUpdate
from sandbox.graph.engine.snapshot import Snapshot
from sandbox.graph.engine.switches import Switches
from sandbox.graph.engine.tenant import Tenant

_DAY = timedelta(days=1)
_DEVICE_EXCEPTION_LAG = timedelta(hours=2)


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

    def decide(
        self,
        tenant_id: str,
        control_id: str,
        state: State,
        *,
        assigned_to: str | None = None,
        comment: str | None = None,
        updated_by: str | None = None,
    ) -> None:
        """Give a control a state, which changes its points later (Microsoft Graph §1.6).

        For a device control this is an exception for all devices in Vulnerability Management, which shows as
        `ThirdParty`. Raises KeyError if there is no such tenant or control, and ValueError for any other state of a
        device control.
        """
        tenant, now = self.tenant(tenant_id), self.clock.now()
        lag = timedelta(hours=self.switches.number("disposition.lag_hours"))
        if tenant.control(control_id).measure is Measure.DEVICES:
            if state not in (State.DEFAULT, State.THIRD_PARTY):
                raise ValueError(f"a device control is not set to {state} in Secure Score")
            lag = _DEVICE_EXCEPTION_LAG
        if state is State.REVIEWED and not self.switches.flag("disposition.reviewed_stays"):
            state = State.DEFAULT
        update = StateUpdate(
            state=state,
            assigned_to=assigned_to,
            comment=comment,
            updated_by=updated_by,
            updated_at=now,
            effective_at=now + lag,
        )
        tenant.decide(control_id, update)

    def shown_state_updates(self, tenant: Tenant, control_id: str) -> list[StateUpdate]:
        """Return the decisions about a control that can be read now, in the order of the wire."""
        now, at_once = self.clock.now(), self.switches.flag("state_updates.appear_at_once")
        updates = [
            update
            for update in tenant.state_updates.get(control_id, ())
            if (update.updated_at if at_once else update.effective_at) <= now
        ]
        match self.switches.text("state_updates.order"):
            case "newest_first":
                return updates[::-1]
            case "replaced":
                return updates[-1:]
            case _:
                return updates

    def _catch_up(self, tenant: Tenant) -> None:
        now = self.clock.now()
        while (due := self._at(tenant.next_day, "snapshot.hour")) <= now:
            self._revise(tenant, due)
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
        return tenant.take_snapshot(
            day,
            at,
            with_changes=self.switches.flag("signals.on_change"),
            ignored_gives_points=self.switches.flag("disposition.ignored_gives_points"),
        )

    def _at(self, day: date, switch: str) -> datetime:
        return datetime.combine(day, time(self.switches.number(switch)), self.clock.now().tzinfo)
