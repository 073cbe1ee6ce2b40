"""Indexing, its failures, and the start of a host (Functions host §7 and §8)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.functions_host.host import FunctionsHost
from sandbox.functions_host.messages import SysPathOrder
from sandbox.processes import Processes
from tests.sandbox.functions_host.apps import BEHAVIOUR, HEADER, routed, write_app
from tests.sandbox.functions_host.conftest import StartHost, start_host

BROKEN = {
    "raises": "raise RuntimeError('no')",
    "missing module": "import does_not_exist",
    "syntax error": "def (",
    "no app": "x = 1",
    "duplicate name": routed(("one", "a", None)) + "\n@app.route(route='b')\ndef one(req: func.HttpRequest): ...\n",
    "wrong parameter": HEADER + "\n@app.route(route='b')\ndef one(request): ...\n",
    "no functions": "import azure.functions as func\napp = func.FunctionApp()\n",
}


@pytest.mark.parametrize(
    ("text", "worker"), [*((text, "in process") for text in BROKEN.values()), (BROKEN["raises"], "own process")]
)
async def test_broken_app_is_404_everywhere_with_a_home_page(host_of: StartHost, text: str, worker: str) -> None:
    """§X1, §X2."""
    host, client = await host_of(text, worker=worker)
    statuses = {path: (await client.get(path)).status_code for path in ("/api/one", "/api/a", "/", "/admin/host/ping")}
    assert statuses == {"/api/one": 404, "/api/a": 404, "/": 200, "/admin/host/ping": 200}
    status = (await client.get("/admin/host/status", headers={"x-functions-key": host.keys.master})).json()
    assert status["state"] == "Running"
    assert "errors" not in status
    assert (host.index_error is None) == (text == BROKEN["no functions"])


async def test_missing_function_app_is_a_host_without_functions(tmp_path: Path) -> None:
    """§X2."""
    async with await FunctionsHost.start(tmp_path) as host:
        assert (host.index_error, host.errors, host.table.all) == (None, (), ())


async def test_process_that_ends_while_it_imports_is_a_broken_app(host_of: StartHost) -> None:
    """§X1."""
    host, client = await host_of("import os; os._exit(1)", worker="own process")
    assert host.index_error == "The worker process ended while it imported function_app.py."
    assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    "host_json",
    ["{", "[]", "{}", '{"version": "1"}', '{"version": "2.0", "functionTimeout": "soon"}',
     '{"version": "2.0", "functionTimeout": "00:00:00"}', '{"version": "2.0", "extensions": {"http": 5}}'],
)  # fmt: skip
async def test_fatal_error_is_503_everywhere(host_of: StartHost, host_json: str) -> None:
    """§X5, §P29."""
    host, client = await host_of(BEHAVIOUR, host_json)
    for path in ("/", "/api/echo", "/nothing"):
        answer = await client.get(path)
        assert (answer.status_code, answer.text) == (503, "Function host is not running.")
    assert (await client.get("/admin/host/ping")).status_code == 200
    answer = await client.get("/admin/host/status", headers={"x-functions-key": host.keys.master})
    assert answer.status_code == 200
    assert (answer.json()["state"], len(answer.json()["errors"])) == ("Error", 1)


async def test_fatal_answer_has_no_custom_headers(host_of: StartHost) -> None:
    """§X5, §P29."""
    _, client = await host_of(
        routed(("bad", "u/{x", None)), {"extensions": {"http": {"customHeaders": {"X-Custom": "1"}}}}
    )
    assert "x-custom" not in (await client.get("/")).headers
    assert "x-custom" in (await client.get("/admin/host/ping")).headers


def test_app_is_imported_once_from_its_root_with_the_hosts_variables(processes: Processes, tmp_path: Path) -> None:
    """§S1, §S3, §S4, §S8, §S9."""
    app = write_app(tmp_path / "app", BEHAVIOUR)
    write_local_settings(app)
    process, port = start_host(processes, app)
    state = httpx.get(f"http://127.0.0.1:{port}/api/state").json()
    assert (state["cwd"], state["module"], state["thread"]) == (str(app), "function_app", "MainThread")
    assert state["environment"] == state["environment"] | {
        "FUNCTIONS_APPLICATION_DIRECTORY": str(app),
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_WORKER_RUNTIME_VERSION": "",
        "PYTHON_THREADPOOL_THREAD_COUNT": "1000",
    }
    assert not {"WEBSITE_AUTH_ENABLED", "FUNCTIONS_SAMPLE"} & state["environment"].keys()
    processes.stop(process)


SHADOWED = """
import json, sys
import azure.functions as func
import shared
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="path")
async def path(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"shared": shared.__file__, "path": sys.path}))
"""


@pytest.mark.parametrize(("order", "wins"), [("development", "installed"), ("managed", "app")])
async def test_both_orders_of_the_search_path(tmp_path: Path, order: SysPathOrder, wins: str) -> None:
    """§S5, §S6: only on a developer's machine does an installed package win over the app's own of the same name."""
    app = write_app(tmp_path / "app", SHADOWED)
    for directory in (app, tmp_path / "installed"):
        (directory / "shared").mkdir(parents=True)
        (directory / "shared" / "__init__.py").write_text("")
    packages = app / ".python_packages" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    environment = {"PYTHONPATH": str(tmp_path / "installed")}
    async with (
        await FunctionsHost.start(app, environment, worker="own process", sys_path_order=order) as host,
        httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url="http://h") as client,
    ):
        found = (await client.get("/api/path")).json()
    assert found["shared"] == str(tmp_path / wins / "shared" / "__init__.py")
    if order == "managed":
        assert found["path"][:2] == [str(app), str(packages)]
    else:
        assert found["path"][-1] == str(app)


def test_local_settings_are_read_only_when_asked_for(processes: Processes, tmp_path: Path) -> None:
    """§S9; without the option: see `test_app_is_imported_once_from_its_root_with_the_hosts_variables`."""
    app = write_app(tmp_path / "app", BEHAVIOUR)
    process, port = start_host(processes, app, "--settings", str(write_local_settings(app)))
    answer = httpx.get(f"http://127.0.0.1:{port}/api/state", headers={"origin": "https://o.example"})
    assert answer.json()["environment"]["FUNCTIONS_SAMPLE"] == "1"
    assert not [name for name in answer.headers if name.startswith("access-control")]
    processes.stop(process)


def write_local_settings(app: Path) -> Path:
    """Write a local.settings.json to an app's folder."""
    settings = app / "local.settings.json"
    settings.write_text(json.dumps({"Values": {"FUNCTIONS_SAMPLE": "1"}, "Host": {"CORS": "*"}}))
    return settings


