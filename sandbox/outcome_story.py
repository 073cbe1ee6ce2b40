"""The last part of the walk-through: what became of closed tickets, by measurements, while days pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sandbox.demonstration import read_tenant, run_timer, synchronize
from sandbox.graph.stage.seed.tenants import E5
from sandbox.narration import Narration, StepFailedError
from sandbox.portal import PortalUser
from sandbox.score_story import CarriedOut, points_of, show_requests
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.world import FunctionsHost, World

DAYS = 12
"""The story needs a few less: two or three until points follow, and a week after that before a loss is said."""
_SAMPLE, _SEED = 2, "walkthrough"
_SHOWN_DAYS = 8
_BAR_WIDTH = 30
_TURN_WAIT_S = 60.0
_TURN_POLL_S = 0.2


class OutcomeStory:
    """Two tickets are closed: behind one of them is a fix, behind the other one is nothing.

    Args:
        servicenow: The control client of the instance to which the connection leads.
        megan: The security administrator.
        adele: The person who asked for the tickets.
    """

    def __init__(
        self,
        world: World,
        servicenow: ControlClient,
        host: FunctionsHost,
        narration: Narration,
        megan: PortalUser,
        adele: PortalUser,
    ) -> None:
        self._time = world.time
        self._graph = world.graph.control()
        self._servicenow = servicenow
        self._host = host
        self._story = narration
        self._megan = megan
        self._adele = adele

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._graph.close()

    def play(self, carried_out: CarriedOut) -> None:
        """Play it; nobody will do anything for the second recommendation.

        Raises:
            StepFailedError: A step failed.
        """
        best, change, second = carried_out.best, carried_out.change, carried_out.second
        incident = self._resolve_on_paper(second)
        self._show_waiting(change, incident)
        self._let_both_be_measured(best, change, second, incident)
        self._show_history(best)
        self._read_notes(change, incident)
        self._lose_again(best, change)
        self._find_follow_up(best, change)
        self._show_evidence(change)
        self._time.pass_days(self._time.days_ago)

    def _resolve_on_paper(self, second: dict[str, Any]) -> dict[str, Any]:
        self._story.step(f"Another one becomes an incident, which is resolved on paper: {second['title']}")
        wanted = {"kind": "incident", "recommendation_ids": [second["id"]]}
        incident = self._adele.call("POST", "/api/tickets", wanted)
        number = incident["servicenow"]["number"]
        self._servicenow.resolve(number, notes="Done.", as_user="agent.smith")
        synchronize(self._adele)
        self._story.expect(number, self._ticket(incident)["phase"], "resolved")
        control = self._graph.controls(E5)[second["source_id"]]
        self._story.detail("really in place", f"{control['compliant']} of {control['total']}")
        return incident

    def _show_waiting(self, *tickets: dict[str, Any]) -> None:
        self._story.step("Both are closed. Whether that is true, only a later measurement can say")
        for ticket in tickets:
            self._story.expect(ticket["servicenow"]["number"], self._outcome(ticket), "waiting")

    def _let_both_be_measured(
        self, best: dict[str, Any], change: dict[str, Any], second: dict[str, Any], incident: dict[str, Any]
    ) -> None:
        self._story.step("Days pass; Microsoft 365 measures in its own time, and the app reads the tenant on each")

        def is_decided() -> bool:
            outcomes = self._outcome(change), self._outcome(incident)
            points = [points_of(self._recommendation(each)) for each in (best, second)]
            self._show_day("; ".join(f"{each}, {outcome}" for each, outcome in zip(points, outcomes, strict=True)))
            return outcomes == ("verified", "not_fixed")

        self._pass_days_until(is_decided)
        show_requests(self._story, self._graph)

    def _show_history(self, best: dict[str, Any]) -> None:
        self._story.step("The points have followed, and the history shows it")
        shown = self._recommendation(best)
        self._story.expect("status", shown["status"], "completed")
        self._story.expect("points", shown["points"], shown["max_points"], f"{points_of(best)} → {points_of(shown)}")
        for each in shown["history"][-_SHOWN_DAYS:]:
            bar = "█" * round(_BAR_WIDTH * each["points"] / shown["max_points"])
            self._story.detail(f"  {each['day']}", f"{each['points']:4g} {bar}".rstrip())
        self._story.detail("the same as a plot", f"{self._host.public_url}/recommendations/{best['id']}")

    def _read_notes(self, change: dict[str, Any], incident: dict[str, Any]) -> None:
        self._story.step("ServiceNow says it too: each record has a work note")
        self._show_note(change, "Verified:")
        self._show_note(incident, "Not fixed:")

    def _lose_again(self, best: dict[str, Any], change: dict[str, Any]) -> None:
        self._story.step("Somebody undoes the fix. Two newer snapshots and a quiet period later, it has regressed")
        self._graph.undo(E5, best["source_id"])

        def is_lost() -> bool:
            outcome = self._outcome(change)
            self._show_day(f"{points_of(self._recommendation(best))}, {outcome}")
            return outcome == "regressed"

        self._pass_days_until(is_lost)

    def _find_follow_up(self, best: dict[str, Any], change: dict[str, Any]) -> None:
        self._story.step("The connection's policy for that is a new ticket, which names the old one")
        number = change["servicenow"]["number"]

        def find() -> dict[str, Any] | None:
            newest: dict[str, Any] = self._recommendation(best)["tickets"][0]
            is_new = newest["ticket_id"] != change["ticket_id"] and newest["delivery"]["status"] == "delivered"
            return newest if is_new else None

        follow_up = self._after_turns(find, f"a ticket that follows {number}")
        self._story.detail("number", follow_up["servicenow"]["number"])
        self._story.detail("asked by", follow_up["requester"]["name"])
        self._story.expect(f"names {number}", number in follow_up["description"], True, "yes")
        self._show_note(change, "The fix was verified, but")

    def _show_evidence(self, change: dict[str, Any]) -> None:
        self._story.step("An auditor asks for the evidence of the period: a sample that anybody can draw again")
        self._after_turns(lambda: self._recorded(change), f"the evidence of {change['servicenow']['number']}")
        found, again = (self._megan.call("GET", f"/api/evidence?sample={_SAMPLE}&seed={_SEED}") for _ in range(2))
        drawn = ", ".join(f"{item['number']} {item['recommendations'][0]['outcome']}" for item in found["items"])
        self._story.expect(f"{_SAMPLE} of {found['population']} tickets", found["items"], again["items"], drawn)

    # Parts of the steps

    def _pass_days_until(self, is_over: Callable[[], bool]) -> None:
        while self._time.days_ago:
            self._time.pass_days()
            read_tenant(self._megan)
            if is_over():
                return
        raise StepFailedError("the story's days were over before the measurements showed it")

    def _after_turns[T](self, look: Callable[[], T | None], awaited: str) -> T:
        """Let the timer run until something is there, and return that."""
        deadline = time.monotonic() + _TURN_WAIT_S
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise StepFailedError(f"{awaited} did not come within {_TURN_WAIT_S:g} seconds")
            run_timer(self._host, self._megan)
            time.sleep(_TURN_POLL_S)
        return found

    def _show_note(self, ticket: dict[str, Any], beginning: str) -> None:
        number = ticket["servicenow"]["number"]
        note = self._after_turns(lambda: self._note(number, beginning), f"the work note of {number}")
        self._story.detail(number, note)

    def _note(self, number: str, beginning: str) -> str | None:
        """Return the first line of the work note that begins like this."""
        texts = (each["value"] for each in self._servicenow.journal(number) if each["element"] == "work_notes")
        return next((text.partition("\n")[0] for text in texts if text.startswith(beginning)), None)

    def _recorded(self, change: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the evidence says of the change once it has its last outcome."""
        items = self._megan.call("GET", "/api/evidence")["items"]
        item = next((each for each in items if each["ticket_id"] == change["ticket_id"]), None)
        return item if item and item["recommendations"][0]["outcome"] == "regressed" else None

    def _show_day(self, text: str) -> None:
        self._story.detail(f"  {self._graph.now():%Y-%m-%d}", text)

    def _ticket(self, ticket: dict[str, Any]) -> dict[str, Any]:
        return self._adele.call("GET", f"/api/tickets/{ticket['ticket_id']}")

    def _outcome(self, ticket: dict[str, Any]) -> str:
        return str(self._ticket(ticket)["verification"]["outcome"])

    def _recommendation(self, recommendation: dict[str, Any]) -> dict[str, Any]:
        return self._adele.call("GET", f"/api/recommendations/{recommendation['id']}")
