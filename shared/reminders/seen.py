"""Reminders as the present caller may see them."""

from __future__ import annotations

from collections.abc import Sequence

from shared.access.sight import Sight
from shared.reminders.model import Message, Reminders, ReminderSettings, ReminderState
from shared.reminders.ports import ReminderStore
from shared.service import service


@service
class SeenReminderStore:
    """Implements :class:`shared.reminders.ports.ReminderStore`.

    Every method raises FixRequest (404 ``connection_not_found``) for a hidden connection.
    """

    store: ReminderStore
    sight: Sight

    async def get(self, connection_id: str) -> Reminders:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.get(connection_id)

    async def save_settings(self, connection_id: str, settings: ReminderSettings) -> ReminderSettings:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.save_settings(connection_id, settings)

    async def save_plan(
        self, connection_id: str, state: ReminderState, new: Sequence[Message], old: Sequence[Message]
    ) -> ReminderState:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.save_plan(connection_id, state, new, old)

    async def save_message(self, connection_id: str, message: Message) -> Message:
        """See the port."""
        await self.sight.require(connection_id)
        return await self.store.save_message(connection_id, message)

    async def forget(self, connection_id: str) -> None:
        """See the port."""
        await self.sight.require(connection_id)
        await self.store.forget(connection_id)
