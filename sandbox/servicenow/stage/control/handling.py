"""Helpers for the control API's handlers: reading the request, refusing it, writing the answer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.servicenow.engine.accounts import find_user
from sandbox.servicenow.engine.caller import SYSTEM, Caller
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.errors import ServiceNowError
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.wire.rest.input_values import as_raw_text

type Json = dict[str, Any]
type Handler = Callable[[Request, Json], object]
"""Takes the request and its JSON body, and returns the value of the JSON answer."""
type Handlers = Mapping[tuple[str, str], Handler]
"""Handlers by method and path below `/control`."""


class ControlProblemError(Exception):
    """A request that the control API cannot carry out."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def endpoint_of(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers a request with a handler, and writes refusals."""

    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(handler(request, await _body_of(request)))
        except ControlProblemError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except ServiceNowError as error:
            return JSONResponse({"error": f"{error.message}: {error.detail}"}, error.status)
        except KeyError as error:
            return JSONResponse({"error": f"unknown or missing: {error.args[0]}"}, 400)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint


async def _body_of(request: Request) -> Json:
    body = await request.json() if await request.body() else {}
    if not isinstance(body, dict):
        raise ControlProblemError(400, "the body is a JSON object")
    return body


def require_known(body: Json, known: set[str]) -> None:
    """Raise ControlProblemError for a key that is not in `known`."""
    if unknown := body.keys() - known:
        raise ControlProblemError(400, f"unknown: {', '.join(sorted(unknown))}")


def raw_columns(instance: Instance, table: str, values: Json) -> Row:
    """Return the raw values of columns of a table. Raises ControlProblemError for unknown columns."""
    if table not in instance.dictionary:
        raise ControlProblemError(404, f"no table {table}")
    require_known(values, set(instance.dictionary.columns(table)))
    return {name: as_raw_text(value) for name, value in values.items()}


def user_named(instance: Instance, user_name: str) -> Row:
    """Return the user with that name. Raises ControlProblemError if the user does not exist."""
    user = find_user(instance, user_name)
    if user is None:
        raise ControlProblemError(404, f"no user {user_name}")
    return user


def acting(instance: Instance, body: Json) -> Caller:
    """Return the user in `as_user`, by default the system. Raises ControlProblemError for an unknown one."""
    name = body.get("as_user", "")
    if not name:
        return SYSTEM
    caller = instance.caller_of(user_named(instance, name)["sys_id"])
    assert caller is not None
    return caller
