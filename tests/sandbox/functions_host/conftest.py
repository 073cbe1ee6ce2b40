"""Hosts for tests: a process for everything on the wire, and hosts in this process for variants."""

from __future__ import annotations

import itertools
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.functions_host.host import FunctionsHost
from sandbox.processes import Process, Processes
from tests.sandbox.functions_host.apps import BEHAVIOUR, ROUTING, write_app

_numbers = itertools.count(1)

HOST_JSON: Mapping[str, Any] = {
    "extensions": {"http": {"customHeaders": {"X-Custom": "from host.json", "Cache-Control": "no-store"}}}
}


@dataclass(frozen=True)
class Wire:
    """A host process and a client for it."""

    client: httpx.Client
    port: int
    process: Process
    storage: Path

    def get(self, path: str, **more: Any) -> httpx.Response:
        """GET a path below ``/api``."""
        return self.client.get(f"/api/{path}", **more)

    def raw(self, sent: bytes) -> bytes:
        """Send bytes as they are and return the answer, read until the host closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(sent)
            received = bytearray()
            while piece := connection.recv(65_536):
                received += piece
            return bytes(received)

    def ask(self, request_line: str, *headers: str, body: bytes = b"") -> tuple[int, str]:
        """Send a handwritten request and return the status and the whole answer."""
        lines = [request_line, *(headers or ("Host: h",)), "Connection: close", "", ""]
        answer = self.raw("\r\n".join(lines).encode("utf-8") + body).decode("utf-8", "replace")
        return int(answer.split(" ")[1]), answer


def start_host(
    processes: Processes, app: Path, *options: str, environment: Mapping[str, str] | None = None
) -> tuple[Process, int]:
    """Start a host process on a free port and wait until it listens."""
    command = [sys.executable, "-m", "sandbox.functions_host", "--app", str(app), "--port", "0", *options]
    process = processes.start(f"functions host {next(_numbers)}", command, environment=environment)
    line = processes.wait_for_line(process, r"^Functions host is listening on http://127\.0\.0\.1:(\d+)$")
    return process, int(line[1])


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("logs")) as running:
        yield running


def _wire(processes: Processes, directory: Path, text: str, host_json: Mapping[str, Any] | None) -> Iterator[Wire]:
    app = write_app(directory / "app", text, host_json)
    storage = directory / "storage"
    process, port = start_host(processes, app, "--storage", str(storage), "--host-id", "wire", "--no-timers")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, headers={"accept": "*/*"}) as client:
        yield Wire(client, port, process, storage)


@pytest.fixture(scope="session")
def routes(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A host with many routes."""
    yield from _wire(processes, tmp_path_factory.mktemp("routes"), ROUTING, None)


@pytest.fixture(scope="session")
def wire(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A host with functions of every behaviour and with custom headers."""
    yield from _wire(processes, tmp_path_factory.mktemp("wire"), BEHAVIOUR, HOST_JSON)


type StartHost = Callable[..., Awaitable[tuple[FunctionsHost, httpx.AsyncClient]]]


@pytest.fixture
async def host_of(tmp_path: Path) -> AsyncIterator[StartHost]:
    """Return a function that serves an app's text in this process; hosts and clients are closed at the end."""
    async with AsyncExitStack() as stack:

        async def start(
            text: str, host_json: Mapping[str, Any] | str | None = None, **options: Any
        ) -> tuple[FunctionsHost, httpx.AsyncClient]:
            app = write_app(tmp_path / "app", text, host_json)
            host = await stack.enter_async_context(await FunctionsHost.start(app, **{"runs_timers": False, **options}))
            transport = httpx.ASGITransport(host.asgi)
            client = httpx.AsyncClient(transport=transport, base_url="http://h", headers={"accept": "*/*"})
            return host, await stack.enter_async_context(client)

        yield start
