"""The installation checklist: which of its steps are done, and which one is next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.connections.model import Connection, ConnectionStatus


class Step(StrEnum):
    """The steps of the installation checklist, in their order."""

    CLIENT = "client"
    USER = "user"
    ADDRESSES = "addresses"
    ENTER = "enter"
    AUTHORIZE = "authorize"
    FINISHED = "finished"


class Progress(StrEnum):
    """How a step stands."""

    DONE = "done"
    NOW = "now"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class StepState:
    """A step and how it stands."""

    step: Step
    progress: Progress


_AUTHORIZED: Final = frozenset({ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE})


def checklist(connection: Connection | None) -> tuple[StepState, ...]:
    """Return the steps as the connection's status proves them; None stands for a connection that is not there yet.

    What has to be done in ServiceNow is taken for done once its result was entered here; a consent proves it.
    """
    configured = connection is not None and connection.status is not ConnectionStatus.NOT_CONFIGURED
    authorized = connection is not None and connection.status in _AUTHORIZED
    consented = connection is not None and connection.ever_consented
    done = {
        Step.CLIENT: configured,
        Step.USER: configured,
        Step.ADDRESSES: consented,
        Step.ENTER: configured,
        Step.AUTHORIZE: authorized,
        Step.FINISHED: authorized,
    }
    following = Step.AUTHORIZE if configured else Step.ENTER
    return tuple(
        StepState(step, Progress.DONE if done[step] else Progress.NOW if step is following else Progress.LATER)
        for step in Step
    )
