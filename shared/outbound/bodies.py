"""Read the whole body of an answer and unpack one layer of gzip, all within bounds.

A few kilobytes of gzip can unpack to gigabytes, and to more in several layers. So this module reads the raw bytes,
accepts exactly one layer, unpacks it in parts and counts them. The event loop serves others in between.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
from typing import Final

from shared.outbound.failures import NoAnswer, Reason

ACCEPTED_CODING: Final = "gzip"
"""What ``Accept-Encoding`` asks for; an answer that is not encoded is accepted as well (RFC 9110, 12.5.3)."""
ANSWER_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of one answer, as received and decompressed; a page of 1,000 of our rows has one or two million."""
SMALL_ANSWER: Final = 128 * 1024
"""Largest answer in bytes that needs no room made for it; nearly all answers are smaller."""

_PART: Final = 64 * 1024
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
_GZIP_NAMES: Final = (["gzip"], ["x-gzip"])
"""RFC 9110, 8.4.1.3: both mean the same."""


async def read_body(
    pieces: AsyncIterable[bytes], codings: Sequence[str], *, make_room: Callable[[], Awaitable[None]]
) -> bytes:
    """Return the body of an answer.

    Args:
        pieces: The body as it was received.
        codings: The names in ``Content-Encoding``, in the order in which they were applied.
        make_room: Awaited once, before the body grows beyond :data:`SMALL_ANSWER`; it may raise.

    Raises:
        NoAnswer: There is no usable body: it is too large, encoded in another way, or cut off.
    """
    layers = [name for coding in codings if (name := coding.strip().lower()) not in {"", "identity"}]
    if layers and layers not in _GZIP_NAMES:
        raise NoAnswer(Reason.ENCODED)
    gzip = _Gzip() if layers else None
    body = bytearray()
    received = 0
    try:
        async for piece in pieces:
            received += len(piece)
            for part in (piece,) if gzip is None else gzip.parts(piece):
                length = len(body) + len(part)
                if max(length, received) > ANSWER_LIMIT:
                    raise NoAnswer(Reason.TOO_LARGE)
                if len(body) <= SMALL_ANSWER < length:
                    await make_room()
                body += part
                await asyncio.sleep(0)
            if gzip is not None and gzip.goes_on_after_its_end:
                raise NoAnswer(Reason.ENCODED)
    except zlib.error:
        is_whole = False
    else:
        is_whole = gzip is None or gzip.has_ended or not received
    if not is_whole:
        raise NoAnswer(Reason.CUT_OFF)
    return bytes(body)


class _Gzip:
    """One gzip stream, unpacked part by part."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_FORMAT)

    def parts(self, piece: bytes) -> Iterator[bytes]:
        """Unpack the next piece, in parts of bounded length; raises zlib.error if it is not gzip."""
        while True:
            part = self._stream.decompress(piece, _PART)
            yield part
            piece = self._stream.unconsumed_tail
            # After a full part, more may be waiting, even when all input is used up.
            if not piece and len(part) < _PART:
                return

    @property
    def has_ended(self) -> bool:
        """Whether the stream is complete."""
        return self._stream.eof

    @property
    def goes_on_after_its_end(self) -> bool:
        """Whether bytes follow the end of the stream; no server adds a second one to an answer."""
        return bool(self._stream.unused_data)
