"""Listens to a storage queue and calls a function for each message (Storage Queue §4, §5).

Azurite hides messages by the machine's clock. Where the host's own clock runs faster, the service is asked for as much
less time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import logging
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import httpx

from sandbox.functions_host.clock import Clock, sleep
from sandbox.functions_host.functions import QueueFunction
from sandbox.functions_host.host_json import QueueSettings
from sandbox.functions_host.messages import Failed, Outcome, QueueInput, TypedText
from sandbox.functions_host.queue_service import QueueMessage, QueueService

log = logging.getLogger("Host.Triggers.Queue")

LEASE_S = 600.0
"""For how long a message is hidden while its function runs (Storage Queue §L2)."""
RENEW_AGAIN_S = 60.0
"""After a failed renewal, the next one (Storage Queue §M3)."""
DRAIN_S = 5.0
"""How many of the machine's seconds running invocations get when the host stops."""
FIRST_PAUSE_S = 0.1
POISON = "-poison"
_LONGEST_NAME = 63


class Pauses:
    """How long to wait after each empty answer (Storage Queue §L6)."""

    def __init__(self, longest_s: float, factor: Callable[[], float] = lambda: random.uniform(0.8, 1.2)) -> None:  # noqa: S311
        self._longest_s = longest_s
        self._factor = factor
        self._empty_answers = 0

    def reset(self) -> None:
        """Begin again, after a message."""
        self._empty_answers = 0

    def next_s(self) -> float:
        """Return the pause after one more empty answer."""
        # Doubled often enough to pass any longest pause, and no more: a float has an end.
        wanted_s = FIRST_PAUSE_S * (1 + self._factor() * 2.0 ** min(self._empty_answers, 64))
        self._empty_answers += 1
        return min(wanted_s, self._longest_s)


