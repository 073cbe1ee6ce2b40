"""How fresh a page is: one function for every page that shows what ServiceNow has."""

from __future__ import annotations

from collections.abc import Sequence

from shared.connections.customers import Figures
from shared.connections.model import Connection
from shared.connections.present import listed_customer
from shared.triggers.front_door import Call
from shared.web.freshness import Freshness, freshness


async def freshness_of(call: Call, connections: Sequence[Connection]) -> Freshness | None:
    """Return how fresh a page about these connections is, with one request. Raises StorageUnavailable."""
    directory = call.application.directory
    if not connections:
        return None
    if len(connections) == 1:
        entries = [await directory.get_entry(connections[0].connection_id)]
    else:
        entries = list(await directory.list_entries())
    by_id = {each.connection_id: each for each in entries}
    return freshness(
        [listed_customer(each, by_id.get(each.connection_id), Figures()) for each in connections], call.now
    )
