"""The report says for every goal whether it is reached."""

from __future__ import annotations

import pytest

from benchmarks.report import Figure, Goal, at_least, at_most, closing


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        (at_most(15), 14.9, True),
        (at_most(15), 15, True),
        (at_most(15), 15.01, False),
        (at_least(2_500), 2_501, True),
        (at_least(2_500), 2_500, True),
        (at_least(2_500), 2_499, False),
    ],
)
def test_a_goal_is_compared_with_what_was_measured(goal: Goal, value: float, reached: bool) -> None:
    figure = Figure("a figure", value, "ms", goal=goal)
    assert figure.is_reached is reached
    assert figure.line().endswith("yes" if reached else "NO")


def test_rounding_hides_no_miss() -> None:
    figure = Figure("create", 15.04, "ms", digits=1, goal=at_most(15))
    assert "15.0 ms" in figure.line()
    assert figure.line().endswith("NO")


def test_a_figure_without_a_goal_is_neither_reached_nor_missed() -> None:
    assert Figure("time", 3.14159, "s", digits=2).line().split() == ["time", "3.14", "s"]


def test_the_report_ends_with_what_is_missed() -> None:
    figures = [Figure("good", 1, goal=at_most(1)), Figure("bad", 2, goal=at_most(1)), Figure("told besides", 3)]
    assert list(closing(figures)) == ["1 of 2 goals reached", "missed: bad"]
