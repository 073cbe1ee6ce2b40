"""The installation checklist: which of its steps are done, and which one is next.

A step is done once something has shown it: a check, or the token that everything else leads to. What was only entered
has not been checked yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

from shared.check.findings import CheckName, Finding, Outcome
from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.value_object import value_object


class Step(StrEnum):
    """The steps of the installation checklist, in their order."""

    USER = "user"
    CLIENT = "client"
    ADDRESSES = "addresses"
    ENTER = "enter"
    AUTHORIZE = "authorize"
    FINISHED = "finished"


class Progress(StrEnum):
    """How far a step is."""

    DONE = "done"
    NOW = "now"
    UNCHECKED = "unchecked"
    """Its result was entered here, but nothing has shown that it is right."""
    LATER = "later"


@value_object
class StepState:
    """A step and how far it is."""

    step: Step
    progress: Progress


PROVEN: Final = frozenset({ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE})
"""The connector has proved whose tokens it gets, which proves every step."""
PROVEN_BY: Final[Mapping[Step, Collection[CheckName]]] = {
    Step.CLIENT: (CheckName.OAUTH_CLIENT,),
    Step.ADDRESSES: (CheckName.IP_FILTERING,),
    Step.ENTER: (CheckName.REACHABLE,),
    Step.AUTHORIZE: (CheckName.SINGLE_SIGN_ON,),
}
"""The checks that show whether a step is done before the connector has a token."""


def field_at_fault(finding: Finding) -> str | None:
    """Return the field whose value a finding is about, or None if the fault is elsewhere."""
    if finding.outcome is not Outcome.FAILED:
        return None
    if finding.check is CheckName.REACHABLE:
        return "instance"
    return "client_id" if finding.reason == "unknown_client" else None


def checklist(connection: Connection | None, findings: Sequence[Finding] = ()) -> tuple[StepState, ...]:
    """Return the steps, as far as the connection's status and the findings of the checks show them.

    Args:
        connection: None if there is no connection yet.
        findings: What the checks of :data:`PROVEN_BY` found; not needed once everything is proved.
    """
    if connection is not None and connection.status in PROVEN:
        return tuple(StepState(step, Progress.DONE) for step in Step)
    configured = connection is not None and connection.status is not ConnectionStatus.NOT_CONFIGURED
    following = _following(findings) if configured else Step.ENTER
    # For client credentials, a known client is half of the step: only a token shows its user and the property.
    is_consent = connection is not None and connection.grant is Grant.AUTHORIZATION_CODE
    shown_by_checks = {Step.CLIENT, Step.ADDRESSES} if is_consent else {Step.ADDRESSES}
    passed = {each.check for each in findings if each.outcome is Outcome.PASSED}
    failed = {each.check for each in findings if each.outcome is Outcome.FAILED}

    def progress(step: Step) -> Progress:
        if step is following:
            return Progress.NOW
        if step in shown_by_checks and passed.issuperset(PROVEN_BY[step]):
            return Progress.DONE
        is_open = step in _ENTERED and failed.isdisjoint(PROVEN_BY.get(step, ()))
        return Progress.UNCHECKED if configured and is_open else Progress.LATER

    return tuple(StepState(step, progress(step)) for step in Step)


_ENTERED: Final = frozenset({Step.CLIENT, Step.USER, Step.ADDRESSES, Step.ENTER})


def _following(findings: Sequence[Finding]) -> Step:
    """Return the first step that a check found undone: what was entered, or something in ServiceNow."""
    failed = [each for each in findings if each.outcome is Outcome.FAILED]
    if any(field_at_fault(each) for each in failed):
        return Step.ENTER
    failed_checks = {each.check for each in failed}
    return next((step for step, checks in PROVEN_BY.items() if failed_checks.intersection(checks)), Step.AUTHORIZE)
