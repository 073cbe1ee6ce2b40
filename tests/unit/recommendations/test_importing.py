"""Importing a file stores what it says, and shows what it changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox.compliance_manager.actions import Action, invented_actions, next_day
from sandbox.compliance_manager.workbook import Switches, export_workbook
from shared.errors import FixRequest
from shared.recommendations.files.formats import MAX_FILE_BYTES, FileFormat
from shared.recommendations.files.importing import FileImport, ImportResult
from shared.recommendations.files.last_file import missing_from_last_file
from shared.recommendations.model import (
    ComplianceDetails,
    ControlPoints,
    ImprovementAction,
    Snapshot,
    SourceName,
)
from shared.recommendations.ports import Reading
from shared.recommendations.reading.changes import changes_of
from shared.tenants.model import Tenant
from tests.hostile_files import HOSTILE
from tests.memory.clock import ManualClock
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.verification import memory_verification

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
ACTIONS = invented_actions(20)
HEADINGS = "Rank,Recommended action,Points achieved,Status,Product\n"


class Imports:
    """A tenant that is never read from Microsoft, and the import into it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tenants = MemoryTenantStore(Tenant(TENANT, "Contoso"))
        self.store = MemoryRecommendationStore()
        self.evidence = MemoryEvidenceStore()
        self.service = FileImport(
            self.tenants,
            self.store,
            self.evidence,
            memory_verification(self.clock),
            asyncio.Semaphore(1),
            self.clock,
        )

    async def workbook(self, actions: Sequence[Action], switches: Switches | None = None) -> ImportResult:
        self.clock.advance(60)
        return await self.service.run(TENANT, export_workbook(actions, switches))

    async def csv(self, rows: str) -> ImportResult:
        self.clock.advance(60)
        return await self.service.run(TENANT, (HEADINGS + rows).encode())

    @property
    def stored(self) -> dict[str, ImprovementAction]:
        return {action.source_id: action for action in self.store.actions[TENANT].values()}


@pytest.fixture
def imports() -> Imports:
    return Imports()


def ids(actions: Sequence[ImprovementAction]) -> set[str]:
    return {action.source_id for action in actions}


async def test_a_first_workbook_is_stored_whole(imports: Imports) -> None:
    result = await imports.workbook(ACTIONS)
    assert result.format is FileFormat.COMPLIANCE_WORKBOOK
    assert ids(result.new) == {action.id for action in ACTIONS} == imports.stored.keys()
    assert (result.changed, result.unchanged, result.missing) == ([], 0, [])
    for action in imports.stored.values():
        assert (action.file_at, action.seen_at, action.first_seen_at) == (result.file_at,) * 3
        assert action.texts.description in imports.store.texts[TENANT]


async def test_the_same_workbook_again_changes_nothing_but_its_date(imports: Imports) -> None:
    first = await imports.workbook(ACTIONS)
    before = imports.stored
    result = await imports.workbook(ACTIONS)
    assert (result.new, result.changed, result.missing, result.unchanged) == ([], [], [], 20)
    assert {each.file_at for each in imports.stored.values()} == {result.file_at} != {first.file_at}
    assert [replace(each, file_at=None, seen_at=None) for each in imports.stored.values()] == [
        replace(each, file_at=None, seen_at=None) for each in before.values()
    ]


async def test_a_later_workbook_shows_what_changed_from_what_to_what(imports: Imports) -> None:
    first, *others = (replace(action, test_status="", points=0, maximum=27) for action in ACTIONS)
    await imports.workbook([first, *others])
    at = datetime(2026, 11, 20, 8)  # noqa: DTZ001
    worked_on = replace(
        first,
        implementation_status="Implemented",
        implemented_at=at,
        test_status="Passed",
        points=27,
        assigned_to="zoe@contoso.example",
    )
    result = await imports.workbook([worked_on, *others])
    (changed,) = result.changed
    assert (changed.action.source_id, result.unchanged) == (first.id, 19)
    found = {each.name: (each.before, each.after) for each in changed.members}
    assert found.pop("assigned_to")[1] == "zoe@contoso.example"
    assert found.pop("implementation_status")[1] == "Implemented"
    assert found.pop("implemented_on")[1] == "2026-11-20"
    assert found == {"points": ("0", "27"), "test_status": ("", "Passed"), "status": (found["status"][0], "completed")}


async def test_what_the_next_workbook_lacks_is_kept_and_named(imports: Imports) -> None:
    await imports.workbook(ACTIONS)
    later = next_day(ACTIONS, removed=2, added=1, changed=3)
    result = await imports.workbook(later)
    lost = {action.id for action in ACTIONS} - {action.id for action in later}
    assert ids(result.missing) == lost
    assert len(lost) == 2
    assert lost < imports.stored.keys()
    assert ids(missing_from_last_file(imports.stored.values(), imports.clock.now)) == lost
    assert all(imports.stored[each].gone_at is None for each in lost)
    result = await imports.workbook(ACTIONS)
    assert len(result.missing) == 1
    assert result.unchanged + len(result.changed) == 20


async def test_a_workbook_of_another_assessment_says_nothing_about_this_one(imports: Imports) -> None:
    one = [replace(action, regulations=("One",)) for action in ACTIONS[:10]]
    two = [replace(action, regulations=("Two",)) for action in ACTIONS[10:]]
    await imports.workbook(one)
    result = await imports.workbook(two)
    assert (len(result.new), result.missing) == (10, [])
    result = await imports.workbook([*two[1:], one[0]])
    assert ids(result.missing) == {two[0].id, *(action.id for action in one[1:])}


