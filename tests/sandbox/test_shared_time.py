"""Days pass for every part of a world at once, and never lead into the future."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.clock_shift import ClockShift
from sandbox.graph.process import start_graph
from sandbox.processes import Processes, SandboxError
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.shared_time import DAY_S, SharedTime
from sandbox.world import start_servicenow

_TOLERANCE = timedelta(minutes=1)


def test_days_pass_everywhere_until_the_time_is_real(tmp_path: Path) -> None:
    with Processes(tmp_path / "logs") as processes:
        servicenow, graph = start_servicenow(processes, days_ago=5), start_graph(processes, days_ago=5)
        time = SharedTime(servicenow.url, graph, days_ago=5)
        product = ClockShift.create(tmp_path / "clock", ahead_s=time.ahead_s)
        time.products.append(product)
        with ControlClient(servicenow.url) as control, graph.control() as graph_control:

            def behind() -> list[timedelta]:
                ahead_s, _ = struct.unpack("dd", product.file.read_bytes())
                clocks = (control.now(), graph_control.now(), datetime.now(UTC) + timedelta(seconds=ahead_s))
                return [datetime.now(UTC) - clock for clock in clocks]

            assert behind() == [pytest.approx(timedelta(days=5), abs=_TOLERANCE)] * 3
            time.pass_days(3)
            assert behind() == [pytest.approx(timedelta(days=2), abs=_TOLERANCE)] * 3
            assert time.ahead_s == -2 * DAY_S
            with pytest.raises(SandboxError, match="3 days cannot pass"):
                time.pass_days(3)
            time.pass_days(2)
            assert behind() == [pytest.approx(timedelta(0), abs=_TOLERANCE)] * 3
