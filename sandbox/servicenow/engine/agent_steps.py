"""The steps with which an agent ends a ticket or takes it up again (ServiceNow §5.3, §16)."""

from collections.abc import Mapping
from typing import Literal, get_args

from sandbox.servicenow.engine.rules.change_model import REVIEW

type Step = Literal["resolve", "close", "cancel", "reopen"]

STEPS: tuple[Step, ...] = get_args(Step.__value__)
STATE_AFTER: Mapping[Step, Mapping[str, str]] = {
    "resolve": {"incident": "6", "problem": "106"},
    "close": {"incident": "7", "change_request": "3", "problem": "107", "sc_task": "3"},
    "cancel": {"incident": "8", "change_request": "4", "sc_task": "4"},
    "reopen": {"incident": "2", "problem": "103", "sc_task": "2"},
}
"""The state that each step asks for, by table. A table without the step is missing."""


def steps_open_to(row: Mapping[str, str], *, is_admin: bool) -> tuple[Step, ...]:
    """Return the steps that the page of a ticket offers: those that its state allows.

    Only administrators are offered to reopen a closed or canceled incident. Writing the state is another matter.
    """
    table, state = row["sys_class_name"], row["state"]
    is_resolved = state == STATE_AFTER["resolve"].get(table)
    has_ended = row["active"] != "true"
    open_to: Mapping[Step, bool] = {
        "resolve": not (is_resolved or has_ended),
        "close": not has_ended and (table != "change_request" or state == REVIEW),
        "cancel": not (is_resolved or has_ended or (table == "change_request" and state == REVIEW)),
        "reopen": is_resolved or (has_ended and (table != "incident" or is_admin)),
    }
    return tuple(step for step in STEPS if table in STATE_AFTER[step] and open_to[step])
