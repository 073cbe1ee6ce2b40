"""The HTTP/1.1 server under the host: what the real host's server answers itself, and how answers are framed.

These facts (Functions host §2, §3) are implemented here, so they apply only on a socket, not to an in-process client:
§P1, §P2, §P9 (lengths), §P12 (any status), §P14, §P15, §Q4 (invalid text), §Q9 (no or several hosts), §Q18 to §Q22,
§Q24 to §Q26, §R39 (raw bytes), §R41, §R43.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import unquote_to_bytes

from sandbox.functions_host.asgi import Application, Message

log = logging.getLogger("Host.Server")

REQUEST_LINE_LIMIT = 8_192
"""Bytes (Functions host §Q24)."""
HEADERS_LIMIT = 32_768
"""Bytes in total (Functions host §Q25)."""
HEADER_COUNT_LIMIT = 100
STALLED_BODY_S = 5.0
"""How many seconds an announced body may pause (Functions host §Q21)."""
DRAIN_LIMIT = 1_048_576
"""Bytes of an unread body that the server reads to keep the connection; it closes the connection if more follow."""

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GO_AWAY_HTTP_1_1_REQUIRED = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + b"\x00\x00\x00\x00" + b"\x00\x00\x00\x0d"


class _Refused(Exception):
    """A request that the server answers itself before it closes the connection."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _StalledError(Exception):
    """The announced body does not arrive."""


@dataclass(slots=True)
class _Head:
    method: bytes
    path: bytes
    query: bytes
    version: bytes
    headers: list[tuple[bytes, bytes]]
    content_length: int = 0
    is_chunked: bool = False

    def values(self, name: bytes) -> list[bytes]:
        return [value for own, value in self.headers if own.lower() == name]

    @property
    def keeps_alive(self) -> bool:
        return self.version == b"1.1" and all(b"close" not in value.lower() for value in self.values(b"connection"))


class Server:
    """Serves one application on loopback until it is closed.

    Args:
        application: Usually `FunctionsHost.asgi`.
        port: 0 takes a free one.
    """

    def __init__(self, application: Application, port: int = 0, address: str = "127.0.0.1") -> None:
        self._application = application
        self._wanted = (address, port)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, *self._wanted, limit=2 * HEADERS_LIMIT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port it serves."""
        if self._server is None:
            raise RuntimeError("the server is not running")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The origin, without a slash at its end."""
        return f"http://{self._wanted[0]}:{self.port}"

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._serve_one(reader, writer):
                pass
        except _Refused as refused:
            _write_head(writer, refused.status, [(b"Content-Length", b"0"), (b"Connection", b"close")])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client disconnected
        finally:
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve a request; return False if the connection must be closed."""
        head = await _read_head(reader, writer)
        if head is None:
            return False
        body = _Body(reader, writer, head)
        answer = _Answer(writer, head)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": head.version.decode(),
            "method": head.method.decode("ascii"),
            "scheme": "http",
            "path": unquote_to_bytes(head.path).decode("utf-8", "replace"),
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in head.headers],
            "client": writer.get_extra_info("peername"),
            "server": writer.get_extra_info("sockname"),
        }
        try:
            await self._application(scope, body.receive, answer.send)
        except _StalledError as stalled:
            raise _Refused(500) from stalled
        await writer.drain()
        return head.keeps_alive and answer.leaves_connection_usable and await body.drain()


async def _read_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Head | None:
    line = await _read_line(reader, REQUEST_LINE_LIMIT, 414)
    if line in (b"\r\n", b"\n"):
        line = await _read_line(reader, REQUEST_LINE_LIMIT, 414)
    if not line:
        return None
    if line == b"PRI * HTTP/2.0\r\n":
        writer.write(_GO_AWAY_HTTP_1_1_REQUIRED)
        return None
    parts = line.rstrip(b"\r\n").split(b" ")
    if len(parts) != 3 or _METHOD.fullmatch(parts[0]) is None:
        raise _Refused(400)
    method, target, protocol = parts
    if protocol not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise _Refused(505 if re.fullmatch(rb"HTTP/\d\.\d", protocol) else 400)
    head = _Head(method, b"", b"", protocol[5:], await _read_headers(reader))
    _take_target(head, target)
    _take_framing(head)
    return head


async def _read_line(reader: asyncio.StreamReader, limit: int, status: int) -> bytes:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    except asyncio.LimitOverrunError as error:
        raise _Refused(status) from error
    if len(line) > limit:
        raise _Refused(status)
    return line


async def _read_headers(reader: asyncio.StreamReader) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    left = HEADERS_LIMIT
    while (line := await _read_line(reader, left, 431)) not in (b"\r\n", b"\n"):
        left -= len(line)
        name, colon, value = line.rstrip(b"\r\n").partition(b":")
        if not colon or _METHOD.fullmatch(name) is None or b"\0" in value or b"\r" in value:
            raise _Refused(400)
        headers.append((name, value.strip(b" \t")))
        if len(headers) > HEADER_COUNT_LIMIT:
            raise _Refused(431)
    return headers


def _take_target(head: _Head, target: bytes) -> None:
    """Split the request target, after the checks that need the Host header (Functions host §Q9, §R41, §R43)."""
    hosts = head.values(b"host")
    if len(hosts) > 1 or (not hosts and head.version == b"1.1"):
        raise _Refused(400)
    if any(byte > 0x7F or byte < 0x21 for byte in target):
        raise _Refused(400)
    if target == b"*":
        if head.method != b"OPTIONS":
            raise _Refused(405)
    elif not target.startswith(b"/"):
        found = re.fullmatch(rb"https?://([^/?]+)(/[^?]*)?(\?.*)?", target, re.IGNORECASE)
        if found is None or [found[1].lower()] != [host.lower() for host in hosts]:
            raise _Refused(400)
        target = (found[2] or b"/") + (found[3] or b"")
    head.path, _, query = target.partition(b"?")
    head.query = query


def _take_framing(head: _Head) -> None:
    """Find out how the body is sent (Functions host §Q19, §Q20)."""
    codings = head.values(b"transfer-encoding")
    if codings:
        if codings[-1].lower().split(b",")[-1].strip() != b"chunked":
            raise _Refused(400)
        head.is_chunked = True
        return
    lengths = head.values(b"content-length")
    if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        raise _Refused(400)
    head.content_length = int(lengths[0]) if lengths else 0


class _Body:
    """The incoming body of a request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: _Head) -> None:
        self._reader = reader
        self._writer = writer
        self._left = head.content_length
        self._is_chunked = head.is_chunked
        self._expects_continue = any(value.lower() == b"100-continue" for value in head.values(b"expect"))

    async def receive(self) -> Message:
        """Return the next piece, after answering a client that expects "100 Continue" (Functions host §Q22)."""
        if self._expects_continue:
            self._expects_continue = False
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._is_chunked or not self._left:
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            async with asyncio.timeout(STALLED_BODY_S):
                piece = await self._reader.read(min(self._left, 65_536))
        except TimeoutError as error:
            raise _StalledError from error
        if not piece:
            raise ConnectionResetError("the client closed before the end of its body")
        self._left -= len(piece)
        return {"type": "http.request", "body": piece, "more_body": self._left > 0}

    async def drain(self) -> bool:
        """Read the rest of the body before the next request; return False if that is not possible."""
        if self._is_chunked:
            return await self._drain_chunks()
        if self._expects_continue and self._left:
            return False
        if self._left > DRAIN_LIMIT:
            return False
        await self._reader.readexactly(self._left)
        return True

    async def _drain_chunks(self) -> bool:
        left = DRAIN_LIMIT
        try:
            async with asyncio.timeout(STALLED_BODY_S):
                while size := int((await self._reader.readuntil(b"\n")).partition(b";")[0], 16):
                    left -= size
                    if size < 0 or left < 0:
                        return False
                    await self._reader.readexactly(size)
                    await self._reader.readuntil(b"\n")
                while await self._reader.readuntil(b"\n") not in (b"\r\n", b"\n"):
                    pass
        except (ValueError, TimeoutError, asyncio.LimitOverrunError):
            return False
        return True


