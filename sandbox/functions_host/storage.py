"""What hosts share: leases, timer status and keys, in files named like the real host's blobs, or in memory."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """Small JSON documents; reading and replacing one is a single step."""

    def update(self, name: str, change: Callable[[Mapping[str, str] | None], Mapping[str, str] | None]) -> None:
        """Replace a document with the result of ``change``; None leaves it as it is.

        Raises:
            OSError: The storage cannot be reached.
        """


class MemoryStorage:
    """Storage of a single host (Functions host §T19)."""

    def __init__(self) -> None:
        self._documents: dict[str, Mapping[str, str]] = {}
        self._lock = threading.Lock()

    def update(self, name: str, change: Callable[[Mapping[str, str] | None], Mapping[str, str] | None]) -> None:
        """See `Storage.update`."""
        with self._lock:
            changed = change(self._documents.get(name))
            if changed is not None:
                self._documents[name] = changed


class DirectoryStorage:
    """Storage in a directory, for any number of hosts on one machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def update(self, name: str, change: Callable[[Mapping[str, str] | None], Mapping[str, str] | None]) -> None:
        """See `Storage.update`."""
        file = self._directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file.with_name(f"{file.name}.lock")):
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            changed = change(json.loads(text) if text else None)
            if changed is not None:
                written = file.with_name(f"{file.name}.new")
                written.write_text(json.dumps(changed), encoding="utf-8")
                written.replace(file)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def read(storage: Storage, name: str) -> Mapping[str, str] | None:
    """Read a document."""
    found: list[Mapping[str, str] | None] = []
    storage.update(name, lambda document: found.append(document))
    return found[0]


def read_or_create(storage: Storage, name: str, create: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """Read a document; write it first if it is missing. If several hosts try, one writes."""

    def change(document: Mapping[str, str] | None) -> Mapping[str, str] | None:
        found.append(document if document is not None else create())
        return None if document is not None else found[0]

    found: list[Mapping[str, str]] = []
    storage.update(name, change)
    return found[0]


def take_lease(storage: Storage, name: str, holder: str, now: datetime, duration: timedelta) -> bool:
    """Take or renew a lease; return False while another host holds it (Functions host §T14)."""

    def change(lease: Mapping[str, str] | None) -> Mapping[str, str] | None:
        if lease and lease["holder"] != holder and datetime.fromisoformat(lease["expires_at"]) > now:
            taken.append(False)
            return None
        taken.append(True)
        return {"holder": holder, "expires_at": (now + duration).isoformat()}

    taken: list[bool] = []
    storage.update(name, change)
    return taken[0]


def release_lease(storage: Storage, name: str, holder: str, now: datetime) -> None:
    """Give up a lease if it is still ours."""
    storage.update(
        name,
        lambda lease: (
            {"holder": "", "expires_at": now.isoformat()} if lease is not None and lease["holder"] == holder else None
        ),
    )


def timer_lock_name(host_id: str, function_name: str) -> str:
    """Return the name of a timer's lock (Functions host §T14)."""
    return f"azure-webjobs-hosts/locks/{_plain(host_id)}/Host.Functions.{function_name}.Listener"


def timer_status_name(host_id: str, function_name: str) -> str:
    """Return the name of a timer's status (Functions host §T8)."""
    return f"azure-webjobs-hosts/timers/{_plain(host_id)}/Host.Functions.{function_name}/status"


def secrets_name(host_id: str, owner: str) -> str:
    """Return the name of the keys of the host (``host``) or of a function."""
    return f"azure-webjobs-secrets/{_plain(host_id)}/{owner.lower()}.json"


def _plain(host_id: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9-]{1,64}", host_id) is None:
        raise ValueError(f"host id {host_id!r} must consist of letters, digits and hyphens")
    return host_id
