"""A call of a REST resource: its parameters, its body, and the writing of its answer."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.display import UserFormat
from sandbox.servicenow.engine.instance import Instance

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class RestCall:
    """One authenticated request to a REST resource.

    `path` are the variable parts of the path, `version` is `v1`, `v2` or empty for the latest.
    """

    instance: Instance
    request: Request
    caller: Caller
    method: str
    version: str
    path: Mapping[str, str]

    @property
    def parameters(self) -> QueryParams:
        """The query string."""
        return self.request.query_params

    @cached_property
    def base_url(self) -> str:
        """The caller's scheme and host, without a slash at the end."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}"

    @cached_property
    def api_url(self) -> str:
        """The prefix of links to the APIs; it keeps the version of the call (ServiceNow §2.4)."""
        return f"{self.base_url}/api/now{f'/{self.version}' if self.version else ''}"

    @cached_property
    def user_format(self) -> UserFormat:
        """How the caller sees dates."""
        return self.instance.format_of(self.caller)

    def flag(self, name: str) -> bool:
        """Say whether a query parameter is `true`."""
        return self.parameters.get(name, "").lower() == "true"

    async def read_body(self) -> bytes:
        """Return the request body. Raises ServiceNowError if it exceeds the instance's limit."""
        maximum = self.instance.properties.number("glide.rest.max_content_length") * _MEBIBYTE
        declared = self.request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > maximum:
            raise errors.payload_too_large(int(declared), maximum)
        body = await self.request.body()
        if len(body) > maximum:
            raise errors.payload_too_large(len(body), maximum)
        return body

    async def read_json(self) -> Json:
        """Return the JSON body, `{}` if it is empty. Raises ServiceNowError for any other body."""
        body = await self.read_body()
        content_type = self.request.headers.get("content-type", "application/json")
        if body and "json" not in content_type:
            raise errors.unsupported_media_type(content_type)
        try:
            parsed: Json = json.loads(body or b"{}")
        except ValueError as error:
            raise errors.unreadable_payload(f"The payload is not valid JSON: {error}") from error
        return parsed

    def answer(self, result: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Return a success: `{"result": …}`, in the media type that the caller accepts."""
        return written({"result": result}, status, headers or {}, self.request)


type Handler = Callable[[RestCall], Awaitable[Response]]


@dataclass(frozen=True)
class Resource:
    """A path of an API (below `/api/now/` or another), with variable parts in braces, and the handler of each verb."""

    template: str
    handlers: Mapping[str, Handler]
    api: str = "now"
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        object.__setattr__(self, "pattern", re.compile(rf"/api/{self.api}/(?:(?P<version>v[12])/)?{pattern}/?"))


def written(body: Json | dict[str, object], status: int, headers: Mapping[str, str], request: Request) -> Response:
    """Write an answer as JSON, or as XML if the caller accepts only that; it is chunked, without a length."""
    accept = request.headers.get("accept", "")
    if "xml" in accept and "json" not in accept:
        content, media_type = _as_xml(body), "application/xml;charset=UTF-8"
    else:
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        media_type = "application/json;charset=UTF-8"
    response = Response(content, status, {**headers, "Content-Type": media_type})
    del response.headers["content-length"]
    return response


def without_body(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer without a body."""
    return Response(None, status, headers)


def page_links(request: Request, *, limit: int, offset: int, total: int, negative_prev: bool) -> str:
    """Return the `Link` header: commas without space, the caller's parameters kept (ServiceNow §2.7).

    With `negative_prev`, page one has a `prev` too, with a negative offset.
    """
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "sysparm_offset"]
    if not any(name == "sysparm_limit" for name, _ in kept):
        kept.append(("sysparm_limit", str(limit)))
    last = max(total - 1, 0) // limit * limit
    offsets = {"first": 0, "prev": offset - limit, "next": offset + limit, "last": last}
    if not negative_prev and offsets["prev"] < 0:
        del offsets["prev"]
    if offsets["next"] >= total:
        del offsets["next"]
    url = f"{request.url.scheme}://{request.url.netloc}{request.url.path}"
    return ",".join(
        f'<{url}?{urlencode([*kept, ("sysparm_offset", str(position))], safe=",", quote_via=quote)}>;rel="{relation}"'
        for relation, position in offsets.items()
    )


def _as_xml(body: Json | dict[str, object]) -> bytes:
    root = ET.Element("response")
    _append_xml(root, body)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(root, encoding="unicode").encode()


def _append_xml(parent: ET.Element, value: object) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            for each in item if isinstance(item, list) else [item]:
                _append_xml(ET.SubElement(parent, name), each)
    elif value is not None:
        parent.text = str(value)
