"""The contract of tenants, recommendations and claims, for Table Storage and the stores in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from azure.data.tables import TransactionOperation, UpdateMode
from azure.data.tables.aio import TableClient

from shared.clock import Clock
from shared.connections.ports import RowChanged
from shared.errors import Failure, RowUnreadable, StorageUnavailable
from shared.recommendations.model import (
    ActionTexts,
    Average,
    ComplianceDetails,
    ControlPoints,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
    Snapshot,
    SourceName,
    text_hash,
)
from shared.recommendations.ports import Batch, Claim, ClaimedTicket, ClaimStore, RecommendationStore, Refusal
from shared.storage.entity_transactions import RowOperation
from shared.storage.recommendations import AzureClaimStore, AzureRecommendationStore
from shared.storage.rows import RowReader
from shared.storage.tables import Tables
from shared.storage.tenants import AzureTenantStore
from shared.tenants.model import Tenant, TenantError, TenantStatus
from shared.tenants.ports import TenantStore
from tests.memory.clock import START, ManualClock
from tests.memory.recommendation_store import MemoryClaimStore, MemoryRecommendationStore
from tests.memory.tenant_store import MemoryTenantStore

CONTOSO, FABRIKAM = "11111111-aaaa-4bbb-8ccc-000000000001", "11111111-aaaa-4bbb-8ccc-000000000002"
DAY = date(2026, 3, 2)

BARE_TENANT = Tenant(CONTOSO, "Contoso")
FULL_TENANT = Tenant(
    tenant_id=CONTOSO,
    name='Contoso 株式会社 \'s "best"',
    connection_id="contoso",
    company="0" * 32,
    added_at=START - timedelta(days=1),
    status=TenantStatus.PARTLY_READABLE,
    roles=("SecurityEvents.Read.All",),
    roles_seen_at=START,
    snapshot_id=f"{CONTOSO}_2026-03-02",
    snapshot_at=START,
    read_at=START + timedelta(microseconds=1),
    history_read_at=START,
    error=TenantError(Failure("insufficient_rights", {"variant": "fields", "count": 3}), START),
    due_at=START + timedelta(hours=6),
    requested_at=START,
    holder="ab" * 16,
    held_until_at=START + timedelta(minutes=3),
)
TEXTS = {text_hash(html): html for html in ("<p>Do it.</p>", "", "<p>漢字 😀 \x01 \ud800</p>", "<ol>" * 50)}
BARE_ACTION = ImprovementAction(CONTOSO, SourceName.SECURE_SCORE, "AdminMFAV2", "Require MFA")
FULL_ACTION = ImprovementAction(
    tenant_id=CONTOSO,
    source=SourceName.COMPLIANCE_MANAGER,
    source_id="11770.MDA/Google #1 'x' 漢",
    title="多要素認証 😀",
    category="Identity",
    service="MS Teams",
    link="https://security.microsoft.com/x?a=b&c=%20",
    tier="Core",
    rank=128,
    implementation_cost=Level.MODERATE,
    user_impact=Level.HIGH,
    threats=("Account breach", "Data Exfiltration"),
    texts=ActionTexts(*TEXTS),
    presence=Presence.SCORE_ONLY,
    is_deprecated=True,
    points=Decimal("7.20"),
    max_points=Decimal(0),
    count=0,
    total=200,
    is_on=False,
    measured_at=START,
    disposition=Disposition.THIRD_PARTY,
    has_licence=False,
    first_seen_at=START - timedelta(days=3),
    seen_at=START,
    missing_snapshot_id=f"{CONTOSO}_2026-03-01",
    gone_at=START,
    file_at=START,
    compliance=ComplianceDetails(
        implementation_status="Planned",
        test_status="None",
        regulations=("ISO 27001", "個人情報"),
        assessments=("A",),
        notes="漢" * 20_000 + "😀" * 12_000,
        implemented_on=DAY,
        tested_on=DAY,
    ),
)


def snapshot(day: date, *, score: str = "12.5", controls: int = 3) -> Snapshot:
    return Snapshot(
        snapshot_id=f"{CONTOSO}_{day.isoformat()}",
        day=day,
        score=Decimal(score),
        max_score=Decimal("1012.0"),
        controls={
            f"control {number}": ControlPoints(Decimal(number) / 4, None if number % 2 else Decimal(10))
            for number in range(controls)
        },
        averages=(Average("AllTenants", Decimal("46.21")),),
    )


@dataclass(frozen=True)
class Stores:
    tenants: TenantStore
    recommendations: RecommendationStore
    claims: ClaimStore


def in_tables(tables: Tables, clock: Clock, reader: RowReader | None = None) -> Stores:
    return Stores(
        AzureTenantStore(tables.tenants, reader),
        AzureRecommendationStore(tables.recommendations, tables.transactions, clock, reader),
        AzureClaimStore(tables.recommendations, reader),
    )


@pytest.fixture(params=["memory", "azure"])
def stores(request: pytest.FixtureRequest, clock: ManualClock) -> Stores:
    if request.param == "memory":
        claims = MemoryClaimStore()
        return Stores(MemoryTenantStore(), MemoryRecommendationStore(claims), claims)
    return in_tables(request.getfixturevalue("tables"), clock)


# Tenants


@pytest.mark.parametrize("tenant", [BARE_TENANT, FULL_TENANT], ids=["bare", "full"])
async def test_a_tenant_comes_back_as_it_was(stores: Stores, tenant: Tenant) -> None:
    assert await stores.tenants.get_tenant(CONTOSO) is None
    saved = await stores.tenants.save_tenant(tenant)
    found = await stores.tenants.get_tenant(CONTOSO)
    assert found is not None
    assert found == saved == tenant
    assert found.etag == saved.etag
    assert await stores.tenants.list_tenants() == [tenant]
    cleared = await stores.tenants.save_tenant(replace(BARE_TENANT, etag=saved.etag))
    assert await stores.tenants.get_tenant(CONTOSO) == cleared == BARE_TENANT


async def test_only_one_of_two_changes_of_a_tenant_wins(stores: Stores) -> None:
    saved = await stores.tenants.save_tenant(BARE_TENANT)
    changed = await stores.tenants.save_tenant(replace(saved, name="first"))
    for late in (replace(saved, name="second"), BARE_TENANT, replace(saved, tenant_id=FABRIKAM)):
        with pytest.raises(RowChanged):
            await stores.tenants.save_tenant(late)
    assert await stores.tenants.get_tenant(CONTOSO) == changed


async def test_tenants_are_listed_in_order_and_deleted(stores: Stores) -> None:
    for tenant_id in (FABRIKAM, CONTOSO):
        await stores.tenants.save_tenant(replace(FULL_TENANT, tenant_id=tenant_id))
    assert [each.tenant_id for each in await stores.tenants.list_tenants()] == [CONTOSO, FABRIKAM]
    for _ in range(2):
        await stores.tenants.delete_tenant(CONTOSO)
    assert [each.tenant_id for each in await stores.tenants.list_tenants()] == [FABRIKAM]
    assert await stores.tenants.get_tenant(CONTOSO) is None


# Improvement actions, texts, snapshots


@pytest.mark.parametrize("action", [BARE_ACTION, FULL_ACTION], ids=["bare", "full"])
async def test_an_action_comes_back_as_it_was(stores: Stores, action: ImprovementAction) -> None:
    store = stores.recommendations
    assert await store.get_action(CONTOSO, action.key) is None
    await store.save_reading(CONTOSO, [action], TEXTS, [])
    assert await store.get_action(CONTOSO, action.key) == action
    assert await store.list_actions(CONTOSO) == [action]
    assert await store.get_texts(CONTOSO, [*TEXTS, text_hash("unknown")]) == TEXTS
    await store.save_reading(CONTOSO, [replace(BARE_ACTION, source_id=action.source_id, source=action.source)], {}, [])
    assert await store.get_action(CONTOSO, action.key) == replace(
        BARE_ACTION, source_id=action.source_id, source=action.source
    )


async def test_a_reading_changes_what_it_names_and_nothing_else(stores: Stores) -> None:
    store = stores.recommendations
    actions = [replace(BARE_ACTION, source_id=f"control {number}") for number in range(5)]
    await store.save_reading(CONTOSO, actions, TEXTS, [snapshot(DAY)])
    changed = [replace(each, points=Decimal(1)) for each in actions[:2]]
    for _ in range(2):
        await store.save_reading(CONTOSO, changed, TEXTS, [snapshot(DAY, score="13")])
    assert sorted(await store.list_actions(CONTOSO), key=lambda each: each.source_id) == [*changed, *actions[2:]]
    assert await store.list_snapshots(CONTOSO) == [snapshot(DAY, score="13")]
    assert await store.get_texts(CONTOSO, TEXTS) == TEXTS


async def test_nothing_of_one_tenant_is_shown_under_another(stores: Stores) -> None:
    await stores.recommendations.save_reading(CONTOSO, [BARE_ACTION], TEXTS, [snapshot(DAY)])
    await stores.claims.save_claim(Claim(CONTOSO, BARE_ACTION.key))
    await stores.claims.create_batch(batch())
    for tenant_id in (FABRIKAM, CONTOSO[:-1], ""):
        assert await stores.recommendations.list_actions(tenant_id) == []
        assert await stores.recommendations.get_action(tenant_id, BARE_ACTION.key) is None
        assert await stores.recommendations.get_texts(tenant_id, TEXTS) == {}
        assert await stores.recommendations.list_snapshots(tenant_id) == []
        assert await stores.claims.list_claims(tenant_id) == []
        assert await stores.claims.get_batch(tenant_id, "b" * 32) is None
        await stores.recommendations.delete_all(tenant_id)
    assert await stores.recommendations.list_actions(CONTOSO) == [BARE_ACTION]


async def test_snapshots_are_listed_oldest_first_from_a_day_on(stores: Stores) -> None:
    days = [DAY - timedelta(days=number) for number in range(4)]
    await stores.recommendations.save_reading(CONTOSO, [], {}, [snapshot(day) for day in days])
    assert await stores.recommendations.list_snapshots(CONTOSO) == [snapshot(day) for day in reversed(days)]
    since = await stores.recommendations.list_snapshots(CONTOSO, since=days[1])
    assert since == [snapshot(days[1]), snapshot(days[0])]
    assert await stores.recommendations.list_snapshots(CONTOSO, since=DAY + timedelta(days=1)) == []


async def test_what_is_deleted_is_everything_but_claims(stores: Stores) -> None:
    actions = [replace(BARE_ACTION, source_id=f"control {number}") for number in range(120)]
    await stores.recommendations.save_reading(CONTOSO, actions, TEXTS, [snapshot(DAY)])
    claim = await stores.claims.save_claim(Claim(CONTOSO, BARE_ACTION.key, (ClaimedTicket("c", "t", START),)))
    await stores.claims.create_batch(batch())
    for _ in range(2):
        await stores.recommendations.delete_all(CONTOSO)
    assert await stores.recommendations.list_actions(CONTOSO) == []
    assert await stores.recommendations.list_snapshots(CONTOSO) == []
    assert await stores.recommendations.get_texts(CONTOSO, TEXTS) == {}
    assert await stores.claims.get_batch(CONTOSO, "b" * 32) is None
    assert await stores.claims.list_claims(CONTOSO) == [claim]


# Claims and batches

REFUSED = (Refusal("0" * 32, Failure("recommendation_gone", {"title": "漢"})),)


def batch(*, connection_id: str = "contoso") -> Batch:
    tickets = tuple(f"{number:032x}" for number in range(500))
    return Batch(
        CONTOSO, "b" * 32, connection_id, "0b0b0b0b-0000-4000-8000-000000000001", START, tickets, tickets, REFUSED
    )


async def test_a_claim_is_taken_once(stores: Stores) -> None:
    free = await stores.claims.get_claim(CONTOSO, BARE_ACTION.key)
    assert free == Claim(CONTOSO, BARE_ACTION.key)
    assert free.etag is None
    wanted = [replace(free, tickets=(ClaimedTicket("contoso", f"{number:032x}", START),)) for number in range(6)]
    outcomes = await asyncio.gather(*(stores.claims.save_claim(each) for each in wanted), return_exceptions=True)
    (taken,) = [each for each in outcomes if isinstance(each, Claim)]
    assert all(isinstance(each, Claim | RowChanged) for each in outcomes)
    assert await stores.claims.get_claim(CONTOSO, BARE_ACTION.key) == taken
    another = replace(taken, tickets=(ClaimedTicket("contoso", "f" * 32, START), *taken.tickets))
    saved = await stores.claims.save_claim(another)
    with pytest.raises(RowChanged):
        await stores.claims.save_claim(another)
    assert await stores.claims.list_claims(CONTOSO) == [saved] == [another]


async def test_the_first_batch_with_an_id_stands(stores: Stores) -> None:
    assert await stores.claims.get_batch(CONTOSO, "b" * 32) is None
    assert await stores.claims.create_batch(batch()) == batch()
    assert await stores.claims.create_batch(batch(connection_id="another")) == batch()
    assert await stores.claims.get_batch(CONTOSO, "b" * 32) == batch()


# Table Storage only


async def test_missing_tables_are_reported_as_such(bare_tables: Tables, clock: ManualClock) -> None:
    stores = in_tables(bare_tables, clock)
    stale = "W/\"datetime'2026-03-02T09%3A00%3A00.0000000Z'\""
    for attempt in (
        stores.tenants.get_tenant(CONTOSO),
        stores.tenants.list_tenants(),
        stores.tenants.save_tenant(BARE_TENANT),
        stores.tenants.save_tenant(replace(BARE_TENANT, etag=stale)),
        stores.recommendations.list_actions(CONTOSO),
        stores.recommendations.get_action(CONTOSO, "0"),
        stores.recommendations.save_reading(CONTOSO, [BARE_ACTION], {}, []),
        stores.recommendations.save_reading(CONTOSO, [], TEXTS, []),
        stores.recommendations.get_texts(CONTOSO, TEXTS),
        stores.recommendations.list_snapshots(CONTOSO),
        stores.recommendations.delete_all(CONTOSO),
        stores.claims.get_claim(CONTOSO, "0"),
        stores.claims.list_claims(CONTOSO),
        stores.claims.save_claim(Claim(CONTOSO, "0")),
        stores.claims.create_batch(batch()),
        stores.claims.get_batch(CONTOSO, "b" * 32),
    ):
        with pytest.raises(StorageUnavailable) as caught:
            await attempt
        assert caught.value.code == "storage_table_missing"


async def test_an_unreadable_row_hides_no_other(tables: Tables, clock: ManualClock) -> None:
    reader = RowReader(clock)
    stores = in_tables(tables, clock, reader)
    other = replace(BARE_ACTION, source_id="other")
    await stores.recommendations.save_reading(
        CONTOSO, [BARE_ACTION, other], TEXTS, [snapshot(DAY), snapshot(DAY - timedelta(days=1))]
    )
    await stores.claims.save_claim(Claim(CONTOSO, BARE_ACTION.key))
    await stores.claims.save_claim(Claim(CONTOSO, other.key))
    for tenant_id in (CONTOSO, FABRIKAM):
        await stores.tenants.save_tenant(replace(BARE_TENANT, tenant_id=tenant_id))
    broken: list[tuple[TableClient, str, str, dict[str, Any]]] = [
        (tables.tenants, "tenants", CONTOSO, {"members": "nonsense"}),
        (tables.recommendations, CONTOSO, f"action:{BARE_ACTION.key}", {"members": "[]"}),
        (tables.recommendations, CONTOSO, f"claim:{BARE_ACTION.key}", {"members": '{"tickets": 1}'}),
        (tables.recommendations, CONTOSO, f"snapshot:{DAY}", {"score": "nonsense"}),
        (tables.recommendations, CONTOSO, f"text:{text_hash('')}", {"html_0": b"nonsense"}),
    ]
    for table, partition_key, row_key, columns in broken:
        await table.update_entity({"PartitionKey": partition_key, "RowKey": row_key, **columns}, mode=UpdateMode.MERGE)
    assert [each.tenant_id for each in await stores.tenants.list_tenants()] == [FABRIKAM]
    assert await stores.recommendations.list_actions(CONTOSO) == [other]
    assert await stores.recommendations.list_snapshots(CONTOSO) == [snapshot(DAY - timedelta(days=1))]
    assert (await stores.recommendations.get_texts(CONTOSO, TEXTS)).keys() == TEXTS.keys() - {text_hash("")}
    assert await stores.claims.list_claims(CONTOSO) == [Claim(CONTOSO, other.key)]
    for attempt in (
        stores.tenants.get_tenant(CONTOSO),
        stores.recommendations.get_action(CONTOSO, BARE_ACTION.key),
        stores.claims.get_claim(CONTOSO, BARE_ACTION.key),
    ):
        with pytest.raises(RowUnreadable):
            await attempt
    assert {each.row_key for each in reader.unreadable} == {row_key for _, _, row_key, _ in broken}


async def test_columns_of_the_next_release_are_kept(tables: Tables, clock: ManualClock) -> None:
    stores = in_tables(tables, clock)
    tenant = await stores.tenants.save_tenant(FULL_TENANT)
    claim = await stores.claims.save_claim(Claim(CONTOSO, BARE_ACTION.key))
    await stores.recommendations.save_reading(CONTOSO, [FULL_ACTION], {}, [snapshot(DAY)])
    every = [(tables.tenants, row) async for row in tables.tenants.list_entities()]
    every += [(tables.recommendations, row) async for row in tables.recommendations.list_entities()]
    for table, row in every:
        keys = {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]}
        await table.update_entity({**keys, "of_the_next_release": "kept"}, mode=UpdateMode.MERGE)
    tenant = await stores.tenants.get_tenant(CONTOSO) or tenant
    await stores.tenants.save_tenant(replace(BARE_TENANT, etag=tenant.etag))
    claim = await stores.claims.get_claim(CONTOSO, BARE_ACTION.key)
    await stores.claims.save_claim(replace(claim, tickets=(ClaimedTicket("contoso", "1" * 32, START),)))
    bare = replace(BARE_ACTION, source=FULL_ACTION.source, source_id=FULL_ACTION.source_id)
    await stores.recommendations.save_reading(CONTOSO, [bare], {}, [snapshot(DAY, controls=0)])
    assert await stores.recommendations.list_actions(CONTOSO) == [bare]
    assert await stores.recommendations.list_snapshots(CONTOSO) == [snapshot(DAY, controls=0)]
    for table in (tables.tenants, tables.recommendations):
        assert {row["of_the_next_release"] async for row in table.list_entities()} == {"kept"}


# Texts that nothing names any more


def status(text: str, *, source_id: str = "AdminMFAV2") -> tuple[ImprovementAction, Mapping[str, str]]:
    """Return an action with this text, and the text."""
    key = text_hash(text)
    return replace(BARE_ACTION, source_id=source_id, texts=ActionTexts(implementation_status=key)), {key: text}


async def stored_texts(tables: Tables) -> set[str]:
    rows = tables.recommendations.query_entities("RowKey ge 'text:' and RowKey lt 'text;'", select=["RowKey"])
    return {row["RowKey"].removeprefix("text:") async for row in rows}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are cleaned up as soon as one could be unnamed."""
    monkeypatch.setattr("shared.storage.recommendations.UNNAMED_MOST", 0)


