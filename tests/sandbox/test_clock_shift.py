"""A host's product lives at a time that is set from outside, while it runs and without its knowledge."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
import pytest

from sandbox import clock_shift
from sandbox.clock_shift import ClockShift
from sandbox.functions_host.host import FunctionsHost
from shared import clock

APP = """
import azure.functions as func
from shared.clock import system_clock

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="now")
async def now(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(system_clock().isoformat())
"""


@pytest.mark.parametrize("worker", ["in process", "own process"])
async def test_the_products_clock_follows_the_file(
    tmp_path: Path, worker: Literal["in process", "own process"]
) -> None:
    """The app takes the clock by its name, as the product's modules do."""
    shared = tmp_path / "app" / "shared"
    shared.mkdir(parents=True)
    (tmp_path / "app" / "function_app.py").write_text(APP)
    (shared / "__init__.py").touch()
    shutil.copy(clock.__file__, shared)
    shift = ClockShift(tmp_path / "shift")
    shift.write_s(-20.0)
    settings = {clock_shift.SETTING: str(shift.file)}
    started = FunctionsHost.start(
        tmp_path / "app", settings, worker=worker, runs_timers=False, start_up=clock_shift.START_UP
    )
    async with (
        await started as host,
        httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url="http://h") as client,
    ):
        for ahead_s in (-20.0, 86_400.5, 0.0):
            shift.write_s(ahead_s)
            assert shift.read_s() == ahead_s
            before = datetime.now(UTC)
            told = datetime.fromisoformat((await client.get("/api/now")).text)
            assert before <= told - timedelta(seconds=ahead_s) <= datetime.now(UTC)
    assert abs(clock.system_clock() - datetime.now(UTC)) < timedelta(seconds=10), "only the host's product is shifted"
