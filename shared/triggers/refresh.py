"""How fresh a page is, and *Refresh*: anybody who may see the data can ask for a synchronisation at once.

It asks for nothing that the timer does not do by itself: the work has the timer's limits, one turn at a time. What a
person can add is a write to each connection's row; :data:`AGAIN_AFTER` and :data:`MOST_WOKEN` bound that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import azure.functions as func

from shared.clock import believed
from shared.connections.directory import DirectoryEntry
from shared.connections.lookup import list_present_connections
from shared.connections.model import Connection
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.principal import ANY_ROLE
from shared.triggers.routes import own_address
from shared.web.freshness import is_waiting

blueprint = func.Blueprint()

AGAIN_AFTER: Final = timedelta(seconds=15)
"""A connection that was synchronised this short a time ago is not asked again."""
MOST_WOKEN: Final = 50
"""Connections that one request wakes, those with the oldest data first; the timer serves the others in their turn."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@page(blueprint, "POST", "refresh", roles=ANY_ROLE, belongs_to="/")
async def refresh_page(call: Call) -> func.HttpResponse:
    """Wake the connections that a page shows, and go back to it; it says that it is being refreshed."""
    app = call.application
    connections, entries = await asyncio.gather(
        list_present_connections(app.connection_store), app.directory.list_entries()
    )
    wanted = call.form.get("connection", "")
    chosen = [each for each in connections if each.ever_consented and wanted in ("", each.connection_id)]
    now = call.now
    for connection_id in to_wake(chosen, {each.connection_id: each for each in entries}, now):
        await app.turns.wake(connection_id, requested_at=now)
    return redirect(own_address(call.form.get("return_to", "/")))


def to_wake(connections: Iterable[Connection], entries: Mapping[str, DirectoryEntry], now: datetime) -> Sequence[str]:
    """Return the connections to wake: the ones with the oldest data, without those that need not be asked again."""

    def completed_at(row: DirectoryEntry) -> datetime:
        return (None if row.sync is None else row.sync.last_completed_at) or _NEVER

    def started_at(row: DirectoryEntry) -> datetime | None:
        return believed(None if row.sync is None else row.sync.last_started_at, now)

    rows = [entries.get(each.connection_id, DirectoryEntry(each.connection_id)) for each in connections]
    due = [
        row
        for row in rows
        if not is_waiting(row.requested_at, now) and ((at := started_at(row)) is None or now - at >= AGAIN_AFTER)
    ]
    return [row.connection_id for row in sorted(due, key=completed_at)[:MOST_WOKEN]]
