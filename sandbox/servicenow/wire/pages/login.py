"""Pages for signing in and out: the instance's login form, and single sign-on before it (ServiceNow §1.2, §1.3).

A password alone may not be enough: the page for the second factor comes next (ServiceNow §1.9).
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.servicenow.engine.accounts import find_user, may_sign_in, user_with_password
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.wire.forms import form_of
from sandbox.servicenow.wire.pages.page import message_page, page
from sandbox.servicenow.wire.pages.second_factor import CODE_PAGE, SecondFactorPages
from sandbox.servicenow.wire.sessions import Sessions, replace_session, session_of

_REFUSED = "User name or password invalid"


class LoginPages:
    """Turns a user name and password, or an identity provider's answer, into a logged-in session.

    If the property `simulator.single_sign_on.user` is set, `/oauth_login.do` and `/` send the browser to an identity
    provider that knows only that person; the local form stays at `/login.do`.
    """

    def __init__(self, instance: Instance, sessions: Sessions) -> None:
        self._instance = instance
        self._sessions = sessions
        self._second_factor = SecondFactorPages(instance, sessions)

    def routes(self) -> list[Route]:
        """Return the login and logout pages."""
        return [
            Route("/login.do", self._login_form, methods=["GET"]),
            Route("/login.do", self._log_in, methods=["POST"]),
            Route("/oauth_login.do", self._oauth_login, methods=["GET"]),
            Route("/logout.do", self._log_out, methods=["GET"]),
            Route("/identity_provider/sign_in", self._identity_provider, methods=["GET"]),
            Route("/identity_provider/sign_in", self._assert_identity, methods=["POST"]),
            *self._second_factor.routes(),
        ]

    def sign_in_address(self, target: str) -> str:
        """Return the address for signing in; the browser comes back to `target`, a path of this instance."""
        if self._instance.properties["simulator.single_sign_on.user"]:
            return f"/identity_provider/sign_in?{urlencode({'return_to': target})}"
        return f"/login.do?{urlencode({'sysparm_goto_url': target})}"

    async def _login_form(self, request: Request) -> Response:
        return _form(request.query_params.get("sysparm_goto_url", "/"))

    async def _oauth_login(self, request: Request) -> Response:
        parameters = dict(request.query_params)
        if not parameters:
            return message_page("OAuth error", "Invalid client_id", 400)
        target = f"/oauth_auth.do?{urlencode(parameters)}"
        if self._instance.properties["simulator.single_sign_on.user"]:
            return RedirectResponse(self.sign_in_address(target), 302)
        return _form(target)

    async def _log_in(self, request: Request) -> Response:
        form = await form_of(request)
        target = _own_path(form.get("sysparm_goto_url", "/"))
        user = user_with_password(self._instance, form.get("user_name", ""), form.get("user_password", ""))
        if form.get("sys_action") != "sysverb_login" or user is None or not may_sign_in(user):
            return _form(target, _REFUSED, form)
        if user["password_needs_reset"] == "true":
            return message_page("Password expired", "Your password needs to be reset. Ask your administrator.")
        if self._second_factor.is_needed(request, user):
            self._sessions.await_second_factor(request, user["sys_id"], target)
            return RedirectResponse(CODE_PAGE, 302)
        self._sessions.sign_in(request, user["sys_id"])
        return RedirectResponse(target, 302)

    async def _log_out(self, request: Request) -> Response:
        self._sessions.end(session_of(request))
        replace_session(request, self._sessions.new())
        return RedirectResponse("/login.do", 302)

    async def _identity_provider(self, request: Request) -> Response:
        user = find_user(self._instance, self._instance.properties["simulator.single_sign_on.user"])
        if user is None:
            return message_page("Identity provider", "Single sign-on is not set up.", 404)
        target = _own_path(request.query_params.get("return_to", "/"))
        local = f"/login.do?{urlencode({'sysparm_goto_url': target})}"
        return page("identity_provider.html", user=user, target=target, local_sign_in_url=local)

    async def _assert_identity(self, request: Request) -> Response:
        form = await form_of(request)
        user = find_user(self._instance, self._instance.properties["simulator.single_sign_on.user"])
        if user is None or not may_sign_in(user):
            return message_page("Identity provider", "This account may not use the instance.", 403)
        self._sessions.sign_in(request, user["sys_id"])
        return RedirectResponse(_own_path(form.get("return_to", "/")), 302)


def _form(target: str, message: str = "", form: Mapping[str, str] | None = None) -> Response:
    user_name = (form or {}).get("user_name", "")
    return page("login.html", target=_own_path(target), message=message, user_name=user_name)


def _own_path(target: str) -> str:
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
