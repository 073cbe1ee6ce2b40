"""A check's row: what was written is read, and what another release wrote is left out or kept."""

from __future__ import annotations

import json

from shared.check.course import CheckRun, NotedFinding
from shared.check.findings import CheckName
from shared.errors import Failure
from shared.storage.checks import run_of, run_row
from tests.memory.clock import START

RUN = CheckRun(
    run_id="1",
    began_at=START,
    noted_at=START,
    ended_at=START,
    dry_run=True,
    total=27,
    noted=(
        NotedFinding("query_task", "no_answer", problem=Failure("servicenow_unavailable", {"answered_status": 502})),
        NotedFinding("reachable", "passed", {"instance": "構成"}),
    ),
    left_open=("INC0010001",),
)


def test_a_row_is_read_as_it_was_written() -> None:
    row = run_row("contoso", RUN)
    assert (row["PartitionKey"], row["RowKey"]) == ("contoso", "check")
    assert run_of(row) == RUN
    assert [each.check for each in run_of(row).findings] == [CheckName.REACHABLE, CheckName.QUERY_TASK]


def test_findings_of_another_release_are_left_out_and_its_members_kept() -> None:
    row = run_row("contoso", RUN)
    members = json.loads(row["members"])
    members["noted"] += [{"check": "mood", "reason": "sunny"}, {"check": "reachable", "reason": "sunny"}]
    members["weather"] = "sunny"
    read = run_of(row | {"members": json.dumps(members)})
    assert len(read.findings) == 2
    assert read.kept == {"weather": "sunny"}
