"""The Functions host: serves an app folder as the real one does (Functions host §1 to §8).

A request passes `Request.read`, the built-in endpoints, the table of routes, the keys, the throttle and the worker,
and leaves through `response`. Each has its own module; this one only joins them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, timedelta
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Literal, Self
from zoneinfo import ZoneInfo

from sandbox.functions_host.asgi import (
    Application,
    Receive,
    Scope,
    Send,
    raw_path,
    read_body,
    run_lifespan,
    send_response,
)
from sandbox.functions_host.authentication import AppServiceAuthentication, AuthenticationOptions, new_signing_key
from sandbox.functions_host.built_in import BuiltIn
from sandbox.functions_host.clock import Clock, SystemClock
from sandbox.functions_host.functions import (
    FunctionTable,
    HostError,
    HttpFunction,
    QueueFunction,
    TimerFunction,
    tabulate,
)
from sandbox.functions_host.host_json import HostJson, HostJsonError
from sandbox.functions_host.keys import Keys, new_key, presented_key
from sandbox.functions_host.messages import (
    Failed,
    FunctionMetadata,
    HttpInput,
    Invocation,
    Outcome,
    QueueInput,
    SysPathOrder,
    TimerInput,
)
from sandbox.functions_host.request import (
    BODY_LIMIT,
    BadRequestError,
    Request,
    UnreadableRequestError,
    encode_path,
    trace_parent,
)
from sandbox.functions_host.response import Response, from_outcome, with_host_headers
from sandbox.functions_host.storage import DirectoryStorage, MemoryStorage, Storage, read_or_create, secrets_name
from sandbox.functions_host.supervisor import Delays, Supervisor, WorkerHandle
from sandbox.functions_host.timers import LEASE, TimerListener
from sandbox.functions_host.worker_process import WorkerProcess

log = logging.getLogger("Host")
results_log = logging.getLogger("Host.Results")

type WorkerPlace = Literal["in process", "own process"]


class FunctionsHost:
    """A running host; make one with `start`, and use `asgi` or hand it to a server.

    Attributes:
        asgi: The application, behind App Service Authentication if that is on.
        keys: The master, host and function keys.
        table: What is served, and what is in error.
        errors: Why the whole host is in error; empty when it runs.
        index_error: Why the app could not be indexed; such a host runs without functions.
    """

    def __init__(
        self,
        *,
        app_directory: Path,
        environment: Mapping[str, str],
        start_worker: Callable[[], Awaitable[WorkerHandle]],
        storage: Storage,
        host_id: str,
        authentication: AuthenticationOptions | None,
        is_behind_front_end: bool,
        clock: Clock,
        lease: timedelta,
        delays: Delays,
    ) -> None:
        self.host_id = host_id
        self.table = FunctionTable()
        self.errors: tuple[str, ...] = ()
        self.index_error: str | None = None
        self.host_json = HostJson()
        self.host_json_text = ""
        self._app_directory = app_directory
        self._environment = environment
        self._storage = storage
        self._is_behind_front_end = is_behind_front_end
        self._clock = clock
        self._lease = lease
        self._supervisor = Supervisor(start_worker, delays)
        self._built_in = BuiltIn(self, monotonic())
        self._throttle = _Throttle(None, None)
        self._tasks: set[asyncio.Task[object]] = set()
        self._queue_listeners: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, TimerListener] = {}
        self._body_limit = int(environment.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", BODY_LIMIT))
        self.keys = self._read_keys()
        self.asgi: Application = self._serve
        if authentication is not None:
            secret = read_or_create(storage, secrets_name(host_id, "authentication"), new_signing_key)
            self.asgi = AppServiceAuthentication(self._serve, authentication, secret)

    @classmethod
    async def start(
        cls,
        app_directory: Path,
        environment: Mapping[str, str] | None = None,
        *,
        worker: WorkerPlace = "in process",
        storage: Path | None = None,
        host_id: str | None = None,
        authentication: AuthenticationOptions | None = None,
        sys_path_order: SysPathOrder = "development",
        is_behind_front_end: bool = False,
        runs_timers: bool = True,
        listens_to_queues: bool = True,
        clock: Clock | None = None,
        lease: timedelta = LEASE,
        delays: Delays | None = None,
        start_up: str | None = None,
    ) -> FunctionsHost:
        """Index an app folder and get ready to serve it; a broken app gives a host without functions (§X1).

        Args:
            app_directory: Holds ``function_app.py`` and ``host.json``.
            environment: The app's settings, on top of this process's own variables; undone at `close`.
            worker: Where functions run. "in process" is quick and works with a debugger, but a process can have only
                one such host, and a killed worker's synchronous functions run on. "own process" is like the real host.
            storage: A directory shared by several hosts; None keeps leases, status and keys in memory.
            host_id: Hosts with the same id share locks and keys; None makes it from the machine and the folder.
            authentication: App Service Authentication in front; None leaves it out.
            sys_path_order: Where the app's folder is in ``sys.path``.
            is_behind_front_end: Trust ``X-Forwarded-Proto`` and ``Disguised-Host`` (Functions host §Q8, §A14).
            runs_timers: False leaves every timer to `run_timer` and ``POST /admin/functions/<name>``.
            listens_to_queues: False leaves every message in its queue.
            clock: The clock of timers and queues.
            lease: The shortest time that a killed host's timers do not run.
            delays: How long the host takes to deal with dead and overdue workers.
            start_up: ``MODULE:FUNCTION``, called in each worker before it imports the app.
        """
        app_directory = _absolute(app_directory)
        settings = _app_environment(app_directory, environment or {}, has_authentication=authentication is not None)
        everything = {**os.environ, **settings}
        host = cls(
            app_directory=app_directory,
            environment=everything,
            start_worker=lambda: _start_worker(worker, app_directory, settings, sys_path_order, start_up),
            storage=DirectoryStorage(storage) if storage is not None else MemoryStorage(),
            host_id=host_id or everything.get("AzureFunctionsWebHost__hostid") or _default_host_id(app_directory),
            authentication=authentication,
            is_behind_front_end=is_behind_front_end,
            clock=clock or SystemClock(),
            lease=lease,
            delays=delays or Delays(),
        )
        try:
            await host._load(runs_timers=runs_timers, listens_to_queues=listens_to_queues)
        except BaseException:
            await host.close()
            raise
        return host

    async def _load(self, *, runs_timers: bool, listens_to_queues: bool) -> None:
        try:
            self.host_json = HostJson.read(self._app_directory)
            file = self._app_directory / "host.json"
            self.host_json_text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
            self._throttle = _Throttle(self.host_json.max_outstanding_requests, self.host_json.max_concurrent_requests)
            index = await self._supervisor.start(self.host_json.function_timeout_s)
            self.index_error = index.error
            if index.error is not None:
                log.error("Worker failed to index functions\n%s", index.error)
            self.table = tabulate(index.functions, self.host_json.route_prefix, self._environment)
        except (HostJsonError, HostError) as error:
            log.exception("A host error has occurred during startup")
            self.errors = (str(error),)
            return
        for name, reason in (self.table.in_error or {}).items():
            log.error("The '%s' function is in error: %s", name, reason)
        if not self.table.all:
            log.warning("No job functions found.")
        for timer in self.table.timers:
            self._listeners[timer.metadata.name] = listener = self._listener(timer)
            if runs_timers:
                self._in_background(listener.run())
        for queue in self.table.queues if listens_to_queues else ():
            self._listen_to_queue(queue)

    async def close(self) -> None:
        """Complete messages, stop the timers, release their locks, and end the worker and everything it is doing."""
        for listening in self._queue_listeners:
            listening.cancel()
        await asyncio.gather(*self._queue_listeners, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._supervisor.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def worker_process_id(self) -> int | None:
        """The process in which the functions run; None if the host never started one."""
        return self._supervisor.process_id

    async def kill_worker(self) -> None:
        """Fail every call in flight at once and restart with fresh module state (Functions host §C8)."""
        await self._supervisor.kill_worker()

    async def run_timer(self, name: str, *, is_past_due: bool = False) -> None:
        """Run a timer function now and wait for its end, whatever its lock and status.

        Raises:
            LookupError: There is no such timer.
            FunctionFailedError: It raised, or its worker was lost.
        """
        function = self.table.find(name)
        if function is None or function.name not in self._listeners:
            raise LookupError(name)
        status = self._listeners[function.name].current_status()
        outcome = await self._invoke(function, TimerInput(is_past_due, status))
        if isinstance(outcome, Failed):
            raise FunctionFailedError(f"{outcome.message}\n{outcome.stack_trace}")

    def start_function(self, function: FunctionMetadata, text: str) -> None:
        """Begin a call as ``POST /admin/functions/<name>`` does (Functions host §T16)."""
        if function.name in self._listeners:
            status = self._listeners[function.name].current_status()
            self._in_background(self._invoke(function, TimerInput(False, status)))
            return
        url = f"http://localhost/admin/functions/{function.name}"
        self._in_background(self._invoke(function, HttpInput("POST", url, {}, {}, {}, text.encode())))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await run_lifespan(receive, send)
        try:
            request = Request.read(scope["method"], raw_path(scope), scope["query_string"], scope["headers"])
        except BadRequestError:
            return await send_response(Response(400, (("Connection", "close"),)), send, method=scope["method"])
        response = await self._respond(request, receive)
        is_https = self._is_behind_front_end and request.headers.get("x-forwarded-proto") == "https"
        response = with_host_headers(response, self.host_json, is_https)
        log.info("%s %s %s", request.method, encode_path(request.path), response.status)
        return await send_response(response, send, method=request.method)

    async def _respond(self, request: Request, receive: Receive) -> Response:
        is_platform_call = self._is_behind_front_end and "x-arr-log-id" not in request.headers
        built_in = await self._built_in.respond(
            request, lambda: self._body(request, receive), is_platform_call=is_platform_call
        )
        if built_in is not None:
            return built_in
        if self.errors:
            return Response(503, body=b"Function host is not running.", is_bare=True)
        found = self.table.route(request.method, request.path)
        if found is not None:
            return await self._call(request, receive, *found)
        if request.path == "/":
            is_disabled = self._environment.get("AzureWebJobsDisableHomepage", "").lower() in ("true", "1")
            return self._built_in.home_page(is_disabled=is_disabled or is_platform_call)
        return Response(404)

    async def _call(
        self, request: Request, receive: Receive, function: HttpFunction, route_params: Mapping[str, str]
    ) -> Response:
        key = presented_key(request.headers, request.query)
        if not self.keys.open(function.authorization_level, function.metadata.name, key):
            return Response(401)
        if request.content_length > self._body_limit and not request.is_chunked:
            return Response(500)
        try:
            body = await self._body(request, receive)
            seen = request.to_input(route_params, body, self._is_behind_front_end)
        except UnreadableRequestError:
            return Response(500)
        if not self._throttle.enter():
            return Response(429, (("X-FUNCTION-SCALEOUT", "1"),), is_bare=True)
        call = self._in_background(
            self._throttle.run(lambda: self._invoke(function.metadata, seen, request.headers.get("traceparent")))
        )
        return from_outcome(await asyncio.shield(call))  # the function runs to its end without its caller (§C5)

    async def _body(self, request: Request, receive: Receive) -> bytes:
        """Read a body with a Content-Length; a chunked one is not handed over (Functions host §Q18)."""
        return await read_body(receive) if request.content_length and not request.is_chunked else b""

    async def _invoke(
        self, function: FunctionMetadata, given: HttpInput | TimerInput | QueueInput, incoming_trace: str | None = None
    ) -> Outcome:
        invocation = Invocation(
            invocation_id=str(uuid.uuid4()),
            function_id=function.function_id,
            parameter=str(function.trigger["name"]),
            input=given,
            trace_parent=trace_parent(incoming_trace),
        )
        began_at = monotonic()
        log.info("Executing 'Functions.%s' (Id=%s)", function.name, invocation.invocation_id)
        outcome = await self._supervisor.invoke(invocation)
        duration_ms = int((monotonic() - began_at) * 1000)
        result = "Failed" if isinstance(outcome, Failed) else "Succeeded"
        text = (
            f"Executed 'Functions.{function.name}' ({result}, Id={invocation.invocation_id}, Duration={duration_ms}ms)"
        )
        if isinstance(outcome, Failed):
            for where in (logging.getLogger(f"Function.{function.name}"), results_log):
                where.error("%s\n%s\n%s", text, outcome.message, outcome.stack_trace)
        else:
            log.info("%s", text)
        return outcome

    def _listener(self, timer: TimerFunction) -> TimerListener:
        zone = self._environment.get("TZ")
        return TimerListener(
            timer,
            lambda given: self._invoke(timer.metadata, given),
            storage=self._storage,
            host_id=self.host_id,
            holder=str(uuid.uuid4()),
            clock=self._clock,
            zone=ZoneInfo(zone) if zone else UTC,
            lease=self._lease,
        )

    def _listen_to_queue(self, queue: QueueFunction) -> None:
        """Listen, if the settings say where the queue is (Storage Queue §C4)."""
        # Few of the sandbox's apps have queues; others start sooner without it.
        from sandbox.functions_host.queue_service import NoConnectionError, QueueConnection, QueueService
        from sandbox.functions_host.queues import QueueListener

        try:
            connection = QueueConnection.find(queue.connection, self._environment)
        except NoConnectionError as error:
            log.error("The listener for function '%s' was unable to start: %s", queue.metadata.name, error)  # noqa: TRY400
            return
        listener = QueueListener(
            queue,
            lambda given: self._invoke(queue.metadata, given),
            service=QueueService(connection, self._environment),
            settings=self.host_json.queues,
            clock=self._clock,
        )
        self._queue_listeners.add(asyncio.create_task(listener.run()))

    def _read_keys(self) -> Keys:
        own = read_or_create(
            self._storage, secrets_name(self.host_id, "host"), lambda: {"master": new_key(), "default": new_key()}
        )
        known: dict[str, str] = {}

        def of_function(name: str) -> str:
            if name not in known:
                place = secrets_name(self.host_id, f"function.{name}")
                known[name] = read_or_create(self._storage, place, lambda: {"default": new_key()})["default"]
            return known[name]

        return Keys(own["master"], own["default"], of_function)

    def _in_background[T](self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class FunctionFailedError(Exception):
    """A timer run asked for by `FunctionsHost.run_timer` failed; the text holds the function's stack trace."""


