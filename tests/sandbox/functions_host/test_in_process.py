"""The host in a test's process, as schemathesis needs it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import Phase, given, settings

from sandbox.functions_host.host import FunctionsHost
from tests.sandbox.functions_host.apps import HEADER, write_app
from tests.sandbox.functions_host.conftest import StartHost

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {
        "/api/number/{n}": {
            "get": {
                "parameters": [{"name": "n", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"200": {"description": "fine"}},
            }
        }
    },
}
FAULTY = (
    HEADER
    + f"""
@app.route(route="openapi.json", methods=["GET"])
async def document(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse({json.dumps(DOCUMENT)!r}, mimetype="application/json")

@app.route(route="number/{{n}}", methods=["GET"])
async def number(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0)
    if int(req.route_params["n"]) > 100:
        raise OverflowError
    return func.HttpResponse("fine")
"""
)


def test_schemathesis_finds_a_fault_through_the_host(tmp_path: Path) -> None:
    host = asyncio.run(FunctionsHost.start(write_app(tmp_path / "app", FAULTY), runs_timers=False))
    operation = schemathesis.openapi.from_asgi("/api/openapi.json", host.asgi)["/api/number/{n}"]["GET"]

    @given(case=operation.as_strategy())
    @settings(max_examples=15, database=None, deadline=None, phases=[Phase.generate])
    def attack(case: Any) -> None:
        assert case.call().status_code < 500

    try:
        with pytest.raises(AssertionError, match="500 < 500"):
            attack()
    finally:
        asyncio.run(host.close())


async def test_second_host_in_the_process_is_refused(host_of: StartHost, tmp_path: Path) -> None:
    await host_of(FAULTY)
    with pytest.raises(RuntimeError, match="already lives"):
        await FunctionsHost.start(write_app(tmp_path / "other", FAULTY))
