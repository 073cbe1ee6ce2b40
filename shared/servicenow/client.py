"""The way in: everything the product asks of ServiceNow with access tokens, over one transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.connections.columns import InstanceColumns
from shared.connections.options import InstanceCatalogue
from shared.connections.ports import RecordVisibility, TokenSource, UserDirectory
from shared.secret import Secret
from shared.servicenow.authorized import AuthorizedTransport, GivenToken
from shared.servicenow.catalogue import ServiceNowCatalogue
from shared.servicenow.columns import ServiceNowColumns
from shared.servicenow.record_updates import ServiceNowRecordUpdates
from shared.servicenow.records import ServiceNowRecords
from shared.servicenow.states import ServiceNowStates
from shared.servicenow.table_api import TableApi
from shared.servicenow.transport import ServiceNowTransport
from shared.servicenow.users import ServiceNowUsers
from shared.servicenow.visibility import ServiceNowVisibility
from shared.tickets.ports import StateModel, TicketRecords
from shared.tickets.updates.ports import RecordUpdates

if TYPE_CHECKING:
    from shared.check.observations import InstanceProbe


def users_with(transport: ServiceNowTransport, token: Secret) -> UserDirectory:
    """Return the user directory as seen with an access token, for whoever has no source of tokens yet."""
    return ServiceNowUsers(TableApi(AuthorizedTransport(transport, GivenToken(token))))


class ServiceNowClient:
    """Every ServiceNow port that asks with access tokens, for any number of instances.

    Attributes:
        users: The user directory.
        records: The tickets' records.
        record_updates: Changes of those records, and what a page shows of them.
        catalogue: Groups and choice lists.
        columns: The columns of the tickets' tables.
        visibility: What the integration user sees.
    """

    def __init__(self, transport: ServiceNowTransport, tokens: TokenSource) -> None:
        self._transport = transport
        self._table_api = table_api = TableApi(AuthorizedTransport(transport, tokens))
        self.users: UserDirectory = ServiceNowUsers(table_api)
        self.records: TicketRecords = ServiceNowRecords(table_api)
        self.catalogue: InstanceCatalogue = ServiceNowCatalogue(table_api)
        self.columns: InstanceColumns = ServiceNowColumns(table_api)
        self.record_updates: RecordUpdates = ServiceNowRecordUpdates(table_api, self.catalogue)
        self.states: StateModel = ServiceNowStates()
        self.visibility: RecordVisibility = ServiceNowVisibility(table_api)

    @property
    def probe(self) -> InstanceProbe:
        """What a connection check looks at. Few instances of the app ever check, so only the first check loads it."""
        from shared.servicenow.probes import ServiceNowProbe

        return ServiceNowProbe(self._transport, self._table_api, self.catalogue)
