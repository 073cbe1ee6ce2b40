"""One way to declare a page: the route, the checks before it, and errors as pages."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import azure.functions as func

from shared.application import Application, application
from shared.errors import ConnectorError, FixRequest, OurBug, Reauthorize
from shared.log import log_bug, log_context, log_event
from shared.telemetry import span
from shared.triggers.answers import problem, problem_headers
from shared.triggers.cookies import cookie_value
from shared.triggers.operations import MAX_BODY_BYTES, read_query, refuse_other_sites, require_roles
from shared.triggers.principal import Principal, Role, read_principal
from shared.triggers.routes import SAFE_METHODS, own_address, register
from shared.web.html import CONTENT_SECURITY_POLICY, render
from shared.words.error_words import words_of
from shared.words.language import COOKIE, Language, choose_language

HTML: Final = "text/html"
HTML_TYPE: Final = f"{HTML}; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of a page, after the checks.

    Attributes:
        query: Query parameters as sent, blank ones included.
        form: Fields of a posted form, the last value of each name.
        visitor: The signed-in person; None only on a page that needs no role.
    """

    application: Application
    request: func.HttpRequest
    request_id: str
    language: Language
    query: Mapping[str, str]
    form: Mapping[str, str]
    visitor: Principal | None

    @property
    def principal(self) -> Principal:
        """The person on a page that demands a role."""
        assert self.visitor is not None, "the page is declared with roles"
        return self.visitor

    def may(self, role: Role) -> bool:
        """Whether the person has this role."""
        return self.visitor is not None and role in self.visitor.roles

    def page(self, template: str, *, status: int = 200, **values: object) -> func.HttpResponse:
        """Return a rendered page; a value ``here`` says where a change of language leads to, if not to its address."""
        parts = urlsplit(self.request.url)
        known = {"visit": self, "Role": Role, "address": parts.path, "here": _place_to_return_to(parts)}
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
                # Elsewhere the app's own policy holds, which tells other sites nothing: "no-referrer" would make
                # browsers send "Origin: null" with forms.
                **({"Referrer-Policy": "no-referrer"} if parts.path.startswith("/api/") else {}),
            },
        )


def _place_to_return_to(parts: SplitResult) -> str:
    """Return where a change of language leads back to: a page, and no address that does something."""
    return "/" if parts.path.startswith("/api/") else own_address(f"{parts.path}?{parts.query}")


def redirect(address: str) -> func.HttpResponse:
    """Send the browser to another page of this app after a form was handled."""
    return func.HttpResponse(
        status_code=303, headers={"Location": quote(address, safe="/?&=%#-._~:"), "Cache-Control": "no-store"}
    )


type PageHandler = Callable[[Visit], Awaitable[func.HttpResponse]]


