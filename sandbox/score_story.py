"""The second part of the walk-through: the best recommendation becomes a change, and the change is carried out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from sandbox.demonstration import MOST_POINTS, read_tenant, synchronize
from sandbox.graph.stage.control.client import ControlClient as GraphControl
from sandbox.graph.stage.seed.tenants import E5
from sandbox.narration import Narration
from sandbox.portal import PortalUser
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.seed.people import group_sys_id
from sandbox.world import World
from shared.outbound.transport import USER_AGENT

TENANT = f"/api/tenants/{E5}"
_AGENT = "agent.smith"


@dataclass(frozen=True)
class CarriedOut:
    """What the story leaves behind, as the API had it.

    Attributes:
        best: The recommendation that was carried out; Microsoft has not measured it yet.
        change: Its ticket, which is closed.
        second: The recommendation with the most points to gain beside it.
    """

    best: dict[str, Any]
    change: dict[str, Any]
    second: dict[str, Any]


class ScoreStory:
    """Follows a recommendation of the simulated Microsoft 365 from the first reading to the closed change.

    Args:
        servicenow: The control client of the instance to which the connection leads.
    """

    def __init__(self, world: World, servicenow: ControlClient, narration: Narration) -> None:
        self._graph = world.graph.control()
        self._servicenow = servicenow
        self._story = narration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._graph.close()

    def play(self, megan: PortalUser, adele: PortalUser) -> CarriedOut:
        """Play it.

        Raises:
            StepFailedError: A step failed.
        """
        self._add_tenant(megan)
        self._read_first(megan)
        best, second, *_ = self._find_best(adele)
        ticket = self._create_change(adele, best)
        self._carry_out(adele, best, ticket)
        return CarriedOut(best, ticket, second)

    def _add_tenant(self, megan: PortalUser) -> None:
        self._story.step("Megan Bowen adds the Microsoft 365 tenant and says where its tickets go")
        tenant = megan.call("PUT", TENANT, {"name": "Contoso", "connection_id": "contoso"})
        self._story.detail("tenant", f"{tenant['name']} ({tenant['tenant_id']})")
        self._story.detail("tickets go to", tenant["connection_id"])

    def _read_first(self, megan: PortalUser) -> None:
        self._story.step("The app reads its Secure Score: every recommendation, the newest score and the past 90 days")
        tenant = read_tenant(megan)
        self._story.expect("status", tenant["status"], "readable")
        self._story.detail("snapshot", tenant["snapshot_id"])
        show_requests(self._story, self._graph)

    def _find_best(self, adele: PortalUser) -> list[dict[str, Any]]:
        self._story.step("Adele Vance looks for the recommendation with the most points to gain")
        listed = adele.call("GET", f"/api/recommendations?{MOST_POINTS}&limit=5")
        self._story.detail("recommendations", listed["total"])
        self._story.detail("points to gain", f"{listed['points_to_gain']:g}")
        for each in listed["recommendations"]:
            self._story.detail(f"  {points_of(each)}", each["title"])
        best: list[dict[str, Any]] = listed["recommendations"]
        return best

    def _create_change(self, adele: PortalUser, best: dict[str, Any]) -> dict[str, Any]:
        self._story.step(f"She makes a change of the first one: {best['title']}")
        wanted = {"kind": "change", "recommendation_ids": [best["id"]]}
        ticket = adele.call("POST", "/api/tickets", wanted)
        self._story.expect("delivery", ticket["delivery"]["status"], "delivered")
        self._story.detail("number", ticket["servicenow"]["number"])
        self._story.detail("priority", f"{ticket['priority']}, suggested by points and tier")
        self._story.detail("due", f"{ticket['due_at'][:10]}, suggested by priority and user impact")
        again = adele.call("POST", "/api/tickets/bulk", {**wanted, "mode": "each"})
        (refused,) = again["recommendations"]
        self._story.expect("another one", refused["code"], "recommendation_has_open_ticket", "refused: one is open")
        return ticket

    def _carry_out(self, adele: PortalUser, best: dict[str, Any], ticket: dict[str, Any]) -> None:
        self._story.step("The change is approved, and an administrator of Microsoft 365 carries it out")
        sys_id = ticket["servicenow"]["sys_id"]
        group = {"state": "-4", "assignment_group": group_sys_id("Change Management")}
        self._servicenow.change_record("change_request", sys_id, group, as_user=_AGENT)
        for state in ("-3", "-2"):  # The group assesses it, then the board authorizes it.
            record = self._servicenow.decide_change(sys_id, "approved")
            self._story.expect("approved", record["state"], state, "by the group" if state == "-3" else "by the board")
        self._servicenow.change_record("change_request", sys_id, {"state": "-1"}, as_user=_AGENT)
        self._graph.fix(E5, best["source_id"])
        self._servicenow.change_record("change_request", sys_id, {"state": "0"}, as_user=_AGENT)
        closed = {"state": "3", "close_code": "successful", "close_notes": "Carried out as described."}
        self._servicenow.change_record("change_request", sys_id, closed, as_user=_AGENT)
        synchronize(adele)
        ticket = adele.call("GET", f"/api/tickets/{ticket['ticket_id']}")
        self._story.expect(ticket["servicenow"]["number"], ticket["phase"], "closed")
        control = self._graph.controls(E5)[best["source_id"]]
        self._story.detail("really in place", f"{control['compliant']} of {control['total']}")
        self._story.detail("Microsoft still says", f"{control['score']:g} of {control['max_score']:g} points")


def show_requests(story: Narration, graph: GraphControl) -> None:
    """Show the app's requests to Microsoft Graph since the last time."""
    requests = [entry for entry in graph.requests() if entry["headers"].get("user-agent") == USER_AGENT]
    story.requests("Microsoft Graph", [_shown_request(entry) for entry in requests])


def points_of(recommendation: dict[str, Any]) -> str:
    """Return its points for people."""
    return f"{recommendation['points']:g} of {recommendation['max_points']:g}"


def _shown_request(entry: dict[str, Any]) -> str:
    address = unquote("?".join(filter(None, (entry["path"], entry["query"]))))
    return f"{entry['method']} {re.sub(r'(skiptoken=)[^&]+', r'\1…', address)} {entry['status']}"
