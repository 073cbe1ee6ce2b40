"""The one timer."""

from __future__ import annotations

import azure.functions as func

from shared.application import application

blueprint = func.Blueprint()


@blueprint.timer_trigger(schedule="%MAINTAIN_SCHEDULE%", arg_name="timer", run_on_startup=False, use_monitor=False)
async def maintain(timer: func.TimerRequest) -> None:
    """Do what is due on every connection; safe to run twice at once, and bounded in time."""
    await application().maintenance.run()