@pytest.mark.usefixtures("few")
async def test_a_text_that_nothing_names_is_deleted_a_day_later(tables: Tables, clock: ManualClock) -> None:
    store = in_tables(tables, clock).recommendations
    gone, of_gone = status("of an action that is gone", source_id="gone")
    file, of_file = status("from a file", source_id="file")
    await store.save_reading(CONTOSO, [gone, file], {**of_gone, **of_file}, [])
    days = [status(f"{number} of 200 users") for number in range(6)]
    for number, (action, texts) in enumerate(days):
        await store.save_reading(CONTOSO, [action], texts, [])
        assert await store.get_texts(CONTOSO, texts) == texts
        # Yesterday's text is marked today and deleted tomorrow.
        recent = {text_hash for _, texts in days[max(number - 1, 0) : number + 1] for text_hash in texts}
        assert await stored_texts(tables) == recent | of_gone.keys() | of_file.keys()
        clock.advance(86_400)


@pytest.mark.usefixtures("few")
async def test_a_text_that_is_named_again_stays(
    tables: Tables, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is stored beside a reading, so its texts may be marked, or about to be deleted, at any moment."""
    stores = [in_tables(tables, clock).recommendations for _ in range(2)]
    days = [status(f"{number} of 200 users") for number in range(3)]
    for action, texts in days[:2]:
        await stores[0].save_reading(CONTOSO, [action], texts, [])
    again, again_texts = status("0 of 200 users", source_id="from a file")
    assert again_texts == days[0][1]
    clock.advance(86_400)
    submit = tables.transactions.submit

    async def named_meanwhile(table_name: str, operations: Sequence[RowOperation]) -> Sequence[str | None]:
        if any(operation.kind is TransactionOperation.DELETE for operation in operations):
            tables.transactions.submit = submit  # type: ignore[method-assign]
            with monkeypatch.context() as another:
                another.setattr("shared.storage.recommendations.UNNAMED_MOST", 100)
                await stores[1].save_reading(CONTOSO, [again], again_texts, [])
        return await submit(table_name, operations)

    tables.transactions.submit = named_meanwhile  # type: ignore[method-assign]
    await stores[0].save_reading(CONTOSO, [days[2][0]], days[2][1], [])
    assert tables.transactions.submit == submit, "a deletion was under way"
    assert await stores[0].get_texts(CONTOSO, again_texts) == again_texts
    for number in range(3):
        clock.advance(86_400)
        action, texts = status(f"{number} of 300 users")
        await stores[0].save_reading(CONTOSO, [action], texts, [])
    assert await stores[0].get_texts(CONTOSO, again_texts) == again_texts


@pytest.mark.usefixtures("few")
async def test_no_text_is_deleted_while_an_action_cannot_be_read(tables: Tables, clock: ManualClock) -> None:
    store = in_tables(tables, clock).recommendations
    named, texts = status("who knows", source_id="unreadable")
    await store.save_reading(CONTOSO, [named], texts, [])
    row = {"PartitionKey": CONTOSO, "RowKey": f"action:{named.key}", "members": "nonsense"}
    await tables.recommendations.update_entity(row, mode=UpdateMode.MERGE)
    for number in range(3):
        action, others = status(f"{number} of 200 users")
        await store.save_reading(CONTOSO, [action], others, [])
        clock.advance(86_400)
    assert await store.get_texts(CONTOSO, texts) == texts
