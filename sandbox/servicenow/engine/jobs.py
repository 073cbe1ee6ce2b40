"""Scheduled jobs that change tickets without a person (ServiceNow §5.3)."""

from datetime import timedelta

from sandbox.servicenow.engine.glide_time import to_glide
from sandbox.servicenow.engine.instance import Instance


def close_resolved_incidents(instance: Instance) -> int:
    """Close every incident resolved more than `glide.ui.autoclose.time` days ago; return their number."""
    now = instance.clock.now()
    resolved_before = now - timedelta(days=instance.properties.number("glide.ui.autoclose.time"))
    return instance.records.update_many(
        "incident",
        f"state=6^resolved_at<={to_glide(resolved_before)}",
        {"state": "7", "incident_state": "7", "active": "false", "closed_at": to_glide(now)},
    )
