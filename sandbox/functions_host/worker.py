"""Microsoft's Python worker in this process; the only module that uses ``azure_functions_runtime``.

The library keeps one app in module-level state and always imports it as ``function_app``, so a process can have only
one `Worker` at a time. After `Worker.close` it can have another, because closing restores the interpreter: the app's
modules, ``sys.path``, ``os.environ``, and the library's registry (see `_app_loaded`).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import azure_functions_runtime
from azure_functions_runtime import handle_event

from sandbox.functions_host import protos
from sandbox.functions_host.messages import (
    Cookie,
    Failed,
    FunctionMetadata,
    HttpInput,
    HttpOutput,
    Index,
    Invocation,
    NoOutput,
    Outcome,
    QueueInput,
    SysPathOrder,
    TextOutput,
    TimerInput,
    WorkerDiedError,
)

KEPT_PACKAGES = frozenset({"sandbox", "tests", "benchmarks", "conftest", "__main__"})
"""Packages in the app's folder that are ours, not the app's; they are not imported again."""


_place = threading.Lock()
"""Held while a worker lives in this process."""


class Worker:
    """An app folder, indexed and ready to be called."""

    def __init__(self, index: Index, undo: contextlib.ExitStack) -> None:
        self.index = index
        self._undo = undo
        self._running: set[asyncio.Task[Outcome]] = set()
        self._dead = False

    @classmethod
    async def start(
        cls,
        app_directory: Path,
        environment: Mapping[str, str],
        sys_path_order: SysPathOrder = "development",
        start_up: str | None = None,
    ) -> Worker:
        """Import and index ``function_app.py`` of a folder; a broken app gives an `Index` with its error.

        ``start_up`` names a function (``MODULE:FUNCTION``) to call first, in the app's environment.

        Raises:
            RuntimeError: Another worker lives in this process.
        """
        undo = contextlib.ExitStack()
        try:
            undo.enter_context(_only_worker())
            undo.enter_context(_app_loaded(app_directory, environment, sys_path_order))
            if start_up is not None:
                pkgutil.resolve_name(start_up)()
            return cls(await _index(app_directory), undo)
        except BaseException:
            undo.close()
            raise

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Call a function.

        Raises:
            WorkerDiedError: The worker was killed, or the function ended it, before this call was done.
        """
        if self._dead:
            raise WorkerDiedError
        task = asyncio.create_task(_invoke(invocation))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise WorkerDiedError from None
            raise
        except WorkerDiedError:
            await self.kill()
            raise

    @property
    def process_id(self) -> int:
        """The process in which the functions run."""
        return os.getpid()

    @property
    def is_dead(self) -> bool:
        """Whether a new worker is needed."""
        return self._dead

    async def kill(self) -> None:
        """Lose every call in flight. Threads of synchronous functions run on: Python cannot end them."""
        self._dead = True
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        self._undo.close()

    async def abandon(self) -> None:
        """Replace the worker after a timeout: same as `kill`."""
        await self.kill()

    async def close(self) -> None:
        """End every call and restore the interpreter to its state before `start`."""
        await self.kill()


@contextlib.contextmanager
def _only_worker() -> Iterator[None]:
    if not _place.acquire(blocking=False):
        raise RuntimeError("A worker already lives in this process: close its host first, or use 'own process'.")
    try:
        yield
    finally:
        _place.release()


@contextlib.contextmanager
def _app_loaded(app_directory: Path, environment: Mapping[str, str], order: SysPathOrder) -> Iterator[None]:
    """Give the app fresh modules, its settings and its place in ``sys.path``; undo everything at exit."""
    old_environment = dict(os.environ)
    old_path = list(sys.path)
    old_modules = _app_modules(app_directory)
    for name in old_modules:
        del sys.modules[name]
    os.environ.update(environment)
    sys.path[:] = arranged_path(sys.path, app_directory, order)
    importlib.invalidate_caches()
    azure_functions_runtime.start_threadpool_executor()
    threads = azure_functions_runtime.get_threadpool_executor()
    try:
        yield
    finally:
        threads.shutdown(wait=False)
        handle_event._functions._functions.clear()
        handle_event._metadata_result = None
        for name in _app_modules(app_directory):
            del sys.modules[name]
        sys.modules.update(old_modules)
        sys.path[:] = old_path
        os.environ.clear()
        os.environ.update(old_environment)


