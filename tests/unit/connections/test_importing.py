"""Adding many connections from a file."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.current import seen_by
from shared.access.model import Access
from shared.connections import importing
from shared.connections.configure import MAX_CONNECTIONS
from shared.connections.grant.secret_names import client_secret_name
from shared.connections.importing import MAX_ROWS, ConnectionImport, ImportResult, read_connections_file
from shared.connections.model import ConnectionStatus
from shared.errors import FixRequest
from tests.memory.customer_limits import limited_to
from tests.unit.connections.surroundings import Surroundings

HEADINGS = "connection_id,instance,client_id,integration_user,client_secret,customer_group,is_excluded"
SECRET = "s3cret-that-nobody-may-see"


def file(*rows: str, headings: str = HEADINGS) -> bytes:
    return "\r\n".join((headings, *rows)).encode()


def row(connection_id: str, *, instance: str = "contoso", group: str = "North", excluded: str = "") -> str:
    return f"{connection_id},{instance},client,m365.integration,{SECRET},{group},{excluded}"


@pytest.fixture
def app() -> Surroundings:
    return Surroundings()


def importer(app: Surroundings) -> ConnectionImport:
    return ConnectionImport(app.configuration, app.store)


async def results(app: Surroundings, *rows: str) -> Sequence[tuple[int, ImportResult]]:
    return [(each.number, each.result) for each in await importer(app).run(file(*rows))]


async def test_each_row_becomes_a_connection_with_its_secret(app: Surroundings) -> None:
    assert await results(
        app, row("alpha", excluded="true"), "", row("beta", instance="https://beta.service-now.com/")
    ) == [
        (2, ImportResult.ADDED),
        (4, ImportResult.ADDED),
    ]
    alpha, beta = (app.store.connections[each] for each in ("alpha", "beta"))
    assert alpha.status is ConnectionStatus.AWAITING_AUTHORIZATION
    assert (alpha.display_name, alpha.customer_group, alpha.is_excluded) == ("contoso", "North", True)
    assert (beta.display_name, beta.is_excluded) == ("beta.service-now.com", False)
    stored = await app.secrets.get_secret(client_secret_name("alpha"))
    assert stored is not None
    assert stored.reveal() == SECRET
    assert {"alpha", "beta"} <= {each.connection_id for each in await app.directory.list_customers()}


async def test_a_row_says_who_may_see_its_customer(app: Surroundings) -> None:
    me, group = (f"0b1e6d3c-6a53-4f7e-9a7e-00000000b00{number}" for number in (1, 2))
    rows = [f"{row(name)},{ids}" for name, ids in (("limited", f"{me}  {group.upper()}"), ("open", ""))]
    rows += [f"{row(name)},{ids}" for name, ids in (("wrong", f"{me} Operations"), ("others", group))]
    with seen_by(Access(frozenset({me}))):
        done = await importer(app).run(file(*rows, headings=f"{HEADINGS},limited_to"))
    assert [(each.connection_id, None if each.error is None else each.error.code) for each in done] == [
        ("limited", None),
        ("open", None),
        ("wrong", "invalid_connection"),
        ("others", "would_lock_you_out"),
    ]
    assert app.limits.limits == {"limited": limited_to(me, group)}
    assert set(app.store.connections) == {"limited", "open"}


async def test_a_file_changes_no_connection_that_is_there(app: Surroundings) -> None:
    before = await app.connected()
    assert await results(app, row(before.connection_id), row("new"), row("NEW")) == [
        (2, ImportResult.PRESENT),
        (3, ImportResult.ADDED),
        (4, ImportResult.PRESENT),
    ]
    assert app.store.connections[before.connection_id] == before


async def test_a_removed_connection_may_come_back(app: Surroundings) -> None:
    before = await app.connected()
    await app.removal.remove(before.connection_id)
    assert await results(app, row(before.connection_id)) == [(2, ImportResult.ADDED)]


async def test_a_wrong_row_refuses_only_itself_and_repeats_nothing(app: Surroundings) -> None:
    bad = [row("UPPER case"), row("x", instance="https://evil.example"), row("y", excluded="maybe"), row("", group="z")]
    done = await importer(app).run(file(*bad, row("good")))
    assert [each.result for each in done] == [*[ImportResult.REFUSED] * len(bad), ImportResult.ADDED]
    codes = [each.error.code for each in done if each.error is not None]
    assert codes == ["invalid_connection_id", "instance_not_allowed", "invalid_connection", "invalid_connection_id"]
    shown = json.dumps([dict(each.error.values) for each in done if each.error is not None], default=str)
    assert SECRET not in shown
    assert list(app.store.connections) == ["good"]


async def test_no_file_exceeds_the_limit(app: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "AT_ONCE", 1)
    present = await app.configured()
    for number in range(MAX_CONNECTIONS - 2):
        app.store.connections[f"n-{number}"] = present
    done = await importer(app).run(file(row("last"), row("too-many")))
    assert [each.result for each in done] == [ImportResult.ADDED, ImportResult.REFUSED]
    assert [each.error.code for each in done if each.error] == ["too_many_connections"]


async def test_what_does_not_fit_into_the_time_is_added_by_the_same_file(app: Surroundings) -> None:
    times = iter([0.0, 1.0, importing.LIMIT_S, importing.LIMIT_S])
    slow = ConnectionImport(app.configuration, app.store, seconds=lambda: next(times))
    content = file(row("a"), row("b"))
    assert [each.result for each in await slow.run(content)] == [ImportResult.ADDED, ImportResult.NOT_TRIED]
    assert [each.result for each in await importer(app).run(content)] == [ImportResult.PRESENT, ImportResult.ADDED]


@pytest.mark.parametrize(
    ("content", "variant"),
    [
        (b"", "headings"),
        (b"connection_id,instance\r\na,b", "headings"),
        (file(headings=HEADINGS + ",password"), "unknown"),
        (file(), "no_rows"),
        (file(*["a"] * (MAX_ROWS + 1)), "too_many_rows"),
        (b"\xff\xfe\x00", "encoding"),
        (file('"a'), "damaged"),
    ],
)
async def test_a_file_that_cannot_be_used_adds_nothing(app: Surroundings, content: bytes, variant: str) -> None:
    with pytest.raises(FixRequest) as caught:
        await importer(app).run(content)
    assert (caught.value.code, caught.value.values["variant"]) == ("connections_file_invalid", variant)
    assert app.store.connections == {}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_spreadsheets_write_files_in_their_own_ways(delimiter: str, mark: bytes) -> None:
    [found] = read_connections_file(mark + file(row(" a ")).replace(b",", delimiter.encode()))
    assert (found.connection_id, found.members["customer_group"]) == ("a", "North")


@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    try:
        read_connections_file(HEADINGS.encode() + b"\r\n" + content)
    except FixRequest as error:
        assert error.code == "connections_file_invalid"
