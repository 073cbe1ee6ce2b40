"""The only way in: a declared route becomes a function of the host, with the same checks before every handler.

This module checks who calls, from where, how large the body is and what the address asks for, as the route declares. An
error becomes a page for people and a problem document for programs.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import azure.functions as func

from shared.access.current import seen_by
from shared.access.model import UNLIMITED_ONLY
from shared.application import Application, application, usable_settings
from shared.errors import (
    ConnectionNotAuthorized,
    ConnectorError,
    FixRequest,
    NotSignedIn,
    OurBug,
    Reauthorize,
    Values,
)
from shared.log import log_bug, log_context, log_event
from shared.request_faults import MAX_NAME_SHOWN
from shared.telemetry import span
from shared.triggers.addresses import from_query, way_to_authorize
from shared.triggers.answers import JsonAnswer, problem, problem_headers
from shared.triggers.attention import attention_count
from shared.triggers.cookies import cookie_value
from shared.triggers.parameters import Parameter
from shared.triggers.principal import Principal, Role, read_principal, require_roles
from shared.triggers.request_bodies import FormBody, FormContent, read_form, read_json, refuse_large, was_sent
from shared.triggers.routes import ROUTES, SAFE_METHODS, Body, Keeps, Route, own_address, read_query
from shared.value_object import value_object
from shared.waiting_person import waiting
from shared.web.html import CONTENT_SECURITY_POLICY, render
from shared.words.error_words import words_of
from shared.words.language import COOKIE, Language, choose_language

HTML: Final = "text/html"
DONE_BEFORE: Final = frozenset({"already_delivered", "delivery_under_way", "update_not_found", "update_under_way"})
"""What a form that is sent again is refused with, after the first time has done it: its page then says only that."""
HTML_TYPE: Final = f"{HTML}; charset=utf-8"


@value_object
class Call:
    """One call of a route.

    Attributes:
        caller: The signed-in caller; None on a route that anybody may use.
        query: Query parameters as sent, blank ones included.
        content: Fields and files of a form.
        attention_count: How many things that the caller may see need attention, for the navigation; None if unknown.
        lacks_groups: Whether limited customers are hidden because the caller's token cannot name all groups.
    """

    route: Route
    request: func.HttpRequest
    request_id: str
    language: Language
    caller: Principal | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    content: FormContent = field(default_factory=FormContent)
    attention_count: int | None = None
    lacks_groups: bool = False

    @property
    def application(self) -> Application:
        """Everything that a handler can call. Raises SettingsInvalid."""
        return application()

    @property
    def now(self) -> datetime:
        """The time, for templates."""
        return self.application.clock()

    @property
    def principal(self) -> Principal:
        """The caller of a route that requires a role."""
        assert self.caller is not None, "the route is declared with roles"
        return self.caller

    @property
    def form(self) -> Mapping[str, str]:
        """Fields of a form; of fields with the same name, the first."""
        return self.content.fields

    @property
    def is_safe(self) -> bool:
        """Whether the method only reads."""
        return self.request.method in SAFE_METHODS

    def may(self, role: Role) -> bool:
        """Whether the caller has this role."""
        return self.caller is not None and role in self.caller.roles

    def path_parameter(self, name: str) -> str:
        """Return a parameter of the path; empty if the address ends before it."""
        return str(self.request.route_params.get(name, ""))

    def json(self) -> object:
        """Return the JSON value of the body; an empty object if the body is optional and missing.

        Raises:
            FixRequest: 415, 411 or 400 if there is no JSON value to read.
        """
        return {} if not self.route.body_required and not was_sent(self.request) else read_json(self.request)

    def page(self, template: str, *, status: int = 200, **values: object) -> func.HttpResponse:
        """Return a rendered page; a value ``here`` says where a change of language leads, if not to its address."""
        parts = urlsplit(self.request.url)
        settings = usable_settings()
        here = str(values.get("here", _place_to_return_to(parts)))
        known = {
            "call": self,
            "Role": Role,
            "address": parts.path,
            "here": here,
            "from_here": from_query(here),
            "attention_count": self.attention_count,
            "was_done_before": self.query.get("done") == "already",
            "environment_name": settings.environment_name if settings else "",
            "documentation_url": settings.documentation_url if settings else "",
        }
        html = render(template, self.language, **(known | values))
        return func.HttpResponse(
            html.encode(),
            status_code=status,
            headers={
                "Content-Type": HTML_TYPE,
                "Content-Language": self.language.code,
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "Cache-Control": "no-store",
                "Vary": "Cookie, Accept-Language",
                # Elsewhere the app's own policy applies. It shows other sites nothing, but "no-referrer" would make
                # browsers send "Origin: null" with forms.
                **({"Referrer-Policy": "no-referrer"} if parts.path.startswith("/api/") else {}),
            },
        )


def _place_to_return_to(parts: SplitResult) -> str:
    """Return where a change of language leads back to: a page, not an address that does something."""
    return "/" if parts.path.startswith("/api/") else own_address(f"{parts.path}?{parts.query}")


type Handler = Callable[[Call], Awaitable[JsonAnswer | func.HttpResponse]]


def route(
    blueprint: func.Blueprint,
    method: str,
    path: str,
    *,
    roles: frozenset[Role] | None,
    html: bool = False,
    summary: str | None = None,
    answers: Mapping[int, type | Callable[[], type] | None] | None = None,
    files: Sequence[str] = (),
    body: Body = None,
    body_required: bool = True,
    parameters: Sequence[Parameter[object]] = (),
    problems: Mapping[int, tuple[str, ...]] | None = None,
    kept: Sequence[str] = (),
    belongs_to: str | None = None,
    keeps: Keeps | None = None,
    secret_fields: Collection[str] = (),
) -> Callable[[Handler], Handler]:
    """Declare the decorated handler as a route; its name becomes the function's name on the host.

    The arguments are those of :class:`shared.triggers.routes.Route`; a page receives forms.
    """

    def declare(handler: Handler) -> Handler:
        declared = Route(
            name=handler.__name__,
            method=method,
            path=path,
            roles=roles,
            html=html,
            summary=summary,
            answers=answers or {},
            files=files,
            body=FormBody() if body is None and html and method == "POST" else body,
            body_required=body_required,
            parameters=parameters,
            problems=problems or {},
            kept=kept,
            belongs_to=belongs_to,
            keeps=keeps,
            secret_fields=secret_fields,
        )
        serve(blueprint, declared, handler)
        if belongs_to is not None:
            serve(blueprint, replace(declared, name=f"{declared.name}_address", method="GET", body=None), _lead)
        return handler

    return declare


page = partial(route, html=True)
"""Declare the decorated handler as a page that browsers visit."""


def serve(blueprint: func.Blueprint, declared: Route, handler: Handler) -> None:
    """Register a handler with the host."""

    async def endpoint(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        return await answer(declared, handler, req, context.invocation_id)

    endpoint.__name__ = endpoint.__qualname__ = declared.name
    ROUTES.append(declared)
    blueprint.route(
        route=declared.path,
        methods=declared.methods,
        auth_level=func.AuthLevel.ANONYMOUS,
    )(endpoint)


async def _lead(call: Call) -> func.HttpResponse:
    return redirect(_page_of(call))


async def answer(declared: Route, handler: Handler, request: func.HttpRequest, request_id: str) -> func.HttpResponse:
    """Answer a request, whatever happens."""
    started_at = time.perf_counter()
    # A cookie is a person's choice; programs say in each request what they want.
    cookie = cookie_value(request.headers, COOKIE) if declared.html else None
    language = choose_language(cookie, request.headers.get("Accept-Language"))
    call = Call(declared, request, request_id, language.for_pages() if declared.html else language)
    code: str | None = None
    with log_context(request_id=request_id), waiting(), span(declared.name) as answering, seen_by(UNLIMITED_ONLY):
        try:
            call = _identified(call)
            with seen_by(UNLIMITED_ONLY if call.caller is None else call.caller.access):
                call = await _counted(await _known_groups(_checked(call)))
                answered = await handler(call)
            response = answered.to_response() if isinstance(answered, JsonAnswer) else answered
        except ConnectorError as error:
            code, response = error.code, _error_answer(call, error)
        except Exception as error:  # noqa: BLE001 - the last line of defence: the host would answer an empty 500
            log_bug("unexpected_error", error, operation=declared.name)
            bug = OurBug()
            code, response = bug.code, _error_answer(call, bug)
        answering.note(status=response.status_code)
        if response.status_code >= 500:
            answering.failed(code or "internal_error")
        log_event(
            "request_answered",
            operation=declared.name,
            route=f"{declared.method} /{declared.path.lstrip('/')}",
            status=response.status_code,
            code=code,
            duration_s=time.perf_counter() - started_at,
        )
    return response


def _identified(call: Call) -> Call:
    """Return the call with its caller, if the route asks for one.

    A route that anybody may use is excluded from the platform's Authentication, which then may not remove a forged
    principal. Raises SettingsInvalid.
    """
    if call.route.roles is None:
        return call
    return replace(call, caller=read_principal(call.request.headers, call.application.settings))


def _checked(call: Call) -> Call:
    """Return the call with what it was sent. Raises FixRequest, or SettingsInvalid."""
    declared, request = call.route, call.request
    refuse_large(request, declared.max_body_bytes)
    if not call.is_safe:
        refuse_other_sites(request.headers, call.application.settings.public_base_url)
    if declared.roles is not None:
        require_roles(call.caller, declared.roles)
    query = read_query(request.url)
    if not declared.html:
        _refuse_unknown(query, declared.query_names)
    content = read_form(request, declared.body) if isinstance(declared.body, FormBody) else FormContent()
    return replace(call, query=query, content=content)


async def _known_groups(call: Call) -> Call:
    """Return the call, knowing whether customers are hidden because the caller is in too many groups.

    A program must not take a part for the whole. Raises FixRequest (403 ``groups_unknown``).
    """
    if call.caller is None or not call.caller.has_too_many_groups or not await call.application.sight.hidden():
        return call
    if not call.route.html:
        raise FixRequest("groups_unknown", status=403)
    return replace(call, lacks_groups=True)


async def _counted(call: Call) -> Call:
    """Return the call with the count that pages show in their navigation."""
    if not call.route.html or call.caller is None:
        return call
    return replace(call, attention_count=await attention_count(call.application.attention, call.caller))


def _refuse_unknown(query: Mapping[str, str], names: Sequence[str]) -> None:
    """Refuse query parameters that are not declared. Raises FixRequest (400 ``unknown_parameter``)."""
    unknown = sorted(set(query) - set(names))
    if unknown:
        known: Values = {"parameters": names} if names else {"variant": "none"}
        values: Values = {"parameter": unknown[0][:MAX_NAME_SHOWN], **known}
        raise FixRequest("unknown_parameter", **values)


def is_from_here(headers: Mapping[str, str]) -> bool:
    """Whether no other site made the browser send this: it came from our own page, an address or a bookmark.

    Programs and browsers from before 2023 do not say where a request comes from; for them the answer is yes.
    """
    return headers.get("Sec-Fetch-Site") in {None, "same-origin", "none"}


def refuse_other_sites(headers: Mapping[str, str], public_base_url: str) -> None:
    """Refuse a write, or a preflight request, that another web site made a browser send.

    Browsers say where a request comes from by ``Sec-Fetch-Site``, older ones by ``Origin``; programs send neither.

    Raises:
        FixRequest: 403 ``cross_site_request``.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if not is_from_here(headers) or (site is None and origin not in {None, public_base_url}):
        raise FixRequest("cross_site_request", status=403)


