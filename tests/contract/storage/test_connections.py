"""Connections, leases, authorizations and requesters in real tables."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.connections.directory import Place, SyncState
from shared.connections.model import (
    Connection,
    ConnectionStatus,
    KindSettings,
    LastError,
    Operation,
    Portal,
    TicketKind,
)
from shared.connections.ports import AuthorizationTarget, PendingAuthorization, RowChanged
from shared.errors import Failure, StorageUnavailable
from shared.storage.authorizations import AzureAuthorizationStore
from shared.storage.connections import AzureConnectionStore, connection_of, connection_row
from shared.storage.leases import AzureLeaseStore
from shared.storage.requesters import AzureRequesterDirectory
from shared.storage.tables import Tables
from tests.memory.clock import START, ManualClock
from tests.memory.sign_in import MemoryServiceNowSignIn

BARE = Connection("contoso", "Contoso", "https://contoso.service-now.com", "client", "m365.integration")
FULL = Connection(
    connection_id="contoso",
    display_name='Contoso 株式会社 \'s "best"',
    instance="https://contoso.service-now.com",
    client_id="client",
    integration_user="m365.integration",
    portals=(Portal.COMPLIANCE,),
    kinds={
        TicketKind.INCIDENT: KindSettings(False, None, None, {"1": "新規", "-5": "Pending"}),
        TicketKind.CHANGE: KindSettings(True, "0" * 32, "Security", {}, "1" * 32),
    },
    customer_group="North",
    is_excluded=True,
    time_zone="Asia/Tokyo",
    consent_lifetime_s=2_147_483_647,
    status=ConnectionStatus.REAUTHORIZATION_REQUIRED,
    status_since_at=START,
    integration_user_sys_id="f" * 32,
    consented_at=START + timedelta(microseconds=1),
    consent_ends_at=START + timedelta(days=100),
    access_token_expires_at=START + timedelta(seconds=1800),
    access_token_refresh_at=START + timedelta(seconds=1200),
    access_token_version="v1",
    access_token_issued_at=datetime(2026, 3, 1, 23, tzinfo=UTC),
    refresh_token_outdated_until_at=datetime(2026, 3, 2, 2, tzinfo=UTC),
    secrets_renew_at=datetime(2026, 5, 1, tzinfo=UTC),
    refresh_again_at=datetime(2026, 3, 2, 1, tzinfo=UTC),
    last_success_at=datetime(2026, 3, 2, tzinfo=UTC),
    last_error=LastError(Failure("insufficient_rights", {"variant": "fields"}), START, Operation.DELIVERY),
    former_instances={"https://contoso-old.service-now.com": "https://contoso.service-now.com"},
    renamed_from="https://contoso-before.service-now.com",
)

times = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


@pytest.fixture
def store(tables: Tables) -> AzureConnectionStore:
    return AzureConnectionStore(tables.connections)


@pytest.mark.parametrize("connection", [BARE, FULL], ids=["bare", "full"])
async def test_a_connection_comes_back_as_it_was(store: AzureConnectionStore, connection: Connection) -> None:
    assert await store.get_connection("contoso") is None
    created = await store.create_connection(connection)
    assert created == connection
    found = await store.get_connection("contoso")
    assert found == connection
    assert found is not None
    assert found.etag == created.etag
    assert type(found.consented_at) in {datetime, type(None)}


@given(
    st.builds(
        replace,
        st.just(FULL),
        display_name=texts,
        consented_at=times,
        last_error=st.none() | st.builds(LastError, st.builds(Failure, texts, st.dictionaries(texts, texts)), times),
        kinds=st.fixed_dictionaries(
            {
                kind: st.builds(
                    KindSettings,
                    st.booleans(),
                    st.none() | texts,
                    st.none() | texts,
                    st.dictionaries(texts, texts, max_size=3),
                )
                for kind in TicketKind
            }
        ),
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_whatever_a_connection_holds_survives(store: AzureConnectionStore, connection: Connection) -> None:
    present = await store.get_connection("contoso")
    stored = await (
        store.create_connection(connection)
        if present is None
        else store.update_connection(replace(connection, etag=present.etag))
    )
    assert await store.get_connection("contoso") == stored == connection


async def test_what_is_no_longer_there_leaves_the_row(store: AzureConnectionStore, tables: Tables) -> None:
    created = await store.create_connection(FULL)
    await store.update_connection(replace(BARE, etag=created.etag))
    assert await store.get_connection("contoso") == BARE
    row = await tables.connections.get_entity("contoso", "connection")
    assert set(row) == set(connection_row(BARE))
    assert connection_of(row) == BARE


async def test_only_one_of_two_changes_wins(store: AzureConnectionStore) -> None:
    created = await store.create_connection(BARE)
    changed = await store.update_connection(replace(created, display_name="first"))
    with pytest.raises(RowChanged):
        await store.update_connection(replace(created, display_name="second"))
    with pytest.raises(RowChanged):
        await store.create_connection(BARE)
    with pytest.raises(RowChanged):
        await store.update_connection(replace(created, connection_id="nobody"))
    assert await store.get_connection("contoso") == changed


async def test_all_connections_are_listed_in_order_and_nothing_else(
    store: AzureConnectionStore, tables: Tables, clock: ManualClock
) -> None:
    assert await store.list_connections() == []
    for connection_id in ("fabrikam", "contoso", "a-1"):
        await store.create_connection(replace(BARE, connection_id=connection_id))
        await store.save_sync_state(connection_id, SyncState())
        await AzureLeaseStore(tables.connections, clock).acquire_lease(connection_id, "tokens", duration_s=10)
    assert [each.connection_id for each in await store.list_connections()] == ["a-1", "contoso", "fabrikam"]


async def test_the_state_of_a_synchronisation_comes_back_as_it_was(store: AzureConnectionStore) -> None:
    fresh = await store.get_sync_state("contoso")
    assert fresh == SyncState()
    full = SyncState(
        watermark="2026-03-02 09:00:00",
        watermark_seen_at=START,
        resume_at=Place(("2026-03-02 09:00:00", "0" * 32), 7),
        resume_after_ticket="1" * 32,
        last_started_at=START,
        last_completed_at=START,
        requested_at=START,
        reconciled_at=START,
        reconcile_after="0" * 32,
        reconcile_place=Place(None, 1000),
        read_step=2,
        read_step_at=START,
        reconcile_again_at=START + timedelta(hours=1),
    )
    saved = await store.save_sync_state("contoso", full)
    assert await store.get_sync_state("contoso") == saved == full
    with pytest.raises(RowChanged):
        await store.save_sync_state("contoso", full)
    with pytest.raises(RowChanged):
        await store.save_sync_state("contoso", fresh)
    await store.save_sync_state("contoso", replace(SyncState(), etag=saved.etag))
    assert await store.get_sync_state("contoso") == SyncState()


async def test_missing_tables_are_reported_as_such(bare_tables: Tables, clock: ManualClock) -> None:
    store = AzureConnectionStore(bare_tables.connections)
    leases = AzureLeaseStore(bare_tables.connections, clock)
    authorizations = AzureAuthorizationStore(bare_tables.authorizations, bare_tables.transactions)
    for attempt in (
        store.get_connection("contoso"),
        store.list_connections(),
        store.create_connection(BARE),
        store.update_connection(replace(BARE, etag="W/\"datetime'2026-03-02T09%3A00%3A00.0000000Z'\"")),
        leases.acquire_lease("contoso", "tokens", duration_s=1),
        authorizations.take_authorization("0" * 64),
        authorizations.create_authorization(_authorization("0" * 64)),
        authorizations.delete_expired_authorizations(START),
    ):
        with pytest.raises(StorageUnavailable) as caught:
            await attempt
        assert caught.value.code == "storage_table_missing"


# Leases


async def test_a_lease_has_one_holder(tables: Tables, clock: ManualClock) -> None:
    leases = AzureLeaseStore(tables.connections, clock)
    won = await asyncio.gather(*(leases.acquire_lease("contoso", "tokens", duration_s=30) for _ in range(8)))
    (lease_id,) = [each for each in won if each is not None]
    assert await leases.acquire_lease("contoso", "sync", duration_s=30) is not None
    assert await leases.acquire_lease("fabrikam", "tokens", duration_s=30) is not None
    await leases.release_lease("contoso", "tokens", lease_id)
    assert await leases.acquire_lease("contoso", "tokens", duration_s=30) is not None


async def test_a_lease_that_ended_goes_to_one_other(tables: Tables, clock: ManualClock) -> None:
    leases = AzureLeaseStore(tables.connections, clock)
    lost = await leases.acquire_lease("contoso", "tokens", duration_s=30)
    assert lost is not None
    clock.advance(29)
    assert await leases.acquire_lease("contoso", "tokens", duration_s=30) is None
    clock.advance(1)
    won = await asyncio.gather(*(leases.acquire_lease("contoso", "tokens", duration_s=30) for _ in range(8)))
    (lease_id,) = [each for each in won if each is not None]
    await leases.release_lease("contoso", "tokens", lost)
    assert await leases.acquire_lease("contoso", "tokens", duration_s=30) is None, "the late loser released nothing"
    await leases.release_lease("contoso", "tokens", lease_id)
    await leases.release_lease("contoso", "tokens", lease_id)


async def test_a_lease_is_renewed_by_its_holder_only(tables: Tables, clock: ManualClock) -> None:
    leases = AzureLeaseStore(tables.connections, clock)
    lease_id = await leases.acquire_lease("contoso", "tokens", duration_s=30)
    assert lease_id is not None
    clock.advance(20)
    assert await leases.renew_lease("contoso", "tokens", lease_id, duration_s=30)
    clock.advance(20)
    assert await leases.acquire_lease("contoso", "tokens", duration_s=30) is None
    clock.advance(10)
    successor = await leases.acquire_lease("contoso", "tokens", duration_s=30)
    assert successor is not None
    assert not await leases.renew_lease("contoso", "tokens", lease_id, duration_s=30)
    await leases.release_lease("contoso", "tokens", successor)
    assert not await leases.renew_lease("contoso", "tokens", successor, duration_s=30)


@pytest.mark.parametrize(("ahead_s", "held"), [(120, True), (180, True), (300, False), (86_400, False)])
async def test_a_lease_from_the_future_holds_nobody_up(
    tables: Tables, clock: ManualClock, ahead_s: float, held: bool
) -> None:
    """A host of an older release may hold a lease for three minutes; one with a wrong clock holds none for longer."""
    wrong = ManualClock(clock.now)
    wrong.advance(ahead_s - 30)
    await AzureLeaseStore(tables.connections, wrong).acquire_lease("contoso", "tokens", duration_s=30)
    taken = await AzureLeaseStore(tables.connections, clock).acquire_lease("contoso", "tokens", duration_s=30)
    assert (taken is None) is held


async def test_a_lease_whose_confirmation_was_lost_is_still_ours(
    tables: Tables, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an insert's answer is lost, it is sent again, and then the row already exists."""
    create_entity = tables.connections.create_entity

    async def lost_once(entity: dict[str, object], **options: object) -> object:
        await create_entity(entity, **options)
        return await create_entity(entity, **options)

    monkeypatch.setattr(tables.connections, "create_entity", lost_once)
    leases = AzureLeaseStore(tables.connections, clock)
    lease_id = await leases.acquire_lease("contoso", "tokens", duration_s=30)
    assert lease_id is not None
    assert await leases.acquire_lease("contoso", "tokens", duration_s=30) is None
    await leases.release_lease("contoso", "tokens", lease_id)
    assert await leases.acquire_lease("contoso", "tokens", duration_s=30) is not None


