"""Bodies that unpack to more than they should, or are packed in an unrequested way."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.outbound.bodies import ANSWER_LIMIT, SMALL_ANSWER, read_body
from shared.outbound.failures import NoAnswer, Reason


class Room:
    """Counts how often memory was reserved."""

    def __init__(self) -> None:
        self.made = 0

    async def __call__(self) -> None:
        self.made += 1


async def sent(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(*pieces: bytes, codings: Sequence[str] = ("gzip",), room: Room | None = None) -> bytes:
    return await read_body(sent(pieces), codings, make_room=room or Room())


async def refusal(*pieces: bytes, codings: Sequence[str] = ("gzip",)) -> Reason:
    with pytest.raises(NoAnswer) as caught:
        await read(*pieces, codings=codings)
    assert caught.value.__context__ is None, "zlib's error could hold parts of the answer"
    return caught.value.reason


def packed(mebibytes: int) -> bytes:
    """A little gzip that unpacks to this much."""
    stream = zlib.compressobj(wbits=31)
    return b"".join([*(stream.compress(b" " * 1024 * 1024) for _ in range(mebibytes)), stream.flush()])


@given(st.binary(max_size=5_000), st.integers(1, 200), st.integers(1, 700), st.sampled_from([(), ("gzip",)]))
async def test_a_body_is_read_however_it_is_cut(body: bytes, times: int, length: int, codings: Sequence[str]) -> None:
    raw = gzip.compress(body * times) if codings else body * times
    assert await read(*(raw[at : at + length] for at in range(0, len(raw), length)), codings=codings) == body * times


@pytest.mark.parametrize("codings", [(), ("",), ("identity",), ("gzip",), ("x-gzip",), ("GZIP",), ("identity", "gzip")])
async def test_one_layer_of_gzip_or_none(codings: Sequence[str]) -> None:
    raw = gzip.compress(b"{}") if "gzip" in "".join(codings).lower() else b"{}"
    assert await read(raw, codings=codings) == b"{}"


@pytest.mark.parametrize(
    "codings",
    [("gzip", "gzip"), ("deflate",), ("br",), ("zstd",), ("compress",), ("gzip", "br"), ("x-gzip", "gzip"), ("\x00",)],
)
async def test_any_other_encoding_is_refused_unread(codings: Sequence[str]) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("it is not read")
        yield b""

    with pytest.raises(NoAnswer) as caught:
        await read_body(never(), codings, make_room=Room())
    assert caught.value.reason is Reason.ENCODED


async def test_the_second_layer_of_a_nested_bomb_stays_packed() -> None:
    inner = packed(64)
    assert await read(gzip.compress(inner)) == inner


async def test_a_bomb_takes_no_more_memory_than_an_answer_may() -> None:
    bomb = packed(64)
    assert len(bomb) < 70_000
    tracemalloc.start()
    try:
        assert await refusal(bomb) is Reason.TOO_LARGE
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * ANSWER_LIMIT


async def test_others_are_served_while_a_bomb_is_unpacked() -> None:
    served = 0

    async def serve() -> None:
        nonlocal served
        while True:
            served += 1
            await asyncio.sleep(0)

    serving = asyncio.create_task(serve())
    assert await refusal(packed(64)) is Reason.TOO_LARGE
    serving.cancel()
    assert served > ANSWER_LIMIT // (64 * 1024) - 5, "it was unpacked in parts"


async def test_the_limit_is_exact() -> None:
    assert len(await read(gzip.compress(b" " * ANSWER_LIMIT))) == ANSWER_LIMIT
    assert await refusal(gzip.compress(b" " * (ANSWER_LIMIT + 1))) is Reason.TOO_LARGE
    assert await refusal(b" " * ANSWER_LIMIT, b" ", codings=()) is Reason.TOO_LARGE


async def test_what_unpacks_to_nothing_is_bounded_too() -> None:
    """Empty deflate blocks without end."""
    stream = zlib.compressobj(wbits=31)
    opening, empty = stream.compress(b"") + stream.flush(zlib.Z_FULL_FLUSH), stream.flush(zlib.Z_FULL_FLUSH)
    assert await refusal(opening, *[(empty or b"\x00\x00\x00\xff\xff") * 10_000] * 100) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-9], lambda raw: raw[:20] + b"\xff" * 20 + raw[40:], lambda raw: b"x" + raw, lambda raw: raw[:5]],
    ids=["cut off", "damaged", "no gzip", "cut off in its header"],
)
async def test_a_broken_stream_is_an_incomplete_answer(damage: Callable[[bytes], bytes]) -> None:
    assert await refusal(damage(gzip.compress(bytes(range(256)) * 4))) is Reason.CUT_OFF


async def test_nothing_may_follow_the_stream() -> None:
    assert await refusal(gzip.compress(b"{}") + gzip.compress(b"{}")) is Reason.ENCODED
    assert await refusal(gzip.compress(b"{}"), b"more") is Reason.ENCODED


async def test_an_empty_body_needs_no_stream() -> None:
    assert await read() == b""


@pytest.mark.parametrize(("length", "made"), [(SMALL_ANSWER, 0), (SMALL_ANSWER + 1, 1), (20 * SMALL_ANSWER, 1)])
@pytest.mark.parametrize("codings", [(), ("gzip",)])
async def test_room_is_made_once_and_for_large_answers_only(length: int, made: int, codings: Sequence[str]) -> None:
    raw = gzip.compress(b" " * length) if codings else b" " * length
    room = Room()
    await read(*(raw[at : at + 50_000] for at in range(0, len(raw), 50_000)), codings=codings, room=room)
    assert room.made == made
