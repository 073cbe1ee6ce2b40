"""What a message's request says; tests/contract/storage/test_work_queue.py shows that a real queue takes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.errors import StorageUnavailable
from shared.storage import work_queue
from shared.storage.work_queue import RETRIES, QueueService
from tests.memory.clock import START, ManualClock


class Credential(AsyncTokenCredential):
    """Has a token."""

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """See the SDK."""
        return AccessToken("token", 2**33)

    async def close(self) -> None:
        """See the SDK."""

    async def __aexit__(self, *_: object) -> None:
        """See the SDK."""


class BrokenNetwork(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """Carries nothing: each try takes a second."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.dates: list[str] = []

    async def send(self, request: HttpRequest, **_: Any) -> AsyncHttpResponse:
        """See the SDK."""
        self.dates.append(request.headers["x-ms-date"])
        self.clock.advance(1)
        raise ServiceRequestError("broken")

    async def sleep(self, duration: float) -> None:
        """See the SDK."""

    async def open(self) -> None:
        """See the SDK."""

    async def close(self) -> None:
        """See the SDK."""

    async def __aenter__(self) -> Self:
        """See the SDK."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """See the SDK."""


async def test_each_try_has_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    network = BrokenNetwork(clock)
    monkeypatch.setattr(work_queue, "open_network", lambda: network)
    service = QueueService("https://account.queue.core.windows.net", Credential(), clock)
    with pytest.raises(StorageUnavailable):
        await service.queue("maintain").send("{}", timedelta(minutes=2))
    tries = [START + timedelta(seconds=number) for number in range(RETRIES + 1)]
    assert network.dates == [f"{each:%a, %d %b %Y %H:%M:%S} GMT" for each in tries]
