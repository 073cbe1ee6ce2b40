"""The way to receivers, in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from shared.reminders.contents import Points
from shared.reminders.model import Message, Receiver, Result, ResultCode
from shared.secret import Secret
from tests.memory.steps import Step, at_once


@dataclass
class MemorySender:
    """Implements :class:`shared.reminders.ports.MessageSender`.

    Attributes:
        sent: Every message that a receiver got.
        results: For the next messages; then all are accepted. None loses the answer to an accepted message.
    """

    step: Step = at_once
    sent: list[Message] = field(default_factory=list)
    results: deque[Result | None] = field(default_factory=deque)

    async def send(self, message: Message, address: Secret, signing_secret: Secret | None) -> Result:
        """See the port."""
        await self.step("send")
        assert address.reveal()
        assert (signing_secret is not None) is (message.receiver is Receiver.WEBHOOK)
        result = self.results.popleft() if self.results else Result(ResultCode.ACCEPTED, 202)
        if result is None or result.is_delivered:
            self.sent.append(message)
        await self.step("send answers")
        return result or Result(ResultCode.NO_ANSWER)


async def no_points(connection_id: str, now: datetime) -> Points:
    """Implements :class:`shared.reminders.turn.PointsOf` for a connection without tenants."""
    return None, None
