"""Charts: lines, bars, and what their pages say of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import Connection
from shared.tickets.model import Phase
from shared.web.charts import (
    HEIGHT,
    WHOLE,
    WIDTH,
    Mark,
    Part,
    consent_countdown,
    edges_around,
    line,
    phase_parts,
    stacked,
)
from shared.web.html import environment
from shared.words.language import languages

t = languages()["en"]
FIRST = date(2026, 9, 1)
values = st.dictionaries(
    st.dates(FIRST, FIRST + timedelta(days=400)), st.decimals(0, 2000, places=2), min_size=1, max_size=90
).map(lambda found: list(found.items()))


def corners(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (corner.split(",") for corner in text.split())]


def test_nothing_is_drawn_without_values() -> None:
    assert line([], top=Decimal(10)) is None


def test_zero_is_at_the_bottom_and_the_highest_possible_value_at_the_top() -> None:
    drawn = line([(FIRST, Decimal(0)), (FIRST + timedelta(days=2), Decimal(8))], top=Decimal(8))
    assert drawn is not None
    assert corners(drawn.line) == [(0, HEIGHT), (WIDTH, 0)]


def test_a_single_value_is_a_level_line() -> None:
    drawn = line([(FIRST, Decimal(2))], top=Decimal(8))
    assert drawn is not None
    assert corners(drawn.line) == [(0, HEIGHT * 0.75), (WIDTH, HEIGHT * 0.75)]


def test_a_value_above_the_top_raises_it() -> None:
    drawn = line([(FIRST, Decimal(9)), (FIRST + timedelta(days=1), Decimal(3))], top=Decimal(6))
    assert drawn is not None
    assert drawn.top == 9
    assert corners(drawn.line)[0] == (0, 0)


def test_0_of_0_is_drawn() -> None:
    drawn = line([(FIRST, Decimal(0))], top=Decimal(0))
    assert drawn is not None
    assert corners(drawn.line)[0] == (0, HEIGHT)


def test_marks_are_where_their_day_is_also_after_the_last_value() -> None:
    days = [FIRST + timedelta(days=each) for each in (0, 4)]
    marks = [Mark(FIRST + timedelta(days=each), "INC1", "/") for each in (-1, 1, 4, 8)]
    drawn = line([(day, Decimal(1)) for day in days], top=Decimal(1), marks=marks)
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
    drawn = line([(FIRST, Decimal(50)), (FIRST + timedelta(days=1), Decimal(60))], bottom=Decimal(40), top=Decimal(60))
    assert drawn is not None
    assert corners(drawn.line) == [(0, HEIGHT / 2), (WIDTH, 0)]


@given(values)
def test_the_line_runs_from_left_to_right_within_the_drawing(found: list[tuple[date, Decimal]]) -> None:
    drawn = line(found, top=Decimal(1000))
    assert drawn is not None
    found_corners = corners(drawn.line)
    assert [x for x, _ in found_corners] == sorted(x for x, _ in found_corners)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found_corners)
    assert list(drawn.values) == sorted(found)
    assert corners(drawn.area) == [(found_corners[0][0], HEIGHT), *found_corners, (found_corners[-1][0], HEIGHT)]


parts = st.lists(st.integers(0, 100_000), max_size=8).map(
    lambda counts: [Part(str(index), count, "tone-good") for index, count in enumerate(counts)]
)


@given(parts)
def test_the_parts_of_a_bar_fill_its_width_side_by_side(counted: list[Part]) -> None:
    placed = stacked(counted)
    assert [each.part for each in placed] == [part for part in counted if part.count]
    edges = [each.start for each in placed] + [WHOLE] * bool(placed)
    assert edges[:1] in ([], [0])
    for each, end in zip(placed, edges[1:], strict=True):
        assert each.start + each.width == pytest.approx(end, abs=0.01)


BEGUN = datetime(2026, 9, 1, 12, tzinfo=UTC)
CONSENTED = Connection(
    "contoso",
    "Contoso",
    "https://contoso.service-now.com",
    "id",
    "integration",
    consented_at=BEGUN,
    consent_ends_at=BEGUN + timedelta(days=100),
)


@pytest.mark.parametrize(
    ("days", "left", "tone", "words"),
    [
        (0, 100, "good", "in 100 days"),
        (50, 50, "good", "in 50 days"),
        (69.9, 30.1, "info", "in 30 days"),
        (90, 10, "warn", "in 10 days"),
        (98.5, 1.5, "bad", "in 1 day,"),
        (99.5, 0.5, "bad", "in less than a day"),
        (100, 0, "bad", "ended on"),
        (150, 0, "bad", "ended on"),
    ],
)
def test_the_consent_counts_down(days: float, left: float, tone: str, words: str) -> None:
    countdown = consent_countdown(CONSENTED, BEGUN + timedelta(days=days))
    assert countdown is not None
    assert (countdown.left, countdown.tone) == (left, tone)
    html = drawn("countdown_bar", countdown, "consent")
    assert words in html
    assert "2026-12-10" in html
    assert f'class="tone-{tone}" width="{countdown.left}"' in html


def test_without_a_consent_that_ends_nothing_counts_down() -> None:
    assert consent_countdown(replace(CONSENTED, consent_ends_at=None), BEGUN) is None
    assert drawn("countdown_bar", None, "consent").strip() == ""


def test_a_consent_whose_beginning_is_not_known_ends_after_its_lifetime() -> None:
    countdown = consent_countdown(replace(CONSENTED, consented_at=None), BEGUN)
    assert countdown is not None
    assert countdown.begun_at == BEGUN


def test_a_part_leads_to_its_rows_by_pointer_and_by_keyboard() -> None:
    counts = {Phase.NEW: 2, Phase.CLOSED: 1}
    html = drawn("stacked_bar", stacked(phase_parts(counts, "/tickets?kind=incident", t)), "Tickets", "2 of 3")
    assert html.count('href="/tickets?kind=incident&amp;phase=new"') == 3, "of the drawing, the legend and the table"
    assert html.count('tabindex="-1"') == 2, "the drawing is not reached by keyboard"
    assert '<rect class="phase-new" x="0.0" width="66.667"' in html
    assert '<td>New</td><td><a href="/tickets?kind=incident&amp;phase=new">2</a></td>' in html


def test_a_line_says_where_it_begins_and_ends() -> None:
    values = [(FIRST, Decimal(40)), (FIRST + timedelta(days=1), Decimal("43.5"))]
    for found, words in ((values, "40% on 2026-09-01, 43.5% on 2026-09-02"), (values[:1], "40% on 2026-09-01")):
        html = drawn("line_chart", line(found, top=Decimal(100)), "percent", "Secure Score", "percent")
        assert f'id="percent-says">Secure Score: {words}.</figcaption>' in html
        assert 'aria-labelledby="percent-says"' in html


def test_the_table_of_a_line_lists_only_changes() -> None:
    values = [(FIRST + timedelta(days=day), Decimal(value)) for day, value in enumerate((4, 4, 9, 9, 4))]
    found = line(values, top=Decimal(9))
    assert found
    assert found.changes == [("2026-09-05", "4"), ("2026-09-03", "9"), ("2026-09-01", "4")]
    html = drawn("line_chart", line(values[:2], top=Decimal(9)), "points", "Points over time")
    assert "Points over time: unchanged, 4 points since 2026-09-01." in html
    assert "<table" not in html


def drawn(macro: str, *values: object) -> str:
    """Return what a macro makes of a chart, in English."""
    return str(getattr(environment().get_template("charts.html").module, macro)(t, *values))
