"""Tenants, as pages and in the API, in the whole app: added, read from the simulated Microsoft Graph, removed."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from sandbox.graph.stage.seed.tenants import E5
from sandbox.managed_identity.process import ROLES
from tests.fixtures.whole_app import WholeApp, refused

PAGE = {"Accept": "text/html"}
PATH = f"/api/tenants/{E5}"
OTHER = "11111111-aaaa-4bbb-8ccc-000000000099"


@pytest.fixture(autouse=True)
def no_tenants(app: WholeApp) -> Iterator[None]:
    yield
    for each in app.megan.get("/api/tenants")["tenants"]:
        assert app.megan.ask("DELETE", f"/api/tenants/{each['tenant_id']}").status_code == 204


def page(app: WholeApp, path: str) -> str:
    answer = app.megan.ask("GET", path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def post(app: WholeApp, path: str, **form: str) -> httpx.Response:
    return app.megan.ask("POST", path, data=form, headers=PAGE)


def test_a_tenant_is_added_permitted_read_and_removed(app: WholeApp) -> None:
    """It is the first test: a token that holds the role would stay in the app's memory."""
    with app.world.managed_identity.without_roles():
        answer = app.megan.ask("PUT", f"/api/tenants/{E5.upper()}", {"name": "Contoso"})
        assert answer.status_code == 201
        added = answer.json()
        assert (added["tenant_id"], added["status"], added["read_at"]) == (E5, None, None)
        refused_read = app.adele.call("POST", f"{PATH}/read")
        assert (refused_read["status"], refused_read["roles"]) == ("no_permission", [])
        shown = page(app, f"/tenants/{E5}")
        assert "<code>SecurityEvents.Read.All</code>" in shown
        assert f'--url "{app.world.graph.url}/v1.0/servicePrincipals/$IDENTITY/appRoleAssignments"' in shown
    assert post(app, f"/tenants/{E5}/read").headers["Location"] == f"/tenants/{E5}?done=read"
    read = app.adele.get(PATH)
    assert (read["status"], read["last_error"], read["roles"]) == ("readable", None, list(ROLES))
    assert read["snapshot_id"].startswith(f"{E5}_")
    assert read["history_read_at"]
    assert read["next_reading_at"] > read["read_at"]
    assert "Readable" in page(app, f"/tenants/{E5}?done=read")
    again = app.megan.ask("PUT", PATH, {"name": "Fabrikam"})
    assert (again.status_code, again.json()) == (200, {**read, "name": "Fabrikam"})
    assert app.adele.get("/api/tenants")["tenants"] == [again.json()]
    for _ in range(2):
        assert app.megan.ask("DELETE", PATH).status_code == 204
    refused(app.adele.ask("GET", PATH), 404, "tenant_not_found")


def test_the_managed_identity_reads_no_other_tenant(app: WholeApp) -> None:
    app.megan.call("PUT", f"/api/tenants/{OTHER}", {"name": "Fabrikam"})
    read = app.megan.call("POST", f"/api/tenants/{OTHER}/read")
    assert (read["status"], read["last_error"]["code"]) == ("no_permission", "tenant_unknown")
    assert read["snapshot_id"] is None


def test_a_tenant_of_files_is_not_read(app: WholeApp) -> None:
    app.megan.call("PUT", PATH, {"name": "Contoso", "files_only": True})
    refused(app.megan.ask("POST", f"{PATH}/read"), 409, "tenant_files_only")


def test_the_pages_lead_through_a_tenants_life(app: WholeApp) -> None:
    assert 'href="/tenants/new"' in page(app, "/tenants")
    form = page(app, "/tenants/new")
    assert f'value="{E5}"' in form, "the tenant that the person is signed in to"
    faulty = post(app, "/tenants/new", tenant_id="contoso", name="Contoso", company="ACME")
    assert faulty.status_code == 400
    assert 'id="tenant_id-fault"' in faulty.text
    added = post(app, "/tenants/new", tenant_id=E5.upper(), name="Contoso")
    assert added.headers["Location"] == f"/tenants/{E5}?done=saved"
    assert post(app, "/tenants/new", tenant_id=E5, name="Fabrikam").status_code == 409
    assert f'value="{E5}"' not in page(app, "/tenants/new")
    assert "Not read yet" in page(app, f"/tenants/{E5}?done=saved")
    assert "Choose a connection" in page(app, "/tenants")
    assert post(app, f"/tenants/{E5}", name="Fabrikam", files_only="on").status_code == 303
    assert app.megan.get(PATH)["files_only"] is True
    assert "Fabrikam" in page(app, f"/tenants/{E5}/remove")
    assert post(app, f"/tenants/{E5}/remove").headers["Location"] == "/tenants?done=removed"
    assert app.megan.get("/api/tenants")["tenants"] == []
