"""Reminders in real tables: what is said and that it was said are stored together, once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.connections.ports import RowChanged
from shared.reminders.model import Receiver, Reminders, ReminderSettings, ReminderState
from shared.storage.reminders import AzureReminderStore
from shared.storage.rows import RowReader
from shared.storage.tables import Tables
from tests.unit.storage.test_reminder_rows import MESSAGE, SETTINGS, STATE


async def test_settings_state_and_messages_of_a_connection(tables: Tables) -> None:
    store = AzureReminderStore(tables.connections, tables.transactions, RowReader())
    assert await store.get("contoso") == Reminders(ReminderSettings(), ReminderState(), ())
    await store.save_settings("contoso", SETTINGS)
    twin = replace(MESSAGE, receiver=Receiver.WEBHOOK)
    state = await store.save_plan("contoso", STATE, [MESSAGE, twin], [])
    found = await store.get("contoso")
    assert found == Reminders(SETTINGS, STATE, (MESSAGE, twin))
    assert (await store.get("contoso-2")).messages == ()

    # Of two hosts that have read the same, one stores what it makes.
    later = replace(MESSAGE, message_id="20260303000000-00")
    with pytest.raises(RowChanged):
        await store.save_plan("contoso", ReminderState(), [later], [])
    await store.save_plan("contoso", replace(state, digest_day="2026-03-09"), [later], [found.messages[0]])
    with pytest.raises(RowChanged):
        await store.save_plan("contoso", replace(state, digest_day="2026-03-16"), [], [twin])
    kept = await store.get("contoso")
    assert kept.messages == (twin, later)
    assert kept.state.digest_day == "2026-03-09"

    tried = await store.save_message("contoso", replace(kept.messages[0], attempts=9))
    with pytest.raises(RowChanged):
        await store.save_message("contoso", kept.messages[0])
    assert (await store.get("contoso")).messages[0] == tried

    await store.forget("contoso")
    assert await store.get("contoso") == Reminders()
    await store.forget("contoso")
