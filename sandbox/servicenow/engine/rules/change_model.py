"""The model of a change: its states in order, and which moves a person may ask for (ServiceNow §5.6, §11.6)."""

from collections.abc import Mapping
from dataclasses import dataclass

NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED = "-5", "-4", "-3", "-2", "-1", "0", "3"
CANCELED = "4"

_ORDERS: Mapping[str, tuple[str, ...]] = {
    "normal": (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED),
    "standard": (NEW, SCHEDULED, IMPLEMENT, REVIEW, CLOSED),
    "emergency": (NEW, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED),
}
_REVERTED_FROM: Mapping[str, str] = {"normal": ASSESS, "emergency": AUTHORIZE}
"""The state from which a person may revert a change to New, by the change's type."""
_NOT_CANCELABLE = frozenset({REVIEW, CLOSED, CANCELED})


@dataclass(frozen=True, slots=True)
class Transition:
    """A move of the model, and its conditions: whether each of them passes, by name."""

    from_state: str
    to_state: str
    conditions: Mapping[str, bool]

    @property
    def is_available(self) -> bool:
        """Whether a person may ask for it now."""
        return all(self.conditions.values())


def order_of(kind: str) -> tuple[str, ...]:
    """Return the states of a change of type `kind` from New to Closed; an unknown type moves like a normal change."""
    return _ORDERS.get(kind, _ORDERS["normal"])


def transitions(kind: str, state: str, *, awaits_approval: bool, on_hold: bool) -> tuple[Transition, ...]:
    """Return the moves of a change from `state`, none from the states of an ended one."""
    order = order_of(kind)
    found = []
    if state in order[:-1]:
        conditions = {}
        if state in (ASSESS, AUTHORIZE):
            conditions["Change is approved"] = not awaits_approval
        elif state == IMPLEMENT:
            conditions["Not On hold"] = not on_hold
        found.append(Transition(state, order[order.index(state) + 1], conditions))
    if state == _REVERTED_FROM.get(kind):
        found.append(Transition(state, NEW, {}))
    if state not in _NOT_CANCELABLE:
        found.append(Transition(state, CANCELED, {}))
    return tuple(found)
