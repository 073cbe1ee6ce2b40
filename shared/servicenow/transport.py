"""The way to ServiceNow: the only module that knows httpx.

What it guarantees for every request:

- **No cookie is ever kept.** ServiceNow serialises all requests of one session and answers 202 to those that wait, and
  its cookies outlive the access token (ServiceNow §1.7, §2.7). The jar accepts cookies from no domain at all.
- **No redirect is followed**: a token or a secret goes to the instance that an administrator named, and nowhere else.
- **Every wait is bounded**: connecting, each read, the whole exchange, the size of the body.
- **An instance that hangs holds up nobody else**: each has its own limit of requests at once, and there is none that
  all share but the memory for large answers.
- **The environment** decides two things. ``SSL_CERT_FILE`` names the trusted certificate authorities, for inspecting
  proxies and for the sandbox. ``HTTPS_PROXY`` (with ``NO_PROXY``) is honoured, since many networks let nothing out but
  through a proxy and the Azure libraries beside us honour it, too; TLS stays end to end. Plain HTTP, which is allowed
  to the loopback interface only, never goes through a proxy.
- **One log record** ``servicenow_request`` for each request, without address parameters, bodies or header values but
  ServiceNow's own transaction id.

A read is repeated a little when ServiceNow stumbles; a write never is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx
import stamina

from shared.clock import Clock, system_clock
from shared.errors import ConnectorError, ServiceNowThrottled, ServiceNowUnavailable
from shared.log import log_event
from shared.secret import Secret
from shared.servicenow.answers import Answer, unusable_answer
from shared.servicenow.bodies import ACCEPTED_CODING, read_body
from shared.servicenow.turns import REQUESTS_PER_INSTANCE, RoomForAnswers, Turns, take
from shared.telemetry import RATE_LIMIT_WAIT, SERVICENOW_REQUESTS, Span, span

type Subject = Literal[
    "task",
    "incident",
    "change_request",
    "sys_user",
    "sys_user_group",
    "sys_user_has_role",
    "sys_choice",
    "sys_properties",
    "sys_db_object",
    "oauth_entity",
    "current_user",
    "greeting",
    "sign_in_page",
    "oauth_token",
    "oauth_revoke",
]
"""What a request is about, in the log, in metrics and in spans: a table, or the name of an endpoint. No name that an
answer holds can get there: each new one would be a time series of its own, and could say anything."""

type HttpTransport = httpx.AsyncBaseTransport
"""What carries requests; given by tests that want no network."""

USER_AGENT: Final = "servicenow-tickets-for-microsoft-365"

READ_ATTEMPTS: Final = 3
LONGEST_WAIT_BETWEEN_READS_S: Final = 5.0
"""A 429 that asks for more is the caller's to wait for."""
_NOT_WORTH_REPEATING: Final = frozenset(
    {
        "servicenow_hibernating",
        "servicenow_timeout",
        "servicenow_quota_exceeded",
        "answer_too_large",
        "answer_encoded",
        "instance_busy",
        "connector_busy",
        "access_token_refused",
    }
)
"""What a second request a moment later would only meet again, at ServiceNow's cost."""

_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpx.InvalidURL,
)
"""Nothing of the request had left when one of these came up."""

_LOCATION: Final = "connector.location"

# Every attempt has its own record in the log already.
stamina.instrumentation.set_on_retry_hooks([])

for _name in ("httpx", "httpcore"):
    # Their own log lines show whole addresses, and an e-mail address stands in some of ours.
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take, in seconds.

    Attributes:
        turn_s: Waiting for one's turn at the instance, and once more for room where the answer is large.
        connect_s: Until there is a connection.
        get_s: Between two pieces of the answer to a GET.
        post_s: The same for a POST.
        get_total_s: A GET with all its repetitions and all waiting.
        post_total_s: A POST with all waiting.
    """

    turn_s: float = 5.0
    connect_s: float = 5.0
    get_s: float = 30.0
    post_s: float = 20.0
    get_total_s: float = 40.0
    post_total_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request to ServiceNow.

    Attributes:
        method: HTTP verb.
        url: Absolute address without parameters.
        subject: What the log calls it.
        parameters: Query parameters, unencoded.
        access_token: Sent as ``Authorization: Bearer``; None for the OAuth endpoints.
        record: Body of a write, sent as JSON.
        form: Body for an OAuth endpoint, already encoded.
        is_write: Whether it writes a record, so that an unclear outcome matters.
        accept: The media type asked for.
    """

    method: str
    url: str
    subject: Subject
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    access_token: Secret | None = None
    record: Mapping[str, str] | None = field(default=None, repr=False)
    form: Secret | None = None
    is_write: bool = False
    accept: str = "application/json"


