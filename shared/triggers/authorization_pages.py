"""Pages: the two addresses of an authorization that a browser visits; the API describes them.

Their errors are like those of pages: a browser is shown a page, a program gets a problem document.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

import azure.functions as func

from shared.connections.grant.authorize import authorization_name, unknown_browser, unnamed_authorization
from shared.connections.lookup import get_known_connection
from shared.errors import FixRequest
from shared.triggers.addresses import authorize_path
from shared.triggers.cookies import cookie_value, set_cookie
from shared.triggers.front_door import Call, is_from_here, page, redirect
from shared.triggers.parameters import PATH_PARAMETERS, as_sent, flag
from shared.triggers.principal import MANAGERS

blueprint = func.Blueprint()

AUTHORIZE: Final = "api/oauth/authorize"
CALLBACK: Final = "api/oauth/callback"
_ANSWER: Final = frozenset({"state", "code", "error"})
"""The parts of ServiceNow's answer that are used."""
_ANSWER_SUFFIX: Final = "-answer"
_ANSWER_LASTS_S: Final = 120
"""ServiceNow's code lives for a minute (ServiceNow §1.3)."""
_LONGEST: Final = 2_000
_NAME: Final = "authorization"
"""Query parameter that names the authorization once the answer has left the address."""


_BEGIN_PARAMETERS: Final = (
    as_sent("connection_id", "The connection to authorize.", PATH_PARAMETERS["connection_id"], required=True),
    flag("log_out_first", "true: ServiceNow signs its present user out first."),
)


@page(
    blueprint,
    "GET",
    AUTHORIZE,
    summary="Send the browser to ServiceNow to authorize a connection",
    roles=MANAGERS,
    answers={200: None, 302: None},
    parameters=_BEGIN_PARAMETERS,
    kept=[each.name for each in _BEGIN_PARAMETERS],
    problems={
        400: ("invalid_connection_id",),
        404: ("connection_not_found",),
        409: ("connection_not_configured", "other_grant"),
    },
)
async def begin_authorization(call: Call) -> func.HttpResponse:
    """Send the browser to ServiceNow, with the cookie that lets it come back.

    A person who comes from another site is asked first: a link in a portal is normal, but nobody should reach a consent
    unintentionally.
    """
    unknown = sorted(set(call.query) - set(call.route.query_names))
    log_out_first = call.query.get("log_out_first", "false")
    if unknown or "connection_id" not in call.query or log_out_first not in {"true", "false"}:
        raise FixRequest("invalid_query", variant="authorize")
    if not is_from_here(call.request.headers):
        connection = await get_known_connection(call.application.connection_store, call.query["connection_id"])
        return call.page(
            "begin_authorization.html",
            connection=connection,
            authorize_path=authorize_path(connection.connection_id, log_out_first=log_out_first == "true"),
        )
    start = await call.application.authorization.begin(
        call.query["connection_id"],
        started_by=call.principal.object_id,
        log_out_first=log_out_first == "true",
    )
    response = func.HttpResponse(status_code=302, headers={"Location": start.location, "Cache-Control": "no-store"})
    cookie = start.cookie
    set_cookie(response, cookie.name, cookie.value.reveal(), max_age_s=cookie.max_age_s, secure=cookie.secure)
    return response


@page(
    blueprint,
    "GET",
    CALLBACK,
    summary="Where ServiceNow sends the browser back to",
    roles=None,
    answers={303: None},
    parameters=(
        as_sent(
            "state",
            "As sent to ServiceNow. With state, code or error the answer leads to this address without them.",
            {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        ),
        as_sent("code", "The authorization code."),
        as_sent("error", "Why there is no code."),
        as_sent("error_description", "ServiceNow's own words."),
        as_sent(
            _NAME,
            "Which authorization it is, once ServiceNow's answer is in a cookie.",
            {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        ),
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
        409: (
            "connection_not_configured",
            "other_grant",
            "authorization_superseded",
            "authorization_other_instance",
        ),
        502: (
            "authorization_code_refused",
            "authorization_incomplete",
            "authorization_token_refused",
            "current_user_unknown",
            "ip_address_blocked",
            "access_scope_missing",
        ),
        503: ("authorization_waiting", "servicenow_unavailable", "servicenow_throttled", "lease_lost"),
    },
)
async def complete_authorization(call: Call) -> func.HttpResponse:
    """Take what ServiceNow sent the browser back with. No sign-in is needed: the cookies say who it is.

    The browser calls twice. First the address holds ServiceNow's answer, which moves into a cookie: no page may have a
    code in its address, its history or its ``Referer``. The second call processes the answer and can be reloaded.
    """
    if _ANSWER & call.query.keys():
        return _answer_moved(call)
    authorization, headers = call.application.authorization, call.request.headers
    cookie = authorization.cookie_name(call.query.get(_NAME, ""))
    if cookie is None:
        raise unnamed_authorization()
    verifier, answer = cookie_value(headers, cookie), cookie_value(headers, cookie + _ANSWER_SUFFIX)
    if verifier is None or answer is None:
        raise unknown_browser()
    connection = await authorization.complete(_unpacked(answer), {cookie: verifier})
    response = redirect(f"/configuration/{connection.connection_id}?done=authorized")
    for name in (cookie, cookie + _ANSWER_SUFFIX):
        set_cookie(response, name, "", max_age_s=0, secure=name.startswith("__Host-"))
    return response


def _answer_moved(call: Call) -> func.HttpResponse:
    """Send the browser to the same address without ServiceNow's answer; only the browser that began keeps it."""
    name = authorization_name(call.query.get("state", "")) or ""
    cookie = call.application.authorization.cookie_name(name)
    response = redirect(f"/{CALLBACK}?{_NAME}={name}")
    response.headers["Referrer-Policy"] = "no-referrer"
    if cookie is not None and cookie_value(call.request.headers, cookie) is not None:
        answer = {key: call.query[key][:_LONGEST] for key in _ANSWER & call.query.keys()}
        set_cookie(
            response,
            cookie + _ANSWER_SUFFIX,
            _packed(answer),
            max_age_s=_ANSWER_LASTS_S,
            secure=cookie.startswith("__Host-"),
        )
    return response


def _packed(answer: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(urlencode(answer).encode()).decode().rstrip("=")


def _unpacked(text: str) -> Mapping[str, str]:
    """Return the answer in a cookie. Raises FixRequest if somebody else wrote it."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        raise unknown_browser() from None
    return dict(parse_qsl(plain, keep_blank_values=True))
