"""What is known of the consent of a customer's tenant. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.tenants.model import Tenant


class ConsentState(StrEnum):
    """What is known of the consent of a customer's tenant."""

    GIVEN = "given"
    PENDING = "pending"
    """An administrator has just answered; tokens may not show it yet."""
    INCOMPLETE = "incomplete"
    """The tenant has let the connector in, without the permission to read."""
    REFUSED = "refused"
    MISSING = "missing"


def needs_consent(tenant: Tenant, home_tenant_id: str | None) -> bool:
    """Whether somebody else's administrator decides about a tenant, and it is read from Microsoft.

    Args:
        home_tenant_id: The tenant of the app, as a caller's token names it; None if it does not.
    """
    return tenant.due_at is not None and home_tenant_id not in {None, tenant.tenant_id}


def consent_state(tenant: Tenant, now: datetime) -> ConsentState:
    """Return what is known of the consent. Only a token shows that there is one, whatever an administrator says."""
    is_lacking = tenant.lacks_permission or tenant.lacks_consent
    if tenant.roles and not is_lacking:
        return ConsentState.GIVEN
    if tenant.is_consent_pending(now):
        return ConsentState.PENDING
    if tenant.lacks_permission:
        return ConsentState.INCOMPLETE
    is_refused = tenant.consent is not None and tenant.consent.is_refused
    return ConsentState.REFUSED if is_refused else ConsentState.MISSING


def missing_roles(tenant: Tenant) -> tuple[str, ...]:
    """Return the app roles that reading needs and the last access token did not have; empty if none are known."""
    if not tenant.lacks_permission or tenant.error is None:
        return ()
    return tuple(str(tenant.error.failure.values.get("wanted", "")).split())


def checked_at(tenant: Tenant) -> datetime | None:
    """Return when somebody last asked Microsoft for a token or data of the tenant; None if nobody has."""
    times = (tenant.roles_seen_at, tenant.read_at, None if tenant.error is None else tenant.error.at)
    return max((at for at in times if at is not None), default=None)
