"""The control API's handlers for the conditions under which an instance answers."""

from dataclasses import asdict, fields
from datetime import datetime

from starlette.requests import Request

from sandbox.servicenow.stage.control.handling import ControlProblemError, Handlers, Json, require_known
from sandbox.servicenow.stage.faults.fault import Fault
from sandbox.servicenow.stage.faults.kinds import KINDS, parse_fault
from sandbox.servicenow.stage.simulator import Simulator
from sandbox.servicenow.wire.rate_limits import RateLimitRule


class ConditionsControl:
    """The conditions under which an instance answers: faults, rate limits, its clock and its switches."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._instance = simulator.instance

    def handlers(self) -> Handlers:
        """Return the handlers of its paths."""
        return {
            ("GET", "/faults"): self._list_faults,
            ("POST", "/faults"): self._set_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("DELETE", "/faults/{fault_id}"): self._remove_fault,
            ("GET", "/rate-limits"): self._list_rate_limits,
            ("POST", "/rate-limits"): self._add_rate_limit,
            ("DELETE", "/rate-limits"): self._clear_rate_limits,
            ("GET", "/clock"): self._show_clock,
            ("PUT", "/clock"): self._set_clock,
            ("POST", "/clock/advance"): self._advance_clock,
            ("GET", "/properties"): self._list_properties,
            ("PATCH", "/properties"): self._set_properties,
        }

    def _list_faults(self, _: Request, __: Json) -> object:
        kinds = {name: kind.description for name, kind in KINDS.items()}
        return {"faults": [_shown(fault) for fault in self._simulator.faults], "kinds": kinds}

    def _set_fault(self, _: Request, body: Json) -> object:
        fault = parse_fault(body)
        self._simulator.faults.set(fault)
        return _shown(fault)

    def _clear_faults(self, _: Request, __: Json) -> object:
        self._simulator.faults.clear()
        return {}

    def _remove_fault(self, request: Request, _: Json) -> object:
        if not self._simulator.faults.remove(request.path_params["fault_id"]):
            raise ControlProblemError(404, "no such fault")
        return {}

    def _list_rate_limits(self, _: Request, __: Json) -> object:
        return {"rules": [asdict(rule) for rule in self._simulator.rate_limits.rules]}

    def _add_rate_limit(self, _: Request, body: Json) -> object:
        require_known(body, {item.name for item in fields(RateLimitRule)} - {"sys_id"})
        rule = RateLimitRule(**body)
        self._simulator.rate_limits.rules.append(rule)
        return asdict(rule)

    def _clear_rate_limits(self, _: Request, __: Json) -> object:
        self._simulator.rate_limits.clear()
        return {}

    def _show_clock(self, _: Request, __: Json) -> object:
        return {"now": self._instance.clock.now().isoformat()}

    def _set_clock(self, request: Request, body: Json) -> object:
        require_known(body, {"now", "running"})
        clock = self._instance.clock
        at = datetime.fromisoformat(body["now"]) if "now" in body else None
        if body.get("running") is False:
            clock.stop(at)
        else:
            if at is not None:
                clock.set(at)
            if body.get("running") is True:
                clock.run()
        return self._show_clock(request, body)

    def _advance_clock(self, request: Request, body: Json) -> object:
        self._instance.clock.advance(float(body["seconds"]))
        return self._show_clock(request, body)

    def _list_properties(self, _: Request, __: Json) -> object:
        return dict(sorted(self._instance.properties.items()))

    def _set_properties(self, request: Request, body: Json) -> object:
        for name, value in body.items():
            self._instance.properties[name] = value
        return self._list_properties(request, body)


def _shown(fault: Fault) -> Json:
    return asdict(fault) | {"set_at": fault.set_at.isoformat()}