class QueueListener:
    """One queue of one host."""

    def __init__(
        self,
        function: QueueFunction,
        call: Callable[[QueueInput], Awaitable[Outcome]],
        *,
        service: QueueService,
        settings: QueueSettings,
        clock: Clock,
    ) -> None:
        self._name = function.metadata.name
        self._queue = function.queue_name
        self._call = call
        self._service = service
        self._settings = settings
        self._clock = clock
        self._pauses = Pauses(settings.max_polling_interval_s)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen until cancelled; then let running functions end (Storage Queue §M8)."""
        try:
            await self._listen()
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=DRAIN_S)
            for task in self._running:
                task.cancel()
            await self._service.close()

    async def _listen(self) -> None:
        is_sure = False
        while True:
            try:
                is_sure = is_sure or await self._service.exists(self._queue)
                found = await self._receive() if is_sure else ()
            except httpx.HTTPStatusError as error:
                is_sure, found = False, ()
                if error.response.status_code not in (404, 409) and error.response.status_code < 500:
                    log.exception("The listener for function '%s' was refused", self._name)
            except httpx.TransportError:
                is_sure, found = False, ()
                log.exception("The listener for function '%s' got no answer", self._name)
            if not found:
                await sleep(self._clock, self._pauses.next_s())
                continue
            self._pauses.reset()
            for message in found:
                task = asyncio.create_task(self._deal_with(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            while len(self._running) > self._settings.new_batch_threshold:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _receive(self) -> tuple[QueueMessage, ...]:
        return tuple(await self._service.receive(self._queue, self._settings.batch_size, self._machine_s(LEASE_S)))

    async def _deal_with(self, message: QueueMessage) -> None:
        """Call the function, and delete the message or give it back; a failure here leaves it to its lease."""
        try:
            await self._deal_with_held(message)
        except httpx.HTTPError:
            log.exception("Message %s of queue '%s' could not be completed", message.id, self._queue)

    async def _deal_with_held(self, message: QueueMessage) -> None:
        if message.dequeue_count > self._settings.max_dequeue_count and not self._queue.endswith(POISON):
            await self._poison(message)
            return
        try:
            body = base64.b64decode(message.text, validate=True) if self._settings.is_base64 else message.text.encode()
        except binascii.Error:
            log.error("The message %s of queue '%s' is not base64", message.id, self._queue)  # noqa: TRY400
            await self._poison(message)
            return
        log.info("New queue message detected on '%s'.", self._queue)
        log.info(
            "Trigger Details: MessageId: %s, DequeueCount: %s, InsertedOn: %s",
            *(message.id, message.dequeue_count, message.inserted_at.isoformat()),
        )
        outcome, message = await self._called(message, body)
        if not isinstance(outcome, Failed):
            await self._service.delete(self._queue, message)
        elif message.dequeue_count >= self._settings.max_dequeue_count:
            await self._poison(message)
        else:
            await self._service.hide(self._queue, message, self._machine_s(self._settings.visibility_timeout_s))

    async def _called(self, message: QueueMessage, body: bytes) -> tuple[Outcome, QueueMessage]:
        """Call the function and keep the message meanwhile; return it with its newest receipt."""
        try:
            given = queue_input(message, body)
        except UnicodeDecodeError:
            return Failed("The message's body is not UTF-8."), message
        held = [message]
        keeping = asyncio.create_task(self._keep(held))
        try:
            return await self._call(given), held[0]
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self, held: list[QueueMessage]) -> None:
        """Renew the lease until cancelled; the newest message is ``held[0]`` (Storage Queue §M3)."""
        after_s = LEASE_S / 2
        while True:
            await sleep(self._clock, after_s)
            try:
                held[0] = await self._service.hide(self._queue, held[0], self._machine_s(LEASE_S))
                after_s = LEASE_S / 2
            except httpx.HTTPError:
                log.exception("The lease of message %s could not be renewed", held[0].id)
                after_s = RENEW_AGAIN_S

    async def _poison(self, message: QueueMessage) -> None:
        """Move a message to the poison queue, if there can be one (Storage Queue §M5, §M7)."""
        poison = f"{self._queue}{POISON}"
        if self._queue.endswith(POISON) or len(poison) > _LONGEST_NAME:
            return
        log.warning(
            "Message has reached MaxDequeueCount of %s. Moving message to queue '%s'.",
            *(self._settings.max_dequeue_count, poison),
        )
        await self._service.create(poison)
        await self._service.send(poison, message.text)
        with contextlib.suppress(httpx.HTTPStatusError):
            await self._service.delete(self._queue, message)

    def _machine_s(self, seconds: float) -> int:
        return math.ceil(seconds / self._clock.pace)


def queue_input(message: QueueMessage, body: bytes) -> QueueInput:
    """Say what the function gets (Storage Queue §6).

    Raises:
        UnicodeDecodeError: The body is not text.
    """
    text = body.decode()
    metadata: dict[str, TypedText] = {
        "QueueTrigger": TypedText("string", text),
        "DequeueCount": TypedText("json", str(message.dequeue_count)),
        "ExpirationTime": _time(message.expires_at),
        "InsertionTime": _time(message.inserted_at),
        "NextVisibleTime": _time(message.next_visible_at),
        "Id": TypedText("string", message.id),
        "PopReceipt": TypedText("string", message.pop_receipt),
    }
    names = {name.lower(): name for name in metadata}
    for name, value in _properties(text).items():
        if (joined := _joined(value)) is not None:
            metadata[names.setdefault(name.lower(), name)] = joined
    return QueueInput(text, metadata)


def _time(at: datetime) -> TypedText:
    return TypedText("json", json.dumps(at.isoformat()))


def _properties(text: str) -> Mapping[str, object]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _joined(value: object) -> TypedText | None:
    """Return how a property of the body joins the metadata (Storage Queue §I3)."""
    match value:
        case None | list():
            return None
        case dict():
            return TypedText("json", json.dumps(value))
        case _:
            return TypedText("string", str(value))
