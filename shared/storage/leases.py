"""Leases in table ``connections``, in the partition of their connection: row ``lease:<purpose>``."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.clock import Clock, believed
from shared.storage.tables import REPEATED, get_row, insert_row, storage_errors

LONGEST_LEASE: Final = timedelta(minutes=3)
"""No release takes a lease for longer: a later end comes from a wrong clock and is ignored."""
TRIES: Final = 3


class AzureLeaseStore:
    """Implements :class:`shared.connections.ports.LeaseStore`; a lease's id is the name of its holder.

    Every method can raise StorageUnavailable. The clocks of the app's instances may differ by seconds: a lease lasts
    much longer than that, and the etag of another row also guards the work done under it.
    """

    def __init__(self, table: TableClient, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def acquire_lease(self, connection_id: str, purpose: str, *, duration_s: float) -> str | None:
        """Return a lease id; None if somebody else holds an unexpired lease for that purpose."""
        now = self._clock()
        holder = secrets.token_hex(16)
        wanted = {
            "PartitionKey": connection_id,
            "RowKey": _row_key(purpose),
            "holder": holder,
            "until_at": now + timedelta(seconds=duration_s),
        }
        with storage_errors():
            try:
                await insert_row(self._table, wanted)
            except ResourceExistsError:
                present = await get_row(self._table, connection_id, _row_key(purpose))
            else:
                return holder
            if present is None:
                return None
            if present.get("holder") == holder:
                # The answer to our own insert was lost, and it was repeated.
                return holder
            until_at = believed(present.get("until_at"), now, ahead=LONGEST_LEASE)
            if until_at is not None and until_at > now:
                return None
            try:
                await self._table.update_entity(
                    wanted,
                    mode=UpdateMode.MERGE,
                    etag=present.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                    **REPEATED,
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                present = await get_row(self._table, connection_id, _row_key(purpose))
                # The answer to our own write may have been lost, and it was repeated.
                return holder if present is not None and present.get("holder") == holder else None
            return holder

    async def renew_lease(self, connection_id: str, purpose: str, lease_id: str, *, duration_s: float) -> bool:
        """Extend the lease by this time from now; False if somebody else has it."""
        until_at = self._clock() + timedelta(seconds=duration_s)
        renewed = {"PartitionKey": connection_id, "RowKey": _row_key(purpose), "until_at": until_at}
        for _ in range(TRIES):
            present = await get_row(self._table, connection_id, _row_key(purpose))
            if present is None or present.get("holder") != lease_id:
                return False
            if present.get("until_at") == until_at:
                # The answer to our own write was lost, and it was repeated.
                return True
            with storage_errors():
                try:
                    await self._table.update_entity(
                        renewed,
                        mode=UpdateMode.MERGE,
                        etag=present.metadata["etag"],
                        match_condition=MatchConditions.IfNotModified,
                        **REPEATED,
                    )
                except (ResourceModifiedError, ResourceNotFoundError):
                    # Somebody took it, or our own write arrived twice: look again.
                    continue
            return True
        return False

    async def release_lease(self, connection_id: str, purpose: str, lease_id: str) -> None:
        """Give the lease back; does nothing if it has been lost."""
        for _ in range(TRIES):
            present = await get_row(self._table, connection_id, _row_key(purpose))
            if present is None or present.get("holder") != lease_id:
                return
            with storage_errors():
                try:
                    await self._table.delete_entity(
                        connection_id,
                        _row_key(purpose),
                        etag=present.metadata["etag"],
                        match_condition=MatchConditions.IfNotModified,
                    )
                except ResourceModifiedError:
                    # A pending renewal arrived after the look.
                    continue
            return


def _row_key(purpose: str) -> str:
    return f"lease:{purpose}"
