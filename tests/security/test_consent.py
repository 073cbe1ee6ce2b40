"""What a stranger reaches with the address to which Microsoft sends a customer's administrator."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.graph.stage.seed.tenants import BUSINESS_PREMIUM, FREE
from tests.fixtures.whole_app import WholeApp

LURE = "call-this-number-at-once"
PAGE = {"Accept": "text/html"}


def forged(app: WholeApp, **query: str) -> httpx.Response:
    return httpx.get(f"{app.host.url}/tenants/consent", params=query, headers=PAGE, trust_env=False)


def stored(app: WholeApp) -> list[dict[str, object]]:
    """Return the tenants as they are stored; the next reading of those that are due is always now."""
    return [{**each, "next_reading_at": None} for each in app.megan.get("/api/tenants")["tenants"]]


@pytest.fixture
def state(app: WholeApp) -> str:
    """The state of a link for one customer, while another is known, too."""
    for tenant_id in (FREE, BUSINESS_PREMIUM):
        app.megan.call("PUT", f"/api/tenants/{tenant_id}", {"name": LURE})
    link = str(app.megan.call("POST", f"/api/tenants/{FREE}/consent")["link"])
    return parse_qs(urlsplit(link).query)["state"][0]


def test_a_forged_consent_changes_nothing_and_shows_nothing(app: WholeApp, state: str) -> None:
    before = stored(app)
    nonce = state.partition(".")[2]
    for query in (
        {"state": state, "tenant": BUSINESS_PREMIUM, "admin_consent": "True"},
        {"state": f"{BUSINESS_PREMIUM}.{nonce}", "tenant": BUSINESS_PREMIUM, "admin_consent": "True"},
        {"state": f"{FREE}.{'A' * 43}", "tenant": FREE, "admin_consent": "True"},
        {"state": f"{FREE}.{'A' * 43}", "error": LURE, "error_description": LURE},
        {"state": LURE, "tenant": FREE, "admin_consent": "True"},
        {"tenant": FREE, "admin_consent": "True"},
        {},
    ):
        answer = forged(app, **query)
        assert answer.status_code == 400
        assert LURE not in f"{answer.headers} {answer.text}"
    assert stored(app) == before


def test_a_consent_that_nobody_gave_reads_nothing(app: WholeApp, state: str) -> None:
    """Whoever has the link can say that there is a consent; only a token for the tenant shows one."""
    assert forged(app, state=state, tenant=FREE, admin_consent="True").status_code == 200
    read = app.megan.call("POST", f"/api/tenants/{FREE}/read")
    assert (read["status"], read["roles"], read["connection_id"]) == ("no_permission", None, None)
    for tenant_id in (FREE, BUSINESS_PREMIUM):
        assert app.adele.get(f"/api/recommendations?tenant_id={tenant_id}&hidden=true")["total"] == 0
        assert app.megan.ask("DELETE", f"/api/tenants/{tenant_id}").status_code == 204