async def test_sheets_that_are_absent_take_nothing_away(imports: Imports) -> None:
    await imports.workbook(ACTIONS)
    before = imports.stored
    await imports.workbook(ACTIONS, Switches(from_assessment=False))
    assert {each: action.texts for each, action in imports.stored.items()} == {
        each: action.texts for each, action in before.items()
    }


async def test_a_list_of_secure_score_makes_actions_and_updates_them(imports: Imports) -> None:
    await imports.csv(
        "1,Require MFA,0/10,To address,Microsoft Entra ID\n2,Block legacy,8.0/8,Completed,Exchange Online\n"
    )
    result = await imports.csv("1,Require MFA,2.50/10,Planned,Microsoft Entra ID\n")
    assert result.format is FileFormat.SECURE_SCORE_LIST
    (changed,) = result.changed
    assert [(each.name, each.before, each.after) for each in changed.members] == [
        ("points", "0", "2.5"),
        ("status", "to_address", "planned"),
    ]
    assert [action.title for action in result.missing] == ["Block legacy"]


async def test_a_row_updates_the_control_that_it_certainly_means(imports: Imports) -> None:
    control = ImprovementAction(
        TENANT,
        SourceName.SECURE_SCORE,
        "MFA",
        "Require MFA",
        service="AzureAD",
        points=Decimal(1),
        max_points=Decimal("10.0"),
        seen_at=imports.clock(),
    )
    other = replace(control, source_id="twin", title="Twin")
    await imports.store.save_reading(TENANT, [control, other, replace(other, source_id="twin2")], {}, [])
    result = await imports.csv("1,require MFA,4/10,Planned,\n2,Twin,1/1,Completed,\n")
    assert [row.title for row in result.ambiguous] == ["Twin"]
    assert (result.new, len(imports.stored)) == ([], 3)
    (changed,) = result.changed
    assert [each.name for each in changed.members] == ["points", "status"]
    assert imports.stored["MFA"].file_at == result.file_at


async def test_a_reading_of_microsoft_takes_over_from_a_file(imports: Imports) -> None:
    await imports.csv("1,Require MFA,0/10,Planned,Microsoft Entra ID\n")
    control = ImprovementAction(TENANT, SourceName.SECURE_SCORE, "MFA", "Require MFA", points=Decimal(1))
    for day in (1, 2):
        snapshot = Snapshot(f"s{day}", date(2026, 3, day), Decimal(1), Decimal(10), {"MFA": ControlPoints(Decimal(1))})
        reading = Reading(SourceName.SECURE_SCORE, is_complete=True, actions=[control], snapshot=snapshot)
        later = imports.clock() + timedelta(days=day)
        stored = list(imports.store.actions[TENANT].values())
        await imports.store.save_reading(TENANT, changes_of(stored, reading, later).rows, {}, [])
    assert {action.source_id for action in imports.stored.values() if action.gone_at is None} == {"MFA"}


@pytest.mark.parametrize("name", ["a bomb", "a web page", "a list without rows", "an archive that is cut off"])
async def test_a_refused_file_changes_nothing(imports: Imports, name: str) -> None:
    await imports.workbook(ACTIONS)
    before = imports.stored
    with pytest.raises(FixRequest) as refused:
        await imports.service.run(TENANT, HOSTILE[name][0])
    assert refused.value.code == "file_unreadable"
    assert imports.stored == before


async def test_a_file_that_is_too_large_is_not_opened(imports: Imports) -> None:
    with pytest.raises(FixRequest) as refused:
        await imports.service.run(TENANT, b"PK" + bytes(MAX_FILE_BYTES))
    assert (refused.value.code, refused.value.status) == ("request_too_large", 413)


async def test_a_tenant_that_is_removed_meanwhile_leaves_nothing(imports: Imports) -> None:
    async def removed(name: str) -> None:
        if name.startswith("list_actions"):
            await imports.tenants.delete_tenant(TENANT)

    imports.store._step = removed
    with pytest.raises(FixRequest) as refused:
        await imports.workbook(ACTIONS)
    assert refused.value.code == "tenant_not_found"
    assert not imports.store.actions[TENANT]


async def test_files_are_read_one_after_the_other(imports: Imports) -> None:
    """Two at once would need twice the memory, and the second knows what the first has stored."""
    async with imports.service.turn:
        waiting = asyncio.create_task(imports.workbook(ACTIONS[:1]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
    assert len((await waiting).new) == 1


async def test_the_tenant_has_to_be_known(imports: Imports) -> None:
    for tenant_id, code in (("nobody", "invalid_tenant_id"), (TENANT.replace("1", "2"), "tenant_not_found")):
        with pytest.raises(FixRequest) as refused:
            await imports.service.run(tenant_id, b"a")
        assert refused.value.code == code


async def test_an_action_of_the_workbook_has_what_a_ticket_needs(imports: Imports) -> None:
    await imports.workbook(ACTIONS)
    for action in imports.stored.values():
        assert action.title
        assert action.max_points
        assert action.link.startswith("https://")
        assert action.compliance != ComplianceDetails()
        assert imports.store.texts[TENANT][action.texts.description or ""].startswith("<p>")
