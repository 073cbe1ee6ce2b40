"""Reminders, kept in memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.connections.ports import RowChanged
from shared.reminders.model import Message, Reminders, ReminderSettings, ReminderState
from shared.storage.entity_transactions import MOST_ROWS
from tests.memory.steps import Step, at_once


@dataclass
class MemoryReminderStore:
    """Implements :class:`shared.reminders.ports.ReminderStore`."""

    step: Step = at_once
    stored: dict[str, Reminders] = field(default_factory=dict)
    _etags: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def get(self, connection_id: str) -> Reminders:
        """See the port."""
        await self.step("get reminders")
        return self.stored.get(connection_id, Reminders())

    async def save_settings(self, connection_id: str, settings: ReminderSettings) -> ReminderSettings:
        """See the port."""
        await self.step("save_settings")
        present = self.stored.get(connection_id, Reminders())
        if present.settings.etag != settings.etag:
            raise RowChanged(connection_id)
        saved = replace(settings, etag=self._etag())
        self.stored[connection_id] = replace(present, settings=saved)
        return saved

    async def save_plan(
        self, connection_id: str, state: ReminderState, new: Sequence[Message], old: Sequence[Message]
    ) -> ReminderState:
        """See the port."""
        await self.step("save_plan")
        if 1 + len(new) + len(old) > MOST_ROWS:
            raise ValueError("too many rows for a transaction")
        present = self.stored.get(connection_id, Reminders())
        if present.state.etag != state.etag:
            raise RowChanged(connection_id)
        gone = {(each.message_id, each.receiver) for each in old}
        left = [each for each in present.messages if (each.message_id, each.receiver) not in gone]
        left += [replace(each, etag=self._etag()) for each in new]
        saved = replace(state, etag=self._etag())
        messages = tuple(sorted(left, key=lambda each: (each.message_id, each.receiver)))
        self.stored[connection_id] = replace(present, state=saved, messages=messages)
        await self.step("save_plan answers")
        return saved

    async def save_message(self, connection_id: str, message: Message) -> Message:
        """See the port."""
        await self.step("save_message")
        present = self.stored.get(connection_id, Reminders())
        by_key = {(each.message_id, each.receiver): each for each in present.messages}
        stored = by_key.get((message.message_id, message.receiver))
        if (None if stored is None else stored.etag) != message.etag:
            raise RowChanged(connection_id)
        saved = by_key[message.message_id, message.receiver] = replace(message, etag=self._etag())
        self.stored[connection_id] = replace(present, messages=tuple(by_key[key] for key in sorted(by_key)))
        await self.step("save_message answers")
        return saved

    async def forget(self, connection_id: str) -> None:
        """See the port."""
        await self.step("forget")
        self.stored.pop(connection_id, None)

    def _etag(self) -> str:
        return str(next(self._etags))
