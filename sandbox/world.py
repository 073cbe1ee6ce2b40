"""All parts of the sandbox together: starts them at once, gives their addresses, and ends them as one."""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from sandbox import clock_shift
from sandbox.azurite import Azurite, StorageAccount, start_azurite
from sandbox.certificates import Certificates, ensure_certificates
from sandbox.clock_shift import ClockShift
from sandbox.entra.registration import register_for_customers
from sandbox.graph.process import Graph, start_graph
from sandbox.key_vault.process import KeyVaults, start_key_vaults
from sandbox.managed_identity.process import ManagedIdentityEndpoint, start_managed_identity
from sandbox.managed_identity.tokens import ManagedIdentity, TokenSigner
from sandbox.processes import LOOPBACK, Process, Processes, free_port, require_free_port
from sandbox.shared_time import SharedTime
from shared.storage.tables import TABLE_NAMES

ROOT = Path(__file__).parent.parent
PEOPLE = Path(__file__).with_name("people.json")
ACCOUNT = "devstoreaccount1"
HOST_ID = "sandbox"
ANONYMOUS_PATHS = ("/api/oauth/callback", "/tenants/consent", "/api/health")
"""Excluded from App Service Authentication, as in the deployment."""


@dataclass(frozen=True)
class Ports:
    """The parts' ports; 0 takes a free one. The defaults are those of ``local.settings.sample.json``."""

    functions_host: int = 7071
    servicenow: int = 8080
    key_vault: int = 8443
    managed_identity: int = 8081
    blob: int = 10000
    queue: int = 10001
    table: int = 10002
    graph: int = 8444
    webhooks: int = 8445

    def require_free(self) -> None:
        """Raise SandboxError if something else listens on one of them."""
        for name, port in vars(self).items():
            if port:
                require_free_port(port, name.replace("_", " "))


