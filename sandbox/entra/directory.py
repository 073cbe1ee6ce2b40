"""Tenants, and the applications that they have let in (Microsoft Graph §2.3 to §2.6)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

GRAPH_HOSTS: Mapping[str, str] = {
    "global": "https://graph.microsoft.com",
    "us_gov_l4": "https://graph.microsoft.us",
    "us_gov_l5": "https://dod-graph.microsoft.us",
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
    """

    object_id: str
    roles: set[str] = field(default_factory=set)
    enabled: bool = True


@dataclass
class Tenant:
    """A directory.

    Attributes:
        tenant_id: Its GUID.
        cloud: One of :data:`GRAPH_HOSTS`.
        applications: The applications that it has consented to, by client id.
    """

    tenant_id: str
    cloud: str = "global"
    applications: dict[str, EnterpriseApplication] = field(default_factory=dict)


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
        federated_credentials: At most twenty.
    """

    client_id: str
    home_tenant_id: str
    secrets: dict[str, datetime] = field(default_factory=dict)
    certificates: list[str] = field(default_factory=list)
    federated_credentials: list[FederatedCredential] = field(default_factory=list)


@dataclass
class Directories:
    """All tenants and registered applications."""

    tenants: dict[str, Tenant] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)

    def add_tenant(self, tenant_id: str, cloud: str = "global") -> Tenant:
        """Add an empty directory, or return the one that is there."""
        return self.tenants.setdefault(tenant_id, Tenant(tenant_id, cloud))

    def register(self, client_id: str, home_tenant_id: str) -> Application:
        """Register an application; its home tenant lets it in without any role."""
        application = self.applications.setdefault(client_id, Application(client_id, home_tenant_id))
        self.consent(client_id, home_tenant_id)
        return application

    def consent(self, client_id: str, tenant_id: str, *roles: str) -> EnterpriseApplication:
        """Let an application into a tenant and grant it roles, in addition to those it has."""
        object_id = str(uuid.uuid5(uuid.UUID(tenant_id), client_id))
        there = self.tenants[tenant_id].applications.setdefault(client_id, EnterpriseApplication(object_id))
        there.roles |= set(roles)
        return there

    def delete_enterprise_application(self, client_id: str, tenant_id: str) -> None:
        """Take back a tenant's consent; tokens that were issued go on until they end."""
        self.tenants[tenant_id].applications.pop(client_id, None)
