"""Whatever Microsoft Graph answers, the tenant has a clear state, and keeps what was read before.

The whole way but the servers: the simulated Graph, the real client, the reading, the tenant's row, and what callers
see of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from sandbox.graph.engine.population import Population
from shared.connections.directory import AT_ONCE
from shared.recommendations.model import ImprovementAction
from shared.recommendations.reading.read import TenantReading
from shared.recommendations.statuses import score_impact, status_of
from shared.tenants.model import Tenant, TenantStatus
from shared.tenants.views import TenantView, tenant_view
from shared.web.recommendations import action_row, shown_html
from shared.words.language import languages
from tests.contract.graph.conftest import FEW, Reader
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.verification import memory_verification
from tests.sandbox.graph.simulated import OTHER_TENANT, TENANT

ENGLISH = languages()["en"]
CATALOGUE, SCORES = "secureScoreControlProfiles", "secureScores"
HOSTILE = (
    '<p onclick="alert(1)">Do it<script>alert(2)</script></p><img src=x onerror=alert(3)><base href="//evil.example">'
    '<a href="javascript:alert(4)">here</a><a href="https://learn.microsoft.com/x">there</a><svg/onload=alert(5)>'
)


class Tenants:
    """Two tenants, read from the simulated Graph into memory."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.rows = MemoryTenantStore(*(Tenant(each, each[-1], due_at=AT_ONCE) for each in (TENANT, OTHER_TENANT)))
        self.store = MemoryRecommendationStore()
        self.clock = reader.world.clock.now
        self.reading = TenantReading(
            self.rows,
            self.store,
            reader.source,
            MemoryEvidenceStore(),
            memory_verification(self.clock),
            self.clock,
        )

    async def read(self, tenant_id: str = TENANT) -> TenantView:
        """Read a tenant at a person's request, and return what callers see of it afterwards."""
        assert await self.reading.read_now(self.rows.tenants[tenant_id]) is not None
        return tenant_view(self.rows.tenants[tenant_id], self.clock(), ENGLISH, home_tenant_id=TENANT)

    async def actions(self, tenant_id: str = TENANT) -> Mapping[str, ImprovementAction]:
        return {each.source_id: each for each in await self.store.list_actions(tenant_id)}


@pytest.fixture
def tenants(reader: Reader) -> Tenants:
    reader.control.set_switches({"profiles.page_size": 10})
    return Tenants(reader)


@pytest.mark.parametrize(
    ("kind", "path", "status", "code"),
    [
        ("missing_role", SCORES, "no_permission", "graph_permission_missing"),
        ("throttled", CATALOGUE, "unreadable", "graph_throttled"),
        ("forbidden_page", SCORES, "unreadable", "graph_access_blocked"),
        ("tenant_not_deployed", CATALOGUE, "unreadable", "secure_score_not_available"),
        ("cut_off_json", SCORES, "unreadable", "graph_answer_unusable"),
        ("error_without_error", SCORES, "unreadable", "graph_request_rejected"),
        ("endless_pages", CATALOGUE, "unreadable", "graph_list_endless"),
        ("same_next_link", CATALOGUE, "unreadable", "graph_list_endless"),
        ("foreign_next_link", CATALOGUE, "unreadable", "graph_link_refused"),
        ("partial", CATALOGUE, "partly_readable", None),
        ("partial", SCORES, "partly_readable", None),
    ],
)
async def test_each_fault_has_a_clear_state_and_loses_nothing(
    tenants: Tenants, kind: str, path: str, status: str, code: str | None
) -> None:
    before, actions = await tenants.read(), await tenants.actions()
    tenants.reader.control.set_fault(kind, path=f"{path}$", remaining=None, retry_after_s=900)
    seen = await tenants.read()
    assert seen.status == status
    assert (seen.last_error and seen.last_error.code) == code
    assert seen.last_error is None or (seen.last_error.message and seen.last_error.next_step)
    assert not seen.is_being_read
    assert (seen.snapshot_id, seen.history_read_at) == (before.snapshot_id, before.history_read_at)
    assert seen.next_reading_at is not None
    if kind == "throttled":
        assert (seen.next_reading_at - tenants.clock()).total_seconds() == pytest.approx(900, abs=2)
    after = await tenants.actions()
    assert after.keys() == actions.keys()
    assert [each.gone_at or each.missing_snapshot_id for each in after.values()] == [None] * len(after)
    assert {each.points for each in after.values()} == {each.points for each in actions.values()}
    tenants.reader.control.clear_faults()
    healed = await tenants.read()
    assert (healed.status, healed.last_error) == (TenantStatus.READABLE, None)


