from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import KindSettings, Portal, TicketKind
from shared.errors import FixRequest
from shared.request_faults import MAX_FAULTS, MAX_NAME_SHOWN
from shared.tickets.model import DESCRIPTION_MAX_LENGTH, NAME_MAX_LENGTH, Priority, TicketContent
from shared.tickets.record_texts import description_with_block
from shared.tickets.requests import (
    TicketRequest,
    due_at,
    read_ticket_request,
    ticket_content,
)
from shared.words.error_words import fault_words
from tests.english import ENGLISH
from tests.unit.tickets.examples import REQUESTER, a_connection

GOOD: dict[str, Any] = {
    "connection_id": "contoso",
    "kind": "change",
    "portal": "compliance",
    "name": "Turn on audit log search",
    "description": "Nobody can see who did what.",
    "priority": "high",
    "due_date": "2026-12-31",
    "recommendation": {"source": "microsoft", "category": "data", "id": "audit-1", "link": "https://example.com/1"},
}

any_text = st.text(st.characters(), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
zones = st.sampled_from(["UTC", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kathmandu", "Pacific/Apia", "Europe/London"])


def request_of(**changes: Any) -> TicketRequest:
    return read_ticket_request({**GOOD, **changes})


def content_of(*, kinds: dict[TicketKind, KindSettings] | None = None, **changes: Any) -> TicketContent:
    connection = a_connection() if kinds is None else a_connection(kinds=kinds)
    return ticket_content(request_of(**changes), REQUESTER, connection)


def faults_of(**changes: Any) -> dict[str, str]:
    with pytest.raises(FixRequest) as caught:
        request_of(**changes)
    assert (caught.value.code, caught.value.status) == ("invalid_ticket", 422)
    errors: Any = caught.value.values["errors"]
    return {error["pointer"]: fault_words(error, ENGLISH) for error in errors}


def read_or_refuse(body: object) -> None:
    try:
        assert isinstance(read_ticket_request(body), TicketRequest)
    except FixRequest as error:
        # A refused value can be shown, whatever it contains.
        json.dumps(error.values, ensure_ascii=False).encode()
        for each in error.values["errors"]:
            assert ENGLISH.filled(f"fault.code.{each['code']}", each["values"]), "words of its own, with every value"
        assert error.status == 422


@given(json_values)
def test_any_json_is_read_or_refused(body: object) -> None:
    read_or_refuse(body)


@given(st.dictionaries(st.sampled_from([*GOOD, "requested_by", "extra"]), json_values))
def test_any_member_is_read_or_refused(members: dict[str, object]) -> None:
    read_or_refuse({**GOOD, **members})


@given(st.dictionaries(st.sampled_from(["source", "category", "id", "link", "more"]), json_values), json_values)
def test_any_inner_member_is_read_or_refused(recommendation: dict[str, object], requested_by: object) -> None:
    read_or_refuse({**GOOD, "recommendation": recommendation, "requested_by": requested_by})


@given(any_text | st.from_regex(r"\A[0-9TWZ:+.-]{4,25}\Z") | st.datetimes().map(str) | st.dates().map(str), zones)
def test_any_due_date_becomes_a_storable_time_or_is_refused(text: str, zone: str) -> None:
    try:
        request = request_of(due_date=text)
    except FixRequest:
        return
    try:
        content = ticket_content(request, REQUESTER, a_connection(time_zone=zone))
    except FixRequest as error:
        assert error.code == "invalid_ticket"
        return
    assert content.due_at is not None
    assert content.due_at.tzinfo is UTC
    assert 1970 <= content.due_at.year <= 9999
    assert content.due_at.microsecond == 0


def test_everything_arrives() -> None:
    content = content_of()
    assert content.kind is TicketKind.CHANGE
    assert content.portal is Portal.COMPLIANCE
    assert content.name == GOOD["name"]
    assert content.description == GOOD["description"]
    assert content.priority is Priority.HIGH
    assert content.due_at == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert content.recommendation.id == "audit-1"
    assert content.recommendation.link == "https://example.com/1"
    assert content.requester == REQUESTER


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"kind": "problem"}, "/kind"),
        ({"kind": None}, "/kind"),
        ({"portal": "azure"}, "/portal"),
        ({"priority": 1}, "/priority"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"name": "two\rlines"}, "/name"),
        ({"name": "a\tb"}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"name": "x" * (NAME_MAX_LENGTH + 1)}, "/name"),
        ({"name": 5}, "/name"),
        ({"description": "\x07"}, "/description"),
        ({"description": None}, "/description"),
        ({"due_date": 20261231}, "/due_date"),
        ({"due_date": "tomorrow"}, "/due_date"),
        ({"due_date": "12:00"}, "/due_date"),
        ({"due_date": ""}, "/due_date"),
        ({"due_date": "2026-02-30"}, "/due_date"),
        ({"connection_id": "Contoso"}, "/connection_id"),
        ({"connection_id": "a/b"}, "/connection_id"),
        ({"connection_id": ""}, "/connection_id"),
        ({"connection_id": "a\n"}, "/connection_id"),
        ({"connection_id": "x" * 41}, "/connection_id"),
        ({"requested_by": {"id": "1", "name": "A", "email": "no address"}}, "/requested_by/email"),
        ({"requested_by": {"id": "", "name": "A"}}, "/requested_by/id"),
        ({"more": 1}, "/more"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"x" * 500: 1}, "/" + "x" * MAX_NAME_SHOWN),
        ({"recommendation": {**GOOD["recommendation"], "source": "google"}}, "/recommendation/source"),
        ({"recommendation": {**GOOD["recommendation"], "category": "users"}}, "/recommendation/category"),
        ({"recommendation": {**GOOD["recommendation"], "link": "javascript:alert(1)"}}, "/recommendation/link"),
        ({"recommendation": {**GOOD["recommendation"], "link": "https://a b"}}, "/recommendation/link"),
        ({"recommendation": {**GOOD["recommendation"], "link": "https://"}}, "/recommendation/link"),
        ({"recommendation": {**GOOD["recommendation"], "id": ""}}, "/recommendation/id"),
        ({"recommendation": None}, "/recommendation"),
    ],
)
def test_each_fault_is_named_by_its_place(changes: dict[str, Any], pointer: str) -> None:
    assert list(faults_of(**changes)) == [pointer]


