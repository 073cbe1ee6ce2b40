"""Runs in a bare interpreter: the worker library loads an unpacked package, and answers a request and a timer run.

On ``sys.path`` are, in the order of production: the package's own dependencies, the worker's two libraries, the
standard library, the app. From the start, nothing can reach another machine or start a program.

The only argument is a JSON object: ``package``, ``worker`` and ``repository`` are folders, ``environment`` the app's
settings, ``headers`` those of the request. Prints what `main` says, as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import sys
from pathlib import Path
from typing import Any


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse, as an audit hook, every address but the loopback, and every program; a hook cannot be removed."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"}:
        address = arguments[1]
        if isinstance(address, tuple) and address[0] != "127.0.0.1":
            raise PermissionError(f"the package wants to reach {address}")
    elif event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", b"127.0.0.1"):
        raise PermissionError(f"the package wants to find {arguments[0]}")
    elif event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"}:
        raise PermissionError(f"the package wants to start {arguments}")


def guard_works() -> bool:
    """Whether the hook refuses an address outside and a name."""
    with socket.socket() as outside:
        for attempt in (lambda: outside.connect(("192.0.2.1", 443)), lambda: socket.getaddrinfo("contoso.com", 443)):
            try:
                attempt()
            except PermissionError:
                continue
            return False
    return True


async def main(given: dict[str, Any]) -> dict[str, Any]:
    """Return the functions with their routes, where each dependency came from, and what the two calls gave."""
    sys.path.insert(0, given["repository"])
    worker = importlib.import_module("sandbox.functions_host.worker")
    messages = importlib.import_module("sandbox.functions_host.messages")
    sys.path.remove(given["repository"])
    app = await worker.Worker.start(Path(given["package"]), given["environment"], "development")
    if app.index.error is not None:
        return {"error": app.index.error}
    functions = {function.name: function for function in app.index.functions}

    async def call(name: str, value: object) -> Any:
        function = functions[name]
        return await app.invoke(messages.Invocation(name, function.function_id, str(function.trigger["name"]), value))

    timer = await call("maintain", messages.TimerInput())
    url = f"{given['environment']['PUBLIC_BASE_URL']}/api/connections"
    request = await call("list_connections", messages.HttpInput("GET", url, given["headers"], {}, {}, b""))
    return {
        "error": None,
        "guard_works": guard_works(),
        "functions": {name: function.trigger.get("route") for name, function in functions.items()},
        "files": sorted({str(each.__file__) for each in list(sys.modules.values()) if getattr(each, "__file__", None)}),
        "timer": getattr(timer, "message", None),
        "status": getattr(request, "status", None),
        "body": getattr(request, "body", b"").decode(),
    }


if __name__ == "__main__":
    configuration = json.loads(sys.argv[1])
    sys.path[:0] = [str(Path(configuration["package"], ".python_packages/lib/site-packages")), configuration["worker"]]
    sys.addaudithook(refuse_network)
    print(json.dumps(asyncio.run(main(configuration))))