class _Throttle:
    """``maxOutstandingRequests`` and ``maxConcurrentRequests`` (Functions host §C9); None is no limit."""

    def __init__(self, max_outstanding: int | None, max_concurrent: int | None) -> None:
        self._max_outstanding = max_outstanding
        self._outstanding = 0
        self._turns = asyncio.Semaphore(max_concurrent) if max_concurrent is not None else None

    def enter(self) -> bool:
        """Take a place, which `run` gives back; return False if all are taken."""
        if self._max_outstanding is not None and self._outstanding >= self._max_outstanding:
            return False
        self._outstanding += 1
        return True

    async def run[T](self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            if self._turns is None:
                return await work()
            async with self._turns:
                return await work()
        finally:
            self._outstanding -= 1


async def _start_worker(
    place: WorkerPlace,
    app_directory: Path,
    settings: Mapping[str, str],
    sys_path_order: SysPathOrder,
    start_up: str | None,
) -> WorkerHandle:
    if place == "own process":
        return await WorkerProcess.start(app_directory, settings, sys_path_order, start_up)
    from sandbox.functions_host.worker import Worker  # a host whose worker is elsewhere starts sooner without it

    return await Worker.start(app_directory, settings, sys_path_order, start_up)


def _app_environment(
    app_directory: Path, settings: Mapping[str, str], *, has_authentication: bool
) -> Mapping[str, str]:
    """Return the variables that the host sets in addition to the app's (Functions host §S8, §C1)."""
    from_host = {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_WORKER_RUNTIME_VERSION": "",
        "FUNCTIONS_APPLICATION_DIRECTORY": str(app_directory),
        "FUNCTIONS_WORKER_DIRECTORY": str(Path(__file__).parent),
        "PYTHON_THREADPOOL_THREAD_COUNT": os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "1000"),
    }
    return {**from_host, **settings, **({"WEBSITE_AUTH_ENABLED": "True"} if has_authentication else {})}


def _absolute(directory: Path) -> Path:
    return directory.resolve()


def _default_host_id(app_directory: Path) -> str:
    """Make an id from the machine and the folder (Functions host §S12)."""
    return hashlib.sha256(f"{socket.gethostname()}{app_directory}".encode()).hexdigest()[:32]
