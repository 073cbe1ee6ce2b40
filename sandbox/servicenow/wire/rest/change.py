"""The Change Management API, of which the simulator serves the states to which a change may move (ServiceNow §11.6)."""

import hashlib
from collections.abc import Sequence

from starlette.responses import Response

from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.errors import ServiceNowError
from sandbox.servicenow.engine.rules.change_model import Transition, transitions
from sandbox.servicenow.wire.rest.call import Json, Resource, RestCall

_TABLE = "change_request"


async def next_states(call: RestCall) -> Response:
    """GET the states that a change may have next, its present one among them."""
    instance, sys_id = call.instance, call.path["sys_id"]
    row = instance.operations.visible(_TABLE, sys_id, call.caller)
    if row is None:
        # The scripted API puts its text in the message, and nothing in the detail (ServiceNow §11.5).
        raise ServiceNowError(404, "Record not found", "")
    labels = instance.choices.labels(_TABLE, "state")
    if not instance.properties.flag("simulator.change_model.active"):
        return call.answer({"available_states": list(labels), "state_label": dict(labels)})
    moves = _moves(call, row)
    available = [move.to_state for move in moves if move.is_available]
    shown = [*(move.to_state for move in moves), row["state"]]
    answer: dict[str, Json] = {
        "available_states": [*available, row["state"]],
        "state_label": {state: labels.get(state, state) for state in shown},
    }
    if instance.properties.flag("simulator.change.nextstates_details"):
        answer["state_transitions"] = [[_shown(move, labels)] for move in moves]
    return call.answer(answer)


def _moves(call: RestCall, row: Row) -> Sequence[Transition]:
    return transitions(
        row["type"],
        row["state"],
        awaits_approval=bool(call.instance.operations.approvals.open(row["sys_id"])),
        on_hold=row["on_hold"] == "true",
    )


def _shown(move: Transition, labels: dict[str, str]) -> Json:
    name = f"{labels.get(move.from_state, move.from_state)} to {labels.get(move.to_state, move.to_state)}"
    conditions: list[Json] = [
        {"passed": passed, "condition": {"name": condition, "description": None, "sys_id": _sys_id(condition)}}
        for condition, passed in move.conditions.items()
    ]
    return {
        "sys_id": _sys_id(name),
        "display_value": name,
        "from_state": move.from_state,
        "to_state": move.to_state,
        "transition_available": move.is_available,
        "automatic_transition": False,
        "conditions": conditions,
    }


def _sys_id(name: str) -> str:
    """Return an id that is the same in every answer."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


RESOURCES = (Resource("change/{sys_id}/nextstates", {"GET": next_states}, api="sn_chg_rest"),)