async def test_hosts_after_one_another_start_afresh_and_leave_nothing(tmp_path: Path) -> None:
    """In process: module state, sys.path, modules and environment are restored."""
    path, modules, environment = list(sys.path), set(sys.modules), dict(os.environ)
    for attempt in range(2):
        app = write_app(tmp_path / f"app{attempt}", BEHAVIOUR + "\nimport helper\n")
        (app / "helper.py").write_text("")
        async with await FunctionsHost.start(app, {"FUNCTIONS_SAMPLE": str(attempt)}, runs_timers=False) as host:
            client = httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url="http://h")
            await client.get("/api/async/0")
            state = (await client.get("/api/state")).json()
            assert state["started"] == ["async began", "async ended"]
            assert state["environment"]["FUNCTIONS_SAMPLE"] == str(attempt)
            assert sys.modules["helper"].__file__ == str(app / "helper.py")
            await client.aclose()
    assert (sys.path, dict(os.environ)) == (path, environment)
    assert not {"helper", "function_app"} & (set(sys.modules) - modules)


async def test_two_hosts_of_one_app_live_side_by_side_in_processes_of_their_own(tmp_path: Path) -> None:
    """§C11: module state is per process; keys are shared by storage."""
    app = write_app(tmp_path / "app", BEHAVIOUR)
    storage = tmp_path / "storage"
    async with (
        await FunctionsHost.start(app, worker="own process", storage=storage, runs_timers=False) as first,
        await FunctionsHost.start(app, worker="own process", storage=storage, runs_timers=False) as second,
    ):
        assert first.worker_process_id != second.worker_process_id
        assert first.keys.master == second.keys.master
        assert first.keys.of_function("x") == second.keys.of_function("x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--app", "{empty}"], "holds no function_app.py"),
        (["--app", "{app}", "--authentication", "return401"], "--authentication needs --people"),
        (["--app", "{app}", "--port", "1", "--storage", "{app}/function_app.py"], "could not start"),
    ],
)
def test_wrong_command_line_is_reported(tmp_path: Path, options: list[str], message: str) -> None:
    write_app(tmp_path / "app", "x = 1")
    (tmp_path / "empty").mkdir()
    given = [option.format(app=tmp_path / "app", empty=tmp_path / "empty") for option in options]
    ran = subprocess.run(
        [sys.executable, "-m", "sandbox.functions_host", *given], capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0
    assert message in ran.stderr
