"""The second half of the walk-through: a recommendation becomes a change, is carried out, and the score shows it."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from sandbox.demonstration import MOST_POINTS, read_tenant
from sandbox.graph.stage.seed.tenants import E5
from sandbox.narration import Narration
from sandbox.portal import PortalUser
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.seed.people import group_sys_id
from sandbox.world import FunctionsHost, World
from shared.outbound.transport import USER_AGENT

DAYS = 4
"""When they have passed, the points show any change, also of what Microsoft measures late (Microsoft Graph §1.6)."""
TENANT = f"/api/tenants/{E5}"
_AGENT = "agent.smith"
_SHOWN_DAYS = 8
_BAR_WIDTH = 30


class ScoreStory:
    """Follows a recommendation of the simulated Microsoft 365 from the first reading to its points.

    Args:
        world: Its time is :data:`DAYS` ago.
        servicenow: The control client of the instance to which the connection leads.
    """

    def __init__(self, world: World, servicenow: ControlClient, host: FunctionsHost, narration: Narration) -> None:
        self._time = world.time
        self._graph = world.graph.control()
        self._servicenow = servicenow
        self._host = host
        self._story = narration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._graph.close()

    def play(self, megan: PortalUser, adele: PortalUser) -> None:
        """Play it.

        Raises:
            StepFailedError: A step failed.
        """
        self._add_tenant(megan)
        self._read_first(megan)
        best = self._find_best(adele)
        ticket = self._create_change(adele, best)
        self._carry_out(adele, best, ticket)
        self._let_days_pass(megan, adele, best)
        self._compare(adele, best)

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
        self._show_requests()

    def _find_best(self, adele: PortalUser) -> dict[str, Any]:
        self._story.step("Adele Vance looks for the recommendation with the most points to gain")
        listed = adele.call("GET", f"/api/recommendations?{MOST_POINTS}&limit=5")
        self._story.detail("recommendations", listed["total"])
        self._story.detail("points to gain", f"{listed['points_to_gain']:g}")
        for each in listed["recommendations"]:
            self._story.detail(f"  {_points(each)}", each["title"])
        best: dict[str, Any] = listed["recommendations"][0]
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
        adele.call("POST", f"/api/connections/{ticket['connection_id']}/sync")
        ticket = adele.call("GET", f"/api/tickets/{ticket['ticket_id']}")
        self._story.expect(ticket["servicenow"]["number"], ticket["phase"], "closed")
        control = self._graph.controls(E5)[best["source_id"]]
        self._story.detail("really in place", f"{control['compliant']} of {control['total']}")
        self._story.detail("Microsoft still says", f"{control['score']:g} of {control['max_score']:g} points")

    def _let_days_pass(self, megan: PortalUser, adele: PortalUser, best: dict[str, Any]) -> None:
        self._story.step("Days pass; Microsoft 365 measures in its own time, and the app reads the tenant on each")
        for _ in range(DAYS):
            self._time.pass_days()
            read_tenant(megan)
            shown = _shown(adele, best)
            self._story.detail(
                f"  {self._graph.now():%Y-%m-%d}", f"{_points(shown)}, as of {shown['measured_at'][:10]}"
            )
        self._show_requests()

    def _compare(self, adele: PortalUser, best: dict[str, Any]) -> None:
        self._story.step("The points have followed, and the history shows it")
        listed = adele.call("GET", f"/api/recommendations?{MOST_POINTS}&limit=5")
        shown = _shown(adele, best)
        self._story.expect("status", shown["status"], "completed")
        self._story.expect("points", shown["points"], shown["max_points"], f"{_points(best)} → {_points(shown)}")
        self._story.detail("points to gain", f"{listed['points_to_gain']:g}")
        for each in shown["history"][-_SHOWN_DAYS:]:
            bar = "█" * round(_BAR_WIDTH * each["points"] / shown["max_points"])
            self._story.detail(f"  {each['day']}", f"{each['points']:4g} {bar}".rstrip())
        self._story.detail("the same as a plot", f"{self._host.public_url}/recommendations/{best['id']}")

    def _show_requests(self) -> None:
        requests = [entry for entry in self._graph.requests() if entry["headers"].get("user-agent") == USER_AGENT]
        self._story.requests("Microsoft Graph", [_shown_request(entry) for entry in requests])


def _shown(adele: PortalUser, recommendation: dict[str, Any]) -> dict[str, Any]:
    return adele.call("GET", f"/api/recommendations/{recommendation['id']}")


def _points(recommendation: dict[str, Any]) -> str:
    return f"{recommendation['points']:g} of {recommendation['max_points']:g}"


def _shown_request(entry: dict[str, Any]) -> str:
    address = unquote("?".join(filter(None, (entry["path"], entry["query"]))))
    return f"{entry['method']} {re.sub(r'(skiptoken=)[^&]+', r'\1…', address)} {entry['status']}"
