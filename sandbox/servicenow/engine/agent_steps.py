"""The steps with which an agent ends a ticket or takes it up again (ServiceNow §5.3, §16)."""

from collections.abc import Mapping
from typing import Literal, get_args

type Step = Literal["resolve", "close", "cancel", "reopen"]

STEPS: tuple[Step, ...] = get_args(Step.__value__)
STATE_AFTER: Mapping[Step, Mapping[str, str]] = {
    "resolve": {"incident": "6", "problem": "106"},
    "close": {"incident": "7", "change_request": "3", "problem": "107", "sc_task": "3"},
    "cancel": {"incident": "8", "change_request": "4", "sc_task": "4"},
    "reopen": {"incident": "2", "problem": "103", "sc_task": "2"},
}
"""The state that each step asks for, by table. A table without the step is missing."""


def steps_of(table: str) -> tuple[Step, ...]:
    """Return the steps that tickets of `table` have."""
    return tuple(step for step in STEPS if table in STATE_AFTER[step])
