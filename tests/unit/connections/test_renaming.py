"""The same instance under a new address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.directory import SyncState
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.renaming import proved_address, renamed, with_address
from shared.errors import FixConfiguration, FixRequest
from tests.unit.connections.surroundings import CLIENT_SECRET, INSTANCE, Surroundings

NEW = "https://contoso-new.service-now.com"
KNOWN = {"0a" * 16: "INC0010001", "0b" * 16: "INC0010002"}
OF_THE_RENAMED: SyncState = SyncState(watermark="2026-03-01 10:00:00")

addresses = st.sampled_from([f"https://{letter}.service-now.com" for letter in "abcd"])
moves = st.lists(st.tuples(addresses, st.none() | st.booleans(), st.booleans()), max_size=8)


def connection(instance: str = "https://a.service-now.com") -> Connection:
    return Connection("contoso", "Contoso", instance, "client", "m365.integration")


@given(moves)
def test_tickets_go_along_exactly_while_it_stays_the_same_instance(
    steps: list[tuple[str, bool | None, bool]],
) -> None:
    """The identity of an instance: each proved claim keeps it, anything else makes a new one."""
    current = connection()
    ours = {current.instance}
    """Addresses at which the instance's earlier tickets were created."""
    for address, same_instance, proves in steps:
        before = current
        current = with_address(current, address, same_instance)
        assert current.instance == address
        if proved_address(current) == proved_address(before):
            assert current.renamed_from in {None, proved_address(before)}
        else:
            ours = {address}
        if current.renamed_from is not None:
            assert not any(current.is_at(each) for each in ours), "no ticket moves along before the claim is proved"
            if proves:
                current = renamed(current)
                ours |= {address}
        if current.renamed_from is None:
            assert all(current.is_at(each) for each in ours)


@given(moves)
def test_going_back_to_the_address_before_needs_no_proof(steps: list[tuple[str, bool | None, bool]]) -> None:
    current = connection()
    for address, same_instance, proves in steps:
        current = with_address(current, address, same_instance)
        current = renamed(current) if proves else current
    back = with_address(current, proved_address(current), None)
    assert back.renamed_from is None
    assert back.is_at(back.instance)


def test_two_renamings_in_a_row() -> None:
    current = connection()
    for address in ("https://b.service-now.com", "https://c.service-now.com", "https://a.service-now.com"):
        current = renamed(with_address(current, address, True))
    assert all(current.is_at(f"https://{letter}.service-now.com") for letter in "abc")
    elsewhere = with_address(current, "https://d.service-now.com", None)
    assert not any(elsewhere.is_at(f"https://{letter}.service-now.com") for letter in "abc")
    again = with_address(elsewhere, "https://a.service-now.com", None)
    assert again.is_at("https://a.service-now.com")


# The whole use case


@pytest.fixture
async def app() -> Surroundings:
    """A working connection with a synchronisation state and known records."""
    surroundings = Surroundings()
    await surroundings.connected()
    entry = surroundings.directory.entries["contoso"]
    await surroundings.directory.save_entry(replace(entry, sync=replace(OF_THE_RENAMED, instance=INSTANCE)))
    surroundings.known_records.numbers[INSTANCE] = KNOWN
    surroundings.probe.numbers = dict(KNOWN)
    return surroundings


async def watermark(app: Surroundings) -> str | None:
    return (await app.turns.sync_state(app.stored())).watermark


async def test_a_proved_renaming_takes_the_tickets_along(app: Surroundings) -> None:
    claimed = await app.configured(instance=NEW, same_instance=True, client_secret=CLIENT_SECRET)
    assert (claimed.status, claimed.renamed_from) == (ConnectionStatus.REAUTHORIZATION_REQUIRED, INSTANCE)
    assert not claimed.is_at(INSTANCE)
    connected = await app.authorized()
    assert (connected.status, connected.renamed_from) == (ConnectionStatus.CONNECTED, None)
    assert connected.is_at(INSTANCE)
    assert await watermark(app) == OF_THE_RENAMED.watermark


@pytest.mark.parametrize("seen", [{}, {**KNOWN, "0b" * 16: "INC0099999"}], ids=["no record", "another number"])
async def test_an_unproved_renaming_is_refused(app: Surroundings, seen: dict[str, str]) -> None:
    app.probe.numbers = seen
    app.probe.hidden = set(KNOWN) - set(seen)
    await app.configured(instance=NEW, same_instance=True, client_secret=CLIENT_SECRET)
    with pytest.raises(FixConfiguration) as caught:
        await app.authorized()
    assert caught.value.code == "authorization_other_instance"
    kept = app.stored()
    assert kept.status is not ConnectionStatus.CONNECTED
    assert not kept.is_at(INSTANCE)
    assert await app.secrets.get_secret("servicenow-contoso-refresh-token") is None
    assert not app.servicenow.living


async def test_without_any_ticket_nothing_is_proved(app: Surroundings) -> None:
    app.known_records.numbers.clear()
    await app.configured(instance=NEW, same_instance=True, client_secret=CLIENT_SECRET)
    with pytest.raises(FixConfiguration):
        await app.authorized()


async def test_a_claim_that_is_taken_back_is_another_instance(app: Surroundings) -> None:
    await app.configured(instance=NEW, same_instance=True, client_secret=CLIENT_SECRET)
    await app.configured(instance=NEW, client_secret=...)
    assert app.stored().renamed_from == INSTANCE, "it stays if it is left out"
    await app.configured(instance=NEW, same_instance=False, client_secret=...)
    connected = await app.authorized()
    assert not connected.is_at(INSTANCE)
    assert await watermark(app) is None


async def test_without_the_choice_everything_is_as_before(app: Surroundings) -> None:
    await app.configured(instance=NEW, client_secret=CLIENT_SECRET)
    assert await watermark(app) is None
    connected = await app.authorized()
    assert (connected.former_instances, connected.is_at(INSTANCE)) == ({}, False)


async def test_the_stored_secret_is_not_sent_to_an_address_that_is_not_proved(app: Surroundings) -> None:
    with pytest.raises(FixRequest) as caught:
        await app.configured(instance=NEW, same_instance=True, client_secret=...)
    assert caught.value.code == "client_secret_required"


async def test_a_claim_that_changes_during_the_authorization_supersedes_it(app: Surroundings) -> None:
    await app.configured(instance=NEW, same_instance=True, client_secret=CLIENT_SECRET)
    start, cookies = await app.begun()
    answer = app.servicenow.consent(start.location, "m365.integration")

    async def meanwhile(name: str) -> None:
        if name == "users":
            app.servicenow.step = quiet
            stored = app.stored()
            await app.store.update_connection(replace(stored, renamed_from=None))

    async def quiet(name: str) -> None:
        pass

    app.servicenow.step = meanwhile
    with pytest.raises(FixRequest) as caught:
        await app.authorization.complete(answer, cookies)
    assert caught.value.code == "authorization_superseded"
    assert not app.stored().is_at(INSTANCE)
