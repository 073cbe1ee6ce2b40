"""A test can shift the clocks of a running host's product from outside, unnoticed by the product."""

from __future__ import annotations

import shutil
import time
from collections.abc import Awaitable, Callable
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
from shared.clock import steady_clock_s, system_clock

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="now")
async def now(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(f"{system_clock().isoformat()} {steady_clock_s()}")
"""


@pytest.mark.parametrize("worker", ["in process", "own process"])
async def test_the_products_clocks_follow_the_file(
    tmp_path: Path, worker: Literal["in process", "own process"]
) -> None:
    """The app imports the clocks by name, as the product's modules do."""
    shared = tmp_path / "app" / "shared"
    shared.mkdir(parents=True)
    (tmp_path / "app" / "function_app.py").write_text(APP)
    (shared / "__init__.py").touch()
    shutil.copy(clock.__file__, shared)
    shift = ClockShift.create(tmp_path / "shift", ahead_s=-20.0)
    settings = {clock_shift.SETTING: str(shift.file)}
    started = FunctionsHost.start(
        tmp_path / "app", settings, worker=worker, runs_timers=False, start_up=clock_shift.START_UP
    )
    async with (
        await started as host,
        httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url="http://h") as client,
    ):

        async def read() -> tuple[timedelta, float]:
            """Return how far the product's clocks are from the machine's, less the time for reading them."""
            now, steady_s = (await client.get("/api/now")).text.split()
            return datetime.fromisoformat(now) - datetime.now(UTC), float(steady_s) - time.monotonic()

        await assert_about(read, ahead_s=-20.0, passed_s=0.0)
        shift.pass_time(3600)
        await assert_about(read, ahead_s=3580.0, passed_s=3600.0)
        shift.set_ahead(86_400)
        await assert_about(read, ahead_s=89_980.0, passed_s=3600.0)
        shift.set_ahead(-86_400)
        await assert_about(read, ahead_s=3580.0, passed_s=3600.0)
    assert abs(clock.system_clock() - datetime.now(UTC)) < timedelta(seconds=10), "only the host's product is shifted"


async def assert_about(
    read: Callable[[], Awaitable[tuple[timedelta, float]]], *, ahead_s: float, passed_s: float
) -> None:
    ahead, passed = await read()
    assert ahead_s - 10 < ahead.total_seconds() <= ahead_s
    assert passed_s - 10 < passed <= passed_s
