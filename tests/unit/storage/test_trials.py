"""A test ticket's row: what was written is read, and what another release wrote is kept."""

from __future__ import annotations

import json

import pytest

from shared.check.preflight.model import Fate, SeenField, Trial, TrialOutcome
from shared.connections.model import TicketKind
from shared.errors import Failure, RowUnreadable
from shared.storage.rows import RowReader
from shared.storage.trials import trial_of, trial_row
from tests.memory.clock import START

TRIAL = Trial(
    kind=TicketKind.INCIDENT,
    tried_at=START,
    settings="abc",
    outcome=TrialOutcome.REFUSED,
    number="INC0010001",
    sys_id="a" * 32,
    is_canceled=True,
    problem=Failure("mandatory_fields_missing", {"variant": "named", "names": "構成アイテム"}),
    fields=(SeenField("cmdb_ci", Fate.REFUSED, "構成アイテム"), SeenField("description", Fate.SHORTENED, limit=40)),
)


def test_a_row_is_read_as_it_was_written() -> None:
    row = trial_row("contoso", TRIAL)
    assert (row["PartitionKey"], row["RowKey"]) == ("contoso", "test_ticket:incident")
    assert trial_of(row) == TRIAL


def test_members_and_values_of_another_release() -> None:
    row = trial_row("contoso", TRIAL)
    members = json.loads(row["members"]) | {"mood": "sunny", "outcome": "postponed"}
    members["fields"][0]["fate"] = "frozen"
    row["members"] = json.dumps(members)
    read = trial_of(row)
    assert (read.outcome.value, read.fields[0].fate.value) == ("postponed", "frozen")
    assert json.loads(trial_row("contoso", read)["members"]) == members


def test_a_row_that_makes_no_sense_is_not_read() -> None:
    row = trial_row("contoso", TRIAL) | {"members": "[]"}
    with pytest.raises(RowUnreadable):
        RowReader().read("connections", row, trial_of)