# Authorizations


def _authorization(state_hash: str, expires_at: datetime = START) -> PendingAuthorization:
    return PendingAuthorization(
        state_hash,
        "contoso",
        "challenge",
        expires_at,
        "0b0b0b0b-0000-4000-8000-000000000001",
        AuthorizationTarget("https://contoso.service-now.com", "client", "m365.integration"),
    )


async def test_an_authorization_is_taken_once(tables: Tables) -> None:
    authorizations = AzureAuthorizationStore(tables.authorizations, tables.transactions)
    pending = _authorization("ab" * 32)
    assert await authorizations.get_authorization(pending.state_hash) is None
    assert await authorizations.take_authorization(pending.state_hash) is None
    await authorizations.create_authorization(pending)
    taken = await asyncio.gather(*(authorizations.take_authorization(pending.state_hash) for _ in range(8)))
    assert [each for each in taken if each is not None] == [pending]


async def test_an_authorization_whose_insert_is_repeated_is_stored_once(tables: Tables) -> None:
    authorizations = AzureAuthorizationStore(tables.authorizations, tables.transactions)
    pending = _authorization("ab" * 32)
    await authorizations.create_authorization(pending)
    await authorizations.create_authorization(pending)
    for _ in range(2):
        assert await authorizations.get_authorization(pending.state_hash) == pending
    assert await authorizations.take_authorization(pending.state_hash) == pending
    assert await authorizations.get_authorization(pending.state_hash) is None
    assert await authorizations.take_authorization(pending.state_hash) is None


