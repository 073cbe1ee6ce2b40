"""The home page of people with some roles and not others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from markupsafe import escape

from shared.attention.model import Cause
from shared.errors import Failure
from shared.recommendations.model import ImprovementAction, Snapshot, SourceName, recommendation_key
from shared.recommendations.overview import overview_of
from shared.tenants.model import Tenant, TenantError
from shared.triggers.attention import ShownItem
from shared.triggers.home_pages import ScoreCard
from shared.triggers.principal import Role
from shared.web.charts import line
from shared.web.html import render
from shared.web.tenants import NextStep, next_step
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.attention.test_rules import SITUATIONS


@pytest.mark.parametrize("code", languages())
def test_whoever_may_see_no_tickets_is_not_asked_to_connect_again(code: str) -> None:
    t = languages()[code]
    caller = SimpleNamespace(name="Alex Wilber", object_id="alex")
    call = SimpleNamespace(caller=caller, may=lambda role: role is Role.CONNECTIONS_MANAGE, lacks_groups=False)
    values = {
        "call": call,
        "Role": Role,
        "address": "/",
        "here": "/",
        "freshness": None,
        "customers": None,
        "now": START,
        "items": [],
        "cards": [],
    }
    values |= {"scores": [], "has_tenant": True}
    html = render("home.html", t, connected=True, manage_address="/configuration/contoso", **values)
    assert t("home.no_role") in html
    assert "/configuration/contoso" in html
    assert t("home.connect.title") not in html
    before = render("home.html", t, connected=False, has_begun=False, manage_address="/ticketProvisioning", **values)
    assert t("home.connect.title") in before
    assert t("home.no_role") not in before
    [item] = SITUATIONS[Cause.SETUP_UNFINISHED]
    values |= {"items": [ShownItem(item, "Half set up", "Go on")], "attention_count": 1}
    begun = render("home.html", t, connected=False, has_begun=True, manage_address="/ticketProvisioning", **values)
    assert t("home.connect.title") not in begun
    assert f'<a class="button primary" href="{item.address}">Go on' in begun


TENANT = Tenant(tenant_id="11111111-aaaa-4bbb-8ccc-000000000001", name="Contoso", connection_id="contoso")
SNAPSHOTS = [
    Snapshot("t_1", date(2026, 11, 1), Decimal(400), Decimal(1000)),
    Snapshot("t_2", date(2026, 11, 24), Decimal("512.42"), Decimal(1012)),
]


def home_with_score(
    code: str,
    *,
    tenant: Tenant = TENANT,
    snapshots: Sequence[Snapshot] = SNAPSHOTS,
    roles: Collection[Role] = Role,
    step: NextStep | None = None,
) -> str:
    """Return the home page with one tenant."""
    caller = SimpleNamespace(name="Alex Wilber", object_id="alex")
    action = ImprovementAction(
        tenant_id=TENANT.tenant_id,
        source=SourceName.SECURE_SCORE,
        source_id="AdminMFAV2",
        title="Require <b>MFA</b>",
        points=Decimal(1),
        max_points=Decimal("8.5"),
    )
    overview = overview_of(snapshots, [action], ())
    drawn = line(overview.percent_by_day, top=Decimal(100))
    return render(
        "home.html",
        languages()[code],
        call=SimpleNamespace(caller=caller, may=lambda role: role in roles, lacks_groups=False),
        Role=Role,
        address="/",
        here="/",
        freshness=None,
        customers=None,
        now=START,
        items=[],
        cards=[],
        connected=True,
        manage_address="/configuration/contoso",
        days=90,
        scores=[ScoreCard(tenant, overview, drawn, step or next_step(tenant))],
        has_tenant=True,
        more_tenants=False,
    )


@pytest.mark.parametrize("code", languages())
def test_the_score_is_shown_with_its_change_its_plot_and_the_best_action(code: str) -> None:
    html = home_with_score(code)
    assert "512.42" in html
    assert "50.6" in html
    assert "+10.6" in html
    assert "<polyline" in html
    assert "Require &lt;b&gt;MFA&lt;/b&gt;" in html
    key = recommendation_key(SourceName.SECURE_SCORE, "AdminMFAV2")
    assert f"/tickets/new?tenant_id={TENANT.tenant_id}&amp;recommendation={key}" in html


def test_who_may_create_no_tickets_sees_no_button_for_it() -> None:
    assert "/tickets/new" not in home_with_score("en", roles={Role.TICKETS_READ})
    assert "/tickets/new" not in home_with_score("en", tenant=replace(TENANT, connection_id=None))


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("step", NextStep)
def test_a_tenant_without_a_score_says_why(code: str, step: NextStep) -> None:
    html = home_with_score(code, snapshots=[], step=step)
    assert str(escape(languages()[code](f"home.score.none.{step}"))) in html
    assert "<polyline" not in html


def test_the_words_are_those_of_the_tenants_next_step() -> None:
    failed = replace(TENANT, error=TenantError(Failure("graph_permission_missing"), datetime(2026, 11, 1, tzinfo=UTC)))
    html = home_with_score("en", tenant=failed, snapshots=[])
    assert languages()["en"]("home.score.none.grant_permission").split(".")[0] in html
    assert "<polyline" not in html
