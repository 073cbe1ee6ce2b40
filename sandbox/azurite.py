"""Azurite, Microsoft's storage emulator: TLS, access tokens, everything in memory."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.certificates import Certificates
from sandbox.processes import LOOPBACK, Process, Processes, SandboxError

PROGRAM = Path(__file__).parent.parent / ".sandbox" / "node_modules" / ".bin" / "azurite"
ACCOUNT_KEY = base64.b64encode(b"the one key of every account of the sandbox").decode()
"""For connection strings, which the Functions host may need; the product uses access tokens."""
_SERVICES = ("Blob", "Queue", "Table")
_LISTENING = r"^Azurite {service} service is successfully listening at https://[^:]+:(\d+)"


@dataclass(frozen=True)
class StorageAccount:
    """A storage account of a running Azurite; accounts share no data."""

    name: str
    blob_url: str
    queue_url: str
    tables_url: str

    @property
    def connection_string(self) -> str:
        """The connection string with the account's key (``AzureWebJobsStorage``)."""
        return (
            f"DefaultEndpointsProtocol=https;AccountName={self.name};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={self.blob_url};QueueEndpoint={self.queue_url};TableEndpoint={self.tables_url}"
        )


@dataclass(frozen=True)
class Azurite:
    """A running Azurite.

    Attributes:
        process: Its process.
        ports: Port by service: ``Blob``, ``Queue``, ``Table``.
        accounts: Names of the accounts that it started with.
    """

    process: Process
    ports: dict[str, int]
    accounts: tuple[str, ...]
    _taken: itertools.count[int] = field(default_factory=itertools.count)

    def account(self, name: str) -> StorageAccount:
        """Return an account by name."""
        blob_url, queue_url, tables_url = (f"https://{LOOPBACK}:{self.ports[service]}/{name}" for service in _SERVICES)
        return StorageAccount(name, blob_url, queue_url, tables_url)

    def new_account(self) -> StorageAccount:
        """Return an account that nobody has used yet.

        Raises:
            SandboxError: All are taken.
        """
        number = next(self._taken)
        if number >= len(self.accounts):
            raise SandboxError(f"All {len(self.accounts)} storage accounts of this Azurite are taken.")
        return self.account(self.accounts[number])


def start_azurite(
    processes: Processes,
    certificates: Certificates,
    *,
    accounts: tuple[str, ...] = ("devstoreaccount1",),
    ports: tuple[int, int, int] = (0, 0, 0),
) -> Azurite:
    """Start Azurite and return it when all three services listen.

    It accepts any access token whose audience, issuer and times are right (``--oauth basic``), and the accounts' key.

    Args:
        processes: The group of processes that it joins.
        certificates: The files of its TLS certificate.
        accounts: Names of its accounts.
        ports: For blobs, queues and tables; 0 lets the system choose.

    Raises:
        SandboxError: Node or Azurite is missing, or it did not start.
    """
    if not PROGRAM.exists():
        raise SandboxError("Azurite is not installed. Run: make setup")
    command = [str(PROGRAM), "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    command += ["--oauth", "basic", "--cert", str(certificates.chain), "--key", str(certificates.key)]
    for service, port in zip(_SERVICES, ports, strict=True):
        command += [f"--{service.lower()}Port", str(port)]
    process = processes.start(
        "Azurite",
        command,
        environment={"AZURITE_ACCOUNTS": ";".join(f"{name}:{ACCOUNT_KEY}" for name in accounts)},
    )
    listening = {
        service: int(processes.wait_for_line(process, _LISTENING.format(service=service))[1]) for service in _SERVICES
    }
    return Azurite(process, listening, accounts)
