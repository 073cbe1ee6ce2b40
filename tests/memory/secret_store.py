"""Key Vault in memory."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from shared.errors import ConnectorError, StorageUnavailable
from shared.secret import Secret
from tests.memory.steps import Step, at_once


@dataclass
class Version:
    """A version of a secret."""

    version: str
    value: Secret
    expires_at: datetime | None
    enabled: bool = True


@dataclass
class MemorySecretStore:
    """Implements :class:`shared.connections.ports.SecretStore`."""

    step: Step = at_once
    versions: dict[str, list[Version]] = field(default_factory=dict)
    faults: deque[ConnectorError] = field(default_factory=deque)
    """Faults for the next calls, one each."""
    refused_writes: frozenset[str] = frozenset()
    """Endings of names whose writes are refused."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def get_secret(self, name: str, version: str | None = None) -> Secret | None:
        """See the port."""
        await self._begin("get_secret")
        found = [each for each in self.versions.get(name, []) if version in {None, each.version}]
        return found[-1].value if found and found[-1].enabled else None

    async def set_secret(self, name: str, value: Secret, *, expires_at: datetime | None = None) -> str:
        """See the port."""
        await self._begin("set_secret")
        if name.endswith(tuple(self.refused_writes)):
            raise StorageUnavailable()
        version = Version(f"v{next(self._numbers)}", value, expires_at)
        self.versions.setdefault(name, []).append(version)
        await self.step("set_secret answers")
        return version.version

    async def remove_secret(self, name: str) -> None:
        """See the port."""
        await self._begin("remove_secret")
        if name in self.versions:
            for version in self.versions[name]:
                version.enabled = False
            self.versions[name].append(Version(f"v{next(self._numbers)}", Secret("removed"), None, enabled=False))

    async def _begin(self, name: str) -> None:
        await self.step(name)
        if self.faults:
            raise self.faults.popleft()

    @property
    def readable(self) -> set[str]:
        """Return every text that can still be read, in any version."""
        return {each.value.reveal() for versions in self.versions.values() for each in versions if each.enabled}

    @property
    def current(self) -> set[str]:
        """Return the newest text of each secret."""
        newest = [versions[-1] for versions in self.versions.values()]
        return {each.value.reveal() for each in newest if each.enabled}
