"""What became of a ticket's recommendations: :mod:`shared.recommendations.verifying.rules` applied to all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from shared.recommendations.verifying.observations import ObservedTenant
from shared.recommendations.verifying.rules import Case, judged, new_item
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.model import RecommendationReference
from shared.tickets.outcomes import Verification


def new_verification(
    references: Iterable[RecommendationReference], tenants: Iterable[ObservedTenant], asked_at: datetime
) -> Verification:
    """Return the verification of a ticket that is made for these recommendations.

    Args:
        tenants: The tenants of the recommendations; what is known of them now is what was measured before the ticket.
        asked_at: When the ticket is made, by our clock.
    """
    return with_references(Verification(asked_at), references, tenants, asked_at)


def with_references(
    verification: Verification,
    references: Iterable[RecommendationReference],
    tenants: Iterable[ObservedTenant],
    now: datetime,
) -> Verification:
    """Return the verification of a ticket that is for these recommendations from now on.

    What is known of the others is dropped. A new one has to get its points after it was linked.
    """
    known = {(item.tenant_id, item.key): item for item in verification.items}
    observed = {(tenant.tenant_id, key): seen for tenant in tenants for key, seen in tenant.by_key.items()}
    places = dict.fromkeys((reference.tenant_id, reference.key) for reference in references)
    items = (known.get(place) or new_item(*place, observed.get(place), verification.closing, now) for place in places)
    return replace(verification, items=tuple(items))


def assessed(verification: Verification, tenant: ObservedTenant, now: datetime, waits: WaitingTimes) -> Verification:
    """Return a verification after what is known of one of its tenants; the same object if nothing changes.

    Recommendations of other tenants are left alone. To repeat the call changes nothing.
    """
    if not verification.is_watched:
        return verification
    items = tuple(
        judged(item, Case(verification, tenant.by_key.get(item.key), tenant.reach, now, waits))
        if item.tenant_id == tenant.tenant_id
        else item
        for item in verification.items
    )
    return verification if items == verification.items else replace(verification, items=items)
