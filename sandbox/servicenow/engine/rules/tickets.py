"""The rules that run on a ticket before its row is stored (ServiceNow §5).

Pure functions over the old and the new row. They change the new row, or refuse it by raising the caller's answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.errors import aborted_by_business_rule, mandatory_fields, write_forbidden
from sandbox.servicenow.engine.glide_time import to_glide
from sandbox.servicenow.engine.properties import Properties

STATE_MIRRORS: Mapping[str, tuple[str, str]] = {
    "incident": ("incident_state", "1"),
    "problem": ("problem_state", "101"),
}
"""A second column that always equals `state`, and the initial state of a ticket (§5.3)."""
CLOSED_STATES: Mapping[str, frozenset[str]] = {
    "task": frozenset({"3", "4", "7"}),
    "incident": frozenset({"7", "8"}),
    "change_request": frozenset({"3", "4"}),
    "problem": frozenset({"107", "4"}),
    "sc_task": frozenset({"3", "4", "7", "5"}),
}
"""The states of inactive tickets (§5.3)."""

PRIORITY_MATRIX: Mapping[tuple[str, str], str] = {
    ("1", "1"): "1",
    ("1", "2"): "2",
    ("1", "3"): "3",
    ("2", "1"): "2",
    ("2", "2"): "3",
    ("2", "3"): "4",
    ("3", "1"): "3",
    ("3", "2"): "4",
    ("3", "3"): "5",
}
"""(impact, urgency) to priority (§5.5)."""

_CHANGE_ORDER: Mapping[str, tuple[str, ...]] = {
    "normal": ("-5", "-4", "-3", "-2", "-1", "0", "3"),
    "standard": ("-5", "-2", "-1", "0", "3"),
    "emergency": ("-5", "-3", "-2", "-1", "0", "3"),
}
NEW_CHANGE = "-5"
CANCELED_CHANGE = "4"
_REVERTED_FROM: Mapping[str, str] = {"normal": "-4", "emergency": "-3"}
"""The state from which a person may revert a change to New, by the change's type (ServiceNow §11.6)."""
_NOT_CANCELABLE = frozenset({"0", "3", "4"})
TRANSITION_RULE = ("Change Model: Check State Transition", "2b3e1f5d53a10010e0efddeeff7b1281")
STANDARD_CHANGE_RULE = ("Restrict fields from Standard Change", "f1b72f7f53a10010e0efddeeff7b12f4")


def change_order(kind: str) -> tuple[str, ...]:
    """Return the states of a change of type `kind` from New to Closed; an unknown type moves like a normal change."""
    return _CHANGE_ORDER.get(kind, _CHANGE_ORDER["normal"])


@dataclass(frozen=True, slots=True)
class Write:
    """One write to a ticket.

    `before` is None for an insert. `after` is the whole new row, which the rules change. `journals` are the given
    comments and work notes. `choices` are the active values of a column of this table. `template_fields` are those
    that a standard change takes from its template. `awaits_approval` says whether the change has an open approval.
    """

    table: str
    before: Row | None
    after: Row
    journals: Mapping[str, str]
    caller: Caller
    now: datetime
    properties: Properties
    choices: Callable[[str], frozenset[str]]
    template_fields: frozenset[str]
    awaits_approval: bool

    def changed(self, column: str) -> bool:
        """Say whether the write changes a column; for an insert, whether it sets the column."""
        return self.after.get(column, "") != ("" if self.before is None else self.before[column])

    def previous(self, column: str) -> str:
        """Return the value before the write, empty for an insert."""
        return "" if self.before is None else self.before[column]


def run_before_rules(write: Write) -> None:
    """Apply every rule of the ticket's table to `write.after`. Raises ServiceNowError to refuse the write."""
    for rule in _RULES:
        if not rule.tables or write.table in rule.tables:
            rule.run(write)


def _open(write: Write) -> None:
    if write.before is None:
        write.after["opened_at"] = write.after.get("opened_at") or to_glide(write.now)
        write.after["opened_by"] = write.after.get("opened_by") or write.caller.user_sys_id
        if write.table == "change_request":
            write.after["requested_by"] = write.after.get("requested_by") or write.caller.user_sys_id


def _mirror_state(write: Write) -> None:
    mirror, initial = STATE_MIRRORS[write.table]
    was = (write.previous("state") or initial, write.previous(mirror) or initial)
    leader = mirror if write.after[mirror] != was[1] and write.after["state"] == was[0] else "state"
    write.after["state"] = write.after[mirror] = write.after[leader]


def _look_up_priority(write: Write) -> None:
    if write.properties.flag("simulator.priority_lookup.active"):
        pair = (write.after["impact"], write.after["urgency"])
        write.after["priority"] = PRIORITY_MATRIX.get(pair, write.after["priority"])


def _count_reassignments(write: Write) -> None:
    if write.before is not None and write.changed("assignment_group") and write.previous("assignment_group"):
        write.after["reassignment_count"] = str(int(write.previous("reassignment_count") or "0") + 1)


def _require_incident_resolution(write: Write) -> None:
    """Treat an unknown resolution code as empty (§5.4)."""
    if write.after["state"] not in ("6", "7") or not write.properties.flag("simulator.data_policy.incident_close"):
        return
    _require(
        write,
        {"close_code": "Resolution code", "close_notes": "Close notes"},
        known={"close_code": write.choices("close_code")},
    )


