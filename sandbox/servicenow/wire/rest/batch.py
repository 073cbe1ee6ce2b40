"""The batch API: several REST requests in one, with bodies in base64 (ServiceNow §4)."""

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from sandbox.servicenow.engine import errors
from sandbox.servicenow.wire.rest.call import Json, Resource, RestCall, written
from sandbox.servicenow.wire.rest.dispatcher import CALLER_SCOPE_KEY
from sandbox.servicenow.wire.rest.input_values import as_raw_text

_MEBIBYTE = 1024 * 1024


class BatchApi:
    """Runs the items of a batch one after the other, as the caller of the batch."""

    def __init__(self) -> None:
        self.dispatch: Callable[[Request], Awaitable[Response]] | None = None

    def resources(self) -> tuple[Resource, ...]:
        """Return the paths served."""
        return (Resource("batch", {"POST": self.run}),)

    async def run(self, call: RestCall) -> Response:
        """Answer a batch: 200 says nothing about the items; those that it had no time for are listed."""
        body = await call.read_json()
        if not isinstance(body, dict) or not isinstance(items := body.get("rest_requests"), list):
            raise errors.unreadable_payload("The payload has no rest_requests")
        properties = call.instance.properties
        at_most = properties.number("simulator.batch.serviced_at_most") or len(items)
        ends_at = time.monotonic() + properties.number("simulator.batch.maximum_s")
        serviced: list[Json] = []
        unserviced: list[Json] = []
        for item in items:
            if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("id", "method", "url")):
                raise errors.unreadable_payload("A request of the batch needs id, method and url")
            if len(serviced) < at_most and time.monotonic() < ends_at:
                serviced.append(await self._serve(call, item))
            else:
                unserviced.append(item["id"])
        answer: dict[str, Json] = {
            "batch_request_id": as_raw_text(body.get("batch_request_id")),
            "serviced_requests": serviced,
            "unserviced_requests": unserviced,
        }
        return written(answer, 200, {}, call.request)

    async def _serve(self, call: RestCall, item: dict[str, Json]) -> Json:
        started = time.monotonic()
        request = _request_of(call, item)
        if request is None:
            response = _refused(call, item)
        else:
            assert self.dispatch is not None
            response = await self.dispatch(request)
        served: dict[str, Json] = {
            "id": item["id"],
            "status_code": response.status_code,
            "status_text": HTTPStatus(response.status_code).phrase,
            "body": base64.b64encode(bytes(response.body)).decode(),
            "execution_time": int((time.monotonic() - started) * 1000),
        }
        if item.get("exclude_response_headers") is not True:
            served["headers"] = [{"name": name, "value": value} for name, value in response.headers.items()]
        return served


def _refused(call: RestCall, item: dict[str, Json]) -> Response:
    error = errors.unreadable_payload(f"Request {item['id']} of the batch cannot be read")
    return written(error.body, error.status, error.headers, call.request)


def _request_of(call: RestCall, item: dict[str, Json]) -> Request | None:
    """Return an item as a request; None if its URL or body is unreadable, or if it is itself a batch."""
    path, _, query = str(item["url"]).partition("?")
    raw = item.get("body") or ""
    try:
        body = base64.b64decode(str(raw), validate=True)
    except binascii.Error:
        return None
    maximum = call.instance.properties.number("simulator.batch.maximum_item_mib") * _MEBIBYTE
    if not path.startswith("/") or path.rstrip("/").endswith("/batch") or len(body) > maximum:
        return None
    given = item.get("headers")
    headers = Headers(
        {
            "host": call.request.headers.get("host", ""),
            **{
                str(header.get("name", "")).lower(): str(header.get("value", ""))
                for header in (given if isinstance(given, list) else [])
                if isinstance(header, dict)
            },
        }
    )

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        **call.request.scope,
        "method": str(item["method"]).upper(),
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers.raw,
        CALLER_SCOPE_KEY: call.caller,
    }
    return Request(scope, receive)