class _Answer:
    """An outgoing response."""

    def __init__(self, writer: asyncio.StreamWriter, head: _Head) -> None:
        self._writer = writer
        self._head = head
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self.leaves_connection_usable = True

    async def send(self, message: Message) -> None:
        """Receive the two messages of an answer; the body comes in one piece."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
        else:
            self._write(message.get("body", b""))

    def _write(self, body: bytes) -> None:
        names = {name.lower(): value for name, value in self._headers}
        if names.get(b"connection", b"").lower() == b"close":
            self.leaves_connection_usable = False
        if self._head.method.upper() == b"HEAD" or self._status in (204, 304) or 100 <= self._status < 200:
            _write_head(self._writer, self._status, self._headers)
        elif b"content-length" in names:
            self._write_with_length(body, names[b"content-length"])
        elif b"transfer-encoding" in names:  # the function says that it framed the body itself (Functions host §P15)
            _write_head(self._writer, self._status, self._headers)
            self._writer.write(body)
            self.leaves_connection_usable = False
        elif not body:
            _write_head(self._writer, self._status, [*self._headers, (b"Content-Length", b"0")])
        elif self._head.version == b"1.0":
            _write_head(self._writer, self._status, [*self._headers, (b"Connection", b"close")])
            self._writer.write(body)
        else:
            _write_head(self._writer, self._status, [*self._headers, (b"Transfer-Encoding", b"chunked")])
            self._writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    def _write_with_length(self, body: bytes, given: bytes) -> None:
        """Keep to the length that the function gave, even a wrong one (Functions host §P14)."""
        length = int(given) if given.isdigit() else -1
        if length < len(body):
            _write_head(self._writer, 500, [(b"Content-Length", b"0")])
            return
        _write_head(self._writer, self._status, self._headers)
        self._writer.write(body)
        self.leaves_connection_usable = self.leaves_connection_usable and length == len(body)


def _write_head(writer: asyncio.StreamWriter, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    given = list(headers)
    names = {name.lower() for name, _ in given}
    if b"date" not in names:
        given.append((b"Date", formatdate(usegmt=True).encode()))
    if b"server" not in names:
        given.append((b"Server", b"Kestrel"))
    lines = b"".join(b"%b: %b\r\n" % header for header in given)
    writer.write(b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, _reason(status), lines))


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
