"""All REST APIs of an instance, as routes of a web application."""

from starlette.requests import Request
from starlette.routing import Route

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.wire.rest import aggregate, attachments, change, metadata, user
from sandbox.servicenow.wire.rest.batch import BatchApi
from sandbox.servicenow.wire.rest.dispatcher import Authenticate, RestDispatcher
from sandbox.servicenow.wire.rest.table import TableApi

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

__all__ = ["Authenticate", "rest_routes"]


def rest_routes(instance: Instance, authenticate: Authenticate) -> list[Route]:
    """Return the routes below `/api/`. They also answer unknown paths there, so they must come last.

    `authenticate` returns the caller of a request, or a refusal.
    """
    table_api = TableApi(instance.properties.number("simulator.default_order.seed"))
    batch_api = BatchApi()
    dispatcher = RestDispatcher(
        instance,
        authenticate,
        (
            *table_api.resources(),
            *batch_api.resources(),
            *aggregate.RESOURCES,
            *attachments.RESOURCES,
            *change.RESOURCES,
            *metadata.RESOURCES,
            *user.RESOURCES,
        ),
    )
    batch_api.dispatch = dispatcher

    async def answer(request: Request) -> object:
        return await dispatcher(request)

    return [Route("/api/{path:path}", answer, methods=_METHODS)]
