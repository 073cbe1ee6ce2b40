"""The simulator's own API under `/control`: tests and demonstrations use it to change an instance from outside.

JSON in, JSON out. It needs no authentication, is not part of ServiceNow, and neither faults nor the request log see it.
Refusals are `{"error": text}` with 400, 404 or ServiceNow's own status.
"""

from starlette.requests import Request
from starlette.routing import Route

from sandbox.servicenow.engine.jobs import close_resolved_incidents
from sandbox.servicenow.stage.control.conditions import ConditionsControl
from sandbox.servicenow.stage.control.handling import Handlers, Json, endpoint_of
from sandbox.servicenow.stage.control.people import PeopleControl
from sandbox.servicenow.stage.control.records import RecordsControl
from sandbox.servicenow.stage.control.tickets import TicketsControl
from sandbox.servicenow.stage.simulator import Simulator

_COUNTED_TABLES = ("incident", "change_request", "problem", "sc_task", "sys_user", "oauth_entity", "oauth_credential")


def control_routes(simulator: Simulator) -> list[Route]:
    """Return the routes below `/control`."""
    topics = (
        InstanceControl(simulator),
        ConditionsControl(simulator),
        PeopleControl(simulator.instance, simulator.tokens),
        RecordsControl(simulator.instance),
        TicketsControl(simulator.instance),
    )
    return [
        Route(f"/control{path}", endpoint_of(handler), methods=[method])
        for topic in topics
        for (method, path), handler in topic.handlers().items()
    ]


class InstanceControl:
    """The instance as a whole: its health, its jobs and its request log."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._instance = simulator.instance
        self._records = simulator.instance.records

    def handlers(self) -> Handlers:
        """Return the handlers of its paths."""
        return {
            ("GET", "/health"): self._health,
            ("POST", "/reset"): self._reset,
            ("POST", "/jobs/auto-close"): self._auto_close,
            ("POST", "/jobs/business-rules"): self._run_waiting_business_rules,
            ("POST", "/jobs/clean-expired-tokens"): self._clean_expired_tokens,
            ("GET", "/requests"): self._list_requests,
            ("GET", "/requests/counts"): self._count_requests,
            ("DELETE", "/requests"): self._clear_requests,
        }

    def _health(self, _: Request, __: Json) -> object:
        counts = {table: self._records.count(table) for table in _COUNTED_TABLES}
        return {"status": "ok", "now": self._instance.clock.now().isoformat(), "counts": counts}

    def _reset(self, _: Request, body: Json) -> object:
        simulator = self._simulator
        simulator.faults.clear()
        simulator.held.clear()
        simulator.rate_limits.clear()
        simulator.sessions.end_all()
        simulator.log.clear()
        self._instance.clock.reset()
        self._instance.properties.reset()
        self._instance.access.reset()
        self._instance.dictionary.reset()
        if body.get("records"):
            self._records.clear()
            simulator.plant(self._instance)
        else:
            self._records.execute('DELETE FROM "oauth_credential"')
            self._records.execute('DELETE FROM "sys_dictionary" WHERE "element" GLOB \'u_*\'')
        return {}

    def _auto_close(self, _: Request, __: Json) -> object:
        return {"count": close_resolved_incidents(self._instance)}

    def _run_waiting_business_rules(self, _: Request, __: Json) -> object:
        return {"count": self._instance.operations.business_rules.run_waiting()}

    def _clean_expired_tokens(self, _: Request, __: Json) -> object:
        return {"count": self._simulator.tokens.delete_expired()}

    def _list_requests(self, request: Request, _: Json) -> object:
        return {"requests": self._simulator.log.entries(request.query_params.get("path", ""))}

    def _count_requests(self, _: Request, __: Json) -> object:
        return self._simulator.log.counts()

    def _clear_requests(self, _: Request, __: Json) -> object:
        self._simulator.log.clear()
        return {}
