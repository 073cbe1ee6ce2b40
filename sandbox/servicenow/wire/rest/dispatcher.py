"""Finds a request's caller and resource, and writes errors as the instance does."""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.errors import ServiceNowError
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.wire.rest.call import Resource, RestCall, written

Authenticate = Callable[[Request], Awaitable[Caller | Response]]

CALLER_SCOPE_KEY = "servicenow.caller"
"""The key under which a batch passes its caller to its items, which need not authenticate again."""

_OVERLONG_PAGE = (
    "<html><head><title>414 Request-URI Too Large</title></head>"
    "<body><center><h1>414 Request-URI Too Large</h1></center><hr><center>snow_adc</center></body></html>"
)


class RestDispatcher:
    """Answers everything below `/api/`: authenticates, finds the resource, writes errors as the instance does."""

    def __init__(self, instance: Instance, authenticate: Authenticate, resources: tuple[Resource, ...]) -> None:
        self._instance = instance
        self._authenticate = authenticate
        self._resources = resources

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if len(request.url.path) > self._instance.properties.number("simulator.path.maximum_length"):
            return HTMLResponse(_OVERLONG_PAGE, 414)
        maximum = self._instance.properties.number("simulator.query_string.maximum_length")
        if maximum and len(request.url.query) > maximum:
            return HTMLResponse(_OVERLONG_PAGE, 414)
        caller = request.scope.get(CALLER_SCOPE_KEY) or await self._authenticate(request)
        if isinstance(caller, Response):
            return caller
        try:
            response = await self._dispatch(request, caller)
        except ServiceNowError as error:
            response = written(error.body, error.status, error.headers, request)
        if request.method == "HEAD":
            response.body = b""
        return response

    async def _dispatch(self, request: Request, caller: Caller) -> Response:
        properties = self._instance.properties
        if properties.flag("simulator.rest_endpoint_acl.active") and not (
            caller.is_admin or "snc_platform_rest_api_access" in caller.roles
        ):
            raise errors.not_authorized()
        for resource in self._resources:
            match = resource.pattern.fullmatch(request.url.path)
            if match is None:
                continue
            method = request.headers.get("x-http-method-override", request.method).upper()
            handler = resource.handlers.get("GET" if method == "HEAD" else method)
            if handler is None:
                raise errors.method_not_supported(method)
            _require_acceptable(request)
            path = {name: value or "" for name, value in match.groupdict().items()}
            version = path.pop("version")
            return await handler(RestCall(self._instance, request, caller, method, version, path))
        raise errors.unknown_resource(properties.number("simulator.unknown_path_status"))


def _require_acceptable(request: Request) -> None:
    """Raise ServiceNowError if the caller accepts neither JSON nor XML."""
    accept = request.headers.get("accept", "*/*")
    if not re.search(r"json|xml|\*/\*|application/\*|image/", accept):
        raise errors.not_acceptable(accept)
