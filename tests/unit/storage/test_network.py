"""What the Azure SDK's clients take from the environment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from azure.core.rest import HttpRequest

from shared.storage.network import open_network

PROXY_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Listener:
    """Answers every request, and keeps its head."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


async def _head_of(url: str, listener: Listener) -> str:
    network = open_network()
    try:
        await network.send(HttpRequest("GET", url))
    finally:
        await network.close()
    return listener.heads[-1]


async def test_no_request_asks_the_environment_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    passwords = tmp_path / "netrc"
    passwords.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(passwords))
    listener = Listener()
    async with await asyncio.start_server(listener.answer, "127.0.0.1", 0) as server:
        head = await _head_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", listener)
    assert head.startswith("GET / HTTP/1.1")
    assert "authorization" not in head.lower()


async def test_a_proxy_of_the_environment_gets_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    async with await asyncio.start_server(listener.answer, "127.0.0.1", 0) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        head = await _head_of("http://tables.example/", listener)
    assert head.startswith("GET http://tables.example/ HTTP/1.1")
