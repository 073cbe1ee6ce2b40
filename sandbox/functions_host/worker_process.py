"""The worker in its own process, as in the real host: when it ends, every call in flight ends too.

This module is both ends of the socket. A frame is a four-byte length and a pickle.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from sandbox.functions_host.log import write_escaped
from sandbox.functions_host.messages import Index, Invocation, Outcome, SysPathOrder, WorkerDiedError

_LENGTH = struct.Struct("!I")
_BOOT = """
import sys
sys.path.insert(0, {root!r})
from sandbox.functions_host import worker_process
sys.path.remove({root!r})
worker_process.main({descriptor}, {app!r}, {order!r}, {start_up!r})
"""
"""Import this package without leaving its parent, which may be the app's folder, in ``sys.path``."""


class WorkerProcess:
    """The host's end."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.index = Index()
        self._process = process
        self._reader = reader
        self._writer = writer
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._dead = False
        self._fails_waiting = True
        self._listener: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        app_directory: Path,
        environment: Mapping[str, str],
        sys_path_order: SysPathOrder = "development",
        start_up: str | None = None,
    ) -> WorkerProcess:
        """Start a process and index an app folder in it; ``environment`` adds to this process's variables."""
        ours, theirs = socket.socketpair()
        with theirs:
            boot = _BOOT.format(
                root=str(Path(__file__).parents[2]),
                descriptor=theirs.fileno(),
                app=str(app_directory),
                order=sys_path_order,
                start_up=start_up,
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-c",
                boot,
                cwd=app_directory,
                env={**os.environ, **environment},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = cls(process, reader, writer)
        try:
            worker.index = pickle.loads(await worker._frame())  # noqa: S301 - the other end is this very module
        except asyncio.IncompleteReadError:
            worker.index = Index(error="The worker process ended while it imported function_app.py.")
        worker._listener = asyncio.create_task(worker._listen())
        return worker

    @property
    def process_id(self) -> int:
        """The process in which the functions run."""
        return self._process.pid

    @property
    def is_dead(self) -> bool:
        """Whether a new worker is needed."""
        return self._dead

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Call a function.

        Raises:
            WorkerDiedError: The process ended before it answered.
        """
        if self._dead:
            raise WorkerDiedError
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[invocation.invocation_id] = answer
        frame = pickle.dumps(invocation)
        self._writer.write(_LENGTH.pack(len(frame)) + frame)
        try:
            return await answer
        finally:
            self._waiting.pop(invocation.invocation_id, None)

    async def kill(self) -> None:
        """End the process with SIGKILL: calls in flight fail at once (Functions host §C8)."""
        self._dead = True
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def abandon(self) -> None:
        """End the process after a timeout: callers in flight are left hanging (Functions host §C7)."""
        self._fails_waiting = False
        await self.kill()

    async def close(self) -> None:
        """End the process and release everything."""
        await self.kill()
        if self._listener is not None:
            await self._listener
        self._writer.close()

    async def _listen(self) -> None:
        try:
            while True:
                answered: tuple[str, Outcome] = pickle.loads(await self._frame())  # noqa: S301 - as above
                invocation_id, outcome = answered
                if (answer := self._waiting.get(invocation_id)) is not None and not answer.done():
                    answer.set_result(outcome)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._dead = True
            for answer in self._waiting.values():
                if self._fails_waiting and not answer.done():
                    answer.set_exception(WorkerDiedError())

    async def _frame(self) -> bytes:
        (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
        return await self._reader.readexactly(length)


def main(descriptor: int, app_directory: str, sys_path_order: SysPathOrder, start_up: str | None) -> None:
    """Act as the worker until the host closes the socket or dies."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the host decides when this one ends
        signal.signal(number, signal.SIG_IGN)
    write_escaped()
    logging.getLogger("azure.functions").setLevel(logging.WARNING)
    asyncio.run(_serve(socket.socket(fileno=descriptor), Path(app_directory), sys_path_order, start_up))


async def _serve(
    connection: socket.socket, app_directory: Path, sys_path_order: SysPathOrder, start_up: str | None
) -> None:
    from sandbox.functions_host.worker import Worker  # the host's end does not need Microsoft's library

    worker = await Worker.start(app_directory, {}, sys_path_order, start_up)
    _send(connection, worker.index)
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    async def answer(invocation: Invocation) -> None:
        try:
            outcome = await worker.invoke(invocation)
        except WorkerDiedError:
            os._exit(1)
        _send(connection, (invocation.invocation_id, outcome))

    def begin(invocation: Invocation) -> None:
        task = asyncio.create_task(answer(invocation))
        running.add(task)
        task.add_done_callback(running.discard)

    def receive() -> None:
        with connection.makefile("rb") as frames:
            while header := frames.read(_LENGTH.size):
                frame = frames.read(*_LENGTH.unpack(header))
                loop.call_soon_threadsafe(begin, pickle.loads(frame))  # noqa: S301 - as above
        os._exit(1)

    threading.Thread(target=receive, name="host connection", daemon=True).start()
    await asyncio.Event().wait()


def _send(connection: socket.socket, message: object) -> None:
    frame = pickle.dumps(message)
    connection.sendall(_LENGTH.pack(len(frame)) + frame)