async def test_expired_authorizations_are_deleted(tables: Tables) -> None:
    authorizations = AzureAuthorizationStore(tables.authorizations, tables.transactions)
    later = _authorization("cd" * 32, START + timedelta(seconds=1))
    await authorizations.create_authorization(_authorization("ab" * 32))
    await authorizations.create_authorization(later)
    assert await authorizations.delete_expired_authorizations(START) == 1
    assert await authorizations.delete_expired_authorizations(START) == 0
    assert await authorizations.take_authorization(later.state_hash) == later


# Requesters


class CountingUsers(MemoryServiceNowSignIn):
    """Counts its calls."""

    asked = 0
    found: str | None = None

    async def find_user_by_email(self, connection: Connection, email: str) -> str | None:
        self.asked += 1
        return self.found


async def test_a_requester_is_remembered_for_a_day_and_a_stranger_for_an_hour(
    tables: Tables, clock: ManualClock
) -> None:
    users = CountingUsers(clock)
    directory = AzureRequesterDirectory(tables.directory, users, clock)

    async def asked(email: str = "Aiko@contoso.com", connection: Connection = BARE) -> tuple[str | None, int]:
        return await directory.sys_id_of(connection, email), users.asked

    assert await asked() == (None, 1)
    assert await asked() == (None, 1)
    users.found = "0" * 32
    clock.advance(3600)
    assert await asked() == ("0" * 32, 2)
    clock.advance(86_399)
    assert await asked("aiko@CONTOSO.com") == ("0" * 32, 2)
    clock.advance(1)
    assert await asked() == ("0" * 32, 3)
    assert await asked(connection=replace(BARE, instance="https://fabrikam.service-now.com")) == ("0" * 32, 4)
    rows = [row async for row in tables.directory.list_entities()]
    assert "aiko" not in repr(rows).casefold()
    # Folding case would give one person the user that was found for the other.
    assert await asked("strasse@contoso.com") == ("0" * 32, 5)
    assert await asked("stra\u00dfe@contoso.com") == ("0" * 32, 6)


