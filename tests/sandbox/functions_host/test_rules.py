"""The host's pure rules (Functions host §1 to §5): properties that hold for any input."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.functions_host.host_json import time_span
from sandbox.functions_host.messages import Cookie
from sandbox.functions_host.request import encode_path, read_query
from sandbox.functions_host.response import write_cookie
from sandbox.functions_host.routing import BadPathError, Template, decode_path
from sandbox.functions_host.schedule import Schedule, ScheduleError

TEXT = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20)
SEGMENT = TEXT.filter(lambda text: text not in (".", ".."))
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(SEGMENT, min_size=1, max_size=5).filter(lambda parts: all("%2f" not in part.lower() for part in parts)))
def test_every_segment_comes_back_from_its_encoding(segments: list[str]) -> None:
    """§R30 to §R38: the function sees what a careful client encodes, except what looks like an encoded slash."""
    raw = "/" + "/".join(quote(segment, safe="") for segment in segments)
    assert decode_path(raw) == "/" + "/".join(segments)


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=60))
def test_decoding_never_makes_a_slash_or_a_dot_segment(rest: str) -> None:
    """§R32, §R40."""
    try:
        decoded = decode_path("/" + rest)
    except BadPathError:
        assert "%00" in rest
        return
    assert decoded.startswith("/")
    assert not {".", ".."} & set(decoded.split("/"))
    assert decoded.count("/") <= rest.count("/") + 1


@given(SEGMENT)
def test_encoded_path_leads_back_to_itself(segment: str) -> None:
    """§Q6: ``req.url`` names the same path, unless a piece of it looks like an escape (§R33)."""
    encoded = encode_path(f"/{segment}")
    assert encoded.isascii()
    if re.search("%[0-9A-Fa-f]{2}", segment) is None:
        assert decode_path(encoded) == f"/{segment}"


@given(st.lists(SEGMENT, min_size=1, max_size=4), st.booleans())
def test_catch_all_takes_the_rest_as_it_is(segments: list[str], open_ended: bool) -> None:
    """§R13."""
    rest = "/".join(segments) + ("/" if open_ended else "")
    assert Template.parse("r/{*rest}").match(f"/r/{rest}") == {"rest": rest}


@given(st.lists(st.sampled_from(["a", "B", "x-y"]), min_size=1, max_size=4), SEGMENT)
def test_literal_route_matches_its_own_path_in_any_case(parts: list[str], value: str) -> None:
    """§R11, §R12."""
    template = Template.parse("/".join([*parts, "{value}"]))
    for path in (f"/{'/'.join(parts).upper()}/{value}", f"/{'/'.join(parts).lower()}/{value}/"):
        assert template.match(path) == {"value": value}
    assert template.match(f"/{'/'.join(parts)}") is None
    assert template.match(f"/{'/'.join(parts)}/{value}/more") is None


@given(st.integers(-(2**33), 2**33))
def test_int_is_of_32_bits(number: int) -> None:
    """§R17."""
    assert (Template.parse("{x:int}").match(f"/{number}") is not None) == (-(2**31) <= number < 2**31)


@given(st.integers(0, 30), st.integers(0, 30), TEXT)
def test_length_constraints(low: int, high: int, value: str) -> None:
    """§R19."""
    fits = Template.parse(f"{{x:length({low},{high})}}").match(f"/{value}") is not None
    assert fits == (low <= len(value) <= high)
    both = Template.parse(f"{{x:minlength({low}):maxlength({high})}}").match(f"/{value}") is not None
    assert both == fits


@pytest.mark.parametrize(
    ("constraint", "value", "matches"),
    [
        ("min(3)", "3", True),
        ("min(3)", "2", False),
        ("max(3)", "4", False),
        ("max(3)", "x", False),
        ("range(1,3)", "2", True),
        ("range(1,3)", "4", False),
        ("long", "99999999999", True),
        ("long", "9" * 20, False),
        ("decimal", "1.5", True),
        ("decimal", "x", False),
        ("double", "-1e3", True),
        ("required", "x", True),
        ("regex(^a:b=c?$)", "a:b=", True),
        ("guid", "{6816f79c-c0a8-0164-01c5-a33be04be441}", True),
    ],
)
def test_further_constraints(constraint: str, value: str, matches: bool) -> None:
    """§R19, §R20."""
    assert (Template.parse(f"{{x:{constraint}}}").match(f"/{value}") is not None) == matches


@given(st.lists(st.tuples(st.text("abAB", max_size=2), st.text(" +&=%é#;", max_size=4)), max_size=6))
def test_query_gives_each_name_once_with_all_its_values(pairs: list[tuple[str, str]]) -> None:
    """§Q10 to §Q12."""
    query = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in pairs)
    found = read_query(query)
    for name in {name.lower() for name, _ in pairs}:
        values = [value for own, value in pairs if own.lower() == name and value]
        assert [value for own, value in found.items() if own.lower() == name] == ([",".join(values)] if values else [])


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_cookie_value_is_percent_encoded_and_nothing_else(value: str) -> None:
    """§P23: the sent cookie is safe to parse and decodes to the function's value."""
    line = write_cookie(Cookie("a", value))
    assert re.fullmatch(r"a=[A-Za-z0-9%._~-]*", line)
    parsed = SimpleCookie(line)
    assert unquote(parsed["a"].value) == value


