from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from shared.storage.ticket_rows import pending_key, ticket_id_of_pending_key
from shared.tickets.create import asked_members
from shared.tickets.identity import (
    connection_digits,
    connection_digits_of,
    creation_time_of,
    first_id_of,
    is_ticket_id,
    key_hash,
    new_ticket_id,
    request_hash,
    ticket_id_of,
)
from shared.tickets.model import CORRELATION_PREFIX
from shared.tickets.requests import read_ticket_request
from tests.unit.tickets.strategies import ticket_ids

times = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - the moment before it has an id, too
    max_value=datetime(5000, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(times, st.integers(1, 10**12))
@example(datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC), 1)
def test_later_ids_sort_first_to_the_millisecond(at: datetime, later_ms: int) -> None:
    assert new_ticket_id(at + timedelta(milliseconds=later_ms), "fabrikam") < new_ticket_id(at, "contoso")


@given(times)
def test_ids_of_one_moment_differ(at: datetime) -> None:
    one, other = (new_ticket_id(at, "contoso") for _ in range(2))
    assert one != other
    assert one[:20] == other[:20]


@given(times, st.from_regex("[a-z0-9-]{1,40}", fullmatch=True))
def test_an_id_names_its_connection_and_its_time_and_has_48_random_bits(at: datetime, connection_id: str) -> None:
    ticket_id = new_ticket_id(at, connection_id)
    assert connection_digits_of(ticket_id) == connection_digits(connection_id)
    assert creation_time_of(ticket_id) == creation_time_of(first_id_of(at))
    assert first_id_of(at) <= ticket_id < first_id_of(at - timedelta(milliseconds=1))
    assert len({new_ticket_id(at, connection_id)[20:] for _ in range(50)}) == 50


@example(datetime(4148, 1, 1, 0, 0, 0, 10994, tzinfo=UTC))
@given(times)
def test_id_is_a_sys_id_and_holds_its_time(at: datetime) -> None:
    ticket_id = new_ticket_id(at, "contoso")
    assert re.fullmatch("[0-9a-f]{32}", ticket_id)
    assert is_ticket_id(ticket_id)
    milliseconds = 0xFFFF_FFFF_FFFF - int(ticket_id[:12], 16)
    assert milliseconds == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@given(ticket_ids)
def test_correlation_id_leads_back(ticket_id: str) -> None:
    assert ticket_id_of(f"{CORRELATION_PREFIX}{ticket_id}") == ticket_id
    assert ticket_id_of(ticket_id) is None
    assert ticket_id_of(f"other:{ticket_id}") is None
    assert ticket_id_of(f"{CORRELATION_PREFIX}{ticket_id}0") is None
    assert ticket_id_of(f"{CORRELATION_PREFIX}{ticket_id}\n") is None


@given(st.text())
def test_other_texts_are_no_ticket_ids(text: str) -> None:
    assert is_ticket_id(text) == (re.fullmatch(r"[0-9a-f]{32}", text, re.ASCII) is not None)


@given(ticket_ids, ticket_ids)
def test_outbox_order_is_the_other_way_round(one: str, other: str) -> None:
    assert ticket_id_of_pending_key(pending_key(one)) == one
    if one[:12] != other[:12]:
        assert (pending_key(one) < pending_key(other)) == (one > other)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values))
def test_request_hash_is_about_meaning(request: dict[str, object]) -> None:
    reordered = dict(reversed(list(request.items())))
    assert request_hash(request) == request_hash(reordered)
    assert request_hash(request) == request_hash(json.loads(json.dumps(request, indent=3)))
    assert request_hash({**request, "one more": 1}) != request_hash({**request, "one more": 2})


@given(st.uuids().map(str), st.uuids().map(str), st.text("\n abc", max_size=5), st.text("\n abc", max_size=5))
def test_keys_of_different_callers_never_meet(one: str, other: str, key: str, other_key: str) -> None:
    same = (one, key) == (other, other_key)
    assert (key_hash(one, key) == key_hash(other, other_key)) == same


def hashed_of(asked: dict[str, object]) -> Mapping[str, object]:
    return asked_members(read_ticket_request(asked))


def test_a_request_without_later_members_has_the_hash_that_was_stored_before_they_existed() -> None:
    asked: dict[str, object] = {
        "connection_id": "contoso",
        "kind": "change",
        "portal": "compliance",
        "name": "Turn on audit log search",
        "priority": "high",
        "recommendation": {"source": "microsoft", "category": "data", "id": "audit-1"},
    }
    plain = hashed_of(asked)
    assert request_hash(plain) == "00f9626fd6f56f9a06b07499373f6a1a573b4c05b07e9603fdf375e4940d9f01"
    assert plain == hashed_of({**asked, "assignment_group": None})
    for member in ("assignment_group", "assigned_to", "configuration_item"):
        chosen = hashed_of({**asked, member: "a" * 32})
        assert request_hash(chosen) != request_hash(plain), member
    assert plain == hashed_of({**asked, "tenant_id": None})
    assert plain != hashed_of({**asked, "tenant_id": "0c0ffee0-0000-4000-8000-000000000001"})
