"""A connection's turn: messages are made when they are due, and sent from where they are stored.

A message is stored before it is sent, together with the fact that it was made. An attempt is stored before it begins.
So a host that dies at any step loses nothing, and at most a message is repeated, with the same id.
"""

from __future__ import annotations

import logging
import secrets as random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from shared.clock import Clock, believed
from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_names import signing_secret_name, teams_address_name, webhook_address_name
from shared.connections.grant.secret_renewal import renewal_after
from shared.connections.model import Connection
from shared.connections.ports import RowChanged, SecretStore
from shared.errors import AskedAgainTooSoon, ConnectorError, TryLater
from shared.log import log_event
from shared.reminders.configure import SECRET_NAMES, TRIES
from shared.reminders.contents import Points, bare, digest, figures_of, urgent
from shared.reminders.model import (
    Content,
    Message,
    MessageKind,
    MessageState,
    Receiver,
    Reminders,
    Result,
    ResultCode,
)
from shared.reminders.ports import MessageSender, ReminderStore
from shared.reminders.rules import (
    LOOK_EVERY,
    Plan,
    failed_since_at,
    is_attempt_due,
    is_given_up,
    levels,
    next_attempt_at,
    plan,
    quiet_until_at,
    seen,
)
from shared.service import service
from shared.tickets.ports import TicketStore
from shared.tickets.summary import Summary
from shared.value_object import value_object

KEPT_MESSAGES: Final = 20
"""Finished messages that are kept for the page."""
FORGOTTEN_TOGETHER: Final = 50
"""Older ones that one look deletes, since a transaction has 100 rows. People may have sent many tests between two."""
TEST_AGAIN_AFTER: Final = timedelta(seconds=10)
"""How soon test messages are sent again: people click twice, and receivers do not take many (Webhooks §T9)."""
ATTEMPT_S: Final = 120.0
"""How long after the beginning of an attempt nobody repeats it: longer than any attempt."""


class PointsOf(Protocol):
    """What the tenants of a connection have."""

    async def __call__(self, connection_id: str, now: datetime) -> Points:
        """Return the points now and a week ago. Raises StorageUnavailable."""
        ...


@value_object
class Look:
    """What a look at the reminders found.

    Attributes:
        due_at: When to look again.
        seen: What was true, as a text.
        sent: Messages that were sent.
        failed_at: Since when a receiver takes no messages; None if each takes them.
    """

    due_at: datetime
    seen: str
    sent: int = 0
    failed_at: datetime | None = None


