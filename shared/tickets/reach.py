"""How much one read asks ServiceNow for: less if ServiceNow cancels it as too expensive, and more again later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.connections.directory import SyncState
from shared.errors import (
    AnswerIncomplete,
    AnswerTooLarge,
    ConnectorError,
    NoAnswerInTime,
    NoRoomForAnswer,
    QuotaExceeded,
)
from shared.value_object import value_object

TOO_EXPENSIVE: Final = (QuotaExceeded, NoAnswerInTime, AnswerIncomplete)
"""ServiceNow cancels a transaction after 60 s, sometimes in the middle of the answer, and we wait less than that."""
TOO_LARGE: Final = (AnswerTooLarge, NoRoomForAnswer)
"""The answer was too large, or there was no room for a large one; only asking for fewer records helps."""
TRY_MORE_AFTER: Final = timedelta(hours=6)


@value_object
class Reach:
    """How much to ask for at once.

    Attributes:
        page_size: Records per page.
        counted: Whether ServiceNow counts all records of the query. Without the count, an empty page is taken for the
            end, so records after a whole page of hidden ones are found only at night.
        span: The length of time that one query covers, of change or (at night) of creation; None for all time.
    """

    page_size: int
    counted: bool = True
    span: timedelta | None = None


def reaches(page_size: int) -> Sequence[Reach]:
    """Return the steps, from most to least."""
    small = max(page_size // 10, 1)
    return (
        Reach(page_size),
        Reach(page_size, counted=False),
        Reach(small, counted=False),
        Reach(small, counted=False, span=timedelta(days=7)),
    )


def step_to_try(state: SyncState, now: datetime) -> int:
    """Return the step to read with: the one that last worked, and from time to time the one before it."""
    since = state.read_step_at
    waited = since is None or not since <= now < since + TRY_MORE_AFTER
    return max(state.read_step - 1, 0) if waited else state.read_step


def with_step(state: SyncState, step: int, now: datetime) -> SyncState:
    """Return the state after a read with this step worked, or after one with the step before it failed."""
    if step == state.read_step and (step == 0 or step_to_try(state, now) == step):
        return state
    return replace(state, read_step=step, read_step_at=now if step else None)


def less(error: ConnectorError, step: int) -> int | None:
    """Return the step to continue with after a failed read, or None if asking for less does not help."""
    if not isinstance(error, TOO_EXPENSIVE + TOO_LARGE):
        return None
    sizes = [reach.page_size for reach in reaches(10)]
    following = range(step + 1, len(sizes))
    return next((each for each in following if isinstance(error, TOO_EXPENSIVE) or sizes[each] < sizes[step]), None)
