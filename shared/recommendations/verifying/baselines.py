"""What was measured before a ticket: pure.

Usually it is what is stored when the ticket is made. For a ticket that was there before its link to a recommendation,
or before the connector verified anything, the past snapshots may know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.recommendations.model import ImprovementAction, Snapshot
from shared.recommendations.verifying.measurements import is_after, is_full, is_measured
from shared.recommendations.verifying.observations import (
    Observation,
    ObservedTenant,
    Reach,
    measurement_in,
    observation_of,
    observed_tenant,
)
from shared.tenants.model import Tenant
from shared.tickets.outcomes import Measurement


def known_of(tenant: Tenant, actions: Iterable[ImprovementAction], *, reach: Reach = Reach.READABLE) -> ObservedTenant:
    """Return what is known of a tenant since its last reading.

    Args:
        actions: As they are stored, all of them or only those that matter.
    """
    day = None if tenant.snapshot_at is None else tenant.snapshot_at.date()
    return observed_tenant(tenant.tenant_id, actions, tenant.snapshot_id, day, reach=reach)


def known_before(
    tenant: Tenant, actions: Iterable[ImprovementAction], snapshots: Sequence[Snapshot], asked_at: datetime
) -> ObservedTenant:
    """Return what was known of a tenant when a ticket was made, as far as that is still known.

    Args:
        snapshots: The stored ones, oldest first.
        asked_at: When the ticket was made.
    """
    earlier = [snapshot for snapshot in snapshots if snapshot.day < asked_at.date()]
    by_key = {}
    for action in actions:
        day = None if tenant.snapshot_at is None else tenant.snapshot_at.date()
        present = observation_of(action, tenant.snapshot_id, day)
        by_key[action.key] = replace(present, measurement=_before(present, action, earlier, asked_at))
    return ObservedTenant(tenant.tenant_id, by_key)


def _before(
    present: Observation, action: ImprovementAction, earlier: Sequence[Snapshot], asked_at: datetime
) -> Measurement:
    """Return the last measurement before the ticket.

    Without one, the present measurement takes its place: points that come later still are a proof. So they are if the
    past shows full points and the present does not.
    """
    now = present.measurement
    if not is_after(now, asked_at) or not present.is_verifiable:
        return now
    past = _last_in(earlier, action)
    return past if is_measured(past) and not (is_full(past) and is_measured(now)) else now


def _last_in(earlier: Sequence[Snapshot], action: ImprovementAction) -> Measurement:
    for snapshot in reversed(earlier):
        if (found := measurement_in(snapshot, action.source_id)) is not None:
            # A control without points has no computed maximum in a snapshot.
            return found if found.max_points is not None else replace(found, max_points=action.max_points)
    return Measurement()