FIELD = st.one_of(
    st.just("*"),
    st.integers(1, 12).map(str),
    st.tuples(st.integers(1, 5), st.integers(6, 11)).map(lambda span: f"{span[0]}-{span[1]}"),
    st.integers(2, 9).map(lambda step: f"*/{step}"),
    st.lists(st.integers(1, 11), min_size=2, max_size=3).map(lambda numbers: ",".join(map(str, numbers))),
)


@settings(max_examples=30)
@given(st.tuples(FIELD, FIELD, FIELD), TIMES)
def test_next_occurrence_is_the_first_that_fits(fields: tuple[str, str, str], at: datetime) -> None:
    """§T1: compared with a search second by second, for two hours or until the occurrence."""
    schedule = Schedule.parse(f"{fields[0]} {fields[1]} {fields[2]} * * *")
    found = schedule.next_after(at)
    assert found is not None
    assert found > at
    seconds, minutes, hours = schedule.fields[:3]
    candidate = at.replace(microsecond=0)
    for _ in range(7200):
        candidate += timedelta(seconds=1)
        if candidate.second in seconds and candidate.minute in minutes and candidate.hour in hours:
            assert candidate == found
            return
    assert found > candidate


@given(TIMES)
def test_occurrences_in_a_zone_with_summer_time_move_on(at: datetime) -> None:
    """§T5."""
    found = Schedule.parse("0 */30 * * * *").next_after(at, ZoneInfo("Europe/Berlin"))
    assert found is not None
    assert timedelta() < found - at <= timedelta(minutes=90)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("*/5 * * * *", "2026-01-05T12:00:30", "2026-01-05T12:05:00"),
        ("0 0 9 * * Mon-Fri", "2026-01-09T09:00:00", "2026-01-12T09:00:00"),
        ("0 0 0 1 JAN *", "2026-01-05T00:00:00", "2027-01-01T00:00:00"),
        ("0 0 0 29 2 *", "2026-01-05T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 13 * Fri", "2026-01-05T00:00:00", "2026-02-13T00:00:00"),
        ("10/20 * * * * *", "2026-01-05T00:00:00", "2026-01-05T00:00:10"),
        ("59 59 23 31 12 *", "2026-12-31T23:59:59", "2027-12-31T23:59:59"),
        ("1.00:00:00", "2026-01-05T00:00:00", "2026-01-06T00:00:00"),
    ],
)
def test_schedules(text: str, at: str, expected: str) -> None:
    """§T1."""
    found = Schedule.parse(text).next_after(datetime.fromisoformat(f"{at}+00:00"))
    assert found == datetime.fromisoformat(f"{expected}+00:00")


def test_schedule_without_an_occurrence() -> None:
    assert Schedule.parse("0 0 0 30 2 *").next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * * *", "* * * * * 7", "* 24 * * *", "5-1 * * * * *", "*/0 * * * * *", "0 0 0 1 foo *",
     "24:00:00", "00:60:00", "00:00:00", "-00:01:00", "a b c d e f"],
)  # fmt: skip
def test_malformed_schedules(text: str) -> None:
    """§T4."""
    with pytest.raises(ScheduleError):
        Schedule.parse(text)


@given(st.timedeltas(timedelta(), timedelta(days=9999)).map(lambda span: timedelta(seconds=int(span.total_seconds()))))
def test_time_spans(span: timedelta) -> None:
    """§P32, §T1."""
    hours, rest = divmod(span.seconds, 3600)
    assert time_span(f"{span.days}.{hours:02}:{rest // 60:02}:{rest % 60:02}") == span
    assert time_span(str(span.days)) == timedelta(days=span.days)
