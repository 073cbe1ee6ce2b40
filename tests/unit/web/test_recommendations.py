"""Improvement actions as pages and spreadsheets show them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given

from shared import web
from shared.errors import ConnectorError, GraphTimeout, TenantRefused
from shared.recommendations.model import ComplianceDetails, ImprovementAction, Presence, SourceName
from shared.recommendations.statuses import HiddenReason
from shared.tenants.model import Tenant
from shared.tenants.status import after_failure, after_success
from shared.web.csv_export import RECOMMENDATION_COLUMNS, recommendations_csv
from shared.web.recommendations import EmptyReason, action_row, empty_reason
from shared.words.language import languages
from tests.unit.recommendations.strategies import actions

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
T = languages()["en"]
TENANT = Tenant("11111111-aaaa-4bbb-8ccc-000000000001", "Contoso", due_at=NOW)
ACTION = ImprovementAction(
    TENANT.tenant_id,
    SourceName.SECURE_SCORE,
    "AdminMFAV2",
    "Require multifactor authentication",
    service="AzureAD",
    points=Decimal("2.50"),
    max_points=Decimal(10),
    measured_at=NOW - timedelta(days=2, hours=3),
)


def test_a_row_says_what_can_be_gained_and_when_it_was_measured() -> None:
    row = action_row(ACTION, NOW, Decimal(1000), None, T)
    assert (row.points, row.filled, row.impact) == ("2.5/10", 25.0, Decimal("0.75"))
    assert (row.product, row.status, row.tone, row.age) == ("Microsoft Entra ID", "to_address", "warn", "2 days ago")


@pytest.mark.parametrize(("hours", "age"), [(-15, "today"), (11, "today"), (13, "yesterday"), (49, "2 days ago")])
def test_the_age_is_in_days(hours: int, age: str) -> None:
    assert action_row(replace(ACTION, measured_at=NOW - timedelta(hours=hours)), NOW, None, None, T).age == age


def test_what_a_file_says_is_as_old_as_the_file() -> None:
    row = action_row(replace(ACTION, file_at=NOW), NOW, None, None, T)
    assert row.age == "from a file of 2026-11-24"


def test_points_of_compliance_manager_are_no_part_of_the_score() -> None:
    row = action_row(replace(ACTION, source=SourceName.COMPLIANCE_MANAGER), NOW, Decimal(1000), None, T)
    assert row.impact is None


def test_a_row_shows_the_id_of_an_action_without_a_title_and_why_it_is_hidden() -> None:
    row = action_row(replace(ACTION, title=" ", presence=Presence.PROFILE_ONLY), NOW, None, None, T)
    assert (row.title, row.hidden) == ("AdminMFAV2", HiddenReason.NOT_MEASURED)


@given(actions)
def test_every_action_has_a_row(action: ImprovementAction) -> None:
    row = action_row(action, NOW, Decimal(500), None, T)
    assert row.title
    assert 0 <= row.filled <= 100


@given(actions)
def test_a_spreadsheet_has_every_action_and_no_formula(action: ImprovementAction) -> None:
    hostile = replace(action, title='=HYPERLINK("https://elsewhere.example")', category="@SUM(1)", service="+1")
    row = action_row(hostile, NOW, Decimal(500), None, T)
    [read] = csv.DictReader(io.StringIO(recommendations_csv([row], languages()["en"]).decode("utf-8-sig"), newline=""))
    assert tuple(read) == RECOMMENDATION_COLUMNS
    assert read["id"] == action.key
    assert [cell for cell in read.values() if cell.startswith(("=", "+", "-", "@"))] == []


def test_a_spreadsheet_has_regulations_and_owner() -> None:
    details = ComplianceDetails(regulations=("GDPR", "ISO 27001"), assigned_to="anna@contoso.example")
    row = action_row(replace(ACTION, compliance=details), NOW, None, None, T)
    [read] = csv.DictReader(io.StringIO(recommendations_csv([row], languages()["en"]).decode("utf-8-sig")))
    assert (read["regulations"], read["owner"]) == ("GDPR; ISO 27001", "anna@contoso.example")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TenantRefused("graph_permission_missing", wanted="SecurityEvents.Read.All"), EmptyReason.NO_PERMISSION),
        (TenantRefused("tenant_not_reachable"), EmptyReason.NO_PERMISSION),
        (GraphTimeout(), EmptyReason.UNREADABLE),
    ],
)
def test_a_tenant_is_empty_because_of_an_error(error: ConnectorError, reason: EmptyReason) -> None:
    assert empty_reason(after_failure(TENANT, error, NOW)) is reason


def test_a_tenant_is_empty_for_other_reasons() -> None:
    assert empty_reason(TENANT) is EmptyReason.NOT_READ
    assert empty_reason(replace(TENANT, due_at=None)) is EmptyReason.NO_FILE
    assert empty_reason(after_success(TENANT, NOW, is_complete=True)) is EmptyReason.NOTHING


TEMPLATES = Path(web.__file__).parent / "templates"
STORED = "level|disposition|presence|action_status|tenant_status"
"""Groups of words for stored values: another release may have stored one that has no word here."""


@pytest.mark.parametrize("template", sorted(each.name for each in TEMPLATES.glob("*.html")))
def test_a_page_shows_the_values_of_another_release_as_they_are(template: str) -> None:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    assert not re.search(rf't\("({STORED})\." ~', text), "t.named"
    assert not re.search(r"levels\[", text), "levels.get"
