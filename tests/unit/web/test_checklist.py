"""The next step of the installation checklist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.check.findings import CheckName, Finding, finding
from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.web.checklist import Progress, Step, checklist, field_at_fault

GOOD = (
    finding(CheckName.REACHABLE, "passed"),
    finding(CheckName.IP_FILTERING, "passed"),
    finding(CheckName.OAUTH_CLIENT, "known"),
    finding(CheckName.SINGLE_SIGN_ON, "passed"),
)
"""What the checks find on an instance that is set up, before anybody has consented."""


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


def shown(present: Connection | None, findings: Sequence[Finding] = ()) -> list[str]:
    states = checklist(present, findings)
    assert [each.step for each in states] == list(Step)
    return [each.progress.value for each in states]


def but(other: Finding) -> Sequence[Finding]:
    return [other if each.check is other.check else each for each in GOOD]


WAITING = connection(ConnectionStatus.AWAITING_AUTHORIZATION)


@pytest.mark.parametrize("present", [None, connection(ConnectionStatus.NOT_CONFIGURED)])
def test_first_the_instance_is_entered(present: Connection | None) -> None:
    assert shown(present) == ["later", "later", "later", "now", "later", "later"]


def test_only_what_was_seen_is_done_then_somebody_authorizes() -> None:
    assert shown(WAITING, GOOD) == ["unchecked", "done", "done", "unchecked", "now", "later"]


def test_nothing_is_done_because_it_was_entered() -> None:
    assert shown(WAITING) == ["unchecked", "unchecked", "unchecked", "unchecked", "now", "later"]


def test_an_identity_provider_hides_whether_the_client_is_known() -> None:
    assert shown(WAITING, but(finding(CheckName.OAUTH_CLIENT, "unreadable")))[1] == "unchecked"


def test_with_client_credentials_only_a_token_shows_that_the_client_is_set_up() -> None:
    asking = replace(WAITING, grant=Grant.CLIENT_CREDENTIALS)
    assert shown(asking, GOOD) == ["unchecked", "unchecked", "done", "unchecked", "now", "later"]


def test_what_failed_is_not_unchecked() -> None:
    unknown = finding(CheckName.OAUTH_CLIENT, "unknown_client", client_id="client")
    assert shown(WAITING, but(unknown)) == ["unchecked", "later", "done", "now", "later", "later"]


@pytest.mark.parametrize("status", [ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE])
def test_a_token_of_the_right_user_proves_everything(status: ConnectionStatus) -> None:
    assert shown(connection(status, consented=True)) == ["done"] * 6


def test_a_consent_that_ended_has_to_be_renewed() -> None:
    present = connection(ConnectionStatus.REAUTHORIZATION_REQUIRED, consented=True)
    assert shown(present, GOOD) == ["unchecked", "done", "done", "unchecked", "now", "later"]


@pytest.mark.parametrize(
    ("found", "following"),
    [
        (finding(CheckName.REACHABLE, "host_unknown"), Step.ENTER),
        (finding(CheckName.REACHABLE, "hibernating"), Step.ENTER),
        (finding(CheckName.OAUTH_CLIENT, "unknown_client", client_id="client"), Step.ENTER),
        (finding(CheckName.OAUTH_CLIENT, "redirect_missing", redirect_uri="https://a.example"), Step.CLIENT),
        (finding(CheckName.IP_FILTERING, "blocked", addresses="192.0.2.1"), Step.ADDRESSES),
        (finding(CheckName.SINGLE_SIGN_ON, "in_the_way", address="https://idp.example"), Step.AUTHORIZE),
        (finding(CheckName.SINGLE_SIGN_ON, "too_slow"), Step.AUTHORIZE),
    ],
)
def test_what_a_check_finds_undone_comes_first(found: Finding, following: Step) -> None:
    states = checklist(WAITING, but(found))
    assert [each.step for each in states if each.progress is Progress.NOW] == [following]


def test_a_fault_is_at_the_field_that_causes_it() -> None:
    assert field_at_fault(finding(CheckName.REACHABLE, "timeout")) == "instance"
    assert field_at_fault(finding(CheckName.REACHABLE, "passed")) is None
    assert field_at_fault(finding(CheckName.OAUTH_CLIENT, "unknown_client")) == "client_id"
    assert field_at_fault(finding(CheckName.OAUTH_CLIENT, "inactive")) is None
