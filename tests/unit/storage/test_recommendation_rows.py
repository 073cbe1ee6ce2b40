"""Rows of tenants and recommendations, of this release and of a made-up next one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Failure, RowUnreadable
from shared.recommendations.model import (
    ActionTexts,
    Average,
    ComplianceDetails,
    ControlPoints,
    Disposition,
    ImprovementAction,
    Snapshot,
    SourceName,
    recommendation_key,
    text_hash,
)
from shared.recommendations.ports import Batch, Claim, ClaimedTicket
from shared.storage.members import Members, members_row
from shared.storage.recommendation_rows import (
    CHUNK_BYTES,
    TEXT_MOST_CHARACTERS,
    action_of,
    action_row,
    batch_of,
    batch_row,
    claim_of,
    claim_row,
    snapshot_of,
    snapshot_row,
    text_of,
    text_row,
)
from shared.storage.rows import PART_CHARACTERS, RowReader
from shared.storage.tenants import tenant_of, tenant_row
from shared.tenants.model import AdminConsent, Tenant, TenantError, TenantStatus
from tests.memory.clock import START, ManualClock
from tests.releases.stored_rows import StoredRow
from tests.unit.recommendations.strategies import TENANT, actions
from tests.unit.tickets.strategies import failures, moments, texts

DAY = START.date()
ACTION = ImprovementAction(
    TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "Turn on Safe Attachments",
    texts=ActionTexts("0" * 32),
    points=Decimal("7.20"),
    first_seen_at=START,
    compliance=ComplianceDetails(notes="Done."),
)
ROWS: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Mapping[str, Any]], Any]] = {
    "tenant": (
        tenant_of,
        tenant_row,
        Tenant(
            TENANT,
            "Contoso",
            status=TenantStatus.READABLE,
            error=TenantError(Failure("row_unreadable", {"table": "tickets"}), START),
            due_at=START,
            roles=("a",),
            consent=AdminConsent("nonce", START, answered_at=START, is_refused=True),
        ),
    ),
    "action": (action_of, action_row, ACTION),
    "claim": (claim_of, claim_row, Claim(TENANT, "0" * 32, (ClaimedTicket("contoso", "1" * 32, START),))),
    "batch": (batch_of, batch_row, Batch(TENANT, "0" * 32, "contoso", "me", START, ("1" * 32,), ("2" * 32,))),
}


def stored(row: Mapping[str, Any]) -> StoredRow:
    return StoredRow({name: value for name, value in row.items() if value is not None})


# What goes in comes out

controls = st.dictionaries(
    texts, st.builds(ControlPoints, st.decimals(allow_nan=False), st.none() | st.decimals(0, 30, places=2)), max_size=5
)
snapshots = st.builds(
    Snapshot,
    snapshot_id=texts.filter(bool),
    day=st.dates(),
    score=st.decimals(0, 2000, places=2),
    max_score=st.decimals(0, 2000, places=2),
    controls=controls,
    averages=st.lists(st.builds(Average, texts, st.decimals(-1, 100, places=2)), max_size=3).map(tuple),
)
tenants = st.builds(
    Tenant,
    tenant_id=st.just(TENANT),
    name=texts,
    status=st.none() | st.sampled_from(TenantStatus),
    roles=st.none() | st.lists(texts, max_size=3).map(tuple),
    snapshot_at=st.none() | moments,
    error=st.none() | st.builds(TenantError, failures, moments),
    due_at=st.none() | moments,
)


@given(actions)
@settings(max_examples=40)
def test_an_action_survives(action: ImprovementAction) -> None:
    assert action_of(stored(action_row(action))) == action


@given(tenants)
@settings(max_examples=40)
def test_a_tenant_survives(tenant: Tenant) -> None:
    assert tenant_of(stored(tenant_row(tenant))) == tenant


@given(snapshots)
@settings(max_examples=40)
def test_a_snapshot_survives(snapshot: Snapshot) -> None:
    found = snapshot_of(stored(snapshot_row(TENANT, snapshot)))
    assert found == snapshot
    assert dict(found.controls) == snapshot.controls
    assert len(found.controls) == len(snapshot.controls)


@given(st.text())
@settings(max_examples=40)
def test_a_text_survives(html: str) -> None:
    assert text_of(stored(text_row(TENANT, text_hash(html), html))) == (text_hash(html), html)


# What does not fit into one column, or into a row


def test_a_long_text_has_several_columns_and_a_longer_one_is_cut() -> None:
    # Hardly compressible.
    html = "".join(text_hash(str(number)) for number in range(8_000))
    row = text_row(TENANT, text_hash(html), html)
    chunks = [value for value in row.values() if isinstance(value, bytes)]
    assert len(chunks) > 1
    assert max(map(len, chunks)) == CHUNK_BYTES < 2**16
    assert text_of(stored(row)) == (text_hash(html), html[:TEXT_MOST_CHARACTERS])


@pytest.mark.parametrize("character", ["x", "漢", "😀"])
@pytest.mark.parametrize("length", [0, PART_CHARACTERS - 1, PART_CHARACTERS, 3 * PART_CHARACTERS])
def test_an_object_has_as_many_columns_as_it_needs(character: str, length: int) -> None:
    action = replace(ACTION, title=character * length)
    row = action_row(action)
    assert max(len(value.encode("utf-16-le")) for value in row.values() if isinstance(value, str)) < 2**16
    assert action_of(stored(row)) == action
    # A merge leaves the columns of a longer one.
    assert action_of(stored({**row, **action_row(ACTION)})) == ACTION


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    assert action_of(stored(action_row(replace(ACTION, title="a\ud800b")))).title == "a\ufffdb"


ANY_ID = st.text(st.characters(codec=None) | st.sampled_from("/\\#?\n\ud800\udfff"), max_size=20)


@given(ANY_ID, ANY_ID)
@settings(max_examples=50)
def test_every_id_has_a_key_for_rows_and_addresses(first: str, second: str) -> None:
    """Even one with half of a surrogate pair, or with what a row key must not contain."""
    ids = [first, second, "half \ud800", "half \udfff"]
    keys = [recommendation_key(SourceName.SECURE_SCORE, each) for each in ids]
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)
    assert len(set(keys)) == len(set(ids))


# Another release


def changed(row: Mapping[str, Any], **changes: Any) -> StoredRow:
    """Return a row with other members; None takes one away."""
    members = json.loads(row["members"]) | changes
    present = {name: value for name, value in members.items() if value is not None}
    return StoredRow({**row, "members": json.dumps(present)})


@pytest.mark.parametrize("name", ["tenant", "action", "claim"])
def test_what_the_next_release_wrote_is_kept(name: str) -> None:
    decode, encode, value = ROWS[name]
    row = changed(encode(value), next_member=[{"a": 1}])
    read = decode(row)
    assert read == value
    assert json.loads(encode(read)["members"]) == json.loads(row["members"])


def test_what_the_next_release_adds_inside_a_member_is_kept() -> None:
    members = json.loads(action_row(ACTION)["members"])
    texts = members["texts"] | {"licence": "f" * 32}
    compliance = members["compliance"] | {"control": ["a"]}
    read = action_of(changed(action_row(ACTION), texts=texts, compliance=compliance))
    assert read == ACTION
    written = json.loads(action_row(replace(read, texts=ActionTexts()))["members"])
    assert written["texts"] == {"licence": "f" * 32}
    assert written["compliance"] == compliance
    assert "compliance" not in json.loads(action_row(replace(read, compliance=None))["members"])

    tenant = tenant_row(ROWS["tenant"][2])
    error = json.loads(tenant["members"])["error"]
    error["failure"]["next_member"] = 1
    assert json.loads(tenant_row(tenant_of(changed(tenant, error=error)))["members"])["error"] == error

    claim = claim_row(ROWS["claim"][2])
    tickets = [ticket | {"policy": "p"} for ticket in json.loads(claim["members"])["tickets"]]
    assert json.loads(claim_row(claim_of(changed(claim, tickets=tickets)))["members"])["tickets"] == tickets


def test_values_of_the_next_release_equal_none_of_ours_and_stay_as_they_are() -> None:
    row = changed(action_row(ACTION), source="entra", disposition="postponed", implementation_cost="enormous")
    action = action_of(row)
    assert action.source not in list(SourceName)
    assert action.disposition not in list(Disposition)
    assert json.loads(action_row(action)["members"]) == json.loads(row["members"])
    assert action.key != ACTION.key
    tenant = tenant_of(changed(tenant_row(ROWS["tenant"][2]), status="asleep"))
    assert tenant.status not in list(TenantStatus)
    assert json.loads(tenant_row(tenant)["members"])["status"] == "asleep"


NEEDED = {
    "tenant": set[str](),
    "action": {"source", "source_id"},
    "claim": set[str](),
    "batch": {"connection_id", "requested_at", "ticket_ids", "keys"},
}
"""Without these members a row has no meaning."""


@pytest.mark.parametrize("name", ROWS)
def test_a_missing_member_is_normal(name: str) -> None:
    decode, encode, value = ROWS[name]
    reader = RowReader(ManualClock())
    members = json.loads(encode(value)["members"])
    for missing in [[each] for each in members.keys() - NEEDED[name]] + [[*(members.keys() - NEEDED[name])]]:
        row = changed(encode(value), **dict.fromkeys(missing))
        del row["parts"]
        assert reader.read(name, row, decode) is not None, missing
    assert tenant_of(changed(tenant_row(ROWS["tenant"][2]), name=None)).name == TENANT
    assert action_of(changed(action_row(ACTION), title=None)).title == ""


def test_a_snapshot_without_its_columns_is_one_without_points() -> None:
    row = snapshot_row(TENANT, Snapshot("id", DAY, Decimal(3), Decimal(5), {"a": ControlPoints(Decimal(3))}))
    bare = StoredRow({name: row[name] for name in ("PartitionKey", "RowKey", "score")})
    assert snapshot_of(bare) == Snapshot(f"{TENANT}_{DAY.isoformat()}", DAY, Decimal(3), Decimal(0))


NONSENSE = [None, "", "nonsense", "[1,", "[[1]]", "{}", '{"source": 1}', 7, 1.5, True, b"\x00"]
IN_JSON: list[Any] = [{}, [], *NONSENSE[:-1]]


@pytest.mark.parametrize("name", ROWS)
def test_nonsense_in_a_row_is_read_or_told_and_never_more(name: str) -> None:
    decode, encode, value = ROWS[name]
    reader = RowReader(ManualClock())
    row = encode(value)
    wrong = [StoredRow({**row, "members": each}) for each in NONSENSE]
    wrong += [StoredRow({**row, "parts": each}) for each in NONSENSE]
    members = json.loads(row["members"])
    wrong += [changed(row, **{member: each}) for member in members for each in IN_JSON]
    assert sum(_is_told(reader, each, decode) for each in wrong) > 0
    assert reader.read("table", StoredRow(row), decode) == value
    assert reader.unreadable == (), "a repaired row is forgotten"


@pytest.mark.parametrize("column", ["score", "max_score", "averages", "controls_0", "controls_chunks"])
def test_nonsense_in_a_snapshot_is_read_or_told_and_never_more(column: str) -> None:
    row = snapshot_row(TENANT, Snapshot("id", DAY, Decimal(3), Decimal(5)))
    reader = RowReader(ManualClock())
    assert sum(_is_told(reader, StoredRow({**row, column: each}), snapshot_of) for each in NONSENSE) > 0
    assert reader.read("table", StoredRow(row), snapshot_of)
    assert reader.unreadable == (), "a repaired row is forgotten"


def _is_told(reader: RowReader, row: StoredRow, decode: Callable[[Any], Any]) -> bool:
    try:
        reader.read("table", row, decode)
    except RowUnreadable:
        return True
    return False


def test_a_member_that_nobody_can_read_is_noticed_when_it_is_added() -> None:
    @dataclass(frozen=True)
    class Value:
        lasts: timedelta = timedelta()

    with pytest.raises(TypeError, match="timedelta"):
        Members(Value).written(Value())
    with pytest.raises(TypeError, match="timedelta"):
        members_row("a", "b", {"lasts": timedelta()})
