"""What a reading means for a tenant, and when the next one is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.directory import AT_ONCE
from shared.error_codes import Code
from shared.errors import (
    ConnectorError,
    GraphAnswerTooLarge,
    GraphRequestRejected,
    GraphThrottled,
    GraphTimeout,
    GraphTokenRefused,
    GraphUnavailable,
    OurBug,
    RowUnreadable,
    StorageUnavailable,
    TenantRefused,
)
from shared.tenants.model import CONSENT_PENDING_FOR, LATEST_DUE, AdminConsent, Tenant, TenantStatus
from shared.tenants.status import FIRST_RETRY_AFTER, READ_EVERY, RETRY_EVERY, after_failure, after_success, next_turn_at

NOW = datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)
TENANT = Tenant("11111111-aaaa-4bbb-8ccc-000000000001", "Contoso", due_at=AT_ONCE)
TENANT_IDS = st.uuids().map(str)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(TENANT_IDS, MOMENTS)
def test_a_tenant_is_read_every_six_hours(tenant_id: str, now: datetime) -> None:
    first = next_turn_at(tenant_id, now)
    assert now < first <= now + READ_EVERY
    assert next_turn_at(tenant_id, first) == first + READ_EVERY


def test_tenants_are_spread_over_the_six_hours() -> None:
    turns = [next_turn_at(str(UUID(int=number * 7919 * 1_000_003)), NOW) for number in range(1, 361)]
    quarters = [(turn - NOW) // (READ_EVERY / 4) for turn in turns]
    assert all(60 < quarters.count(quarter) < 120 for quarter in range(4))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TenantRefused("graph_permission_missing"), TenantStatus.NO_PERMISSION),
        (TenantRefused("tenant_not_reachable"), TenantStatus.NO_PERMISSION),
        (GraphTokenRefused(), TenantStatus.NO_PERMISSION),
        (GraphRequestRejected("secure_score_not_available"), TenantStatus.UNREADABLE),
        (GraphUnavailable("graph_access_blocked"), TenantStatus.UNREADABLE),
        (GraphUnavailable("graph_answer_unusable"), TenantStatus.UNREADABLE),
        (GraphAnswerTooLarge(), TenantStatus.UNREADABLE),
        (GraphTimeout(), TenantStatus.UNREADABLE),
        (GraphThrottled(), TenantStatus.UNREADABLE),
        (OurBug(), TenantStatus.UNREADABLE),
        (StorageUnavailable(), None),
        (RowUnreadable(), None),
    ],
)
def test_each_failure_has_a_status(error: ConnectorError, status: TenantStatus | None) -> None:
    failed = after_failure(TENANT, error, NOW)
    assert failed.status is status
    assert failed.error is not None
    assert failed.error.failure == error.failure


def test_a_failure_of_storage_keeps_the_status() -> None:
    readable = after_success(TENANT, NOW, is_complete=True)
    assert after_failure(readable, StorageUnavailable(), NOW).status is TenantStatus.READABLE


def test_success_ends_the_error() -> None:
    failed = after_failure(TENANT, GraphTimeout(), NOW)
    read = after_success(failed, NOW + timedelta(hours=1), is_complete=False)
    assert (read.status, read.error, read.read_at) == (TenantStatus.PARTLY_READABLE, None, NOW + timedelta(hours=1))


@given(st.lists(st.none() | st.floats(0, 10_000_000), min_size=1, max_size=12))
def test_after_failures_the_wait_grows_up_to_a_bound(asked: list[float | None]) -> None:
    tenant, now, longest = TENANT, NOW, FIRST_RETRY_AFTER
    for seconds in asked:
        tenant = after_failure(tenant, GraphThrottled(retry_after_s=seconds), now)
        assert tenant.due_at is not None
        wait = tenant.due_at - now
        assert wait >= min(longest, RETRY_EVERY)
        assert wait <= max(RETRY_EVERY, timedelta(seconds=min(seconds or 0, LATEST_DUE.total_seconds())))
        assert seconds is None or wait >= min(timedelta(seconds=seconds), LATEST_DUE)
        assert tenant.is_due(tenant.due_at)
        assert not tenant.is_due(tenant.due_at - timedelta(seconds=1))
        longest, now = 2 * longest, tenant.due_at


def test_the_wait_begins_again_after_a_success() -> None:
    tenant, now = TENANT, NOW
    for _ in range(4):
        tenant = after_failure(tenant, GraphTimeout(), now)
        assert tenant.due_at is not None
        now = tenant.due_at
    tenant = after_failure(after_success(tenant, now, is_complete=True), GraphTimeout(), now)
    assert tenant.due_at == now + FIRST_RETRY_AFTER


@pytest.mark.parametrize("is_failed", [False, True])
def test_a_tenant_of_files_does_not_become_due(is_failed: bool) -> None:
    files_only = Tenant(TENANT.tenant_id, "Contoso")
    after = (
        after_failure(files_only, GraphTimeout(), NOW)
        if is_failed
        else after_success(files_only, NOW, is_complete=True)
    )
    assert after.due_at is None


@pytest.mark.parametrize("code", ["graph_permission_missing", "admin_consent_missing"])
def test_after_a_consent_the_next_tries_come_soon_for_five_minutes(code: Code) -> None:
    consented = replace(TENANT, consent=AdminConsent("", NOW, answered_at=NOW))
    now, tries = NOW, 0
    while now < NOW + CONSENT_PENDING_FOR:
        consented = after_failure(consented, TenantRefused(code), now)
        assert consented.due_at is not None
        now, tries = consented.due_at, tries + 1
    assert tries == 10
    assert after_failure(consented, TenantRefused(code), now).due_at == now + FIRST_RETRY_AFTER


@pytest.mark.parametrize(
    ("consent", "error"),
    [
        (None, TenantRefused()),
        (AdminConsent("", NOW), TenantRefused()),
        (AdminConsent("", NOW, answered_at=NOW, is_refused=True), TenantRefused()),
        (AdminConsent("", NOW, answered_at=NOW - CONSENT_PENDING_FOR), TenantRefused()),
        (AdminConsent("", NOW, answered_at=NOW + timedelta(days=1)), TenantRefused()),
        (AdminConsent("", NOW, answered_at=NOW), GraphUnavailable()),
    ],
)
def test_otherwise_they_come_as_usual(consent: AdminConsent | None, error: ConnectorError) -> None:
    assert after_failure(replace(TENANT, consent=consent), error, NOW).due_at == NOW + FIRST_RETRY_AFTER
