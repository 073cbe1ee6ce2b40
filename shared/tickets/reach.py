"""How much one read asks ServiceNow for: less where it cancels what is too dear, and more again later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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

TOO_DEAR: Final = (QuotaExceeded, NoAnswerInTime, AnswerIncomplete)
"""ServiceNow cancels a transaction after 60 s, sometimes in the middle of the answer, and we wait for less."""
TOO_LARGE: Final = (AnswerTooLarge, NoRoomForAnswer)
"""The answer was larger than one may be, or there was no room for a large one; only fewer records help."""
TRY_MORE_AFTER: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Reach:
    """How much is asked for at once.

    Attributes:
        page_size: Records of one page.
        counted: Whether ServiceNow counts all records of the query. Without the count only an empty page is the end,
            so what lies behind a whole page of hidden records is found at night.
        span: Time of change, or of creation at night, that one query covers; None for all of it.
    """

    page_size: int
    counted: bool = True
    span: timedelta | None = None


def reaches(page_size: int) -> Sequence[Reach]:
    """Return the steps, from the most to the least."""
    small = max(page_size // 10, 1)
    return (
        Reach(page_size),
        Reach(page_size, counted=False),
        Reach(small, counted=False),
        Reach(small, counted=False, span=timedelta(days=7)),
    )


def step_to_try(state: SyncState, now: datetime) -> int:
    """Return the step to read with: the one that worked last, and now and then the one before it."""
    since = state.read_step_at
    waited = since is None or not since <= now < since + TRY_MORE_AFTER
    return max(state.read_step - 1, 0) if waited else state.read_step


def with_step(state: SyncState, step: int, now: datetime) -> SyncState:
    """Return the state after a read with this step worked, or after the one before it did not."""
    if step == state.read_step and (step == 0 or step_to_try(state, now) == step):
        return state
    return replace(state, read_step=step, read_step_at=now if step else None)


def less(error: ConnectorError, step: int) -> int | None:
    """Return the step to go on with after a failed read; None when asking for less does not help."""
    if not isinstance(error, TOO_DEAR + TOO_LARGE):
        return None
    sizes = [reach.page_size for reach in reaches(10)]
    following = range(step + 1, len(sizes))
    return next((each for each in following if isinstance(error, TOO_DEAR) or sizes[each] < sizes[step]), None)
