"""The registration that customers' tenants consent to, as the deployment makes it."""

from __future__ import annotations

import ssl

import httpx

from sandbox.certificates import Certificates
from sandbox.managed_identity.process import ROLES
from sandbox.managed_identity.tokens import (
    SYSTEM_ASSIGNED,
    TENANT_ID,
    TOKEN_EXCHANGE,
    ManagedIdentity,
    issuer_of,
)

CONSENT_DELAY_S = 0
"""Tokens show a consent at once, so that nobody has to wait."""


def register_for_customers(entra_url: str, client_id: str, public_url: str, certificates: Certificates) -> None:
    """Register an application that the app's managed identity proves, until Entra ID is reset.

    Args:
        entra_url: The simulated Entra ID.
        public_url: The app's address for people.
    """
    registration = {
        "home_tenant_id": TENANT_ID,
        "federated_credentials": [
            {
                "issuer": issuer_of(TENANT_ID, TOKEN_EXCHANGE),
                "subject": ManagedIdentity.of(SYSTEM_ASSIGNED).principal_id,
                "audience": TOKEN_EXCHANGE,
            }
        ],
        "redirect_uris": [f"{public_url}/tenants/consent"],
        "required_roles": list(ROLES),
    }
    trusted = ssl.create_default_context(cafile=certificates.authority)
    with httpx.Client(base_url=entra_url, verify=trusted) as client:
        client.put(f"/control/entra/applications/{client_id}", json=registration).raise_for_status()
        client.patch("/control/entra/settings", json={"consent_delay_s": CONSENT_DELAY_S}).raise_for_status()


def consent_to(link: str, certificates: Certificates) -> str:
    """Consent as the administrator who opens a link; return where Microsoft then sends the browser."""
    trusted = ssl.create_default_context(cafile=certificates.authority)
    answer = httpx.post(link, data={"decision": "accept"}, verify=trusted, trust_env=False)
    return answer.headers["Location"]
