"""The parts of the world belong together."""

from __future__ import annotations

import ssl

import httpx
import pytest
from azure.identity.aio import ManagedIdentityCredential

from sandbox.certificates import Certificates
from sandbox.graph.process import Graph
from sandbox.world import Ports, sample_settings


async def test_the_managed_identity_reads_its_own_tenant_in_graph(
    credential: ManagedIdentityCredential,
    graph_process: Graph,
    certificates: Certificates,
) -> None:
    token = await credential.get_token(f"{graph_process.url}/.default")
    trusted = ssl.create_default_context(cafile=certificates.authority)
    headers = {"Authorization": f"Bearer {token.token}"}
    async with httpx.AsyncClient(base_url=graph_process.url, verify=trusted, headers=headers) as client:
        page = (await client.get("/v1.0/security/secureScoreControlProfiles")).json()
        assert len(page["value"]) == 200
        assert (await client.get("/securescore?viewid=actions&actionId=AdminMFAV2")).status_code == 200
        assert (await client.get("/compliancemanager/ExportActions.xlsx")).content.startswith(b"PK")


@pytest.mark.parametrize("name", ["GRAPH_URL", "SECURITY_PORTAL_URL"])
def test_the_sample_leads_to_the_sandboxs_microsoft(name: str) -> None:
    assert sample_settings()[name] == f"https://127.0.0.1:{Ports().graph}"
