"""Fan-out: much due work goes to other instances of the app as messages, each naming some connections or tenants.

A message is a hint, and the row is the truth: whoever gets a message looks at the row, and takes its turn, before doing
anything. So messages may be lost, repeated or late, and a lost one is sent again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import Final, Protocol

from shared.clock import Clock, believed
from shared.errors import StorageUnavailable
from shared.log import log_event

DONE_HERE: Final = 8
"""This many due items are served by the timer itself, so that a small deployment sends no message."""
PER_MESSAGE: Final = 20
"""A message for each item would cost a multiple, and the platform starts instances by the number of messages."""
MESSAGE_TTL: Final = timedelta(minutes=2)
"""A message that nobody takes in this time is gone. It is long enough to start the first instance (Storage Queue §F4),
and too short for a queue of old messages."""
MAX_ID_LENGTH: Final = 100


class WorkQueue(Protocol):
    """A queue of messages for other instances of the app."""

    async def send(self, text: str, ttl: timedelta) -> None:
        """Put a message at the end. Raises StorageUnavailable; the message may then be there."""
        ...


class FanOut[Item]:
    """Shares out the due work of one kind.

    It remembers what it has sent, so that work which waits in the queue is not sent again each minute. An item counts
    as taken up as soon as its row has changed.
    """

    def __init__(
        self, queue: WorkQueue | None, member: str, version: Callable[[Item], tuple[str, str | None]], clock: Clock
    ) -> None:
        """Prepare.

        Args:
            queue: None if the deployment has no queue: then everything is done here.
            member: Name of the list of ids in a message.
            version: Returns an item's id and the version of its row.
        """
        self._queue = queue
        self._member = member
        self._version = version
        self._clock = clock
        self._sent: Mapping[tuple[str, str | None], datetime] = {}

    async def share_out(self, due: Sequence[Item]) -> Sequence[Item]:
        """Send the due items to other instances if they are many; return those that this instance has to serve.

        If a message cannot be sent, this instance serves its items.
        """
        if self._queue is None or len(due) <= DONE_HERE:
            return due
        now = self._clock()
        waiting = {version: at for version, at in self._sent.items() if _is_waiting(at, now)}
        unsent = [item for item in due if self._version(item) not in waiting]
        messages = list(batched(unsent, PER_MESSAGE, strict=False))
        failures = await asyncio.gather(*(self._send(self._queue, each) for each in messages))
        left = [item for message, failure in zip(messages, failures, strict=True) if failure for item in message]
        self._sent = waiting | {
            self._version(item): now
            for message, failure in zip(messages, failures, strict=True)
            if not failure
            for item in message
        }
        log_event("work_sent", kind=self._member, items=len(unsent) - len(left), waiting=len(due) - len(unsent))
        return left

    async def _send(self, queue: WorkQueue, items: Sequence[Item]) -> StorageUnavailable | None:
        ids = [self._version(item)[0] for item in items]
        try:
            await queue.send(json.dumps({self._member: ids}, separators=(",", ":")), MESSAGE_TTL)
        except StorageUnavailable as error:
            log_event("work_not_sent", level=logging.WARNING, kind=self._member, items=len(ids), code=error.code)
            return error
        return None


def _is_waiting(sent_at: datetime, now: datetime) -> bool:
    at = believed(sent_at, now)
    return at is not None and now - at < MESSAGE_TTL


def ids_of(text: bytes, member: str) -> Sequence[str]:
    """Return the ids that a message names.

    Raises:
        ValueError: It is no message of ours; it ends in the poison queue, for which there is an alert.
    """
    content = json.loads(text)
    ids = content.get(member) if isinstance(content, dict) else None
    if not isinstance(ids, list) or not 0 < len(ids) <= PER_MESSAGE:
        raise ValueError("the message has no list of ids")
    if not all(isinstance(each, str) and 0 < len(each) <= MAX_ID_LENGTH for each in ids):
        raise ValueError("the message has an id that cannot be one")
    return ids
