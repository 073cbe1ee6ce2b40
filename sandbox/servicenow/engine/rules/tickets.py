"""The rules that run on a ticket before its row is stored (ServiceNow §5).

Pure functions over the old and the new row. They change the new row, or refuse it by raising the caller's answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.errors import (
    aborted_by_business_rule,
    mandatory_fields,
    read_only_fields,
    write_forbidden,
)
from sandbox.servicenow.engine.glide_time import to_glide
from sandbox.servicenow.engine.properties import Properties
from sandbox.servicenow.engine.rules.change_model import CANCELED, CLOSED, NEW, order_of, transitions

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


def closed_states(table: str) -> frozenset[str]:
    """Return the states in which tickets of `table` are inactive."""
    return CLOSED_STATES.get(table, CLOSED_STATES["task"])


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

_CLOSED_WRITE: Mapping[str, str] = {
    "incident": "simulator.closed_write.incident",
    "change_request": "simulator.closed_write.change_request",
    "problem": "simulator.closed_write.problem",
    "sc_task": "simulator.closed_write.sc_task",
}
"""The switch for writes to a closed ticket, by table."""
_ENDED_INCIDENT = frozenset({"6", "7", "8"})
_CLEARED_BY_REOPENING: Mapping[str, tuple[str, ...]] = {
    "resolved": ("resolved_at", "resolved_by"),
    "resolution": ("resolved_at", "resolved_by", "close_code", "close_notes"),
    "nothing": (),
}
"""The columns that reopening an incident clears, by the value of `simulator.incident.reopening_clears`."""
TRANSITION_RULE = ("Change Model: Check State Transition", "2b3e1f5d53a10010e0efddeeff7b1281")
STANDARD_CHANGE_RULE = ("Restrict fields from Standard Change", "f1b72f7f53a10010e0efddeeff7b12f4")


@dataclass(frozen=True, slots=True)
class Write:
    """One write to a ticket.

    `before` is None for an insert. `after` is the whole new row and `journals` are the given comments and work notes;
    the rules change both. `label` is what people call a column, `choices` are the active values of a column of this
    table. `template_fields` are those that a standard change takes from its template. `awaits_approval` says whether
    the change has an open approval.
    """

    table: str
    before: Row | None
    after: Row
    journals: dict[str, str]
    caller: Caller
    now: datetime
    properties: Properties
    label: Callable[[str], str]
    choices: Callable[[str], frozenset[str]]
    template_fields: frozenset[str]
    awaits_approval: bool

    def changed(self, column: str) -> bool:
        """Say whether the write changes a column; for an insert, whether it sets the column."""
        return self.after.get(column, "") != ("" if self.before is None else self.before[column])

    def previous(self, column: str) -> str:
        """Return the value before the write, empty for an insert."""
        return "" if self.before is None else self.before[column]

    @property
    def was_closed(self) -> bool:
        """Whether the ticket was closed or canceled before the write."""
        return self.previous("state") in closed_states(self.table)

    @property
    def labels_of_changes(self) -> dict[str, str]:
        """What people call the columns that the write changes, and the journals to which it adds, by column."""
        changed = [*(column for column in self.after if self.changed(column)), *self.journals]
        return {column: self.label(column) for column in changed}


def run_before_rules(write: Write) -> None:
    """Apply every rule of the ticket's table to `write.after`. Raises ServiceNowError to refuse the write."""
    for rule in _RULES:
        if not rule.tables or write.table in rule.tables:
            rule.run(write)


def _protect_closed(write: Write) -> None:
    switch = _CLOSED_WRITE.get(write.table)
    if switch is None or not write.was_closed or write.caller.is_admin:
        return
    mode = write.properties[switch]
    if mode == "forbidden":
        raise write_forbidden("Update")
    if mode == "read_only" and write.labels_of_changes:
        raise read_only_fields(list(write.labels_of_changes.values()))
    if mode == "ignored":
        write.after.update({column: write.previous(column) for column in write.after})
        write.journals.clear()


def _protect_read_only_fields(write: Write) -> None:
    protected = write.properties.names("simulator.data_policy.read_only_fields")
    if write.before is None or not protected:
        return
    refused = [label for column, label in write.labels_of_changes.items() if column in protected]
    if refused:
        raise read_only_fields(refused)


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


