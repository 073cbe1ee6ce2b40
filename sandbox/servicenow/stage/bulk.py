"""Many tickets at once, for tests and benchmarks: rows as rights and rules would leave them, without running these."""

from collections.abc import Iterable, Mapping

from sandbox.servicenow.engine.glide_time import to_glide
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.tickets import CLOSED_STATES, PRIORITY_MATRIX, STATE_MIRRORS


def insert_tickets(
    instance: Instance,
    table: str,
    tickets: Iterable[tuple[str, str]],
    *,
    by: str = "m365.connector",
    values: Mapping[str, str] | None = None,
) -> int:
    """Insert a ticket for each (`sys_id`, `correlation_id`), all in the same second; return their number.

    All of them share the raw `values`; these may include `short_description`.
    """
    shared = {"short_description": "Turn on multifactor authentication", "opened_at": to_glide(instance.clock.now())}
    shared |= values or {}
    if table in STATE_MIRRORS:
        shared["priority"] = PRIORITY_MATRIX[shared.get("impact", "3"), shared.get("urgency", "3")]
    return instance.records.insert_many(
        table, ({**shared, "sys_id": sys_id, "correlation_id": correlation} for sys_id, correlation in tickets), by=by
    )


def change_state(instance: Instance, table: str, encoded_query: str, state: str, *, by: str = "agent.smith") -> int:
    """Set the state of every matching ticket, all in the same second; return their number."""
    is_closed = state in CLOSED_STATES.get(table, CLOSED_STATES["task"])
    values = {"state": state, "active": "false" if is_closed else "true"}
    if table in STATE_MIRRORS:
        mirror, _ = STATE_MIRRORS[table]
        values[mirror] = state
    return instance.records.update_many(table, encoded_query, values, by=by)
