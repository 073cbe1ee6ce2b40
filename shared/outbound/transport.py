"""The way out: the only module that knows httpx.

What it guarantees for every request:

- **No cookie is ever kept.** ServiceNow serialises all requests of one session and answers 202 to those that wait, and
  its cookies outlive the access token (ServiceNow §1.7, §2.7). The jar accepts cookies from no domain at all.
- **No redirect is followed**: a token or a secret goes to the address that it is meant for, and nowhere else.
- **Every wait is bounded**: connecting, each read, the whole exchange, the size of the body.
- **What people name may be a trap**: a request for public hosts only (:attr:`Request.public_only`) connects to the
  address that was checked, so that nobody can name a host of our own network, or change what a name means in between.
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
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import KW_ONLY, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.util import find_spec
from typing import Any, Final
from urllib.request import getproxies

import httpx

from shared.outbound.answers import Answer
from shared.outbound.bodies import ACCEPTED_CODING, read_body
from shared.outbound.failures import NoAnswer, Reason
from shared.outbound.public_addresses import Resolve, addresses_of, is_public
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
_LIMITLESS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=5.0)
"""Queues share no limit, since those that hang would use it up. Each has its own."""
_MOST_ADDRESSES: Final = 3
"""Addresses of a host that are tried one after the other."""

for _name in ("httpx", "httpcore"):
    # Their own log lines show whole addresses, and some of ours contain an e-mail address.
    logging.getLogger(_name).setLevel(logging.WARNING)

if find_spec("sniffio") is None:
    # Only other event loops need this package. Unless Python knows that it is missing, httpcore has it looked for in
    # all folders, four times for each request.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


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
        url: Absolute address. It is not shown, since an address that people enter may contain a secret.
        parameters: Query parameters, unencoded.
        access_token: Sent as ``Authorization: Bearer``.
        record: Body, sent as JSON.
        form: Body, sent as a form; already encoded.
        document: Body, sent as it is: JSON in UTF-8.
        accept: The media type asked for.
        headers: Further headers; no secret.
        public_only: Whether the host has to be one of the public Internet.
        needs_body: If False, an answer that is no error is complete without its body.
    """

    _: KW_ONLY
    method: str
    url: str = field(repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    access_token: Secret | None = None
    record: Mapping[str, str] | None = field(default=None, repr=False)
    form: Secret | None = None
    document: bytes | None = field(default=None, repr=False)
    accept: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    public_only: bool = False
    needs_body: bool = True


class Transport:
    """Sends requests; see the module's description. One for all services lives as long as the app."""

    def __init__(self, *, network: Network | None = None, resolve: Resolve = addresses_of) -> None:
        """Prepare; nothing is sent yet.

        Args:
            network: Carries the requests instead of the real network.
            resolve: Looks up the addresses of a host, for requests that may reach public ones only.
        """
        # Reading the certificate authorities takes a while, so all routes to the network share them.
        self._tls = httpx.create_ssl_context() if network is None else True
        self._network = network
        self._resolve = resolve
        mounts = {"http://": self._direct()} if network is None else None
        self._client = self._new_client(transport=network, mounts=mounts, verify=self._tls, limits=_LIMITLESS)
        self._public: httpx.AsyncClient | None = None
        self._queues = Queues()
        self._room = RoomForAnswers()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        if self._public is not None:
            await self._public.aclose()

    def _public_client(self) -> httpx.AsyncClient:
        """Return the client for public hosts. It is made on first use, because few instances of the app need it."""
        if self._public is None:
            proxies = getproxies()
            proxy = proxies.get("https") or proxies.get("all")
            network: Network
            if self._network is None and proxy is not None:
                # Only the proxy knows what the name means to it, and only it can refuse an address.
                network = httpx.AsyncHTTPTransport(verify=self._tls, proxy=proxy, limits=_LIMITLESS)
            else:
                network = _PublicHosts(self._network or self._direct(), self._resolve)
            self._public = self._new_client(transport=network, trust_env=False)
        return self._public

    def _direct(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=self._tls, limits=_LIMITLESS)

    @staticmethod
    def _new_client(**options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            event_hooks={"response": [_keep_location]},
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPTED_CODING},
            **options,
        )

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
                client = self._public_client() if request.public_only else self._client
                response = await client.send(self._http_request(request, limits), stream=True)
                try:
                    codings = response.headers.get_list("Content-Encoding", split_commas=True)
                    is_complete = not request.needs_body and not response.is_error
                    body = b"" if is_complete else await read_body(response.aiter_raw(), codings, make_room=make_room)
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
        if not _is_host_readable(httpx.URL(request.url)):
            raise NoAnswer(Reason.HOST_UNKNOWN)
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
        elif request.document is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
            content = request.document
        return self._client.build_request(
            request.method,
            request.url,
            params=request.parameters or None,
            headers=headers,
            content=content,
            timeout=httpx.Timeout(limits.get_s if request.method == "GET" else limits.post_s, connect=limits.connect_s),
        )


class _PublicHosts(httpx.AsyncBaseTransport):
    """Carries requests to public hosts only: it connects to an address that it has looked up and checked itself.

    The certificate is checked for the host's name, as always. No connection is used again, since the pool below knows
    connections by their addresses, and one address can have several hosts.
    """

    def __init__(self, network: Network, resolve: Resolve) -> None:
        self._network = network
        self._resolve = resolve

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises NoAnswer if the host is unknown or not public."""
        host = request.url.host
        addresses = await self._resolve(host, request.url.port or 443)
        if not addresses or not all(map(is_public, addresses)):
            raise NoAnswer(Reason.ADDRESS_NOT_PUBLIC if addresses else Reason.HOST_UNKNOWN)
        *others, last = addresses[:_MOST_ADDRESSES]
        for address in others:
            try:
                return await self._network.handle_async_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._network.handle_async_request(_pinned(request, last))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()


def _is_host_readable(url: httpx.URL) -> bool:
    """Whether a host can be decoded; httpx takes ``xn--…`` as it is, and fails when it looks at it later."""
    try:
        return url.host is not None
    except UnicodeError:
        return False


def _pinned(request: httpx.Request, address: str) -> httpx.Request:
    """Return the request for one address of its host."""
    headers = httpx.Headers(request.headers)
    headers["Connection"] = "close"
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
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
