"""The queues, by which the timer shares out its work among instances of the app."""

from __future__ import annotations

import azure.functions as func

from shared.application import application

blueprint = func.Blueprint()


@blueprint.queue_trigger(arg_name="message", queue_name="%MAINTAIN_QUEUE%", connection="WorkQueue")
async def maintain_connections(message: func.QueueMessage) -> None:
    """Do what is due on the connections that a message names; safe to run twice at once, and bounded in time."""
    await application().maintenance.serve_message(message.get_body())


@blueprint.queue_trigger(arg_name="message", queue_name="%READ_QUEUE%", connection="WorkQueue")
async def read_tenants(message: func.QueueMessage) -> None:
    """Read the tenants that a message names, if they are due; safe to run twice at once, and bounded in time."""
    await application().maintenance.read_message(message.get_body())
