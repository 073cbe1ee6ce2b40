"""Limits of customers in real tables."""

from __future__ import annotations

from shared.access.model import AllowedCaller
from shared.connections.directory import DirectoryEntry
from shared.storage.customer_limits import AzureCustomerLimits
from shared.storage.directory import AzureConnectionDirectory
from shared.storage.tables import Tables


async def test_limits_are_kept_beside_the_rows_of_connections(tables: Tables) -> None:
    limits, directory = AzureCustomerLimits(tables.directory), AzureConnectionDirectory(tables.directory)
    await directory.save_entry(DirectoryEntry("contoso"))
    assert await limits.list() == {}
    contoso, fabrikam = (AllowedCaller("a-1", "運用"), AllowedCaller("b-2")), (AllowedCaller("c-3"),)
    await limits.save("contoso", contoso)
    await limits.save("fabrikam", fabrikam)
    assert await limits.list() == {"contoso": contoso, "fabrikam": fabrikam}
    await limits.save("contoso", fabrikam)
    await limits.save("fabrikam", None)
    assert await limits.list() == {"contoso": fabrikam}
    assert [each.connection_id for each in await directory.list_entries()] == ["contoso"]
