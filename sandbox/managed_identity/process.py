"""Starts the endpoint as a part of the sandbox."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from sandbox.processes import LOOPBACK, Process, Processes, free_port

SECRET = "sandbox"
"""The default value of ``IDENTITY_HEADER``."""
ROLES = ("SecurityEvents.Read.All",)
"""The app roles that a deployment grants (Microsoft Graph §2.1)."""


@dataclass(frozen=True)
class ManagedIdentityEndpoint:
    """A running endpoint.

    Attributes:
        process: Its process.
        base_url: Its address; the control API is below ``/sandbox``.
        secret: The value that its callers must send.
    """

    process: Process
    base_url: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the platform sets for an app with a managed identity."""
        return {"IDENTITY_ENDPOINT": f"{self.base_url}/msi/token", "IDENTITY_HEADER": self.secret}

    def tokens(self) -> list[str]:
        """Return every token that it has issued."""
        return list(httpx.get(f"{self.base_url}/sandbox/tokens").raise_for_status().json())

    @contextmanager
    def without_roles(self) -> Iterator[None]:
        """Remove the roles that a deployment grants inside the block; tokens show each change at once."""
        self._change_roles("remove")
        try:
            yield
        finally:
            self._change_roles("grant")

    def _change_roles(self, change: str) -> None:
        httpx.post(f"{self.base_url}/sandbox/roles", json={change: ROLES}).raise_for_status()
        httpx.delete(f"{self.base_url}/sandbox/tokens").raise_for_status()


def start_managed_identity(
    processes: Processes,
    *,
    port: int = 0,
    secret: str = SECRET,
    user_assigned: tuple[str, ...] = (),
    roles: tuple[str, ...] = ROLES,
) -> ManagedIdentityEndpoint:
    """Start the endpoint and return it when it listens.

    Args:
        processes: The group of processes that it joins.
        port: 0 takes a free one.
        secret: The value of ``IDENTITY_HEADER``.
        user_assigned: Client ids of user-assigned identities, in addition to the system-assigned one.
        roles: The app roles of Microsoft Graph that every identity has from the start.

    Raises:
        SandboxError: It did not start.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "sandbox.managed_identity", "--port", str(port), "--secret", secret]
    for client_id in user_assigned:
        command += ["--user-assigned", client_id]
    for role in roles:
        command += ["--role", role]
    process = processes.start("Managed identity", command)
    processes.wait_for_port(process, port)
    return ManagedIdentityEndpoint(process, f"http://{LOOPBACK}:{port}", secret)
