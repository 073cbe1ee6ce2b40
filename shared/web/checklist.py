"""The installation checklist: which of its steps are done, and which one is next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from shared.check.findings import CheckName
from shared.connections.model import Connection, ConnectionStatus
from shared.value_object import value_object


class Step(StrEnum):
    """The steps of the installation checklist, in their order."""

    CLIENT = "client"
    USER = "user"
    ADDRESSES = "addresses"
    ENTER = "enter"
    AUTHORIZE = "authorize"
    FINISHED = "finished"


class Progress(StrEnum):
    """How far a step is."""

    DONE = "done"
    NOW = "now"
    LATER = "later"


@value_object
class StepState:
    """A step and how far it is."""

    step: Step
    progress: Progress


PROVEN: Final = frozenset({ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE})
"""There is a consent, which proves every step."""
PROVEN_BY: Final[Mapping[Step, Collection[CheckName]]] = {
    Step.CLIENT: (CheckName.OAUTH_CLIENT,),
    Step.ADDRESSES: (CheckName.IP_FILTERING,),
    Step.ENTER: (CheckName.REACHABLE,),
    Step.AUTHORIZE: (CheckName.SINGLE_SIGN_ON,),
}
"""The checks that show whether a step is done before anybody has consented."""


def checklist(
    connection: Connection | None, passed: Collection[CheckName] = (), failed: Collection[CheckName] = ()
) -> tuple[StepState, ...]:
    """Return the steps, as far as the connection's status and the checks prove them.

    A step in ServiceNow counts as done once its result has been entered here; a consent proves it.

    Args:
        connection: None if there is no connection yet.
        passed: Checks that passed.
        failed: Checks that failed.
    """
    configured = connection is not None and connection.status is not ConnectionStatus.NOT_CONFIGURED
    authorized = connection is not None and connection.status in PROVEN
    consented = connection is not None and connection.ever_consented
    done = {
        Step.CLIENT: configured and CheckName.OAUTH_CLIENT not in failed,
        Step.USER: configured,
        Step.ADDRESSES: consented or CheckName.IP_FILTERING in passed,
        Step.ENTER: configured and CheckName.REACHABLE not in failed,
        Step.AUTHORIZE: authorized,
        Step.FINISHED: authorized,
    }
    following = Step.AUTHORIZE if done[Step.ENTER] else Step.ENTER
    return tuple(
        StepState(step, Progress.DONE if done[step] else Progress.NOW if step is following else Progress.LATER)
        for step in Step
    )