def _app_modules(app_directory: Path) -> dict[str, Any]:
    """Return the imported modules that belong to the app, or to another app and have the same names.

    Installed packages and our own do not belong to it.
    """
    root = str(app_directory.resolve()) + os.sep
    names = {entry.stem for entry in app_directory.iterdir()} | {"function_app"}
    return {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] not in KEPT_PACKAGES
        and not any("site-packages" in place for place in _places(module))
        and (name.partition(".")[0] in names or any(place.startswith(root) for place in _places(module)))
    }


def _places(module: object) -> list[str]:
    """Return where a module comes from, without triggering one that loads lazily."""
    known = getattr(module, "__dict__", {})
    return [str(known.get("__file__") or ""), *map(str, known.get("__path__") or ())]


def arranged_path(path: list[str], app_directory: Path, order: SysPathOrder) -> list[str]:
    """Put the app's folder where the worker puts it (Functions host §S5, §S6), and take other apps' folders out."""
    app_root = str(app_directory)
    rest = [entry for entry in path if not (Path(entry) / "function_app.py").is_file()]
    if order == "development":
        return [*rest, app_root]
    packages = app_directory / ".python_packages" / "lib" / "site-packages"
    return [app_root, *([str(packages)] if packages.is_dir() else []), *rest]


async def _index(app_directory: Path) -> Index:
    init = protos.Message(capabilities={}, function_app_directory=str(app_directory))
    request = protos.Message(
        request=protos.Message(worker_init_request=init), properties={"host": "127.0.0.1", "protos": protos}
    )
    started = await azure_functions_runtime.worker_init_request(request)
    if started.result.status != protos.StatusResult.Success:
        return Index(error=f"{started.result.exception.message}\n{started.result.exception.stack_trace}")
    answer = await azure_functions_runtime.functions_metadata_request(request)
    return Index(
        tuple(
            FunctionMetadata(found.name, found.function_id, tuple(json.loads(raw) for raw in found.raw_bindings))
            for found in answer.function_metadata_results or ()
        )
    )


async def _invoke(invocation: Invocation) -> Outcome:
    request = protos.Message(
        request=protos.Message(
            invocation_request=protos.Message(
                invocation_id=invocation.invocation_id,
                function_id=invocation.function_id,
                input_data=[protos.ParameterBinding(name=invocation.parameter, data=_typed_data(invocation.input))],
                trigger_metadata=_trigger_metadata(invocation.input),
                trace_context=protos.Message(
                    trace_parent=invocation.trace_parent, trace_state=invocation.trace_state, attributes={}
                ),
                retry_context=protos.Message(retry_count=0, max_retry_count=0, exception=None),
            )
        )
    )
    try:
        response = await azure_functions_runtime.invocation_request(request)
    except (SystemExit, KeyboardInterrupt) as ending:
        raise WorkerDiedError(repr(ending)) from None
    if response.result.status != protos.StatusResult.Success:
        return Failed(response.result.exception.message, response.result.exception.stack_trace)
    return _outcome(response.return_value)


def _trigger_metadata(value: HttpInput | TimerInput | QueueInput) -> dict[str, protos.TypedData]:
    if not isinstance(value, QueueInput):
        return {}
    return {name: protos.TypedData(**{given.kind: given.text}) for name, given in value.metadata.items()}


def _typed_data(value: HttpInput | TimerInput | QueueInput) -> protos.TypedData:
    if isinstance(value, QueueInput):
        return protos.TypedData(string=value.text)
    if isinstance(value, TimerInput):
        timer = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": value.schedule_status,
            "IsPastDue": value.is_past_due,
        }
        return protos.TypedData(json=json.dumps(timer))
    return protos.TypedData(
        http=protos.RpcHttp(
            method=value.method,
            url=value.url,
            headers=value.headers,
            params=value.route_params,
            query=value.query,
            body=protos.TypedData(bytes=value.body),
        )
    )


def _outcome(value: Any) -> Outcome:
    kind = value.WhichOneof("data") if value is not None else None
    if kind == "http":
        return HttpOutput(
            value.http.status_code,
            value.http.headers,
            tuple(_cookie(cookie) for cookie in value.http.cookies or ()),
            value.http.body.bytes,
        )
    if kind == "string":
        return TextOutput(value.string)
    return NoOutput()


def _cookie(cookie: Any) -> Cookie:
    return Cookie(
        name=cookie.name,
        value=cookie.value,
        domain=cookie.domain.value if cookie.domain else None,
        path=cookie.path.value if cookie.path else None,
        expires_s=cookie.expires.value.seconds if cookie.expires else None,
        max_age_s=cookie.max_age.value if cookie.max_age else None,
        secure=cookie.secure.value,
        http_only=cookie.http_only.value,
        same_site=cookie.same_site,
    )
