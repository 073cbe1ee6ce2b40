"""The pages of recommendations in the whole app: two tenants, one of which has been read from the simulated Graph."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import quote

import httpx
import pytest

from sandbox.compliance_manager.actions import invented_actions
from sandbox.compliance_manager.workbook import export_workbook
from sandbox.demonstration import read_tenant
from sandbox.graph.stage.control.client import ControlClient
from sandbox.graph.stage.seed.tenants import E5
from sandbox.world import World
from shared.recommendations.model import SourceName, recommendation_key
from shared.recommendations.portal_links import action_link
from tests.fixtures.whole_app import WholeApp

PAGE = {"Accept": "text/html"}
OTHER = "11111111-aaaa-4bbb-8ccc-000000000099"
THIRD = "11111111-aaaa-4bbb-8ccc-000000000098"
CONTROL = "AdminMFAV2"
PLANTED = "planted 1/2#3"
SCRIPT = """<p style="position:fixed" onclick="alert(1)">Steps<script>alert(2)</script><img src=x onerror=alert(3)>
<a href="javascript:alert(4)">here</a> <a href="https://learn.microsoft.com/x" target="_self">there</a><form><input>"""
KEY = recommendation_key(SourceName.SECURE_SCORE, CONTROL)


def ask(app: WholeApp, path: str) -> httpx.Response:
    return app.adele.ask("GET", path, headers=PAGE)


def page(app: WholeApp, path: str, status: int = 200) -> str:
    answer = ask(app, path)
    assert answer.status_code == status, answer.text
    return unescape(answer.text)


def rows(shown: str) -> list[str]:
    return re.findall(r'<td class="name"[^>]*><a href="/recommendations/([0-9a-f]{32})', shown)


def post(app: WholeApp, path: str, **form: str) -> httpx.Response:
    return app.adele.ask("POST", path, data={"tenant_id": E5, **form}, headers=PAGE)


@pytest.fixture(scope="module")
def app(start_app: Callable[..., WholeApp], world: World) -> Iterator[WholeApp]:
    """An app with one tenant that has been read; the texts of one of its controls are hostile."""
    with ControlClient(world.graph.url) as graph:
        graph.add_control(E5, PLANTED, title="Planted", service="MDO")
        graph.change_control(E5, PLANTED, remediation=SCRIPT, remediation_impact=SCRIPT)
        yield _read(start_app())
        graph.remove_control(E5, PLANTED)


def _read(app: WholeApp) -> WholeApp:
    assert "No tenant yet" in page(app, "/recommendations")
    app.megan.call("PUT", f"/api/tenants/{E5}", {"name": "Contoso"})
    assert "has not been read yet" in page(app, "/recommendations")
    assert read_tenant(app.megan)["status"] == "readable"
    return app


def test_the_list_filters_sorts_and_groups(app: WholeApp) -> None:
    usual = page(app, "/recommendations")
    everything = page(app, "/recommendations?hidden=true")
    assert 200 < len(rows(usual)) < 460 <= len(rows(everything))
    assert "No licence, or nothing to measure" in everything
    assert 'aria-sort="descending"' in usual
    identity = page(app, "/recommendations?category=identity&sort=title&group=status")
    assert 0 < len(rows(identity)) < 100
    assert '<th scope="rowgroup"' in identity
    wins = page(app, "/recommendations?quick_wins=true")
    assert set(rows(wins)) < set(rows(usual))
    assert "No recommendation matches" in page(app, "/recommendations?text=nothing+is+called+this")
    assert KEY in rows(page(app, f"/recommendations?text={CONTROL.lower()}"))


def test_the_file_has_the_rows_of_the_list(app: WholeApp) -> None:
    query = "?product=AzureAD&sort=title"
    answer = ask(app, f"/recommendations.csv{query}")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    read = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert [row["id"] for row in read] == rows(page(app, f"/recommendations{query}"))
    assert ask(app, "/recommendations.csv?colour=red").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        f"actionId={CONTROL}&viewid=actions",
        f"actionId={CONTROL}&tid={E5}",
        f"text={quote(action_link('https://security.microsoft.com', CONTROL))}",
    ],
)
def test_a_link_to_an_action_leads_to_it(app: WholeApp, query: str) -> None:
    answer = ask(app, f"/recommendations?{query}")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/recommendations/{KEY}?tenant_id={E5}"


def test_a_link_to_what_is_not_here_says_so(app: WholeApp) -> None:
    shown = page(app, "/recommendations?actionId=nothing_like_this", 404)
    assert "nothing_like_this" in shown
    assert rows(shown) == []
    assert OTHER in page(app, f"/recommendations?actionId={CONTROL}&tid={OTHER}", 404)
    assert rows(page(app, "/recommendations?colour=red", 400)) == []


def test_with_several_tenants_one_is_chosen_and_nothing_is_mixed(app: WholeApp) -> None:
    app.megan.call("PUT", f"/api/tenants/{OTHER}", {"name": "Fabrikam", "files_only": True})
    try:
        shown = page(app, "/recommendations")
        assert rows(shown) == []
        assert f"/recommendations?tenant_id={OTHER}" in shown
        assert "come from files" in page(app, f"/recommendations?tenant_id={OTHER}")
        chosen = page(app, f"/recommendations?tenant_id={E5}")
        assert f'href="/recommendations/{KEY}?tenant_id={E5}"' in chosen
        assert "Fabrikam" not in chosen
        assert ask(app, f"/recommendations?actionId={CONTROL}").headers["Location"].endswith(f"?tenant_id={E5}")
        page(app, f"/recommendations?actionId={CONTROL}&tid={OTHER}", 404)
        assert ask(app, "/recommendations.csv").status_code == 400
    finally:
        assert app.megan.ask("DELETE", f"/api/tenants/{OTHER}").status_code == 204


def test_one_shows_what_to_do_what_it_is_worth_and_its_points_over_time(app: WholeApp) -> None:
    shown = page(app, f"/recommendations/{KEY}")
    for text in (
        "What to do",
        "Points over time",
        f"<code>{CONTROL}</code>",
        "Microsoft Entra ID",
        "There is no ticket",
    ):
        assert text in shown
    portal = f'{app.world.graph.url}/securescore?viewid=actions&actionId={CONTROL}"'
    assert portal in shown
    assert shown.count("<polyline") == 1
    assert "No ServiceNow connection is chosen" in shown
    page(app, f"/recommendations/{'0' * 32}", 404)
    page(app, f"/recommendations/{KEY}?tenant_id={OTHER}", 404)


def test_planted_markup_is_shown_as_text_or_not_at_all(app: WholeApp) -> None:
    key = recommendation_key(SourceName.SECURE_SCORE, PLANTED)
    main = page(app, f"/recommendations/{key}").partition("<main")[2].partition("</main>")[0]
    assert main.count("Steps") == 2
    assert 'href="https://learn.microsoft.com/x"' in main
    for planted in ("<script", "<img", "onerror", "onclick", "javascript:", "style=", "<input", "alert("):
        assert planted not in main


def test_a_ticket_is_linked_by_its_number_and_the_link_ended(app: WholeApp) -> None:
    connected = app.connected()
    app.megan.call("PUT", f"/api/tenants/{E5}", {"name": "Contoso", "connection_id": connected.connection_id})
    first, second = (app.create(connected, name=name) for name in ("First", "Second"))
    one = f"/recommendations/{KEY}?tenant_id={E5}"
    link = f"/recommendations/{KEY}/link"
    assert f'href="/tickets/new?tenant_id={E5}&recommendation={KEY}"' in page(app, one)

    unknown = post(app, link, number="INC9999999")
    assert unknown.status_code == 404
    assert 'value="INC9999999"' in unknown.text
    assert 'id="number-fault"' in unknown.text
    assert post(app, link, number=first["servicenow"]["number"]).headers["Location"] == f"{one}&done=linked"
    refused = post(app, link, number=second["servicenow"]["number"])
    assert refused.status_code == 409
    assert first["servicenow"]["number"] in refused.text
    assert post(app, link, number=second["servicenow"]["number"], another="true").status_code == 303
    shown = page(app, f"{one}&done=linked")
    assert "The ticket is linked" in shown
    assert shown.count('/unlink"') == 2
    beside = page(app, f"/recommendations?text={CONTROL}&has_ticket=true")
    back = quote(f"/recommendations?text={CONTROL}&has_ticket=true", safe="")
    assert f'href="/tickets/{second["ticket_id"]}?from={back}"' in beside

    unlink = f"/recommendations/{KEY}/unlink"
    for each in (first, second):
        assert post(app, unlink, ticket_id=each["ticket_id"]).headers["Location"] == f"{one}&done=unlinked"
    assert "There is no ticket" in page(app, one)
    assert KEY not in rows(page(app, "/recommendations?has_ticket=true"))


def test_one_that_several_tenants_have_needs_a_choice_and_is_each_ones_own(app: WholeApp) -> None:
    workbook = export_workbook(invented_actions(20))
    others = {OTHER: "Fabrikam", THIRD: "Northwind"}
    for tenant_id, name in others.items():
        app.megan.call("PUT", f"/api/tenants/{tenant_id}", {"name": name, "files_only": True})
        answer = app.megan.ask("POST", f"/api/tenants/{tenant_id}/import", files={"file": ("actions.xlsx", workbook)})
        assert answer.status_code == 200, answer.text
    fewer = {"file": ("actions.xlsx", export_workbook(invented_actions(19)))}
    result = app.megan.ask("POST", f"/tenants/{OTHER}/import", headers=PAGE, files=fewer).text
    try:
        assert re.search(rf'<a href="/recommendations/[0-9a-f]+\?tenant_id={OTHER}">', result), result
        assert "What to do" in page(app, f"/recommendations/{KEY}")
        assert post(app, f"/recommendations/{KEY}/link", tenant_id=OTHER, number="INC1").status_code == 404
        listed = page(app, f"/recommendations?tenant_id={OTHER}&sort=owner&group=status")
        assert 'id="regulation"' in listed
        key = rows(listed)[0]
        asked = page(app, f"/recommendations/{key}")
        assert "Several tenants have this recommendation" in asked
        for tenant_id, name in others.items():
            assert f"/recommendations/{key}?tenant_id={tenant_id}" in asked
            one = page(app, f"/recommendations/{key}?tenant_id={tenant_id}")
            assert "Compliance Manager · " in one
            assert name in one
            assert "from a file of" in one
            assert "<polyline" not in one
    finally:
        for tenant_id in others:
            assert app.megan.ask("DELETE", f"/api/tenants/{tenant_id}").status_code == 204
