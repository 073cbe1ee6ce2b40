"""The page between the password and the session: the code of an authenticator app, or its set-up (ServiceNow §1.9)."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.servicenow.engine.accounts import may_sign_in
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.second_factor import SecondFactors, new_secret
from sandbox.servicenow.wire.forms import form_of
from sandbox.servicenow.wire.pages.page import page
from sandbox.servicenow.wire.sessions import Session, Sessions, session_of

CODE_PAGE: Final = "validate_multifactor_auth_code.do"
"""The login redirects to this path as it is here, relative to its own."""
REMEMBERED: Final = "glide_mfa_remembered_browser"
_WRONG = "Your 6-digit verification code is incorrect"


class SecondFactorPages:
    """Asks for the second factor. Browsers to remember are in memory: they are remembered for hours."""

    def __init__(self, instance: Instance, sessions: Sessions) -> None:
        self._instance = instance
        self._sessions = sessions
        self._factors = SecondFactors(instance)
        self._remembered: dict[str, tuple[str, datetime]] = {}

    def routes(self) -> list[Route]:
        """Return the pages."""
        return [
            Route(f"/{CODE_PAGE}", self._ask, methods=["GET"]),
            Route("/validate_mfa_code.do", self._validate, methods=["POST"]),
        ]

    def is_needed(self, request: Request, user: Row) -> bool:
        """Say whether the browser, in which the user's password was right, has to show a second factor."""
        now = self._instance.clock.now()
        user_sys_id, until = self._remembered.get(request.cookies.get(REMEMBERED, ""), ("", now))
        is_remembered = user_sys_id == user["sys_id"] and now < until
        return self._factors.is_needed(user) and not is_remembered

    async def _ask(self, request: Request) -> Response:
        session = session_of(request)
        user = self._half_signed_in(session)
        return _log_in_first() if user is None else self._page(session, user)

    async def _validate(self, request: Request) -> Response:
        form = await form_of(request)
        session = session_of(request)
        user = self._half_signed_in(session)
        if user is None:
            return _log_in_first()
        if form.get("sys_action") == "sysverb_postpone_mfa_setup":
            may_go_on = self._factors.secret_of(user) is None and self._factors.postpone(user)
            return self._go_on(request, session, user) if may_go_on else self._page(session, user)
        secret = self._factors.secret_of(user)
        if not self._factors.is_right(secret or session.offered_secret or new_secret(), form.get("txtResponse", "")):
            return self._page(session, user, _WRONG)
        if secret is None:
            self._factors.enrol(user, session.offered_secret)
        answer = self._go_on(request, session, user)
        may_remember = self._instance.properties.flag("glide.authenticate.multifactor.remember.browser.enable")
        if may_remember and form.get("sys_mfa_check_remembered_browser") == "true":
            self._remember(answer, user)
        return answer

    def _page(self, session: Session, user: Row, message: str = "") -> Response:
        if self._factors.secret_of(user) is not None:
            may_remember = self._instance.properties.flag("glide.authenticate.multifactor.remember.browser.enable")
            return page("second_factor.html", message=message, may_remember=may_remember)
        session.offered_secret = session.offered_secret or new_secret()
        left = self._factors.postponements_left(user)
        return page("second_factor_setup.html", message=message, secret=session.offered_secret, postponements_left=left)

    def _go_on(self, request: Request, session: Session, user: Row) -> Response:
        self._sessions.sign_in(request, user["sys_id"])
        return RedirectResponse(session.target, 302)

    def _remember(self, answer: Response, user: Row) -> None:
        hours = self._instance.properties.number("glide.authenticate.multifactor.browser.fingerprint.validity")
        token = secrets.token_urlsafe(32)
        self._remembered[token] = (user["sys_id"], self._instance.clock.now() + timedelta(hours=hours))
        answer.set_cookie(REMEMBERED, token, max_age=hours * 3600, httponly=True)

    def _half_signed_in(self, session: Session) -> Row | None:
        user = self._instance.records.get("sys_user", session.half_signed_in) if session.half_signed_in else None
        return user if user is not None and may_sign_in(user) else None


def _log_in_first() -> Response:
    return RedirectResponse("/login.do", 302)