def _guard_incident_reopening(write: Write) -> None:
    reopens = write.was_closed and write.after["state"] not in closed_states(write.table)
    mode = write.properties["simulator.incident.reopening_closed"]
    if not reopens or write.caller.is_admin or mode == "allowed":
        return
    if mode == "forbidden":
        raise write_forbidden("Update")
    write.after["state"] = write.after["incident_state"] = write.previous("state")


def _follow_change_model(write: Write) -> None:
    if not write.changed("state") or not write.properties.flag("simulator.change_model.active"):
        return
    if write.was_closed and write.properties["simulator.change.leaving_closed"] == "ignored":
        write.after["state"] = write.previous("state")
        return
    kind, new = write.previous("type") or write.after["type"], write.after["state"]
    moves = transitions(
        kind,
        write.previous("state"),
        awaits_approval=write.awaits_approval,
        on_hold=write.after["on_hold"] == "true",
    )
    if write.before is None:
        allowed = new == order_of(kind)[0]
    else:
        allowed = any(move.to_state == new and move.is_available for move in moves)
    if not allowed:
        raise aborted_by_business_rule("change_request", *TRANSITION_RULE)


def _follow_change_state(write: Write) -> None:
    """Stamp the start and the end of the work; canceling a change or moving it back ends its hold."""
    if write.before is None or not write.changed("state"):
        return
    if write.after["state"] in (NEW, CANCELED):
        write.after["on_hold"] = "false"
    stamped = {"-1": "work_start", "0": "work_end"}.get(write.after["state"])
    if stamped:
        write.after[stamped] = write.after[stamped] or to_glide(write.now)


def _keep_change_type_and_template(write: Write) -> None:
    if write.before is not None and write.previous("state") != NEW:
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
    if write.after["state"] not in (NEW, CANCELED):
        _require(write, {"assignment_group": "Assignment group"})
    if write.after["state"] == CLOSED:
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
        _stamp(write, "resolved_at", "resolved_by")
    elif write.previous("state") in _ENDED_INCIDENT and write.after["state"] not in _ENDED_INCIDENT:
        cleared = _CLEARED_BY_REOPENING[write.properties["simulator.incident.reopening_clears"]]
        write.after.update(dict.fromkeys(cleared, ""))
        write.after["reopened_time"] = to_glide(write.now)
        write.after["reopened_by"] = write.caller.user_sys_id
        write.after["reopen_count"] = str(int(write.previous("reopen_count") or "0") + 1)


def _close_or_reopen(write: Write) -> None:
    """Make the ticket active or inactive by its state, unless the write sets `active`."""
    is_closed = write.after["state"] in closed_states(write.table)
    if is_closed and not write.was_closed:
        write.after["active"] = "false"
        if write.properties["simulator.closed_at"] == "stamped":
            _stamp(write, "closed_at", "closed_by")
    elif write.was_closed and not is_closed:
        write.after.update(active="true", closed_at="", closed_by="")


def _stamp(write: Write, at: str, by: str) -> None:
    """Fill in time and person, unless the write gives them."""
    if not write.changed(at):
        write.after[at] = to_glide(write.now)
    if not write.changed(by):
        write.after[by] = write.caller.user_sys_id


@dataclass(frozen=True, slots=True)
class _Rule:
    run: Callable[[Write], None]
    tables: frozenset[str] = frozenset()


def _on(run: Callable[[Write], None], *tables: str) -> _Rule:
    return _Rule(run, frozenset(tables))


_RULES = (
    _on(_protect_closed),
    _on(_protect_read_only_fields),
    _on(_open),
    _on(_mirror_state, *STATE_MIRRORS),
    _on(_keep_change_type_and_template, "change_request"),
    _on(_keep_standard_change, "change_request"),
    _on(_look_up_priority, "incident", "problem"),
    _on(_count_reassignments),
    _on(_guard_incident_close, "incident"),
    _on(_guard_incident_reopening, "incident"),
    _on(_require_incident_resolution, "incident"),
    _on(_require_comment_for_caller, "incident"),
    _on(_follow_change_model, "change_request"),
    _on(_require_change_fields, "change_request"),
    _on(_follow_change_state, "change_request"),
    _on(_stamp_resolution, "incident"),
    _on(_close_or_reopen),
)
