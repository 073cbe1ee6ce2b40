"""One Functions host as a process: ``python -m sandbox.functions_host --app DIRECTORY --port NUMBER``.

When the port is open, one line ``Functions host is listening on http://…`` is printed on standard output.
SIGINT and SIGTERM stop it and release its timers' locks; SIGUSR1 kills its worker, so every call in flight fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sandbox.functions_host.authentication import AuthenticationOptions, Tenant, UnauthenticatedAction
from sandbox.functions_host.clock import SystemClock
from sandbox.functions_host.host import FunctionsHost
from sandbox.functions_host.log import write_escaped
from sandbox.functions_host.server import Server
from sandbox.functions_host.timers import LEASE

_ACTIONS: dict[str, UnauthenticatedAction] = {
    "return401": "Return401",
    "redirect": "RedirectToLoginPage",
    "allow-anonymous": "AllowAnonymous",
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.functions_host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071)
    parser.add_argument("--storage", type=Path, help="directory shared by the hosts of one app; without it, memory")
    parser.add_argument("--people", type=Path, help="JSON file of the people and applications that can sign in")
    parser.add_argument("--authentication", choices=["off", *_ACTIONS], default="off")
    parser.add_argument(
        "--excluded-path", action="append", default=[], help="a path, or /folder/*, without authentication"
    )
    parser.add_argument("--settings", type=Path, help="a local.settings.json; no such file is read without this option")
    parser.add_argument("--host-id", help="hosts with one id and storage share locks and keys")
    parser.add_argument("--sys-path-order", choices=["development", "managed"], default="development")
    parser.add_argument("--behind-front-end", action="store_true", help="believe X-Forwarded-Proto, Disguised-Host")
    parser.add_argument("--lease", type=float, default=LEASE.total_seconds(), help="seconds a timer lock lasts")
    parser.add_argument("--start-up", help="MODULE:FUNCTION, called in the worker before the app is imported")
    parser.add_argument("--no-timers", action="store_true", help="fire timers only by POST /admin/functions/<name>")
    parser.add_argument("--no-queues", action="store_true", help="leave every message in its queue")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds of timers and queues in one of the machine")
    parsed = parser.parse_args(given)
    if not (parsed.app / "function_app.py").is_file():
        parser.error(f"{parsed.app} holds no function_app.py")
    if parsed.authentication != "off" and parsed.people is None:
        parser.error("--authentication needs --people")
    return parsed


async def run(options: argparse.Namespace) -> None:
    """Serve until a signal arrives."""
    authentication = None
    if options.authentication != "off":
        authentication = AuthenticationOptions(
            Tenant.read(options.people), _ACTIONS[options.authentication], tuple(options.excluded_path)
        )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    host = await FunctionsHost.start(
        options.app,
        read_settings(options.settings) if options.settings is not None else {},
        worker="own process",
        storage=options.storage,
        host_id=options.host_id,
        authentication=authentication,
        sys_path_order=options.sys_path_order,
        is_behind_front_end=options.behind_front_end,
        runs_timers=not options.no_timers,
        listens_to_queues=not options.no_queues,
        clock=SystemClock(options.pace),
        lease=timedelta(seconds=options.lease),
        start_up=options.start_up,
    )
    async with host, Server(host.asgi, options.port) as server:
        kills: set[asyncio.Task[None]] = set()
        loop.add_signal_handler(signal.SIGUSR1, lambda: kills.add(asyncio.create_task(host.kill_worker())))
        print(f"Functions host is listening on {server.url}", flush=True)
        await stopped.wait()


def read_settings(file: Path) -> dict[str, str]:
    """Read the values of a ``local.settings.json``."""
    values = json.loads(file.read_text(encoding="utf-8"))["Values"]
    return {str(name): str(value) for name, value in values.items()}


def main() -> None:
    """Run one host."""
    write_escaped()
    options = arguments()
    try:
        asyncio.run(run(options))
    except OSError as error:
        sys.exit(f"The Functions host could not start: {error}")


if __name__ == "__main__":
    main()