async def test_a_control_is_gone_after_two_complete_readings_of_different_snapshots(tenants: Tenants) -> None:
    await tenants.read()
    lost = next(iter(await tenants.actions()))
    tenants.reader.control.remove_control(TENANT, lost)
    seen = []
    for fault in (None, None, "partial", None):
        tenants.reader.control.advance(days=1)
        tenants.reader.control.clear_faults()
        if fault is not None:
            tenants.reader.control.set_fault(fault, path=f"{CATALOGUE}$", remaining=None)
        for _ in range(2):
            await tenants.read()
        action = (await tenants.actions())[lost]
        seen.append((action.missing_snapshot_id is not None, action.gone_at is not None))
    assert seen[0] in {(False, False), (True, False)}, "the score of that day may still have it"
    assert (True, False) in seen
    assert seen[-1] == (True, True)


async def test_hostile_texts_are_stored_as_they_came_and_shown_without_what_they_do(tenants: Tenants) -> None:
    tenants.reader.control.change_control(
        TENANT, "AdminMFAV2", title="<script>alert(6)</script>", remediation=HOSTILE, remediation_impact=HOSTILE
    )
    assert (await tenants.read()).status == "readable"
    action = (await tenants.actions())["AdminMFAV2"]
    assert action.title == "<script>alert(6)</script>", "pages escape it"
    assert action.texts.remediation is not None
    raw = (await tenants.store.get_texts(TENANT, [action.texts.remediation]))[action.texts.remediation]
    assert raw == HOSTILE
    shown = shown_html(raw)
    assert "Do it" in shown
    assert 'href="https://learn.microsoft.com/x"' in shown
    for harmful in ("alert", "javascript", "onclick", "onerror", "<img", "<svg", "<base", "evil"):
        assert harmful not in shown


async def test_titles_equal_to_ids_a_changed_maximum_and_nothing_to_count(tenants: Tenants) -> None:
    tenants.reader.plant(replace(FEW, population=Population()))
    await tenants.read()
    before = (await tenants.actions())["AdminMFAV2"]
    tenants.reader.control.change_control(TENANT, "AdminMFAV2", title="AdminMFAV2", max_score=4.0)
    tenants.reader.control.advance(days=1)  # The newest points are still of the maximum that was.
    seen = await tenants.read()
    assert (seen.status, seen.last_error) == (TenantStatus.READABLE, None)
    action = (await tenants.actions())["AdminMFAV2"]
    assert (action.title, action.max_points) == ("AdminMFAV2", Decimal(4))
    assert action.max_points != before.max_points
    counted = [each for each in (await tenants.actions()).values() if each.total == 0]
    assert counted, "0 of 0"
    for each in counted:
        row = action_row(each, tenants.clock(), Decimal(0), None, ENGLISH)
        assert (row.status, row.impact) == (status_of(each), score_impact(each, Decimal(0)))
        assert row.title


async def test_a_tenant_without_any_points_is_readable(tenants: Tenants) -> None:
    tenants.reader.plant(replace(FEW, days=0))
    seen = await tenants.read()
    assert (seen.status, seen.snapshot_id, seen.last_error) == (TenantStatus.READABLE, None, None)


async def test_nothing_of_one_tenant_is_stored_under_another(tenants: Tenants) -> None:
    tenants.reader.control.change_control(TENANT, "AdminMFAV2", title="Only Contoso", remediation="<p>Only Contoso</p>")
    for tenant_id in (TENANT, OTHER_TENANT):
        assert (await tenants.read(tenant_id)).status == "readable"
    ours, theirs = await tenants.actions(), await tenants.actions(OTHER_TENANT)
    assert ours.keys() == theirs.keys(), "the same ids, so that only the tenant tells them apart"
    assert ours["AdminMFAV2"].title == "Only Contoso" != theirs["AdminMFAV2"].title
    assert {each.tenant_id for each in theirs.values()} == {OTHER_TENANT}
    hashes = [ours["AdminMFAV2"].texts.remediation or ""]
    assert await tenants.store.get_texts(TENANT, hashes)
    assert await tenants.store.get_texts(OTHER_TENANT, hashes) == {}
    snapshots = await tenants.store.list_snapshots(OTHER_TENANT)
    assert snapshots
    assert all(each.snapshot_id.startswith(OTHER_TENANT) for each in snapshots)
