"""What a person does next about a tenant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import ConnectorError, GraphTimeout, TenantRefused
from shared.tenants.model import Tenant, TenantError, TenantStatus
from shared.tenants.status import after_failure, after_success
from shared.web.tenants import NextStep, next_step, snapshot_age
from shared.words.language import languages

NOW = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
T = languages()["en"]
NEW = Tenant("11111111-aaaa-4bbb-8ccc-000000000001", "Contoso", "contoso", due_at=NOW)


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (TenantRefused("graph_permission_missing", wanted="SecurityEvents.Read.All"), NextStep.GRANT_PERMISSION),
        (TenantRefused("tenant_not_reachable"), NextStep.LOOK_AT_ERROR),
        (GraphTimeout(), NextStep.LOOK_AT_ERROR),
    ],
)
def test_an_error_comes_first(error: ConnectorError, step: NextStep) -> None:
    assert next_step(after_failure(replace(NEW, connection_id=None), error, NOW)) is step


def test_then_the_connection() -> None:
    assert next_step(replace(NEW, connection_id=None)) is NextStep.CHOOSE_CONNECTION


def test_then_there_is_nothing_to_do_but_wait_for_the_first_reading() -> None:
    assert next_step(NEW) is NextStep.WAIT
    assert next_step(replace(NEW, due_at=None)) is NextStep.NONE
    assert next_step(after_success(NEW, NOW, is_complete=True)) is NextStep.NONE


def test_a_storage_failure_is_shown_beside_a_readable_status() -> None:
    failed = replace(NEW, status=TenantStatus.READABLE, error=TenantError(GraphTimeout().failure, NOW))
    assert next_step(failed) is NextStep.LOOK_AT_ERROR


@pytest.mark.parametrize(("hours", "age"), [(0.5, "today"), (1, "yesterday"), (25, "2 days ago"), (-5, "today")])
def test_the_age_of_a_snapshot_is_in_days(hours: float, age: str) -> None:
    assert snapshot_age(replace(NEW, snapshot_at=NOW - timedelta(hours=hours)), NOW, T) == age
    assert snapshot_age(NEW, NOW, T) == ""
