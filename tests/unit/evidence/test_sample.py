"""A sample can be drawn again."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shared.evidence.items import EvidenceItem
from shared.evidence.sample import rank_of, sample_of
from tests.unit.evidence.examples import MARCH, created, day, items_of

ITEMS = items_of([event for number in range(1, 31) for event in created(number, day(2))], MARCH)


@given(items=st.permutations(ITEMS), seed=st.text(max_size=10), size=st.integers(0, 40))
def test_the_same_seed_draws_the_same_items_in_whatever_order_they_come(
    items: Sequence[EvidenceItem], seed: str, size: int
) -> None:
    drawn = sample_of(items, seed, size)
    assert drawn == sample_of(ITEMS, seed, size)
    assert len(drawn) == min(size, len(ITEMS))
    assert drawn == sample_of(ITEMS, seed, 40)[:size]  # A larger sample begins with it.


@given(seed=st.text(max_size=10), left_out=st.sampled_from(ITEMS))
def test_what_becomes_of_one_ticket_does_not_change_the_draw_of_the_others(seed: str, left_out: EvidenceItem) -> None:
    others = [item for item in ITEMS if item != left_out]
    assert sample_of(others, seed, 40) == [item for item in sample_of(ITEMS, seed, 40) if item != left_out]


def test_a_draw_is_the_same_in_every_release() -> None:
    """These are SHA-256 of the seed, a line feed and the id: anybody can check them with sha256sum."""
    assert rank_of("0" * 32, "audit 2026") == "0094bb424c39887d4a68e4713d124d5b428adf4a8ffb61a4456f9838ae9a1e15"
    assert [int(item.ticket_id, 16) for item in sample_of(ITEMS, "audit 2026", 5)] == [6, 23, 24, 17, 21]
