"""Leases in table ``connections``, in the partition of their connection: row ``lease:<purpose>``."""

from __future__ import annotations

import secrets
from datetime import timedelta

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.clock import Clock
from shared.storage.tables import REPEATED, get_row, storage_errors


class AzureLeaseStore:
    """Implements :class:`shared.connections.ports.LeaseStore`; a lease's id is the etag of its row.

    Every method can raise StorageUnavailable. The clocks of the app's instances may differ by seconds: a lease lasts
    much longer than that, and what is done under it is guarded by the etag of another row as well.
    """

    def __init__(self, table: TableClient, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def acquire_lease(self, connection_id: str, purpose: str, *, duration_s: float) -> str | None:
        """Return a lease id, or None when somebody else holds an unexpired lease for that purpose."""
        now = self._clock()
        wanted = {
            "PartitionKey": connection_id,
            "RowKey": _row_key(purpose),
            "holder": secrets.token_hex(16),
            "until_at": now + timedelta(seconds=duration_s),
        }
        with storage_errors():
            try:
                return str((await self._table.create_entity(wanted, **REPEATED))["etag"])
            except ResourceExistsError:
                present = await get_row(self._table, connection_id, _row_key(purpose))
            if present is None:
                return None
            if present.get("holder") == wanted["holder"]:
                # The answer to our own insert was lost, and it was repeated.
                return str(present.metadata["etag"])
            if present.get("until_at", now) > now:
                return None
            try:
                answer = await self._table.update_entity(
                    wanted,
                    mode=UpdateMode.MERGE,
                    etag=present.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                return None
            return str(answer["etag"])

    async def release_lease(self, connection_id: str, purpose: str, lease_id: str) -> None:
        """Give the lease back; does nothing when it has been lost meanwhile."""
        with storage_errors():
            try:
                await self._table.delete_entity(
                    connection_id, _row_key(purpose), etag=lease_id, match_condition=MatchConditions.IfNotModified
                )
            except ResourceModifiedError:
                return


def _row_key(purpose: str) -> str:
    return f"lease:{purpose}"
