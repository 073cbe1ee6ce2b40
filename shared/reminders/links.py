"""Where messages lead: pages of this app. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from shared.reminders.model import Cause
from shared.service import service

_LISTS: Final[Mapping[Cause, Mapping[str, str]]] = {
    Cause.REGRESSION: {"show": "regressed"},
    Cause.REFUSED: {"show": "failed"},
    Cause.OVERDUE: {"show": "overdue"},
}


@service
class Links:
    """Builds absolute addresses.

    Attributes:
        base_url: The app's address for people, without a trailing slash.
    """

    base_url: str

    def ticket(self, ticket_id: str) -> str:
        """Return the page of a ticket."""
        return f"{self.base_url}/tickets/{ticket_id}"

    def open_tickets(self, connection_id: str) -> str:
        """Return the list of a connection's open tickets."""
        return self._list(connection_id, {"show": "open"})

    def connection(self, connection_id: str) -> str:
        """Return the page of a connection."""
        return f"{self.base_url}/configuration/{connection_id}"

    def reminders(self, connection_id: str) -> str:
        """Return the page of a connection's reminders."""
        return f"{self.connection(connection_id)}/reminders"

    def cause(self, cause: Cause, connection_id: str) -> str:
        """Return the page on which somebody does something about a cause."""
        chosen = _LISTS.get(cause)
        return self.connection(connection_id) if chosen is None else self._list(connection_id, chosen)

    def _list(self, connection_id: str, chosen: Mapping[str, str]) -> str:
        return f"{self.base_url}/tickets?{urlencode({**chosen, 'connection': connection_id})}"
