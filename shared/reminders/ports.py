"""What reminders need from outside: storage, Key Vault, and a way to the receivers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.reminders.model import Message, Reminders, ReminderSettings, ReminderState, Result
from shared.secret import Secret


class ReminderStore(Protocol):
    """Settings, state and messages of each connection, in Table Storage. Every method can raise StorageUnavailable."""

    async def get(self, connection_id: str) -> Reminders:
        """Return what is stored, with one request; usual settings if nothing is."""
        ...

    async def save_settings(self, connection_id: str, settings: ReminderSettings) -> ReminderSettings:
        """Store the settings if their etag is still the stored one (None: not stored yet). Raises RowChanged."""
        ...

    async def save_plan(
        self, connection_id: str, state: ReminderState, new: Sequence[Message], old: Sequence[Message]
    ) -> ReminderState:
        """Store the state, add new messages and delete old ones: all of it, or nothing.

        Raises RowChanged if the state's etag is not the stored one (None: not stored yet). A repeated write may raise
        it because of its own first try.
        """
        ...

    async def save_message(self, connection_id: str, message: Message) -> Message:
        """Store a message if its etag is still the stored one (None: not stored yet). Raises RowChanged otherwise."""
        ...

    async def forget(self, connection_id: str) -> None:
        """Delete everything that is stored; succeeds if there is nothing."""
        ...


class MessageSender(Protocol):
    """The way to the receivers."""

    async def send(self, message: Message, address: Secret, signing_secret: Secret | None) -> Result:
        """Send a message once, and return what became of it.

        Args:
            address: The receiver's address.
            signing_secret: What the message is signed with, for a receiver that checks that.
        """
        ...
