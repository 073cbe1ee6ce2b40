"""What a reading means for a tenant, and when the next one is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.errors import ConnectorError, StorageUnavailable, TenantRefused, TryLater
from shared.tenants.model import LATEST_DUE, Tenant, TenantError, TenantStatus

READ_EVERY: Final = timedelta(hours=6)
FIRST_RETRY_AFTER: Final = timedelta(minutes=5)
RETRY_EVERY: Final = timedelta(hours=1)
"""After a failure a tenant is read again, first after ``FIRST_RETRY_AFTER``, then after twice the time before, at most
after ``RETRY_EVERY``; later if Microsoft asks us to wait longer."""
ASK_AGAIN_AFTER: Final = timedelta(seconds=30)
"""While a consent may not show in tokens yet: less than a minute, so that each run of the timer tries."""
_DAY_BEGINS: Final = datetime(2000, 1, 1, tzinfo=UTC)


def after_success(tenant: Tenant, now: datetime, *, is_complete: bool) -> Tenant:
    """Return the tenant after a successful reading.

    Args:
        is_complete: Whether Microsoft left nothing out.
    """
    return replace(
        tenant,
        status=TenantStatus.READABLE if is_complete else TenantStatus.PARTLY_READABLE,
        error=None,
        read_at=now,
        due_at=_unless_files_only(tenant, next_turn_at(tenant.tenant_id, now)),
    )


def after_failure(tenant: Tenant, error: ConnectorError, now: datetime) -> Tenant:
    """Return the tenant after a reading failed.

    A failure of our own storage says nothing about the tenant.
    """
    match error:
        case TenantRefused():
            status: TenantStatus | None = TenantStatus.NO_PERMISSION
        case StorageUnavailable():
            status = tenant.status
        case _:
            status = TenantStatus.UNREADABLE
    return replace(
        tenant,
        status=status,
        error=TenantError(error.failure, now),
        due_at=_unless_files_only(tenant, now + _wait(tenant, error, now)),
    )


def next_turn_at(tenant_id: str, now: datetime) -> datetime:
    """Return when the tenant is next read after a success: each has its own minute of the six hours, by its id.

    So tenants that were added together are not read together.
    """
    own_time = timedelta(seconds=int(tenant_id.replace("-", ""), 16) % int(READ_EVERY.total_seconds()))
    begun = (now - _DAY_BEGINS - own_time) // READ_EVERY
    return _DAY_BEGINS + own_time + (begun + 1) * READ_EVERY


def _wait(tenant: Tenant, error: ConnectorError, now: datetime) -> timedelta:
    """Return how long to wait after a failure: twice as long as after the last one, if that was the last reading."""
    if isinstance(error, TenantRefused) and tenant.is_consent_pending(now):
        return ASK_AGAIN_AFTER
    wait = FIRST_RETRY_AFTER
    if tenant.error is not None and tenant.due_at is not None and tenant.due_at > tenant.error.at:
        wait = max(wait, min(2 * (tenant.due_at - tenant.error.at), RETRY_EVERY))
    asked_s = error.retry_after_s if isinstance(error, TryLater) else None
    return wait if asked_s is None else max(wait, min(timedelta(seconds=asked_s), LATEST_DUE))


def _unless_files_only(tenant: Tenant, due_at: datetime) -> datetime | None:
    """Return when the tenant is due, unless an administrator has decided during the reading that only files count."""
    return None if tenant.due_at is None else due_at
