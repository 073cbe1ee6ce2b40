"""What callers see of a tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from shared.connections.views import LastErrorView
from shared.tenants.consent import ConsentState, checked_at, consent_state, missing_roles, needs_consent
from shared.tenants.model import Tenant, TenantError, TenantStatus
from shared.views import View
from shared.words.error_words import words_of
from shared.words.language import Language


class ConsentView(View):
    """What is known of the consent of a customer's tenant. Only an access token shows that there is one."""

    state: ConsentState = Field(
        description="given. pending: an administrator has just answered, and tokens may not show it for some minutes. "
        "incomplete: the tenant has let the connector in, without all roles. refused. missing: not given, or removed."
    )
    missing_roles: tuple[str, ...] = Field(description="App roles that the last access token lacked.")
    checked_at: datetime | None = Field(
        description="When Microsoft was last asked for a token or data of the tenant; null if never."
    )
    link_ends_at: datetime | None = Field(description="Until when the present link can be used; null without one.")
    answered_at: datetime | None = Field(
        description="When an administrator last came back from Microsoft, or somebody said that they have consented."
    )


class TenantView(View):
    """A tenant and what its last reading showed."""

    tenant_id: str
    name: str
    connection_id: str | None = Field(description="The connection that its tickets go to.")
    company: str | None = Field(description="sys_id of the ServiceNow company that its tickets belong to.")
    files_only: bool = Field(description="Whether its recommendations come from files only.")
    added_at: datetime | None
    status: TenantStatus | None = Field(description="What the last reading showed; null before the first one.")
    roles: tuple[str, ...] | None = Field(description="App roles in the last access token for Microsoft Graph.")
    roles_seen_at: datetime | None
    snapshot_id: str | None = Field(description="Microsoft's id of the newest snapshot that was read.")
    snapshot_at: datetime | None = Field(description="The day of that snapshot.")
    read_at: datetime | None = Field(description="End of the last successful reading.")
    history_read_at: datetime | None = Field(description="When the past 90 days were read; null if they are read next.")
    last_error: LastErrorView | None = Field(description="Why the last reading did not succeed.")
    consent: ConsentView | None = Field(description="null for the connector's own tenant, and if only files are read.")
    next_reading_at: datetime | None = Field(description="When it is next read; null if only files are.")
    is_being_read: bool


class TenantListView(View):
    """All tenants, ordered by id."""

    tenants: tuple[TenantView, ...]


class ConsentLinkView(View):
    """A link that lets the administrator of a customer's tenant consent."""

    link: str = Field(description="To send to an administrator of the tenant. It can be used once.")
    ends_at: datetime = Field(description="When it can no longer be used.")


def consent_link_view(tenant: Tenant, link: str | None) -> ConsentLinkView:
    """Return what callers see of the link that was just made for a tenant."""
    assert tenant.consent is not None, "the tenant was stored with it"
    assert link is not None, "it was just made"
    return ConsentLinkView(link=link, ends_at=tenant.consent.ends_at)


def tenant_view(tenant: Tenant, now: datetime, t: Language, *, home_tenant_id: str | None) -> TenantView:
    """Return what callers see of a tenant, in the given language.

    Args:
        home_tenant_id: The tenant of the app, as the caller's token names it.
    """
    return TenantView(
        tenant_id=tenant.tenant_id,
        name=tenant.name,
        connection_id=tenant.connection_id,
        company=tenant.company,
        files_only=tenant.due_at is None,
        added_at=tenant.added_at,
        status=tenant.status,
        roles=tenant.roles,
        roles_seen_at=tenant.roles_seen_at,
        snapshot_id=tenant.snapshot_id,
        snapshot_at=tenant.snapshot_at,
        read_at=tenant.read_at,
        history_read_at=tenant.history_read_at,
        last_error=None if tenant.error is None else _error_view(tenant.error, t),
        consent=_consent_view(tenant, now) if needs_consent(tenant, home_tenant_id) else None,
        next_reading_at=tenant.next_reading_at(now),
        is_being_read=tenant.is_held(now),
    )


def tenant_list_view(
    tenants: Sequence[Tenant], now: datetime, t: Language, *, home_tenant_id: str | None
) -> TenantListView:
    """Return what callers see of several tenants, as :func:`tenant_view` does."""
    return TenantListView(tenants=tuple(tenant_view(each, now, t, home_tenant_id=home_tenant_id) for each in tenants))


def _consent_view(tenant: Tenant, now: datetime) -> ConsentView:
    consent = tenant.consent
    return ConsentView(
        state=consent_state(tenant, now),
        missing_roles=missing_roles(tenant),
        checked_at=checked_at(tenant),
        link_ends_at=consent.ends_at if consent is not None and consent.is_open(now) else None,
        answered_at=None if consent is None else consent.answered_at,
    )


def _error_view(error: TenantError, t: Language) -> LastErrorView:
    words = words_of(error.failure, t)
    return LastErrorView(code=error.failure.code, message=words.message, next_step=words.next_step, at=error.at)
