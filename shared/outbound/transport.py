"""The way out: the only module that knows httpx.

What it guarantees for every request:

- **No cookie is ever kept.** ServiceNow serialises all requests of one session and answers 202 to those that wait, and
  its cookies outlive the access token (ServiceNow §1.7, §2.7). The jar accepts cookies from no domain at all.
- **No redirect is followed**: a token or a secret goes to the address that it is meant for, and nowhere else.
- **Every wait is bounded**: connecting, each read, the whole exchange, the size of the body.
- **An instance that hangs holds up nobody else**: each queue has its own limit of requests at once. All share only the
  memory for large answers.
- **The environment** decides two things. ``SSL_CERT_FILE`` names the trusted certificate authorities, for inspecting
  proxies and for the sandbox. ``HTTPS_PROXY`` (with ``NO_PROXY``) is honoured, since many networks let traffic out only
  through a proxy, and the Azure libraries beside us honour it, too; TLS stays end to end. Plain HTTP, allowed only to
  the loopback interface, never goes through a proxy.

It sends each request once. Each service decides what an answer means, what to log and what to repeat.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import KW_ONLY, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from shared.outbound.answers import Answer
from shared.outbound.bodies import ACCEPTED_CODING, read_body
from shared.outbound.failures import NoAnswer, Reason
from shared.outbound.queues import Queues, RoomForAnswers, take
from shared.secret import Secret
from shared.value_object import value_object

type Network = httpx.AsyncBaseTransport
"""What carries requests; tests without a network pass their own."""

USER_AGENT: Final = "servicenow-tickets-for-microsoft-365"

_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpx.InvalidURL,
)
"""When one of these is raised, nothing of the request has left."""

_LOCATION: Final = "connector.location"

for _name in ("httpx", "httpcore"):
    # Their own log lines show whole addresses, and some of ours contain an e-mail address.
    logging.getLogger(_name).setLevel(logging.WARNING)


@value_object
class Limits:
    """How many requests a queue has at once, and how long each may take, in seconds.

    Attributes:
        at_once: Requests of one queue.
        turn_s: Waiting for a turn in the queue, and again for room if the answer is large.
        connect_s: Until there is a connection.
        get_s: Between two pieces of the answer to a GET.
        post_s: The same for a POST.
        get_total_s: A GET with all its repetitions and all waiting.
        post_total_s: A POST with all waiting.
    """

    at_once: int = 8
    turn_s: float = 5.0
    connect_s: float = 5.0
    get_s: float = 30.0
    post_s: float = 20.0
    get_total_s: float = 40.0
    post_total_s: float = 30.0

    def total_s(self, method: str) -> float:
        """Return how long all of it may take."""
        return self.get_total_s if method == "GET" else self.post_total_s


@value_object
class Request:
    """A request.

    Attributes:
        method: HTTP verb.
        url: Absolute address without parameters.
        parameters: Query parameters, unencoded.
        access_token: Sent as ``Authorization: Bearer``.
        record: Body, sent as JSON.
        form: Body, sent as a form; already encoded.
        accept: The media type asked for.
        headers: Further headers; no secret.
    """

    _: KW_ONLY
    method: str
    url: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    access_token: Secret | None = None
    record: Mapping[str, str] | None = field(default=None, repr=False)
    form: Secret | None = None
    accept: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """Sends requests; see the module's description. One for all services lives as long as the app."""

    def __init__(self, *, network: Network | None = None) -> None:
        # Reading the certificate authorities takes a while, so both routes to the network share them.
        tls = httpx.create_ssl_context() if network is None else True
        # Queues share no limit, since those that hang would use it up. Each has its own.
        limitless = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=5.0)
        self._client = httpx.AsyncClient(
            transport=network,
            mounts={"http://": httpx.AsyncHTTPTransport(verify=tls, limits=limitless)} if network is None else None,
            verify=tls,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            event_hooks={"response": [_keep_location]},
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPTED_CODING},
            limits=limitless,
        )
        self._queues = Queues()
        self._room = RoomForAnswers()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def exchange(self, request: Request, limits: Limits, *, queue: str, total_s: float) -> AsyncIterator[Answer]:
        """Send a request once and yield its answer; turn and memory are held until the block ends.

        Args:
            request: The request.
            limits: Those of the service.
            queue: Whose requests share the limit: an instance, a tenant.
            total_s: Seconds for the whole exchange.

        Raises:
            NoAnswer: There is no usable answer.
        """
        async with AsyncExitStack() as held:
            yield await self._exchange(request, limits, queue, time.monotonic() + total_s, held)

    async def _exchange(
        self, request: Request, limits: Limits, queue: str, ends: float, held: AsyncExitStack
    ) -> Answer:
        turn = self._queues.of(queue, limits.at_once)
        if not await take(held, turn, min(limits.turn_s, ends - time.monotonic())):
            raise NoAnswer(Reason.NO_TURN)

        async def make_room() -> None:
            if not await self._room.take(held, queue, limits.turn_s):
                raise NoAnswer(Reason.NO_ROOM)

        # The errors of httpx hold parts of requests and answers, so none of them may become the context of ours:
        # ours is raised outside the except clause.
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                response = await self._client.send(self._http_request(request, limits), stream=True)
                try:
                    codings = response.headers.get_list("Content-Encoding", split_commas=True)
                    body = await read_body(response.aiter_raw(), codings, make_room=make_room)
                finally:
                    await response.aclose()
        except _NOT_SENT as error:
            reason = _obstacle(error)
        except (httpx.TimeoutException, TimeoutError):
            reason = Reason.TIMEOUT
        except httpx.RequestError:
            reason = Reason.BROKEN
        else:
            headers = {name.lower(): value for name, value in response.headers.items()}
            headers |= response.extensions.get(_LOCATION, {})
            return Answer(response.status_code, headers, body, request.access_token)
        raise NoAnswer(reason)

    def _http_request(self, request: Request, limits: Limits) -> httpx.Request:
        headers = {**request.headers, "Accept": request.accept}
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
            timeout=httpx.Timeout(limits.get_s if request.method == "GET" else limits.post_s, connect=limits.connect_s),
        )


async def _keep_location(response: httpx.Response) -> None:
    """Move the address of a redirect to where httpx does not see it.

    httpx prepares the next request even when it may not follow the redirect. A malformed address would then raise
    errors that mean that nothing was sent.
    """
    if "Location" in response.headers:
        response.extensions[_LOCATION] = {"location": response.headers.pop("Location")}


def _obstacle(error: BaseException) -> Reason:
    """Return what was in the way: httpx keeps the real reason as the cause of the cause of its error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return Reason.CERTIFICATE_REFUSED
        if isinstance(cause, socket.gaierror):
            return Reason.HOST_UNKNOWN
        cause = cause.__cause__ or cause.__context__
    return Reason.NO_CONNECTION