ANY_PORTS = Ports(0, 0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class ServiceNow:
    """A running ServiceNow instance.

    Attributes:
        process: Its process.
        url: Its address.
    """

    process: Process
    url: str


@dataclass(frozen=True)
class FunctionsHost:
    """A running Functions host with the app in it.

    Attributes:
        process: Its process.
        url: Its address.
        public_url: The app's address for people.
        storage: The directory for its keys and timer locks.
        clock: Moves the time of its product.
    """

    process: Process
    url: str
    public_url: str
    storage: Path
    clock: ClockShift

    @property
    def master_key(self) -> str:
        """The key that opens ``/admin``."""
        keys: dict[str, str] = json.loads((self.storage / "azure-webjobs-secrets" / HOST_ID / "host.json").read_text())
        return keys["master"]


@dataclass(frozen=True)
class World:
    """The parts that all hosts share.

    Attributes:
        directory: Where hosts keep their files.
        processes: All running parts.
        time: The time of ServiceNow, Graph and the product.
    """

    directory: Path
    processes: Processes
    azurite: Azurite
    key_vaults: KeyVaults
    managed_identity: ManagedIdentityEndpoint
    servicenow: ServiceNow
    graph: Graph
    time: SharedTime
    certificates: Certificates = field(default_factory=ensure_certificates)

    def start_host(
        self,
        name: str = "Functions host",
        *,
        account: StorageAccount,
        vault_url: str,
        port: int = 0,
        public_url: str | None = None,
        settings: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        clock_ahead_s: float = 0.0,
    ) -> FunctionsHost:
        """Start a host with the app in it and return it when it listens.

        Hosts of the same account share keys and timer locks, as instances of one Function App do.

        Args:
            name: Its name for people.
            account: The app's storage.
            vault_url: The app's Key Vault.
            port: 0 takes a free one.
            public_url: The app's address for people, if it is not this host's own.
            settings: App settings to add to the sample's.
            options: More command-line options for the host.
            clock_ahead_s: How far the product's clock is ahead of the others' when it starts.

        Raises:
            SandboxError: It did not start.
        """
        create_tables(account, self.certificates)
        create_queues(account, self.certificates)
        port = port or free_port()
        url = f"http://{LOOPBACK}:{port}"
        public_url = public_url or url
        storage = self.directory / "hosts" / account.name
        storage.mkdir(parents=True, exist_ok=True)
        settings_file = storage / f"local.settings.{port}.json"
        clock = ClockShift.create(storage / f"clock.{port}", ahead_s=self.time.ahead_s + clock_ahead_s)
        self.time.products.append(clock)
        values = sample_settings() | {
            "AzureWebJobsStorage": account.connection_string,
            "PUBLIC_BASE_URL": public_url,
            "KEY_VAULT_URL": vault_url,
            "TABLES_URL": account.tables_url,
            "WorkQueue__queueServiceUri": account.queue_url,
            "GRAPH_URL": self.graph.url,
            "AUTHORITY_URL": self.graph.url,
            "SECURITY_PORTAL_URL": self.graph.url,
            "SSL_CERT_FILE": str(self.certificates.authority),
            clock_shift.SETTING: str(clock.file),
            **self.managed_identity.environment,
            **(settings or {}),
        }
        settings_file.write_text(json.dumps({"Values": values}))
        command = [sys.executable, "-m", "sandbox.functions_host", "--app", str(ROOT), "--port", str(port)]
        command += ["--storage", str(storage), "--host-id", HOST_ID, "--settings", str(settings_file)]
        command += ["--start-up", clock_shift.START_UP, "--people", str(PEOPLE), "--authentication", "redirect"]
        for path in ANONYMOUS_PATHS:
            command += ["--excluded-path", path]
        process = self.processes.start(name, [*command, *options])
        self.processes.wait_for_line(process, "^Functions host is listening on ")
        return FunctionsHost(process, url, public_url, storage, clock)

    def register_for_customers(self, host: FunctionsHost) -> None:
        """Register the application of the sample's settings, so that customers' tenants can consent to this host."""
        client_id = sample_settings()["GRAPH_CLIENT_ID"]
        register_for_customers(self.graph.url, client_id, host.public_url, self.certificates)


def create_tables(account: StorageAccount, certificates: Certificates) -> None:
    """Create the product's missing tables, as the deployment does."""
    trusted = ssl.create_default_context(cafile=certificates.authority)
    headers = table_service_headers(certificates)
    with httpx.Client(base_url=account.tables_url, headers=headers, verify=trusted) as client:
        for name in TABLE_NAMES:
            answer = client.post("/Tables", json={"TableName": name})
            if answer.status_code != httpx.codes.CONFLICT:
                answer.raise_for_status()


def create_queues(account: StorageAccount, certificates: Certificates) -> None:
    """Create the product's missing queues, as the deployment does."""
    trusted = ssl.create_default_context(cafile=certificates.authority)
    settings = sample_settings()
    headers = table_service_headers(certificates) | {"x-ms-version": "2021-12-02"}
    with httpx.Client(base_url=account.queue_url, headers=headers, verify=trusted) as client:
        for name in (settings["MAINTAIN_QUEUE"], settings["READ_QUEUE"]):
            client.put(f"/{name}").raise_for_status()


def table_service_headers(certificates: Certificates) -> dict[str, str]:
    """Return the headers that give the deployment access to the tables of any account."""
    token = TokenSigner(certificates.token_key).issue(
        ManagedIdentity.of("deployment"),
        "https://storage.azure.com",
        issued_at=datetime.now(UTC),
        lifetime=timedelta(minutes=5),
    )
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", "x-ms-version": "2019-02-02"}


def sample_settings() -> dict[str, str]:
    """Return the settings of the sample file."""
    sample: dict[str, dict[str, str]] = json.loads((ROOT / "local.settings.sample.json").read_text())
    return sample["Values"]


def start_servicenow(
    processes: Processes,
    *,
    name: str = "ServiceNow",
    port: int = 0,
    database: Path | None = None,
    days_ago: int = 0,
) -> ServiceNow:
    """Start a ServiceNow instance and return it when it listens.

    Args:
        processes: Receives its process.
        name: Its name for people.
        port: 0 takes a free one.
        database: A file for the instance's records; without it, they are in memory.
        days_ago: How many days in the past its clock begins.

    Raises:
        SandboxError: It did not start.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "sandbox.servicenow", "--port", str(port), "--days-ago", str(days_ago)]
    if database is not None:
        command += ["--database", str(database)]
    process = processes.start(name, command)
    processes.wait_for_port(process, port)
    return ServiceNow(process, f"http://{LOOPBACK}:{port}")


@contextlib.contextmanager
def running_world(directory: Path, ports: Ports = ANY_PORTS, *, apps: int = 1, days_ago: int = 0) -> Iterator[World]:
    """Start everything except the Functions hosts for the duration of the block.

    Args:
        directory: Receives logs and the hosts' files.
        ports: The ports to listen on.
        apps: Number of apps to create storage and a Key Vault for.
        days_ago: How many days in the past its time begins.

    Raises:
        SandboxError: A port is taken, a tool is missing, or a part did not start.
    """
    ports.require_free()
    certificates = ensure_certificates()
    with Processes(directory / "logs") as processes:
        with ThreadPoolExecutor() as starting:
            servicenow = starting.submit(start_servicenow, processes, port=ports.servicenow, days_ago=days_ago)
            azurite = starting.submit(
                start_azurite,
                processes,
                certificates,
                accounts=(ACCOUNT, *(f"{ACCOUNT}{number}" for number in range(2, apps + 1))),
                ports=(ports.blob, ports.queue, ports.table),
            )
            graph = starting.submit(start_graph, processes, port=ports.graph, days_ago=days_ago)
            key_vaults = starting.submit(start_key_vaults, processes, port=ports.key_vault, vaults=apps)
            managed_identity = starting.submit(start_managed_identity, processes, port=ports.managed_identity)
        yield World(
            directory=directory,
            processes=processes,
            azurite=azurite.result(),
            key_vaults=key_vaults.result(),
            managed_identity=managed_identity.result(),
            servicenow=servicenow.result(),
            graph=graph.result(),
            time=SharedTime(servicenow.result().url, graph.result(), days_ago),
            certificates=certificates,
        )