def _require_comment_for_caller(write: Write) -> None:
    waits_for_caller = write.after["state"] == "3" and write.after["hold_reason"] == "1"
    newly = write.changed("state") or write.changed("hold_reason")
    if waits_for_caller and newly and write.properties.flag("simulator.data_policy.on_hold"):
        if not write.journals.get("comments"):
            raise mandatory_fields(["Additional comments"])
    elif write.after["state"] != "3":
        write.after["hold_reason"] = ""


def _guard_incident_close(write: Write) -> None:
    closes = write.after["state"] == "7" and write.changed("state")
    allowed = write.caller.is_admin or "itil_admin" in write.caller.roles
    if closes and not allowed and write.properties.flag("simulator.incident.close_needs_itil_admin"):
        raise write_forbidden("Update")


def _follow_change_model(write: Write) -> None:
    if not write.changed("state") or not write.properties.flag("simulator.change_model.active"):
        return
    kind = write.previous("type") or write.after["type"]
    order = change_order(kind)
    old, new = write.previous("state"), write.after["state"]
    if write.before is None:
        allowed = new == order[0]
    elif new == CANCELED_CHANGE:
        allowed = old not in _NOT_CANCELABLE
    elif new == NEW_CHANGE:
        allowed = old == _REVERTED_FROM.get(kind)
    else:
        allowed = (old, new) in pairwise(order) and not write.awaits_approval
    if not allowed:
        raise aborted_by_business_rule("change_request", *TRANSITION_RULE)


def _follow_change_state(write: Write) -> None:
    """Stamp the start and the end of the work; canceling a change or moving it back ends its hold."""
    if write.before is None or not write.changed("state"):
        return
    if write.after["state"] in (NEW_CHANGE, CANCELED_CHANGE):
        write.after["on_hold"] = "false"
    stamped = {"-1": "work_start", "0": "work_end"}.get(write.after["state"])
    if stamped:
        write.after[stamped] = write.after[stamped] or to_glide(write.now)


def _keep_change_type_and_template(write: Write) -> None:
    if write.before is not None and write.previous("state") != NEW_CHANGE:
        write.after["type"] = write.previous("type")
    if write.before is not None:
        write.after["std_change_producer_version"] = write.previous("std_change_producer_version")


def _keep_standard_change(write: Write) -> None:
    if (
        write.before is not None
        and write.previous("type") == "standard"
        and any(write.changed(column) for column in write.template_fields & write.after.keys())
    ):
        raise aborted_by_business_rule("change_request", *STANDARD_CHANGE_RULE)


def _require_change_fields(write: Write) -> None:
    if not write.properties.flag("simulator.data_policy.change_request"):
        return
    if write.after["state"] not in (NEW_CHANGE, CANCELED_CHANGE):
        _require(write, {"assignment_group": "Assignment group"})
    if write.after["state"] == "3":
        _require(
            write,
            {"close_code": "Close code", "close_notes": "Close notes"},
            known={"close_code": write.choices("close_code")},
        )


def _require(write: Write, labels: Mapping[str, str], known: Mapping[str, frozenset[str]] | None = None) -> None:
    missing = [
        label
        for column, label in labels.items()
        if not write.after[column] or (known and column in known and write.after[column] not in known[column])
    ]
    if missing:
        raise mandatory_fields(missing)


def _stamp_resolution(write: Write) -> None:
    if not write.changed("state"):
        return
    if write.after["state"] == "6":
        write.after["resolved_at"] = to_glide(write.now)
        write.after["resolved_by"] = write.caller.user_sys_id
    elif write.previous("state") in ("6", "7") and write.after["state"] not in ("6", "7", "8"):
        write.after.update(resolved_at="", resolved_by="", reopened_time=to_glide(write.now))
        write.after["reopened_by"] = write.caller.user_sys_id
        write.after["reopen_count"] = str(int(write.previous("reopen_count") or "0") + 1)


def _close_or_reopen(write: Write) -> None:
    """Make the ticket active or inactive by its state, unless the write sets `active`."""
    closed = CLOSED_STATES.get(write.table, CLOSED_STATES["task"])
    is_closed, was_closed = write.after["state"] in closed, write.previous("state") in closed
    if is_closed and not was_closed:
        write.after["active"] = "false"
        write.after["closed_at"] = to_glide(write.now)
        write.after["closed_by"] = write.caller.user_sys_id
    elif was_closed and not is_closed:
        write.after.update(active="true", closed_at="", closed_by="")


@dataclass(frozen=True, slots=True)
class _Rule:
    run: Callable[[Write], None]
    tables: frozenset[str] = frozenset()


def _on(run: Callable[[Write], None], *tables: str) -> _Rule:
    return _Rule(run, frozenset(tables))


_RULES = (
    _on(_open),
    _on(_mirror_state, *STATE_MIRRORS),
    _on(_keep_change_type_and_template, "change_request"),
    _on(_keep_standard_change, "change_request"),
    _on(_look_up_priority, "incident", "problem"),
    _on(_count_reassignments),
    _on(_guard_incident_close, "incident"),
    _on(_require_incident_resolution, "incident"),
    _on(_require_comment_for_caller, "incident"),
    _on(_follow_change_model, "change_request"),
    _on(_require_change_fields, "change_request"),
    _on(_follow_change_state, "change_request"),
    _on(_stamp_resolution, "incident"),
    _on(_close_or_reopen),
)
