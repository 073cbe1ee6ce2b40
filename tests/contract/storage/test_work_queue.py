"""Messages for other instances of the app, in a real queue."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from azure.identity.aio import ManagedIdentityCredential

from sandbox.azurite import StorageAccount
from sandbox.certificates import Certificates
from sandbox.functions_host.queue_service import QueueConnection
from sandbox.functions_host.queue_service import QueueService as HostsQueueService
from sandbox.managed_identity.process import ManagedIdentityEndpoint
from shared.errors import StorageUnavailable
from shared.storage.work_queue import QueueService

QUEUE = "maintain-connections"


@pytest.fixture
async def host(
    storage_account: StorageAccount, managed_identity: ManagedIdentityEndpoint, certificates: Certificates
) -> AsyncIterator[HostsQueueService]:
    """What the Functions host sees."""
    settings = {**managed_identity.environment, "SSL_CERT_FILE": str(certificates.authority)}
    service = HostsQueueService(QueueConnection(storage_account.queue_url, None), settings)
    yield service
    await service.close()


@pytest.fixture
async def queues(storage_account: StorageAccount, credential: ManagedIdentityCredential) -> AsyncIterator[QueueService]:
    service = QueueService(storage_account.queue_url, credential)
    yield service
    await service.aclose()


async def test_a_message_reaches_the_host_as_it_was_sent(queues: QueueService, host: HostsQueueService) -> None:
    await host.create(QUEUE)
    await queues.queue(QUEUE).send('{"connections":["contoso"]}', timedelta(minutes=2))
    (message,) = await host.receive(QUEUE, 32, 30)
    assert base64.b64decode(message.text) == b'{"connections":["contoso"]}'
    assert message.expires_at - message.inserted_at == timedelta(minutes=2)


async def test_a_message_that_nobody_takes_is_gone(queues: QueueService, host: HostsQueueService) -> None:
    await host.create(QUEUE)
    await queues.queue(QUEUE).send("{}", timedelta(seconds=1))
    await asyncio.sleep(1.1)
    assert await host.receive(QUEUE, 32, 30) == []


async def test_a_missing_queue_is_reported(queues: QueueService) -> None:
    with pytest.raises(StorageUnavailable):
        await queues.queue(QUEUE).send("{}", timedelta(minutes=2))


async def test_a_service_that_does_not_answer_is_reported(credential: ManagedIdentityCredential) -> None:
    service = QueueService("https://127.0.0.1:9/account", credential)
    with pytest.raises(StorageUnavailable):
        await service.queue(QUEUE).send("{}", timedelta(minutes=2))
    await service.aclose()
