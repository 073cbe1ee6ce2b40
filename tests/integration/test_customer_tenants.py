"""A customer's tenant in the whole app: from the link to its recommendations, and back when the consent is gone."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
import pytest

from sandbox.graph.stage.seed.tenants import FREE
from sandbox.managed_identity.process import ROLES
from tests.fixtures.whole_app import WholeApp, refused

PATH = f"/api/tenants/{FREE}"


@pytest.fixture
def microsoft(app: WholeApp) -> Iterator[httpx.Client]:
    """A browser of the customer's administrator, for Microsoft's pages and the control of the simulator."""
    trusted = ssl.create_default_context(cafile=app.world.certificates.authority)
    with httpx.Client(base_url=app.world.graph.url, verify=trusted, timeout=20) as client:
        app.world.register_for_customers(app.host)
        yield client


def come_back(address: str) -> httpx.Response:
    """Follow Microsoft's answer with a browser that is not signed in to the app."""
    return httpx.get(address, headers={"Accept": "text/html"}, trust_env=False)


def test_a_customer_consents_and_is_read_until_the_consent_is_gone(app: WholeApp, microsoft: httpx.Client) -> None:
    app.megan.call("PUT", PATH, {"name": "Fabrikam"})
    read = app.megan.call("POST", f"{PATH}/read")
    assert (read["status"], read["last_error"]["code"]) == ("no_permission", "admin_consent_missing")
    refused(app.adele.ask("POST", f"{PATH}/consent"), 403, "role_missing")
    assert (read["consent"]["state"], read["consent"]["link_ends_at"]) == ("missing", None)
    link = app.megan.call("POST", f"{PATH}/consent")["link"]
    assert app.megan.get(PATH)["consent"]["link_ends_at"] is not None
    assert ROLES[0] in microsoft.get(link).text

    answer = microsoft.post(link, data={"decision": "cancel"})
    assert come_back(answer.headers["Location"]).status_code == 200
    tenant = app.megan.get(PATH)
    assert (tenant["status"], tenant["consent"]["state"]) == ("no_permission", "refused")

    answer = microsoft.post(link, data={"decision": "accept"})
    assert come_back(answer.headers["Location"]).status_code == 200
    assert come_back(answer.headers["Location"]).status_code == 400, "a link is used once"
    read = app.megan.call("POST", f"{PATH}/read")
    assert (read["status"], read["last_error"], read["roles"]) == ("readable", None, list(ROLES))
    assert (read["consent"]["state"], read["consent"]["link_ends_at"]) == ("given", None)
    assert read["connection_id"] is None, "only our administrators say whose tickets they are"
    assert app.adele.get(f"/api/recommendations?tenant_id={FREE}")["total"] == 16

    # The token goes on until it ends, and only then does the app learn of it (Microsoft Graph §2.6).
    application = httpx.URL(link).params["client_id"]
    microsoft.delete(f"/control/entra/tenants/{FREE}/applications/{application}").raise_for_status()
    assert app.megan.call("POST", f"{PATH}/read")["status"] == "readable"
    assert app.megan.ask("DELETE", PATH).status_code == 204
