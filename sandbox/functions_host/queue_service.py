"""The queue service of a storage account, as the host calls it with a managed identity (Storage Queue §2, §8)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Self
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import httpx

AUDIENCE = "https://storage.azure.com"
VERSION = "2021-12-02"
_RENEW_TOKEN_BEFORE = timedelta(minutes=5)


class NoConnectionError(LookupError):
    """No setting says where the queue is, or not in a way that this host can use."""


@dataclass(frozen=True, slots=True)
class QueueConnection:
    """Where a queue service is, and as whom the host signs in."""

    url: str
    client_id: str | None

    @classmethod
    def find(cls, name: str, settings: Mapping[str, str]) -> Self:
        """Find the connection of a trigger in the app's settings (Storage Queue §C1, §C2).

        Raises:
            NoConnectionError: There is none (§C4), or it is a connection string.
        """
        name = name or "AzureWebJobsStorage"
        for section in (f"AzureWebJobs{name}", name):
            if settings.get(section):
                raise NoConnectionError(f"{section} is a connection string; this host needs a managed identity.")
            url = settings.get(f"{section}__queueServiceUri") or settings.get(f"{section}__serviceUri")
            if account := settings.get(f"{section}__accountName"):
                url = url or f"https://{account}.queue.core.windows.net"
            if url:
                return cls(url.rstrip("/"), settings.get(f"{section}__clientId") or None)
        raise NoConnectionError(
            f"Storage account connection string 'AzureWebJobs{name}' does not exist. "
            "Make sure that it is a defined App Setting."
        )


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message that this host holds for a while; times are aware, in UTC."""

    id: str
    pop_receipt: str
    text: str
    """As stored: usually base64."""
    dequeue_count: int
    inserted_at: datetime
    expires_at: datetime
    next_visible_at: datetime


class QueueService:
    """The calls; each raises httpx.HTTPStatusError for an error status, httpx.TransportError without an answer."""

    def __init__(self, connection: QueueConnection, settings: Mapping[str, str]) -> None:
        self._connection = connection
        self._settings = settings
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=settings.get("SSL_CERT_FILE")), timeout=30, trust_env=False
        )
        self._token = ""
        self._renew_token_at = datetime.min.replace(tzinfo=UTC)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def exists(self, queue: str) -> bool:
        """Say whether a queue is there."""
        answer = await self._send("GET", queue, {"comp": "metadata"}, passing=(404,))
        return answer.status_code != 404

    async def create(self, queue: str) -> None:
        """Create a queue unless it is there."""
        await self._send("PUT", queue)

    async def receive(self, queue: str, count: int, hidden_s: int) -> Sequence[QueueMessage]:
        """Take up to ``count`` messages and hide them from others."""
        query = {"numofmessages": str(count), "visibilitytimeout": str(hidden_s)}
        answer = await self._send("GET", f"{queue}/messages", query)
        found = ET.fromstring(answer.text.removeprefix("\ufeff"))  # noqa: S314 - from the sandbox's own storage
        return [_message(each) for each in found.iter("QueueMessage")]

    async def hide(self, queue: str, message: QueueMessage, hidden_s: int) -> QueueMessage:
        """Decide when a held message is visible again; return it with its new receipt. The text stays."""
        query = {"popreceipt": message.pop_receipt, "visibilitytimeout": str(hidden_s)}
        answer = await self._send("PUT", f"{queue}/messages/{message.id}", query, _body(message.text))
        return replace(message, pop_receipt=answer.headers["x-ms-popreceipt"])

    async def send(self, queue: str, text: str, ttl_s: int | None = None) -> None:
        """Put a message at the end; without a TTL the service keeps it for seven days."""
        query = {} if ttl_s is None else {"messagettl": str(ttl_s)}
        await self._send("POST", f"{queue}/messages", query, _body(text))

    async def delete(self, queue: str, message: QueueMessage) -> None:
        """Delete a held message; no matter if somebody else has it by now (Storage Queue §M4)."""
        query = {"popreceipt": message.pop_receipt}
        await self._send("DELETE", f"{queue}/messages/{message.id}", query, passing=(400, 404, 409))

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: str = "",
        passing: Sequence[int] = (),
    ) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {await self._access_token()}",
            "x-ms-version": VERSION,
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
        }
        url = f"{self._connection.url}/{path}"
        answer = await self._client.request(method, url, params=query or {}, headers=headers, content=body.encode())
        if answer.status_code not in passing:
            answer.raise_for_status()
        return answer

    async def _access_token(self) -> str:
        if datetime.now(UTC) >= self._renew_token_at:
            query = {"api-version": "2019-08-01", "resource": AUDIENCE}
            query |= {"client_id": self._connection.client_id} if self._connection.client_id else {}
            headers = {"X-IDENTITY-HEADER": self._settings["IDENTITY_HEADER"]}
            answer = await self._client.get(self._settings["IDENTITY_ENDPOINT"], params=query, headers=headers)
            issued = answer.raise_for_status().json()
            self._token = issued["access_token"]
            self._renew_token_at = datetime.fromtimestamp(int(issued["expires_on"]), UTC) - _RENEW_TOKEN_BEFORE
        return self._token


def _body(text: str) -> str:
    return f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>"


def _message(found: ET.Element) -> QueueMessage:
    def text(name: str) -> str:
        return found.findtext(name) or ""

    return QueueMessage(
        id=text("MessageId"),
        pop_receipt=text("PopReceipt"),
        text=text("MessageText"),
        dequeue_count=int(text("DequeueCount")),
        inserted_at=parsedate_to_datetime(text("InsertionTime")),
        expires_at=parsedate_to_datetime(text("ExpirationTime")),
        next_visible_at=parsedate_to_datetime(text("TimeNextVisible")),
    )
