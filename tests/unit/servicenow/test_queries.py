from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import OurBug
from shared.servicenow.queries import all_by, begins_like_ours, changes_since, condition, is_safe_value, next_by, one_of


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a^active=true",
        "^",
        "a,b",
        "a\nb",
        "a\x00",
        "javascript:gs.getUserID()",
        " JavaScript:gs.getUserID()",
    ],
)
def test_values_that_would_change_the_question_are_refused(value: str) -> None:
    assert not is_safe_value(value)
    with pytest.raises(OurBug) as caught:
        condition("email", "=", value)
    assert caught.value.code == "unsafe_query_value"
    assert not value.strip() or value not in str(caught.value)
    with pytest.raises(OurBug):
        one_of("email", ["good", value])


@given(st.text(max_size=20))
@example("x^ORDERBYsys_id")
@example("x^NQactive=true")
def test_a_condition_stays_one_condition(value: str) -> None:
    """Read the query as ServiceNow does: split at the reserved characters."""
    try:
        query = one_of("email", [value, "other"])
    except OurBug:
        return
    assert query.split("^") == [query]
    assert query.removeprefix("emailIN").split(",") == [value, "other"]


def test_first_page_of_changes() -> None:
    assert changes_since(None, inclusive=True) == "correlation_idSTARTSWITHm365:^ORDERBYsys_updated_on^ORDERBYsys_id"
    assert (
        changes_since("2026-03-01 10:00:00", inclusive=True)
        == "correlation_idSTARTSWITHm365:^sys_updated_on>=2026-03-01 10:00:00^ORDERBYsys_updated_on^ORDERBYsys_id"
    )
    assert "sys_updated_on>2026-03-01 10:00:00^" in changes_since("2026-03-01 10:00:00", inclusive=False)


def test_next_page() -> None:
    assert next_by("sys_updated_on", ("2026-03-01 10:00:00", "ab" * 16)) == (
        "correlation_idSTARTSWITHm365:^sys_updated_on=2026-03-01 10:00:00^sys_id>" + "ab" * 16 + "^NQ"
        "correlation_idSTARTSWITHm365:^sys_updated_on>2026-03-01 10:00:00^ORDERBYsys_updated_on^ORDERBYsys_id"
    )


def test_a_bound_holds_for_every_group() -> None:
    until = "2026-03-02 00:00:00"
    assert f"^sys_updated_on<{until}^ORDERBY" in changes_since(None, inclusive=True, until=until)
    same, greater = next_by("sys_updated_on", ("2026-03-01 10:00:00", "ab" * 16), until=until).split("^NQ")
    assert "<" not in same, "a value below the bound is given"
    assert f"^sys_updated_on<{until}^ORDERBY" in greater
    assert all_by("correlation_id", until="m365:f").startswith("correlation_idSTARTSWITHm365:^correlation_id<m365:f^")


@pytest.mark.parametrize("correlation_id", ["m365:x", "M365:X", "\uff4d365:x", "m\u0301365:"])
def test_what_an_instance_may_take_for_ours(correlation_id: str) -> None:
    assert begins_like_ours(correlation_id)


@pytest.mark.parametrize("correlation_id", ["", "m36", "other:m365:x", "m365"])
def test_what_no_instance_takes_for_ours(correlation_id: str) -> None:
    assert not begins_like_ours(correlation_id)
