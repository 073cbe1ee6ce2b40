"""The second half of the walk-through: a recommendation becomes a change, is carried out, and the score shows it."""

from __future__ import annotations

import re
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from sandbox.graph.process import Graph
from sandbox.graph.stage.seed.tenants import E5
from sandbox.narration import Narration, StepFailedError
from sandbox.portal import PortalUser
from sandbox.world import FunctionsHost
from shared.outbound.transport import USER_AGENT

DAYS = 4
"""When they have passed, the points show any change, also of what Microsoft measures late (Microsoft Graph §1.6)."""
TENANT = f"/api/tenants/{E5}"
_READING_WAIT_S = 30.0
_READING_POLL_S = 0.2


class ScoreStory:
    """Follows a recommendation of the simulated Microsoft 365 from the first reading to its points.

    Args:
        graph: Its clock is :data:`DAYS` in the past.
    """

    def __init__(self, graph: Graph, host: FunctionsHost, narration: Narration) -> None:
        self._graph = graph.control()
        self._host = host
        self._story = narration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._graph.close()

    def play(self, megan: PortalUser) -> None:
        """Play it.

        Raises:
            StepFailedError: A step failed.
        """
        self._add_tenant(megan)
        self._read(megan)

    def _add_tenant(self, megan: PortalUser) -> None:
        self._story.step("Megan Bowen adds the Microsoft 365 tenant and says where its tickets go")
        tenant = megan.call("PUT", TENANT, {"name": "Contoso", "connection_id": "contoso"})
        self._story.detail("tenant", f"{tenant['name']} ({tenant['tenant_id']})")
        self._story.detail("tickets go to", tenant["connection_id"])

    def _read(self, megan: PortalUser) -> dict[str, Any]:
        before = megan.call("GET", TENANT)["read_at"]
        deadline = time.monotonic() + _READING_WAIT_S
        tenant = megan.call("POST", f"{TENANT}/read")
        while not tenant or tenant["read_at"] == before:
            if time.monotonic() > deadline or (tenant and tenant["last_error"]):
                raise StepFailedError(f"the tenant was not read: {tenant}")
            time.sleep(_READING_POLL_S)  # The timer is reading it.
            tenant = megan.call("GET", TENANT)
        self._story.expect("status", tenant["status"], "readable")
        self._story.detail("snapshot", tenant["snapshot_id"])
        self._show_requests()
        return tenant

    def _show_requests(self) -> None:
        requests = [entry for entry in self._graph.requests() if entry["headers"].get("user-agent") == USER_AGENT]
        self._story.requests("Microsoft Graph", [_shown_request(entry) for entry in requests])


def _shown_request(entry: dict[str, Any]) -> str:
    address = unquote("?".join(filter(None, (entry["path"], entry["query"]))))
    return f"{entry['method']} {re.sub(r'(skiptoken=)[^&]+', r'\1…', address)} {entry['status']}"
