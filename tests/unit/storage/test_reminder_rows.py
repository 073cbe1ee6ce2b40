"""Rows of reminders: what was written is read, and what another release wrote is kept."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from azure.data.tables import TableEntity

from shared.reminders.model import (
    Cause,
    CauseLine,
    Content,
    Figures,
    Message,
    MessageKind,
    MessageState,
    Receiver,
    ReminderSettings,
    ReminderState,
    Reported,
    ResultCode,
    TicketLine,
    Why,
)
from shared.storage.reminders import (
    message_of,
    message_row,
    settings_of,
    settings_row,
    state_of,
    state_row,
)
from tests.memory.clock import START

SETTINGS = ReminderSettings(
    receivers=(Receiver.WEBHOOK, Receiver.TEAMS),
    has_digest=False,
    digest_weekday=5,
    digest_at="16:30",
    digest_since_at=START,
    causes=(Cause.OVERDUE,),
    quiet_from="22:00",
    quiet_to="07:00",
    secrets_renew_at=START,
)
STATE = ReminderState(
    digest_day="2026-03-02",
    figures=Figures(open=3, points=Decimal("12.5")),
    reported=(Reported(Cause.REFUSED, 2, START), Reported(Cause.CONSENT_ENDS, 1, START)),
    urgent_at=(START, START),
)
MESSAGE = Message(
    "20260302093015-ab12",
    Receiver.TEAMS,
    Content(
        MessageKind.URGENT,
        "contoso",
        "Contoso 本社",
        "ja",
        "Asia/Tokyo",
        START,
        causes=(CauseLine(Cause.CONSENT_ENDS, until_at=START), CauseLine(Cause.OVERDUE, 3)),
        figures=Figures(overdue=3),
        tickets=(TicketLine("a" * 32, "MFA", Why.OVERDUE, "INC0010001", START, 9),),
    ),
    state=MessageState.GIVEN_UP,
    attempts=4,
    next_attempt_at=START,
    code=ResultCode.THROTTLED,
    status=429,
    tried_at=START,
)


def stored(row: dict[str, Any]) -> TableEntity:
    """Return a row as the table gives it."""
    entity = TableEntity(row)
    entity._metadata = {"etag": "1", "timestamp": None}
    return entity


def members_after(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return row | {"members": json.dumps(json.loads(row["members"]) | changes)}


def test_rows_are_read_as_they_were_written() -> None:
    assert settings_of(stored(settings_row("contoso", SETTINGS))) == SETTINGS
    assert state_of(stored(state_row("contoso", STATE))) == STATE
    assert message_of(stored(message_row("contoso", MESSAGE))) == MESSAGE


def test_usual_values_are_read_as_they_were_written() -> None:
    assert settings_of(stored(settings_row("contoso", ReminderSettings()))) == ReminderSettings()
    assert settings_of(stored(settings_row("contoso", replace(SETTINGS, causes=())))).causes == ()
    assert state_of(stored(state_row("contoso", ReminderState()))) == ReminderState()


def test_members_and_values_of_another_release_are_kept() -> None:
    row = members_after(settings_row("contoso", SETTINGS), causes=["overdue", "full_moon"], mood="sunny")
    read = settings_of(stored(row))
    assert [each.value for each in read.causes] == ["overdue", "full_moon"]
    assert read.causes[1] not in set(Cause)
    assert json.loads(settings_row("contoso", read)["members"]) == json.loads(row["members"])
    row = members_after(message_row("contoso", MESSAGE), mood="sunny", code="eaten_by_dog")
    assert json.loads(message_row("contoso", message_of(stored(row)))["members"]) == json.loads(row["members"])


def test_messages_are_in_order_of_their_time() -> None:
    later = replace(MESSAGE, message_id="20260302093016-0000")
    assert message_row("contoso", MESSAGE)["RowKey"] < message_row("contoso", later)["RowKey"]


@pytest.mark.parametrize("value", [SETTINGS, STATE, MESSAGE])
def test_no_row_has_a_place_for_an_address(value: object) -> None:
    names = {each.name for each in fields(value)}  # type: ignore[arg-type]
    assert not {name for name in names if "address" in name or "url" in name or "secret" in name} - {"secrets_renew_at"}
