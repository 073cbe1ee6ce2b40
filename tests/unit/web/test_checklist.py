"""The next step of the installation checklist."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.check.findings import CheckName
from shared.connections.model import Connection, ConnectionStatus
from shared.web.checklist import Progress, Step, checklist

ALL = set(Step)


def connection(status: ConnectionStatus, *, consented: bool = False) -> Connection:
    return Connection(
        connection_id="contoso",
        display_name="Contoso",
        instance="https://contoso.service-now.com",
        client_id="client",
        integration_user="m365.integration",
        status=status,
        consented_at=datetime(2026, 1, 1, tzinfo=UTC) if consented else None,
    )


def steps(progress: Progress, *arguments: object) -> set[Step]:
    return {each.step for each in checklist(*arguments) if each.progress is progress}  # type: ignore[arg-type]


@pytest.mark.parametrize("present", [None, connection(ConnectionStatus.NOT_CONFIGURED)])
def test_first_the_instance_is_entered(present: Connection | None) -> None:
    assert steps(Progress.NOW, present) == {Step.ENTER}
    assert steps(Progress.DONE, present) == set()


def test_then_somebody_authorizes() -> None:
    present = connection(ConnectionStatus.AWAITING_AUTHORIZATION)
    assert steps(Progress.NOW, present) == {Step.AUTHORIZE}
    assert steps(Progress.DONE, present) == {Step.CLIENT, Step.USER, Step.ENTER}


def test_a_consent_proves_everything() -> None:
    assert steps(Progress.DONE, connection(ConnectionStatus.CONNECTED, consented=True)) == ALL
    assert steps(Progress.DONE, connection(ConnectionStatus.UNAVAILABLE, consented=True)) == ALL


def test_a_consent_that_ended_has_to_be_renewed() -> None:
    present = connection(ConnectionStatus.REAUTHORIZATION_REQUIRED, consented=True)
    assert steps(Progress.NOW, present) == {Step.AUTHORIZE}
    assert steps(Progress.LATER, present) == {Step.FINISHED}


def test_steps_check_themselves() -> None:
    present = connection(ConnectionStatus.AWAITING_AUTHORIZATION)
    assert Step.ADDRESSES in steps(Progress.DONE, present, [CheckName.IP_FILTERING])
    assert Step.CLIENT not in steps(Progress.DONE, present, [], [CheckName.OAUTH_CLIENT])
    unreachable = steps(Progress.NOW, present, [], [CheckName.REACHABLE])
    assert unreachable == {Step.ENTER}
