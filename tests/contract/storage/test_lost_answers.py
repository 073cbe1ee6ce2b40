"""When answers of Table Storage are lost, what writes single rows is still right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from azure.core.pipeline import transport
from azure.identity.aio import ManagedIdentityCredential

from sandbox.azurite import StorageAccount
from sandbox.certificates import Certificates
from shared.connections.directory import AT_ONCE, DirectoryEntry
from shared.connections.held_lease import LEASE_S
from shared.connections.ports import RowChanged
from shared.errors import StorageUnavailable
from shared.recommendations.ports import Claim, ClaimedTicket
from shared.settings import Settings
from shared.storage.directory import AzureConnectionDirectory
from shared.storage.leases import AzureLeaseStore
from shared.storage.tables import RETRIES, Tables, open_tables
from tests.contract.storage.test_recommendations import (
    BARE_ACTION,
    BARE_TENANT,
    CONTOSO,
    DAY,
    TEXTS,
    Stores,
    batch,
    in_tables,
    snapshot,
)
from tests.faults.gate import Gate, Mishap, What, serving
from tests.memory.clock import START, ManualClock

ACTIONS = [replace(BARE_ACTION, source_id=f"control {number:03}") for number in range(120)]
MANY = 200


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate in front of the tables; repeating a request does not wait."""

    async def sleep(_transport: object, _seconds: float) -> None:
        pass

    monkeypatch.setattr(transport.AsyncHttpTransport, "sleep", sleep)
    opened = Gate()
    yield opened
    opened.close()


@pytest.fixture
async def behind(
    gate: Gate,
    tables: Tables,
    storage_account: StorageAccount,
    certificates: Certificates,
    settings: Settings,
    credential: ManagedIdentityCredential,
) -> AsyncIterator[Tables]:
    """The tables behind the gate."""
    upstream = storage_account.tables_url.removesuffix(f"/{storage_account.name}")
    with serving(gate.in_front_of(upstream, authority=str(certificates.authority)), certificates) as url:
        opened = open_tables(settings.model_copy(update={"tables_url": f"{url}/{storage_account.name}"}), credential)
        yield opened
        await opened.aclose()


@pytest.fixture
def gated(behind: Tables, clock: ManualClock) -> Stores:
    return in_tables(behind, clock)


@pytest.mark.parametrize("what", ["lose", "lose_connection", "refuse_connection"])
async def test_turns_and_leases_survive_an_answer_lost_at_every_step(
    behind: Tables, gate: Gate, clock: ManualClock, what: What
) -> None:
    """Every request fails once, and its repetition does not."""
    directory, leases = AzureConnectionDirectory(behind.directory), AzureLeaseStore(behind.connections, clock)
    gate.begin({number: Mishap(what) for number in range(1, MANY, 2)})
    taken = await directory.save_entry(DirectoryEntry("contoso", holder="host"))
    await directory.wake("contoso")
    again = await directory.get_entry("contoso")
    assert await directory.save_entry(replace(again, holder=None)) == replace(taken, holder=None, due_at=AT_ONCE)
    first = await leases.acquire_lease("contoso", "tokens", duration_s=LEASE_S)
    assert first is not None
    assert await leases.renew_lease("contoso", "tokens", first, duration_s=LEASE_S)
    clock.advance(LEASE_S)
    assert await leases.acquire_lease("contoso", "tokens", duration_s=LEASE_S) not in {None, first}
    assert gate.met >= 7, "every write met a mishap"


@pytest.mark.parametrize("what", ["lose", "lose_connection", "cut", "refuse", "refuse_connection"])
async def test_an_answer_lost_at_every_step_is_noticed_by_nobody(gated: Stores, gate: Gate, what: What) -> None:
    """Every request fails once, and its repetition does not."""
    gate.begin({number: Mishap(what) for number in range(1, MANY, 2)})
    tenant = await gated.tenants.save_tenant(BARE_TENANT)
    tenant = await gated.tenants.save_tenant(replace(tenant, name="Fabrikam"))
    claim = await gated.claims.save_claim(Claim(CONTOSO, BARE_ACTION.key))
    claim = await gated.claims.save_claim(replace(claim, tickets=(ClaimedTicket("contoso", "1" * 32, START),)))
    assert await gated.claims.create_batch(batch()) == batch()
    await gated.recommendations.save_reading(CONTOSO, ACTIONS, TEXTS, [snapshot(DAY)])
    met = gate.met
    gate.begin()
    assert met >= 8, "every write met a mishap"
    assert await gated.tenants.list_tenants() == [tenant] == [replace(BARE_TENANT, name="Fabrikam")]
    assert (await gated.tenants.list_tenants())[0].etag == tenant.etag
    assert [(each, each.etag) for each in await gated.claims.list_claims(CONTOSO)] == [(claim, claim.etag)]
    assert len(await gated.recommendations.list_actions(CONTOSO)) == len(ACTIONS)
    assert await gated.recommendations.get_texts(CONTOSO, TEXTS) == TEXTS

    gate.begin({number: Mishap(what) for number in range(1, MANY, 2)})
    await gated.recommendations.delete_all(CONTOSO)
    await gated.tenants.delete_tenant(CONTOSO)
    gate.begin()
    assert await gated.recommendations.list_actions(CONTOSO) == []
    assert await gated.claims.list_claims(CONTOSO) == [claim]
    assert await gated.tenants.list_tenants() == []


async def test_what_storage_never_confirmed_can_be_repeated(gated: Stores, gate: Gate) -> None:
    all_lost = {number: Mishap("lose") for number in range(1, RETRIES + 2)}
    wanted = Claim(CONTOSO, BARE_ACTION.key, (ClaimedTicket("contoso", "1" * 32, START),))
    gate.begin(all_lost)
    with pytest.raises(StorageUnavailable):
        await gated.claims.save_claim(wanted)
    assert await gated.claims.get_claim(CONTOSO, BARE_ACTION.key) == wanted
    with pytest.raises(RowChanged):
        await gated.claims.save_claim(replace(wanted, tickets=()))
    gate.begin(all_lost)
    with pytest.raises(StorageUnavailable):
        await gated.claims.create_batch(batch())
    assert await gated.claims.create_batch(batch()) == batch()
    # A reading is four requests: the stored texts' hashes, a transaction of texts, and two of actions.
    for first in range(1, 5):
        gate.begin({number: Mishap("refuse") for number in range(first, MANY)})
        with pytest.raises(StorageUnavailable):
            await gated.recommendations.save_reading(CONTOSO, ACTIONS, TEXTS, [snapshot(DAY)])
        gate.begin()
        if await gated.recommendations.list_actions(CONTOSO):
            assert await gated.recommendations.get_texts(CONTOSO, TEXTS) == TEXTS, "texts come before actions"
    await gated.recommendations.save_reading(CONTOSO, ACTIONS, TEXTS, [snapshot(DAY)])
    assert len(await gated.recommendations.list_actions(CONTOSO)) == len(ACTIONS)
    assert await gated.recommendations.list_snapshots(CONTOSO) == [snapshot(DAY)]
