"""Starts the vaults as a part of the sandbox."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field

from sandbox.processes import Process, Processes, SandboxError


@dataclass(frozen=True)
class KeyVaults:
    """Running vaults.

    Attributes:
        process: Their process.
        urls: Their addresses; the control API is below ``/sandbox`` of each.
    """

    process: Process
    urls: tuple[str, ...]
    _taken: itertools.count[int] = field(default_factory=itertools.count)

    def new_vault(self) -> str:
        """Return the address of a vault that nobody has used yet.

        Raises:
            SandboxError: All are taken.
        """
        number = next(self._taken)
        if number >= len(self.urls):
            raise SandboxError(f"All {len(self.urls)} vaults of this process are taken.")
        return self.urls[number]


def start_key_vaults(processes: Processes, *, port: int = 0, vaults: int = 1) -> KeyVaults:
    """Start vaults and return them when they listen.

    Args:
        processes: The group of processes that they join.
        port: The first vault's port, the others follow; 0 takes free ports.
        vaults: Number of vaults.

    Raises:
        SandboxError: They did not start.
    """
    command = [sys.executable, "-m", "sandbox.key_vault", "--port", str(port), "--vaults", str(vaults)]
    process = processes.start("Key Vault", command)
    urls = tuple(processes.wait_for_line(process, rf"^Vault {number} at (\S+)$")[1] for number in range(vaults))
    processes.wait_for_port(process, int(urls[-1].rpartition(":")[2]))
    return KeyVaults(process, urls)
