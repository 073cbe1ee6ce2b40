"""How a customer's administrator lets the connector read their tenant (Microsoft Graph §2.4).

What comes back with the administrator's browser proves nothing: anybody can type it. So it only makes the next reading
begin at once, and the access token for the tenant shows whether there is a consent. Which connection a tenant belongs
to is up to our own administrators alone.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from shared.access.current import sees_everything
from shared.clock import Clock
from shared.connections.directory import AT_ONCE
from shared.errors import FixRequest
from shared.log import log_event
from shared.service import service
from shared.tenants.changes import change_tenant
from shared.tenants.lookup import TENANT_ID
from shared.tenants.model import AdminConsent, Tenant
from shared.tenants.ports import TenantStore

CALLBACK: Final = "tenants/consent"
"""Where Microsoft sends the administrator's browser afterwards."""
_NONCE_BYTES: Final = 32
_STATE: Final = re.compile(rf"(?P<tenant_id>{TENANT_ID.pattern})\.(?P<nonce>[A-Za-z0-9_-]{{43}})")


@service
class AdminConsents:
    """Makes the links to send to customers, and takes what comes back.

    Attributes:
        client_id: Of the registration that customers consent to; None if there is none.
        authority_url: Microsoft Entra ID.
        scope: What the consent is about: all permissions of the registration.
        redirect_uri: Address of our callback, as it is registered.
    """

    tenants: TenantStore
    clock: Clock
    client_id: str | None
    authority_url: str
    scope: str
    redirect_uri: str

    def link(self, tenant: Tenant) -> str | None:
        """Return the link to send to the tenant's administrator; None if there is none that can still be used."""
        consent = tenant.consent
        if self.client_id is None or consent is None or not consent.is_open(self.clock()):
            return None
        query = {
            "client_id": self.client_id,
            "scope": self.scope,
            "redirect_uri": self.redirect_uri,
            "state": f"{tenant.tenant_id}.{consent.nonce}",
        }
        return f"{self.authority_url}/{tenant.tenant_id}/v2.0/adminconsent?{urlencode(query, quote_via=quote)}"

    async def make_link(self, tenant: Tenant) -> Tenant:
        """Store a new link for the tenant, in place of the one before, and return the tenant with it.

        Raises:
            FixRequest: 409 ``customer_tenants_not_set_up``, or 404 ``tenant_not_found``.
            TryLater: Storage does not answer, or others are changing the tenant.
        """
        if self.client_id is None:
            raise FixRequest("customer_tenants_not_set_up", status=409)
        nonce, now = secrets.token_urlsafe(_NONCE_BYTES), self.clock()
        made = await self._changed(tenant, lambda current: replace(current, consent=AdminConsent(nonce, now)))
        log_event("consent_link_made", tenant_id=tenant.tenant_id)
        return made

    @sees_everything
    async def answered(self, query: Mapping[str, str]) -> bool:
        """Take what the administrator's browser brings back; return whether it says that they have consented.

        A consent uses the link up; after a refusal, it can be opened again.

        Raises:
            FixRequest: 400 ``admin_consent_unknown``: it is not the answer to a link of ours that can still be used.
            TryLater: Storage does not answer, or others are changing the tenant.
        """
        state = _STATE.fullmatch(query.get("state", ""))
        if state is None:
            raise FixRequest("admin_consent_unknown")
        tenant_id, nonce = state["tenant_id"].lower(), state["nonce"]
        # Microsoft sends admin_consent=True with refusals, too (Microsoft Graph §2.4).
        is_refused = "error" in query
        if not is_refused and (query.get("admin_consent") != "True" or query.get("tenant", "").lower() != tenant_id):
            raise FixRequest("admin_consent_unknown")
        tenant = await self.tenants.get_tenant(tenant_id)
        if tenant is None:
            raise FixRequest("admin_consent_unknown")
        now = self.clock()

        def taken(current: Tenant) -> Tenant:
            consent = current.consent
            if consent is None or not consent.is_open(now) or not hmac.compare_digest(consent.nonce, nonce):
                raise FixRequest("admin_consent_unknown")
            if is_refused:
                return replace(current, consent=replace(consent, answered_at=now, is_refused=True))
            return _to_be_read(replace(consent, nonce=""), current, now)

        await self._changed(tenant, taken)
        log_event("consent_answered", tenant_id=tenant_id, refused=is_refused)
        return not is_refused

    async def confirm(self, tenant: Tenant) -> Tenant:
        """Read the tenant next, because one of our administrators says that the customer's has consented.

        Raises:
            FixRequest: 409 ``customer_tenants_not_set_up``, or 404 ``tenant_not_found``.
            TryLater: Storage does not answer, or others are changing the tenant.
        """
        if self.client_id is None:
            raise FixRequest("customer_tenants_not_set_up", status=409)
        now = self.clock()
        return await self._changed(
            tenant, lambda current: _to_be_read(current.consent or AdminConsent("", now), current, now)
        )

    async def _changed(self, tenant: Tenant, change: Callable[[Tenant], Tenant]) -> Tenant:
        changed = await change_tenant(self.tenants, tenant, change)
        if changed is None:
            raise FixRequest("tenant_not_found", status=404)
        return changed


def _to_be_read(consent: AdminConsent, tenant: Tenant, now: datetime) -> Tenant:
    """Return the tenant, due at once unless it is not read from Microsoft."""
    return replace(
        tenant,
        consent=replace(consent, answered_at=now, is_refused=False),
        due_at=tenant.due_at and AT_ONCE,
        requested_at=now,
    )
