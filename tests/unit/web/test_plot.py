"""Values over time as a line."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.plot import HEIGHT, WIDTH, Mark, edges_around, plot

FIRST = date(2026, 9, 1)
values = st.dictionaries(
    st.dates(FIRST, FIRST + timedelta(days=400)), st.decimals(0, 2000, places=2), min_size=1, max_size=90
).map(lambda found: list(found.items()))


def corners(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (corner.split(",") for corner in text.split())]


def test_nothing_is_drawn_without_values() -> None:
    assert plot([], top=Decimal(10)) is None


def test_zero_is_at_the_bottom_and_the_highest_possible_value_at_the_top() -> None:
    drawn = plot([(FIRST, Decimal(0)), (FIRST + timedelta(days=2), Decimal(8))], top=Decimal(8))
    assert drawn is not None
    assert corners(drawn.line) == [(0, HEIGHT), (WIDTH, 0)]


def test_a_single_value_is_a_level_line() -> None:
    drawn = plot([(FIRST, Decimal(2))], top=Decimal(8))
    assert drawn is not None
    assert corners(drawn.line) == [(0, HEIGHT * 0.75), (WIDTH, HEIGHT * 0.75)]


def test_a_value_above_the_top_raises_it() -> None:
    drawn = plot([(FIRST, Decimal(9)), (FIRST + timedelta(days=1), Decimal(3))], top=Decimal(6))
    assert drawn is not None
    assert drawn.top == 9
    assert corners(drawn.line)[0] == (0, 0)


def test_0_of_0_is_drawn() -> None:
    drawn = plot([(FIRST, Decimal(0))], top=Decimal(0))
    assert drawn is not None
    assert corners(drawn.line)[0] == (0, HEIGHT)


def test_marks_are_where_their_day_is_also_after_the_last_value() -> None:
    days = [FIRST + timedelta(days=each) for each in (0, 4)]
    marks = [Mark(FIRST + timedelta(days=each), "INC1", "/") for each in (-1, 1, 4, 8)]
    drawn = plot([(day, Decimal(1)) for day in days], top=Decimal(1), marks=marks)
    assert drawn is not None
    assert [mark.x for mark in drawn.marks] == [WIDTH / 8, WIDTH / 2, WIDTH]
    assert corners(drawn.line) == [(0, 0), (WIDTH / 2, 0)]
    assert (drawn.first_day, drawn.last_day) == (FIRST, FIRST + timedelta(days=8))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["58.8", "57.1"], (50, 65)),
        (["58.8"], (50, 65)),
        (["61.2", "49.9"], (45, 65)),
        (["0"], (0, 5)),
        (["100"], (95, 100)),
        ([], (0, 5)),
    ],
    ids=str,
)
def test_edges_are_near_the_values(found: list[str], expected: tuple[int, int]) -> None:
    assert list(map(int, edges_around(map(Decimal, found), step=5, highest=100))) == list(expected)


def test_the_lower_edge_need_not_be_zero() -> None:
    drawn = plot([(FIRST, Decimal(50)), (FIRST + timedelta(days=1), Decimal(60))], bottom=Decimal(40), top=Decimal(60))
    assert drawn is not None
    assert corners(drawn.line) == [(0, HEIGHT / 2), (WIDTH, 0)]


@given(values)
def test_the_line_runs_from_left_to_right_within_the_drawing(found: list[tuple[date, Decimal]]) -> None:
    drawn = plot(found, top=Decimal(1000))
    assert drawn is not None
    line = corners(drawn.line)
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)
    assert list(drawn.values) == sorted(found)
    assert corners(drawn.area) == [(line[0][0], HEIGHT), *line, (line[-1][0], HEIGHT)]
