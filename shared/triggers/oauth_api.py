"""The way to ServiceNow's consent and back."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import azure.functions as func

from shared.connections.authorize import BrowserCookie
from shared.errors import ConnectorError, FixRequest
from shared.triggers.operations import Call, Parameter, operation
from shared.triggers.pages import Visit, cookie_value, page, redirect
from shared.triggers.principal import Role

blueprint = func.Blueprint()

MANAGERS: Final = frozenset({Role.CONNECTIONS_MANAGE})


@operation(
    blueprint,
    "GET",
    "api/oauth/authorize",
    summary="Send the browser to ServiceNow to authorize a connection",
    roles=MANAGERS,
    answers={302: None},
    parameters=(
        Parameter("connection_id", "The connection to authorize.", required=True),
        Parameter(
            "log_out_first",
            "true: ask ServiceNow to sign its present user out.",
            {"type": "string", "enum": ["true", "false"]},
        ),
    ),
    problems={
        400: ("invalid_connection_id",),
        404: ("connection_not_found",),
        409: ("connection_not_configured",),
    },
)
async def authorize_connection(call: Call) -> func.HttpResponse:
    """Answer 302 to ServiceNow, with the cookie that binds the authorization to this browser."""
    query = call.known_query("connection_id", "log_out_first")
    if "connection_id" not in query:
        raise FixRequest(
            "The query parameter connection_id is missing; nothing was done.",
            code="invalid_connection_id",
            next_step="Name the connection to authorize in connection_id.",
        )
    start = await call.application.authorization.begin(
        query["connection_id"],
        started_by=call.principal.object_id,
        log_out_first=query.get("log_out_first") == "true",
    )
    response = func.HttpResponse(status_code=302, headers={"Location": start.location, "Cache-Control": "no-store"})
    response.headers.add("Set-Cookie", set_cookie(start.cookie))
    return response


@page(blueprint, "GET", "api/oauth/callback", roles=None)
async def complete_authorization(visit: Visit) -> func.HttpResponse:
    """Take the code, keep the tokens if they are the integration user's, and go on to the connection's page.

    The one anonymous route that changes anything: a state that works once, within ten minutes, in the browser that
    began, is what protects it.
    """
    authorization = visit.application.authorization
    name = authorization.cookie_name(visit.query)
    value = cookie_value(visit.request.headers.get("Cookie") or "", name) if name else None
    try:
        connection = await authorization.complete(visit.query, {name: value} if name and value else {})
    except ConnectorError as error:
        return visit.page("authorization_failed.html", status=error.status, error=error)
    parameters = urlencode({"connection_id": connection.connection_id, "done": "authorized"})
    return redirect(f"/ticketProvisioning?{parameters}")


def set_cookie(cookie: BrowserCookie) -> str:
    """Return the header value of a cookie.

    Only what the host rewrites unchanged stands in it (host document P20-P27); it goes back to any path, for the
    ``__Host-`` prefix demands that.
    """
    secure = "; Secure" if cookie.secure else ""
    return f"{cookie.name}={cookie.value.reveal()}; Path=/; Max-Age={cookie.max_age_s}; HttpOnly; SameSite=Lax{secure}"