class Obstacle(StrEnum):
    """Why nothing of a request left."""

    HOST_UNKNOWN = "host_unknown"
    CERTIFICATE_REFUSED = "certificate_refused"
    NO_CONNECTION = "no_connection"


class NotReached(ServiceNowUnavailable):
    """Nothing of the request left.

    Attributes:
        obstacle: Why.
    """

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__("ServiceNow could not be reached; nothing was written.")
        self.obstacle = obstacle


class Transport:
    """Sends requests; see the module's description."""

    def __init__(
        self,
        *,
        transport: HttpTransport | None = None,
        limits: Limits | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.limits = limits or Limits()
        self.clock = clock
        # Reading the certificate authorities takes a while, so both ways to the network share them.
        tls = httpx.create_ssl_context() if transport is None else True
        # No limit that instances share: those that hang would use it up. Each has its own.
        limitless = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=5.0)
        self._client = httpx.AsyncClient(
            transport=transport,
            mounts={"http://": httpx.AsyncHTTPTransport(verify=tls, limits=limitless)} if transport is None else None,
            verify=tls,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            event_hooks={"response": [_keep_location]},
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPTED_CODING},
            limits=limitless,
        )
        self._turns = Turns(REQUESTS_PER_INSTANCE)
        self._room = RoomForAnswers()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send[Result](
        self, request: Request, interpret: Callable[[Answer], Result], *, total_s: float | None = None
    ) -> Result:
        """Send a request once and return what ``interpret`` makes of the answer.

        Args:
            request: The request.
            interpret: Reads the answer; a ConnectorError that it raises becomes the request's outcome in the log.
            total_s: Seconds for the whole exchange; by default what the limits say.

        Raises:
            OutcomeUnknown: A write went out and no usable answer came back.
            ServiceNowUnavailable: No usable answer; nothing was written.
            ConnectorError: Whatever ``interpret`` raises.
        """
        with span(f"{request.method} {request.subject}", to="servicenow") as sent:
            return await self._send(request, interpret, self._total_s(request) if total_s is None else total_s, sent)

    async def _send[Result](
        self, request: Request, interpret: Callable[[Answer], Result], total_s: float, sent: Span
    ) -> Result:
        started = time.monotonic()
        answer: Answer | None = None
        outcome = "canceled"
        try:
            # What is held goes back when the answer has been read and parsed.
            async with AsyncExitStack() as held:
                answer = await self._exchange(request, total_s, held)
                result = interpret(answer)
            outcome = "ok"
        except ConnectorError as error:
            outcome = error.code
            if isinstance(error, ServiceNowThrottled):
                RATE_LIMIT_WAIT.record(error.retry_after_s or 0.0)
            raise
        finally:
            status = answer.status if answer is not None else None
            transaction_id = answer.transaction_id if answer is not None else None
            SERVICENOW_REQUESTS.record(table=request.subject, outcome=outcome)
            sent.note(table=request.subject, status=status, outcome=outcome, transaction_id=transaction_id)
            log_event(
                "servicenow_request",
                method=request.method,
                table=request.subject,
                status=status,
                outcome=outcome,
                duration_s=time.monotonic() - started,
                transaction_id=transaction_id,
            )
        return result

    async def read[Result](self, request: Request, interpret: Callable[[Answer], Result]) -> Result:
        """Send a GET, and once or twice more after a short random wait when ServiceNow stumbled.

        Raises:
            ServiceNowUnavailable, ServiceNowThrottled: The last attempt had no usable answer either.
            ConnectorError: Whatever ``interpret`` raises.
        """
        assert request.method == "GET", "only a GET may be repeated"
        total_s = self._total_s(request)
        ends = time.monotonic() + total_s
        async for attempt in stamina.retry_context(
            on=_wait_before_repeating, attempts=READ_ATTEMPTS, timeout=total_s, wait_initial=0.2, wait_max=2.0
        ):
            with attempt:
                return await self.send(request, interpret, total_s=ends - time.monotonic())
        raise AssertionError("the last attempt returns or raises")

    def _total_s(self, request: Request) -> float:
        return self.limits.get_total_s if request.method == "GET" else self.limits.post_total_s

    async def _exchange(self, request: Request, total_s: float, held: AsyncExitStack) -> Answer:
        ends = time.monotonic() + total_s
        origin = "://".join(urlsplit(request.url)[:2])
        if not await take(held, self._turns.of(origin), min(self.limits.turn_s, total_s)):
            raise ServiceNowUnavailable(
                "This ServiceNow instance has not answered earlier requests yet, so this one was not sent; nothing was "
                "written.",
                code="instance_busy",
            )

        async def make_room() -> None:
            if not await self._room.take(held, origin, self.limits.turn_s):
                raise unusable_answer(
                    "The connector was still reading other large answers and left this one unread.",
                    "connector_busy",
                    writing=request.is_write,
                )

        # The errors of httpx hold parts of requests and answers, so none of them may become the context of ours:
        # ours is raised outside the except clause.
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                response = await self._client.send(self._http_request(request), stream=True)
                try:
                    body = await read_body(
                        response.aiter_raw(),
                        response.headers.get_list("Content-Encoding", split_commas=True),
                        make_room=make_room,
                        writing=request.is_write,
                    )
                finally:
                    await response.aclose()
        except _NOT_SENT as error:
            failure: ServiceNowUnavailable = NotReached(_obstacle(error))
        except (httpx.TimeoutException, TimeoutError):
            failure = unusable_answer(
                "ServiceNow did not answer in time.", "servicenow_timeout", writing=request.is_write
            )
        except httpx.RequestError:
            failure = unusable_answer(
                "The connection to ServiceNow broke.", "servicenow_unavailable", writing=request.is_write
            )
        else:
            headers = {name.lower(): value for name, value in response.headers.items()}
            headers |= response.extensions.get(_LOCATION, {})
            return Answer(response.status_code, headers, body, request.access_token)
        raise failure

    def _http_request(self, request: Request) -> httpx.Request:
        headers = {"Accept": request.accept}
        content: bytes | None = None
        if request.access_token is not None:
            headers["Authorization"] = f"Bearer {request.access_token.reveal()}"
        if request.record is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(request.record).encode("ascii")
        elif request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = request.form.reveal().encode("ascii")
        return self._client.build_request(
            request.method,
            request.url,
            params=request.parameters or None,
            headers=headers,
            content=content,
            timeout=httpx.Timeout(
                self.limits.get_s if request.method == "GET" else self.limits.post_s,
                connect=self.limits.connect_s,
            ),
        )


async def _keep_location(response: httpx.Response) -> None:
    """Put the address of a redirect where httpx does not see it.

    It prepares the next request even when it is not to follow, and what the address can be made of would raise errors
    that say that nothing was sent.
    """
    if "Location" in response.headers:
        response.extensions[_LOCATION] = {"location": response.headers.pop("Location")}


def _obstacle(error: BaseException) -> Obstacle:
    """Return what stood in the way: httpx keeps the true reason as the cause of the cause of its error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return Obstacle.CERTIFICATE_REFUSED
        if isinstance(cause, socket.gaierror):
            return Obstacle.HOST_UNKNOWN
        cause = cause.__cause__ or cause.__context__
    return Obstacle.NO_CONNECTION


def _wait_before_repeating(error: Exception) -> bool | float:
    """Return whether to repeat a read, or after how many seconds."""
    if isinstance(error, ServiceNowThrottled):
        wait = error.retry_after_s
        return wait if wait is not None and wait <= LONGEST_WAIT_BETWEEN_READS_S else False
    return isinstance(error, ServiceNowUnavailable) and error.code not in _NOT_WORTH_REPEATING
