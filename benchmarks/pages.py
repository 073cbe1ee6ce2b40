"""Pages, requested as the Functions host requests them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final

import azure.functions as func

from benchmarks.connector import Connector
from benchmarks.effort import Effort
from shared.application import application
from tests.registered import functions

CLAIMS: Final = {"oid": "0b1e6d3c-6a53-4f7e-9a7e-0d6a3b1c2f01", "name": "Adele Vance", "roles": "Tickets.Read"}
PRINCIPAL: Final = base64.b64encode(
    json.dumps({"claims": [{"typ": name, "val": value} for name, value in CLAIMS.items()]}).encode()
).decode()


@asynccontextmanager
async def application_of_pages() -> AsyncIterator[None]:
    """At the end of the block, close the application that the first page builds."""
    try:
        yield
    finally:
        await application().aclose()


async def visit(connector: Connector, page: str, path: str, **route_params: str) -> Effort:
    """Visit a page and measure it.

    Args:
        page: The function's name on the host.
        path: The page's address.
    """
    (endpoint,) = (each.get_user_function() for each in functions() if each.get_function_name() == page)
    request = func.HttpRequest(
        method="GET",
        url=f"{connector.app.settings.public_base_url}{path}",
        headers={"X-MS-CLIENT-PRINCIPAL": PRINCIPAL, "Accept": "text/html"},
        route_params=route_params,
        body=b"",
    )
    context: Any = SimpleNamespace(invocation_id="benchmark")
    with connector.measured() as effort:
        answer = await endpoint(request, context)
    assert answer.status_code == 200, answer.get_body()
    return effort
