"""What a person does next about a tenant."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.tenants.model import Tenant
from shared.web.days_ago import days_ago
from shared.words.language import Language


class NextStep(StrEnum):
    """The one thing to do next."""

    CHOOSE_CONNECTION = "choose_connection"
    GRANT_PERMISSION = "grant_permission"
    ASK_FOR_CONSENT = "ask_for_consent"
    LOOK_AT_ERROR = "look_at_error"
    WAIT = "wait"
    """The first reading begins by itself."""
    NONE = "none"


def next_step(tenant: Tenant) -> NextStep:
    """Return the one thing to do next about a tenant."""
    if tenant.lacks_permission:
        return NextStep.GRANT_PERMISSION
    if tenant.lacks_consent:
        return NextStep.ASK_FOR_CONSENT
    if tenant.error is not None:
        return NextStep.LOOK_AT_ERROR
    if tenant.connection_id is None:
        return NextStep.CHOOSE_CONNECTION
    return NextStep.WAIT if tenant.status is None and tenant.due_at is not None else NextStep.NONE


def snapshot_age(tenant: Tenant, now: datetime, t: Language) -> str:
    """Return how many days ago the newest snapshot was taken, in words; empty if there is none."""
    return "" if tenant.snapshot_at is None else days_ago(tenant.snapshot_at, now, t)