@service
class ReminderTurn:
    """Makes and sends the messages of connections."""

    store: ReminderStore
    secrets: SecretStore
    sender: MessageSender
    tickets: TicketStore
    points: PointsOf
    lease: Lease
    clock: Clock
    secret_lifetime: timedelta

    def seen(self, connection: Connection, summary: Summary) -> str:
        """Return what is true now: if it is not what the last look saw, it is time to look again."""
        now = self.clock()
        return seen(levels(connection, figures_of(summary, now), now))

    async def look(self, connection: Connection, summary: Summary, deadline: datetime) -> Look:
        """Make what is due, and send what is waiting; nothing but the first message is sent after the deadline.

        Raises StorageUnavailable.
        """
        now = self.clock()
        stored = await self.store.get(connection.connection_id)
        if not stored.settings.receivers and not stored.messages:
            return Look(now + LOOK_EVERY, self.seen(connection, summary))
        await self._renew(connection.connection_id, stored)
        zone = ZoneInfo(connection.time_zone)
        present = levels(connection, figures_of(summary, now), now)
        made = plan(stored.settings, stored.state, present, zone, now)
        messages = await self._make(connection, summary, stored, made, now)
        quiet_until = quiet_until_at(stored.settings, zone, now)
        if quiet_until is not None:
            return Look(min(made.look_at, quiet_until), seen(present), failed_at=failed_since_at(stored.messages))
        messages, sent = await self._send(connection.connection_id, messages, deadline)
        after = await self.store.get(connection.connection_id) if sent else stored
        return Look(
            min(made.look_at, *(each.next_attempt_at or now for each in messages), now + LOOK_EVERY),
            seen(present),
            sent,
            failed_since_at(after.messages),
        )

    async def test(self, connection: Connection) -> Sequence[Message]:
        """Send a test message to each receiver at once, and return what became of it.

        Raises:
            AskedAgainTooSoon: ``test_messages_just_sent``; once an address is changed, nobody has to wait.
            TryLater: Storage does not answer, or others are changing the reminders.
        """
        connection_id, now = connection.connection_id, self.clock()
        receivers = await self._begin_test(connection_id, now)
        tested = []
        for message in _messages(bare(connection, MessageKind.TEST, now), receivers, now):
            result = await self._attempt(connection_id, message)
            state = MessageState.DELIVERED if result.is_delivered else MessageState.GIVEN_UP
            done = replace(_after(message, result, now), state=state, next_attempt_at=None)
            tested.append(await self.store.save_message(connection_id, done))
        return tested

    async def _begin_test(self, connection_id: str, now: datetime) -> Sequence[Receiver]:
        """Note that test messages are sent now, and return the receivers; each test is one host's."""
        for _ in range(TRIES):
            settings = (await self.store.get(connection_id)).settings
            tested_at = believed(settings.tested_at, now)
            if tested_at is not None and (wait := tested_at + TEST_AGAIN_AFTER - now) > timedelta():
                seconds = int(TEST_AGAIN_AFTER.total_seconds())
                raise AskedAgainTooSoon(
                    "test_messages_just_sent", retry_after_s=ceil(wait.total_seconds()), limit=seconds
                )
            if not settings.receivers:
                return ()
            try:
                await self.store.save_settings(connection_id, replace(settings, tested_at=now))
            except RowChanged:
                continue
            return settings.receivers
        raise TryLater("connection_busy")

    async def _make(
        self, connection: Connection, summary: Summary, stored: Reminders, made: Plan, now: datetime
    ) -> Sequence[Message]:
        """Store new messages with the state that says that they were made; return the messages that wait."""
        connection_id, state = connection.connection_id, made.state
        contents: list[Content] = []
        if made.digest_day is not None or made.causes:
            (current,) = await self.tickets.list_current([connection_id])
            figures = figures_of(summary, now)
            if made.digest_day is not None:
                figures = figures_of(summary, now, await self.points(connection_id, now))
                contents.append(digest(connection, figures, stored.state.figures, current.tickets, now))
                state = replace(state, figures=figures)
            if made.causes:
                contents.append(urgent(connection, made.causes, figures, current.tickets, now))
        new = [message for each in contents for message in _messages(each, stored.settings.receivers, now)]
        finished = [each for each in stored.messages if each.state is not MessageState.WAITING]
        old = finished[: max(0, len(finished) - KEPT_MESSAGES)][:FORGOTTEN_TOGETHER]
        if new or old or state != stored.state:
            try:
                await self.store.save_plan(connection_id, state, new, old)
            except RowChanged:
                # Another host has made them, or we have and the answer was lost: what is stored counts.
                return (await self.store.get(connection_id)).waiting
            for each in new:
                log_event("reminder_made", message_id=each.message_id, receiver=each.receiver, kind=each.content.kind)
        return (await self.store.get(connection_id)).waiting if new else stored.waiting

    async def _send(
        self, connection_id: str, waiting: Sequence[Message], deadline: datetime
    ) -> tuple[Sequence[Message], int]:
        """Send what is due; return the messages that still wait, and how many were sent."""
        left, sent = [], 0
        for message in waiting:
            now = self.clock()
            if not is_attempt_due(message, now) or (sent and now >= deadline):
                left.append(message)
                continue
            try:
                begun = await self.store.save_message(
                    connection_id,
                    replace(
                        message,
                        attempts=message.attempts + 1,
                        tried_at=now,
                        next_attempt_at=now + timedelta(seconds=ATTEMPT_S),
                    ),
                )
            except RowChanged:
                continue  # Somebody else sends it.
            sent += 1
            result = await self._attempt(connection_id, begun)
            after = await self.store.save_message(connection_id, _after(begun, result, self.clock()))
            if after.state is MessageState.WAITING:
                left.append(after)
        return left, sent

    async def _attempt(self, connection_id: str, message: Message) -> Result:
        name = teams_address_name if message.receiver is Receiver.TEAMS else webhook_address_name
        try:
            address = await self.secrets.get_secret(name(connection_id))
            signing_secret = None
            if message.receiver is Receiver.WEBHOOK:
                signing_secret = await self.secrets.get_secret(signing_secret_name(connection_id))
        except ConnectorError:
            return Result(ResultCode.FAILED)
        if address is None:
            result = Result(ResultCode.ADDRESS_MISSING)
        else:
            result = await self.sender.send(message, address, signing_secret)
        log_event(
            "reminder_sent" if result.is_delivered else "reminder_not_sent",
            level=logging.INFO if result.is_delivered else logging.WARNING,
            connection_id=connection_id,
            message_id=message.message_id,
            receiver=message.receiver,
            kind=message.content.kind,
            code=result.code,
            status=result.status,
        )
        return result

    async def _renew(self, connection_id: str, stored: Reminders) -> None:
        """Write the secrets to Key Vault again before their versions expire there, unless somebody is changing them."""
        settings, now = stored.settings, self.clock()
        after = renewal_after(self.secret_lifetime)
        renew_at = believed(settings.secrets_renew_at, now, ahead=after)
        if not settings.receivers or (renew_at is not None and renew_at > now):
            return
        try:
            async with self.lease.held_if_free(connection_id) as lease:
                if lease is None:
                    return
                for name in SECRET_NAMES:
                    value = await self.secrets.get_secret(name(connection_id))
                    if value is not None:
                        lease.require()
                        await self.secrets.set_secret(name(connection_id), value)
                await self.store.save_settings(connection_id, replace(settings, secrets_renew_at=now + after))
        except (ConnectorError, RowChanged) as error:
            code = error.code if isinstance(error, ConnectorError) else "configuration_changed"
            log_event("secrets_not_renewed", level=logging.WARNING, connection_id=connection_id, code=code)


def _messages(content: Content, receivers: Sequence[Receiver], now: datetime) -> Sequence[Message]:
    """Return a message for each receiver, all with the same id."""
    message_id = f"{now:%Y%m%d%H%M%S}-{random.token_hex(8)}"
    return [Message(message_id, each, content, next_attempt_at=now) for each in receivers]


def _after(message: Message, result: Result, now: datetime) -> Message:
    """Return a message after an attempt."""
    tried = replace(message, code=result.code, status=result.status)
    if result.is_delivered:
        return replace(tried, state=MessageState.DELIVERED, next_attempt_at=None)
    if is_given_up(message, now) or result.code is ResultCode.ADDRESS_MISSING:
        return replace(tried, state=MessageState.GIVEN_UP, next_attempt_at=None)
    return replace(tried, next_attempt_at=next_attempt_at(message.attempts, result.retry_after_s, now))