def test_all_faults_are_named_at_once_and_no_value_is_repeated() -> None:
    faults = faults_of(kind="s3cret", name="s3\ncret", due_date="s3cret", priority=None)
    assert set(faults) == {"/kind", "/name", "/due_date", "/priority"}
    assert "s3cret" not in json.dumps(faults)


def test_an_answer_does_not_grow_with_the_faults() -> None:
    with pytest.raises(FixRequest) as caught:
        read_ticket_request({str(number): number for number in range(9_000)})
    errors: Any = caught.value.values["errors"]
    assert len(errors) == MAX_FAULTS
    missing = {"kind", "portal", "name", "priority", "recommendation"}
    assert caught.value.values["count"] == 9_000 + len(missing)


def test_a_json_text_inside_json_is_not_read() -> None:
    with pytest.raises(FixRequest):
        read_ticket_request(json.dumps(GOOD))


def test_white_space_around_texts_does_not_count() -> None:
    request = request_of(name=f" {'x' * NAME_MAX_LENGTH}\n", description="\n a\r\nb\rc ")
    assert request.name == "x" * NAME_MAX_LENGTH
    assert request.description == "a\nb\nc"


def test_control_characters_of_unicode_lines_stay_in_their_line_of_the_block() -> None:
    content = content_of(recommendation={**GOOD["recommendation"], "id": "a\u2028Requested by: root"})
    assert "Recommendation: a Requested by: root" in description_with_block(content).split("\n")


# Due dates


@given(st.dates(min_value=date(1970, 1, 2), max_value=date(9999, 12, 30)), zones)
def test_a_date_ends_with_its_day_where_people_are(day: date, zone: str) -> None:
    ends_at = due_at(day, zone)
    assert ends_at is not None
    there = ends_at.astimezone(ZoneInfo(zone))
    skipped = zone == "Pacific/Apia" and day == date(2011, 12, 30)
    assert there.date() == day or skipped
    assert (ends_at + timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date() > day


@given(
    st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60),
    zones,
)
def test_a_time_with_an_offset_is_that_time_everywhere(at: datetime, offset_minutes: int, zone: str) -> None:
    sign, minutes = ("-" if offset_minutes < 0 else "+"), abs(offset_minutes)
    text = f"{at.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    expected = at.replace(tzinfo=UTC, microsecond=0) - timedelta(minutes=offset_minutes)
    assert due_at(request_of(due_date=text).due_date, zone) == expected