@pytest.mark.parametrize("found", ["0" * 32, None])
async def test_what_a_wrong_clock_remembers_of_a_requester_does_not_last(
    tables: Tables, clock: ManualClock, found: str | None
) -> None:
    users = CountingUsers(clock)
    users.found = found
    wrong = ManualClock(clock.now)
    wrong.advance(86_400)
    await AzureRequesterDirectory(tables.directory, users, wrong).sys_id_of(BARE, "aiko@contoso.com")
    users.found = "1" * 32
    directory = AzureRequesterDirectory(tables.directory, users, clock)
    assert await directory.sys_id_of(BARE, "aiko@contoso.com") == "1" * 32


async def test_what_is_remembered_of_a_requester_counts_for_nothing_when_asked_afresh(
    tables: Tables, clock: ManualClock
) -> None:
    users = CountingUsers(clock)
    first, second = (AzureRequesterDirectory(tables.directory, users, clock) for _ in range(2))
    assert await first.sys_id_of(BARE, "aiko@contoso.com") is None
    users.found = "0" * 32
    assert await first.sys_id_of(BARE, "aiko@contoso.com") is None
    assert await first.sys_id_of(BARE, "aiko@contoso.com", afresh=True) == "0" * 32
    assert await first.sys_id_of(BARE, "aiko@contoso.com") == "0" * 32
    assert await second.sys_id_of(BARE, "aiko@contoso.com") == "0" * 32
    assert users.asked == 2


async def test_a_requester_is_asked_for_once_by_all_instances_of_the_app_and_read_once_by_each(
    tables: Tables, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = CountingUsers(clock)
    users.found = "0" * 32
    await AzureRequesterDirectory(tables.directory, users, clock).sys_id_of(BARE, "aiko@contoso.com")
    another = AzureRequesterDirectory(tables.directory, users, clock)
    assert await another.sys_id_of(BARE, "aiko@contoso.com") == "0" * 32
    assert users.asked == 1

    async def not_again(*_: object) -> None:
        raise AssertionError("the row was read before")

    monkeypatch.setattr(tables.directory, "get_entity", not_again)
    assert await another.sys_id_of(BARE, "aiko@contoso.com") == "0" * 32
    monkeypatch.undo()
    clock.advance(86_400)
    assert await another.sys_id_of(BARE, "aiko@contoso.com") == "0" * 32
    assert users.asked == 2


async def test_only_so_many_requesters_are_kept_in_memory(
    tables: Tables, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.storage.requesters.KNOWN_MOST", 2)
    users = CountingUsers(clock)
    directory = AzureRequesterDirectory(tables.directory, users, clock)
    for name in "abcab":
        assert await directory.sys_id_of(BARE, f"{name}@contoso.com") is None
        assert len(directory._known) <= 2
    assert users.asked == 3
