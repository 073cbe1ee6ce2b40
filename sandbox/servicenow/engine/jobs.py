"""Scheduled jobs that change tickets without a person (ServiceNow §5.3, §16)."""

from datetime import datetime, timedelta

from sandbox.servicenow.engine.glide_time import from_glide, to_glide
from sandbox.servicenow.engine.instance import Instance

_SATURDAY = 5


def close_resolved_incidents(instance: Instance) -> int:
    """Close every incident resolved more than `glide.ui.autoclose.time` days ago; return their number.

    The person who resolved an incident counts as the one who closed it.
    """
    properties, now = instance.properties, instance.clock.now()
    days = properties.number("glide.ui.autoclose.time")
    counts_from = (
        "resolved_at" if properties.flag("com.snc.incident.autoclose.basedon.resolved_at") else "sys_updated_on"
    )
    add = _after_business_days if properties.flag("simulator.autoclose.business_days") else _after_days
    resolved = instance.records.query("incident", f"state=6^{counts_from}ISNOTEMPTY") if days else []
    due = [row for row in resolved if add(from_glide(row[counts_from]), days) <= now]
    for row in due:
        values = {
            "state": "7",
            "incident_state": "7",
            "active": "false",
            "closed_at": to_glide(now),
            "closed_by": row["resolved_by"],
        }
        instance.records.update("incident", row["sys_id"], values, by=properties["simulator.autoclose.runs_as"])
    return len(due)


def _after_days(start: datetime, days: int) -> datetime:
    return start + timedelta(days=days)


def _after_business_days(start: datetime, days: int) -> datetime:
    """Return the same time of day, `days` days later; Saturdays and Sundays (UTC) do not count."""
    while days:
        start += timedelta(days=1)
        days -= start.weekday() < _SATURDAY
    return start
