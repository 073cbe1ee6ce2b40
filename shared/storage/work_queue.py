"""A storage queue, to which this module only sends: the Functions host reads it (Storage Queue §5).

There is no output binding, because one cannot say how long a message lives (Storage Queue §O2), and no queue SDK for
one request: it goes through a pipeline of azure-core, with the policies that the SDK's clients have.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import quote

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineRequest, policies
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.clock import Clock, system_clock
from shared.errors import StorageUnavailable
from shared.storage.network import open_network
from shared.storage.tables import REPEATED, storage_errors

API_VERSION: Final = "2021-12-02"
SCOPE: Final = "https://storage.azure.com/.default"
RETRIES: Final = 1
"""Few, because the timer serves the items itself if a message cannot be sent."""


class _DatePolicy(policies.SansIOHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Dates each try (Storage Queue §8)."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        request.http_request.headers["x-ms-date"] = format_datetime(self._clock(), usegmt=True)


class QueueService:
    """Sends to the queues of one storage account; nothing is sent before the first message."""

    def __init__(self, url: str, credential: AsyncTokenCredential, clock: Clock = system_clock) -> None:
        self._url = url.rstrip("/")
        headers: Mapping[str, Any] = {"x-ms-version": API_VERSION, "Content-Type": "application/xml"}
        self._client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncPipelineClient(
            self._url,
            transport=open_network(),
            policies=[
                policies.RequestIdPolicy(),
                policies.HeadersPolicy(dict(headers)),
                policies.UserAgentPolicy(),
                policies.AsyncRetryPolicy(retry_total=RETRIES, retry_backoff_factor=0.4),
                _DatePolicy(clock),
                policies.AsyncBearerTokenCredentialPolicy(credential, SCOPE),
            ],
        )

    def queue(self, name: str) -> AzureWorkQueue:
        """Return one of the queues."""
        return AzureWorkQueue(self._client, f"{self._url}/{quote(name)}/messages")

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._client.close()


class AzureWorkQueue:
    """Implements :class:`shared.maintenance.fan_out.WorkQueue`."""

    def __init__(self, client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse], address: str) -> None:
        self._client = client
        self._address = address

    async def send(self, text: str, ttl: timedelta) -> None:
        """Put a message at the end (Storage Queue §W3).

        It is repeated when its connection breaks, and may then be there twice. Raises StorageUnavailable.
        """
        encoded = base64.b64encode(text.encode()).decode()  # as host.json asks by default (Storage Queue §H6)
        request = HttpRequest(
            "POST",
            f"{self._address}?messagettl={int(ttl.total_seconds())}",
            content=f"<QueueMessage><MessageText>{encoded}</MessageText></QueueMessage>",
        )
        with storage_errors():
            answer = await self._client.send_request(request, **REPEATED)
            try:
                answer.raise_for_status()
            except HttpResponseError as error:
                if error.status_code == 404:
                    raise StorageUnavailable from None  # The infrastructure is older than the code.
                raise
