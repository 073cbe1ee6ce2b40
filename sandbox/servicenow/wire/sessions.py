"""Cookie sessions: the cookies of every answer, their users, and the queue in front of each session.

A session is meant for a browser, but a client that keeps cookies gets one too. Its requests then run one at a time,
those that wait too long get a 202 and never run, and the session may outlive the token that opened it (ServiceNow §1.7,
§2.7).
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.clock import Clock
from sandbox.servicenow.engine.properties import Properties

_NEVER = datetime.min.replace(tzinfo=UTC)
_IDLE = timedelta(minutes=30)
_MAXIMUM = 10_000
_WAITING_AT_MOST = 10
_WAITING_AT_MOST_S = 30.0


@dataclass
class Session:
    """One cookie session.

    Attributes:
        id: Value of the cookie `JSESSIONID`.
        user_sys_id: The logged-in user, or empty.
        interactive: The user logged in on a page, not with the credentials of an API call.
        half_signed_in: Whose password was right, but whose second factor is missing; empty if nobody's.
        offered_secret: The secret for an authenticator app that the set-up page of this session shows, or empty.
        target: The path to go on to once the second factor is right.
        access_token: The bearer token of the API call that logged in the session, or `None`.
        check_token: The value that forms of this session must send back as `sysparm_ck`.
        consents: Authorization requests (by their query) that the user has just allowed; each is used once.
        used_at: Time of the last request (aware UTC).
        turn: The lock of the running request.
        waiting: Number of requests that wait for their turn.
    """

    id: str
    user_sys_id: str = ""
    interactive: bool = False
    half_signed_in: str = ""
    offered_secret: str = ""
    target: str = "/"
    access_token: str | None = None
    check_token: str = field(default_factory=lambda: secrets.token_hex(36))
    consents: set[str] = field(default_factory=set)
    used_at: datetime = _NEVER
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0

    @property
    def is_logged_in(self) -> bool:
        """Say whether a user is logged in."""
        return bool(self.user_sys_id)


class Sessions:
    """The instance's live sessions. They end after half an hour without a request, by the instance's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def new(self) -> Session:
        """Return a session without a user or a cookie; :meth:`keep` makes it last."""
        return Session(id=secrets.token_hex(16).upper())

    def find(self, session_id: str) -> Session | None:
        """Return the live session with that id."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        if self._clock.now() - session.used_at > _IDLE:
            del self._sessions[session_id]
            return None
        return session

    def keep(self, session: Session) -> None:
        """Mark `session` as just used, and drop the least recently used ones above a limit."""
        session.used_at = self._clock.now()
        self._sessions[session.id] = session
        self._sessions.move_to_end(session.id)
        while len(self._sessions) > _MAXIMUM:
            self._sessions.popitem(last=False)

    def sign_in(self, connection: HTTPConnection, user_sys_id: str) -> None:
        """Answer this request with a new session, in which the user is signed in on pages."""
        session = self._afresh(connection)
        session.user_sys_id, session.interactive = user_sys_id, True

    def await_second_factor(self, connection: HTTPConnection, user_sys_id: str, target: str) -> None:
        """Answer this request with a new session, in which the user has given the password only."""
        session = self._afresh(connection)
        session.half_signed_in, session.target = user_sys_id, target

    def _afresh(self, connection: HTTPConnection) -> Session:
        self.end(session_of(connection))
        session = self.new()
        replace_session(connection, session)
        return session

    def end(self, session: Session) -> None:
        """Log out."""
        self._sessions.pop(session.id, None)

    def end_all(self) -> None:
        """Log everybody out."""
        self._sessions.clear()


def session_of(connection: HTTPConnection) -> Session:
    """Return the session of a request that came through :class:`SessionMiddleware`."""
    session = connection.scope["servicenow.session"]
    assert isinstance(session, Session)
    return session


def replace_session(connection: HTTPConnection, session: Session) -> None:
    """Let the answer to this request set `session`'s cookies instead of the request's (at login and logout)."""
    connection.scope["servicenow.session"] = session


def add_answer_headers(connection: HTTPConnection, headers: Mapping[str, str]) -> None:
    """Add `headers` to the answer to this request, whatever writes it."""
    connection.scope["servicenow.answer_headers"].update(headers)


class SessionMiddleware:
    """Gives each request its session, runs a session's requests one at a time, and sets every answer's cookies."""

    def __init__(self, app: ASGIApp, sessions: Sessions, properties: Properties) -> None:
        self._app = app
        self._sessions = sessions
        self._properties = properties

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        scope["servicenow.answer_headers"] = {}
        known = self._sessions.find(_session_id(Headers(scope=scope)))
        session = scope["servicenow.session"] = known or self._sessions.new()
        send = self._with_headers(scope, known, send)
        if known is None:
            await self._app(scope, receive, send)
            return
        if not await _wait_for_turn(session):
            await Response(status_code=202)(scope, receive, send)
            return
        try:
            if scope["path"].startswith("/api/"):
                await asyncio.sleep(self._properties.number("simulator.session.api_call_ms") / 1000)
            await self._app(scope, receive, send)
        finally:
            session.turn.release()

    def _with_headers(self, scope: Scope, known: Session | None, send: Send) -> Send:
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                session: Session = scope["servicenow.session"]
                self._sessions.keep(session)
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                _set_cookies(headers, session, is_new=session is not known, is_secure=scope["scheme"] == "https")
                elapsed_ms = int((time.perf_counter() - started) * 1000)
                headers["Server-Timing"] = f"t;desc={elapsed_ms}, sem_wait;dur=0, sesh_wait;dur=0"
                headers["X-Is-Logged-In"] = "true" if session.is_logged_in else "false"
                headers["X-Transaction-ID"] = secrets.token_hex(6)
                headers["Cache-Control"] = "no-cache,no-store,must-revalidate,max-age=-1"
                headers["Pragma"] = "no-store,no-cache"
                headers["Expires"] = "0"
                headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
                headers["X-Content-Type-Options"] = "nosniff"
                headers.update(scope["servicenow.answer_headers"])
            await send(message)

        return send_with_headers


def _session_id(headers: Headers) -> str:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies["JSESSIONID"].value if "JSESSIONID" in cookies else ""


async def _wait_for_turn(session: Session) -> bool:
    if session.turn.locked() and session.waiting >= _WAITING_AT_MOST:
        return False
    session.waiting += 1
    try:
        await asyncio.wait_for(session.turn.acquire(), _WAITING_AT_MOST_S)
    except TimeoutError:
        return False
    finally:
        session.waiting -= 1
    return True


def _set_cookies(headers: MutableHeaders, session: Session, *, is_new: bool, is_secure: bool) -> None:
    # Over plain HTTP a cookie jar drops cookies marked Secure, so no client would fall into the trap that this tests.
    flags = "; Path=/; HttpOnly" + ("; Secure" if is_secure else "")
    if is_new:
        headers.append("Set-Cookie", f"JSESSIONID={session.id}{flags}")
        headers.append("Set-Cookie", f"glide_user_route=glide.{session.id.lower()}; Max-Age=2147483647{flags}")
        headers.append("Set-Cookie", f"glide_node_id_for_js={session.id.lower()}{session.id.lower()}{flags}")
    headers.append("Set-Cookie", f"glide_user=; Max-Age=0{flags}")
    headers.append("Set-Cookie", f"glide_user_session=; Max-Age=0{flags}")
    headers.append("Set-Cookie", f"glide_session_store={session.id}; Max-Age=1800{flags}")
