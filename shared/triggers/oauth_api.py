"""HTTP API: the two addresses of an authorization that a browser visits.

They are pages as far as errors go: a browser is shown a page, a program gets a problem document.
"""

from __future__ import annotations

from typing import Final

import azure.functions as func

from shared.errors import FixRequest
from shared.triggers.openapi import PATH_PARAMETERS
from shared.triggers.operations import OPERATIONS, Operation, Parameter
from shared.triggers.pages import Visit, cookie_value, page, redirect
from shared.triggers.principal import Role

blueprint = func.Blueprint()

AUTHORIZE: Final = "api/oauth/authorize"
CALLBACK: Final = "api/oauth/callback"
MANAGERS: Final = frozenset({Role.CONNECTIONS_MANAGE})


@page(blueprint, "GET", AUTHORIZE, roles=MANAGERS)
async def begin_authorization(visit: Visit) -> func.HttpResponse:
    """Send the browser to ServiceNow, with the cookie that lets it come back."""
    unknown = sorted(set(visit.query) - {"connection_id", "log_out_first"})
    log_out_first = visit.query.get("log_out_first", "false")
    if unknown or "connection_id" not in visit.query or log_out_first not in {"true", "false"}:
        raise FixRequest(
            "The address of the authorization is not complete; nothing was done.",
            code="invalid_query",
            next_step="Use /api/oauth/authorize?connection_id=<id>, with &log_out_first=true to sign out first.",
        )
    start = await visit.application.authorization.begin(
        visit.query["connection_id"],
        started_by=visit.principal.object_id,
        log_out_first=log_out_first == "true",
    )
    response = func.HttpResponse(status_code=302, headers={"Location": start.location, "Cache-Control": "no-store"})
    _set_cookie(response, start.cookie.name, start.cookie.value.reveal(), start.cookie.max_age_s, start.cookie.secure)
    return response


@page(blueprint, "GET", CALLBACK, roles=None)
async def complete_authorization(visit: Visit) -> func.HttpResponse:
    """Take what ServiceNow sent the browser back with; nobody needs to be signed in, the cookie says who it is."""
    authorization = visit.application.authorization
    cookies = {}
    if (name := authorization.cookie_name(visit.query)) is not None:
        value = cookie_value(visit.request.headers.get("Cookie") or "", name)
        cookies = {name: value} if value is not None else {}
    connection = await authorization.complete(visit.query, cookies)
    response = redirect(f"/ticketProvisioning?connection_id={connection.connection_id}&done=authorized")
    for name in cookies:
        _set_cookie(response, name, "", 0, name.startswith("__Host-"))
    return response


def _set_cookie(response: func.HttpResponse, name: str, value: str, max_age_s: int, secure: bool) -> None:
    """Set a cookie that comes back from ServiceNow's redirect, a navigation from another site: hence ``Lax``."""
    attributes = f"Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    response.headers.add("Set-Cookie", f"{name}={value}; {attributes}")


OPERATIONS.extend(
    [
        Operation(
            name="begin_authorization",
            method="GET",
            path=AUTHORIZE,
            summary="Send the browser to ServiceNow to authorize a connection",
            roles=MANAGERS,
            answers={302: None},
            parameters=(
                Parameter(
                    "connection_id", "The connection to authorize.", PATH_PARAMETERS["connection_id"], required=True
                ),
                Parameter(
                    "log_out_first",
                    "true: ServiceNow signs its present user out first.",
                    {"type": "string", "enum": ["true", "false"]},
                ),
            ),
            problems={
                400: ("invalid_connection_id",),
                404: ("connection_not_found",),
                409: ("connection_not_configured",),
            },
        ),
        Operation(
            name="complete_authorization",
            method="GET",
            path=CALLBACK,
            summary="Where ServiceNow sends the browser back to",
            roles=None,
            answers={303: None},
            parameters=(
                Parameter(
                    "state", "As sent to ServiceNow.", {"type": "string", "pattern": "^[0-9a-f]{64}$"}, required=True
                ),
                Parameter("code", "The authorization code."),
                Parameter("error", "Why there is no code."),
                Parameter("error_description", "ServiceNow's own words."),
            ),
            problems={
                400: (
                    "authorization_state_invalid",
                    "authorization_browser_unknown",
                    "authorization_unknown",
                    "authorization_expired",
                    "authorization_failed",
                    "authorization_code_missing",
                ),
                403: (
                    "authorization_denied",
                    "authorization_wrong_user",
                    "authorization_user_inactive",
                    "authorization_user_locked",
                    "authorization_create_refused",
                    "authorization_read_refused",
                ),
                404: ("connection_not_found",),
                409: ("connection_not_configured", "authorization_superseded", "authorization_other_instance"),
                502: (
                    "authorization_code_refused",
                    "authorization_incomplete",
                    "current_user_unknown",
                    "ip_address_blocked",
                    "access_scope_missing",
                ),
                503: ("authorization_waiting", "servicenow_unavailable", "servicenow_throttled", "lease_lost"),
            },
        ),
    ]
)