def redirect(address: str) -> func.HttpResponse:
    """Send the browser to another page of this app after a form was handled."""
    return func.HttpResponse(
        status_code=303, headers={"Location": quote(address, safe="/?&=%#-._~:"), "Cache-Control": "no-store"}
    )


def _error_answer(call: Call, error: ConnectorError) -> func.HttpResponse:
    """Return a page with a way on for people, who ask for ``text/html``; a problem document for programs."""
    parts = urlsplit(call.request.url)
    wants_page = call.route.html and HTML in (call.request.headers.get("Accept") or "")
    # A browser cannot GET the address that a form was sent to.
    here = _page_of(call) if call.route.belongs_to is not None else own_address(f"{parts.path}?{parts.query}")
    sign_in = f"/.auth/login/aad?post_login_redirect_uri={quote(here, safe='')}"
    is_for_people = wants_page or (call.route.html and not parts.path.startswith("/api/"))
    if isinstance(error, NotSignedIn) and call.is_safe and is_for_people:
        return func.HttpResponse(status_code=302, headers={"Location": sign_in, "Cache-Control": "no-store"})
    if wants_page and error.code in DONE_BEFORE and call.route.belongs_to is not None and not call.is_safe:
        return redirect(f"{here}{'&' if '?' in here else '?'}done=already")
    if not wants_page:
        return problem(error, call.request_id, choose_language(None, call.request.headers.get("Accept-Language")))
    can_go_back = not call.is_safe and error.status not in {404, 405}
    connection_id = call.path_parameter("connection_id")
    needs_consent = isinstance(error, Reauthorize | ConnectionNotAuthorized)
    response = call.page(
        "error.html",
        status=error.status,
        error=error,
        words=words_of(error, call.language),
        authorize_path=way_to_authorize(error),
        sign_in=sign_in if isinstance(error, NotSignedIn) else None,
        again=_form_again(call) if isinstance(error, NotSignedIn) else None,
        back=here if can_go_back else None,
        section=None if call.caller is None or error.status != 404 else section_of(parts.path),
        authorize_at=authorize_place(connection_id) if needs_consent and connection_id else None,
        **({} if call.is_safe else {"here": here if can_go_back else "/"}),
    )
    response.headers.update(problem_headers(error))
    return response