def page(
    blueprint: func.Blueprint,
    method: str,
    path: str,
    *,
    roles: frozenset[Role] | None,
    query: Iterable[str] = (),
    belongs_to: str | None = None,
) -> Callable[[PageHandler], PageHandler]:
    """Declare the decorated handler as a page; its name becomes the function's name on the host.

    Args:
        roles: App roles of which the person needs one; None for a page that anybody may see.
        query: Query parameters that a change of language and the sign-in keep; they forget all others, which can be
            secrets.
        belongs_to: The page whose form is sent here, for a path that can only be posted to: a browser comes to such an
            address as well, by a reload, a bookmark or the sign-in, and is led to that page. Its route's parameters
            stand in braces.
    """

    def declare(handler: PageHandler) -> PageHandler:
        def serve(method: str, name: str, answer: PageHandler) -> None:
            async def endpoint(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
                route = f"{method} /{path.lstrip('/')}"
                return await _answer(answer, route, roles, req, context.invocation_id, belongs_to)

            register(blueprint, name, method, path, endpoint, query=query)

        serve(method, handler.__name__, handler)
        if belongs_to is not None:

            async def lead(visit: Visit) -> func.HttpResponse:
                return redirect(belongs_to.format(**visit.request.route_params))

            serve("GET", f"{handler.__name__}_address", lead)
        return handler

    return declare


async def _answer(
    handler: PageHandler,
    route: str,
    roles: frozenset[Role] | None,
    request: func.HttpRequest,
    request_id: str,
    belongs_to: str | None,
) -> func.HttpResponse:
    started_at = time.perf_counter()
    app = application()
    visit = Visit(
        application=app,
        request=request,
        request_id=request_id,
        language=choose_language(cookie_value(request.headers, COOKIE), request.headers.get("Accept-Language")),
        query={},
        form={},
        # An anonymous route may be excluded from the platform's Authentication, which then may not strip a principal
        # that somebody made up.
        visitor=read_principal(request.headers, app.settings) if roles is not None else None,
    )
    code: str | None = None
    with log_context(request_id=request_id), span(route) as answering:
        try:
            response = await handler(_checked(visit, roles))
        except ConnectorError as error:
            code = error.code
            response = _error_page(visit, error, belongs_to)
        except Exception as error:  # noqa: BLE001 - the last line of defence: the host would answer an empty 500
            log_bug("unexpected_error", error, route=route)
            bug = OurBug("Something went wrong that should not have; what was stored before stays stored.")
            code = bug.code
            response = _error_page(visit, bug, belongs_to)
        answering.note(status=response.status_code)
        if response.status_code >= 500:
            answering.failed(code or "internal_error")
        log_event(
            "request_answered",
            route=route,
            status=response.status_code,
            code=code,
            duration_s=time.perf_counter() - started_at,
        )
    return response


def _checked(visit: Visit, roles: frozenset[Role] | None) -> Visit:
    request = visit.request
    if len(request.get_body()) > MAX_BODY_BYTES:
        raise FixRequest("The form is too large; nothing was kept.", code="request_too_large", status=413)
    if request.method not in SAFE_METHODS:
        refuse_other_sites(request.headers, visit.application.settings.public_base_url)
    if roles is not None:
        require_roles(visit.visitor, roles)
    form = {name: request.form[name] for name in request.form} if request.method not in SAFE_METHODS else {}
    return Visit(
        visit.application,
        request,
        visit.request_id,
        visit.language,
        read_query(request.url),
        form,
        visit.visitor,
    )


def _error_page(visit: Visit, error: ConnectorError, belongs_to: str | None) -> func.HttpResponse:
    """Return a page for people, who ask for ``text/html``, with a way on, and a problem document for programs.

    Args:
        belongs_to: As for :func:`page`.
    """
    parts = urlsplit(visit.request.url)
    is_safe = visit.request.method in SAFE_METHODS
    wants_page = HTML in (visit.request.headers.get("Accept") or "")
    here = own_address(f"{parts.path}?{parts.query}")
    if belongs_to is not None:
        # What a form was sent to is nothing that a browser can get.
        here = belongs_to.format(**visit.request.route_params)
    sign_in = f"/.auth/login/aad?post_login_redirect_uri={quote(here, safe='')}"
    if error.code == "not_signed_in" and is_safe and (wants_page or not parts.path.startswith("/api/")):
        return func.HttpResponse(status_code=302, headers={"Location": sign_in, "Cache-Control": "no-store"})
    if not wants_page:
        spoken = choose_language(None, visit.request.headers.get("Accept-Language"))
        return problem(error, visit.request_id, spoken)
    can_go_back = not is_safe and error.status not in {404, 405}
    connection_id = visit.request.route_params.get("connection_id")
    needs_consent = isinstance(error, Reauthorize) or error.code == "connection_not_authorized"
    response = visit.page(
        "error.html",
        status=error.status,
        error=error,
        words=words_of(error, visit.language),
        sign_in=sign_in if error.code == "not_signed_in" else None,
        back=here if can_go_back else None,
        authorize_at=authorize_place(connection_id) if needs_consent and connection_id else None,
        **({} if is_safe else {"here": here if can_go_back else "/"}),
    )
    response.headers.update(problem_headers(error))
    return response


def authorize_place(connection_id: str) -> str:
    """Return the address of the page's part on which a person authorizes the connection."""
    return f"/ticketProvisioning?connection_id={connection_id}#authorize"
