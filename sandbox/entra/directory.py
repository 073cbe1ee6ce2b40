"""Applications, and the tenants that have let them in (Microsoft Graph §2.3 to §2.6)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

GRAPH_HOSTS: Mapping[str, str] = {
    "global": "https://graph.microsoft.com",
    "us_government_l4": "https://graph.microsoft.us",
    "us_government_l5": "https://dod-graph.microsoft.us",
    "china": "https://microsoftgraph.chinacloudapi.cn",
}
"""Where each cloud has its Microsoft Graph (Microsoft Graph §3.4)."""


@dataclass
class EnterpriseApplication:
    """An application in a tenant: what consent to it has made there.

    Attributes:
        object_id: Its id in this tenant.
        roles: The app roles of Microsoft Graph that this tenant has granted.
        enabled: Whether the tenant lets it sign in.
        shown_from: When tokens begin to show a role; one that is not here shows at once.
    """

    object_id: str
    roles: set[str] = field(default_factory=set)
    enabled: bool = True
    shown_from: dict[str, datetime] = field(default_factory=dict)

    def shown_roles(self, now: datetime) -> set[str]:
        """Return the roles that a new token has."""
        return {role for role in self.roles if self.shown_from.get(role, now) <= now}


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose tokens an application may show instead of a secret; all three are compared exactly."""

    issuer: str
    subject: str
    audience: str


@dataclass
class Application:
    """A registered application.

    Attributes:
        client_id: Its id in all tenants.
        home_tenant_id: Where it is registered.
        secrets: Its client secrets, each with its end.
        certificates: Its certificates, PEM.
        certificates_end_at: When all of them end, whatever they say themselves; ``None`` for what they say.
        federated_credentials: At most twenty.
        redirect_uris: Where browsers may be sent back to.
        required_roles: The app roles of Microsoft Graph that it asks for.
    """

    client_id: str
    home_tenant_id: str
    secrets: dict[str, datetime] = field(default_factory=dict)
    certificates: list[str] = field(default_factory=list)
    certificates_end_at: datetime | None = None
    federated_credentials: list[FederatedCredential] = field(default_factory=list)
    redirect_uris: list[str] = field(default_factory=list)
    required_roles: list[str] = field(default_factory=list)


@dataclass
class Directories:
    """What tenants have decided about applications, and the registered applications.

    Attributes:
        cloud_of: Returns a tenant's cloud, one of :data:`GRAPH_HOSTS`, or ``None`` if there is no such tenant.
        applications: The registered applications, by client id.
        consents: The applications that tenants have let in, by tenant and client id.
        revoked_at: When a tenant last declared its older tokens worthless; only resources that evaluate access
            continuously learn of it (Microsoft Graph §2.6).
    """

    cloud_of: Callable[[str], str | None]
    applications: dict[str, Application] = field(default_factory=dict)
    consents: dict[tuple[str, str], EnterpriseApplication] = field(default_factory=dict)
    revoked_at: dict[str, datetime] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget applications, consents and revocations."""
        self.applications.clear()
        self.consents.clear()
        self.revoked_at.clear()

    def register(self, client_id: str, home_tenant_id: str) -> Application:
        """Register an application; its home tenant lets it in without any role. Raises KeyError: no such tenant."""
        self.consent(home_tenant_id, client_id)
        return self.applications.setdefault(client_id, Application(client_id, home_tenant_id))

    def consent(
        self, tenant_id: str, client_id: str, *roles: str, shown_from: datetime | None = None
    ) -> EnterpriseApplication:
        """Let an application into a tenant and grant it roles, in addition to those it has.

        Args:
            shown_from: When tokens begin to show the new roles; None means at once.

        Raises:
            KeyError: There is no such tenant.
        """
        if self.cloud_of(tenant_id) is None:
            raise KeyError(tenant_id)
        object_id = str(uuid.uuid5(uuid.UUID(tenant_id), client_id))
        there = self.consents.setdefault((tenant_id, client_id), EnterpriseApplication(object_id))
        for role in set(roles) - there.roles:
            if shown_from is None:
                there.shown_from.pop(role, None)
            else:
                there.shown_from[role] = shown_from
        there.roles |= set(roles)
        return there

    def withdraw(self, tenant_id: str, client_id: str) -> None:
        """Delete an application from a tenant; tokens that were issued go on until they end."""
        self.consents.pop((tenant_id, client_id), None)