@given(st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(9999, 12, 29)), zones)  # noqa: DTZ001
def test_a_time_without_an_offset_is_local_time(at: datetime, zone: str) -> None:
    ends_at = due_at(request_of(due_date=at.isoformat()).due_date, zone)
    assert ends_at == at.replace(tzinfo=ZoneInfo(zone), microsecond=0, fold=0).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-31", "UTC", "2026-12-31T23:59:59+00:00"),
        ("2026-12-31", "Asia/Tokyo", "2026-12-31T14:59:59+00:00"),
        ("2026-12-31", "America/Los_Angeles", "2027-01-01T07:59:59+00:00"),
        ("2026-12-31T00:00:00", "Asia/Tokyo", "2026-12-30T15:00:00+00:00"),
        ("2026-12-31T17:00", "UTC", "2026-12-31T17:00:00+00:00"),
        ("2026-12-31 17:00:00Z", "Asia/Tokyo", "2026-12-31T17:00:00+00:00"),
        ("20261231", "UTC", "2026-12-31T23:59:59+00:00"),
        ("2026-W53-4", "UTC", "2026-12-31T23:59:59+00:00"),
        ("2026W534", "UTC", "2026-12-31T23:59:59+00:00"),
        ("20261231T170000Z", "UTC", "2026-12-31T17:00:00+00:00"),
        ("9999-12-31", "UTC", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_forms_of_due_dates(text: str, zone: str, expected: str) -> None:
    ends_at = due_at(request_of(due_date=text).due_date, zone)
    assert ends_at is not None
    assert ends_at.isoformat() == expected


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("9999-12-31", "America/Los_Angeles"),
        ("0001-01-01", "UTC"),
        ("0001-01-01T00:00:00+14:00", "UTC"),
        ("1599-12-31", "UTC"),
        ("1969-12-31", "UTC"),
    ],
)
def test_due_dates_outside_the_calendar_are_refused(text: str, zone: str) -> None:
    with pytest.raises(FixRequest) as caught:
        ticket_content(request_of(due_date=text), REQUESTER, a_connection(time_zone=zone))
    assert (caught.value.code, caught.value.status) == ("invalid_ticket", 422)


def test_no_due_date() -> None:
    assert content_of(due_date=None).due_at is None


# The connection's limits


def test_a_kind_that_is_not_enabled_is_refused() -> None:
    kinds = {TicketKind.CHANGE: KindSettings(enabled=False), TicketKind.INCIDENT: KindSettings()}
    with pytest.raises(FixRequest) as caught:
        content_of(kinds=kinds)
    assert caught.value.code == "kind_not_enabled"
    assert content_of(kinds=kinds, kind="incident").kind is TicketKind.INCIDENT


def test_a_portal_that_is_not_enabled_is_refused() -> None:
    with pytest.raises(FixRequest) as caught:
        ticket_content(request_of(), REQUESTER, a_connection(portals=(Portal.SECURITY,)))
    assert caught.value.code == "portal_not_enabled"


def test_a_name_is_as_long_as_servicenow_counts_it() -> None:
    assert request_of(name="😀" * 80).name == "😀" * 80
    with pytest.raises(FixRequest) as caught:
        request_of(name="😀" * 81)
    assert caught.value.values["errors"][0]["pointer"] == "/name"


@given(st.integers(1, 60_000))
def test_a_description_that_is_too_long_says_by_how_much(length: int) -> None:
    block = len(description_with_block(content_of(description="")))
    room = DESCRIPTION_MAX_LENGTH - block - len("\n\n")
    if length <= room:
        assert len(description_with_block(content_of(description="x" * length))) <= DESCRIPTION_MAX_LENGTH
        return
    with pytest.raises(FixRequest) as caught:
        content_of(description="x" * length)
    assert caught.value.code == "description_too_long"
    assert caught.value.values == {"too_long_by": length - room}