@value_object
class FormAgain:
    """A form that was sent without a session, to be sent again from the page that says so.

    Attributes:
        fields: What was entered, in its order, without secrets.
        lacks_secret: Whether a secret was entered, which is not repeated.
        comes_back: Whether the script fills in the form again after the sign-in.
    """

    address: str
    fields: Sequence[tuple[str, str]]
    lacks_secret: bool
    comes_back: bool


def _form_again(call: Call) -> FormAgain | None:
    """Return the form if our own page has sent it; what another site sends must not become part of a page of ours."""
    declared, request = call.route, call.request
    if declared.keeps is None or not is_from_our_page(request.headers, call.application.settings.public_base_url):
        return None
    if not isinstance(declared.body, FormBody) or declared.body.files:
        return None
    try:
        sent = read_form(request, declared.body).sent
    except FixRequest:
        return None
    parts = urlsplit(request.url)
    return FormAgain(
        address=own_address(f"{parts.path}?{parts.query}"),
        fields=[(name, value) for name, value in sent if name not in declared.secret_fields],
        lacks_secret=any(name in declared.secret_fields and value for name, value in sent),
        comes_back=declared.keeps is Keeps.FORM,
    )


def is_from_our_page(headers: Mapping[str, str], public_base_url: str) -> bool:
    """Whether the browser says that a page of this app has sent this; without such a statement the answer is no."""
    site = headers.get("Sec-Fetch-Site")
    return site == "same-origin" if site is not None else headers.get("Origin") == public_base_url


def _page_of(call: Call) -> str:
    """Return the address of the page that a route belongs to."""
    assert call.route.belongs_to is not None, "the route is declared with its page"
    return call.route.belongs_to.format(**call.request.route_params)


_SECTIONS: Final = {
    "/configuration": "connections.title",
    "/recommendations": "recommendation.all",
    "/tenants": "tenants.all",
    "/tickets": "ticket.all",
}
"""Lists whose pages lead back to them, with the words of the link."""


def section_of(path: str) -> tuple[str, str] | None:
    """Return address and words of the list to which a path belongs; None if it is the list itself, or in none."""
    section = f"/{path.split('/')[1]}"
    return (section, _SECTIONS[section]) if section in _SECTIONS and path != section else None


def authorize_place(connection_id: str) -> str:
    """Return the address of the page's part on which a person authorizes the connection."""
    return f"/configuration/{connection_id}#authorize"
