"""Reads forms and query strings as the instance reads them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

FORM_TYPE = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a form body, the last of those with the same name; none for other content types."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM_TYPE:
        return {}
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))


def query_of(request: Request) -> Mapping[str, str]:
    """Return the query parameters, the last of those with the same name."""
    return dict(request.query_params)
