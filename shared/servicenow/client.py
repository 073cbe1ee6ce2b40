"""The way in: everything the product asks of ServiceNow with access tokens, over one transport."""

from __future__ import annotations

from shared.check.observations import InstanceProbe
from shared.connections.options import InstanceCatalogue
from shared.connections.ports import TokenSource, UserDirectory
from shared.servicenow.authorized import AuthorizedTransport
from shared.servicenow.catalogue import ServiceNowCatalogue
from shared.servicenow.probes import ServiceNowProbe
from shared.servicenow.records import ServiceNowRecords
from shared.servicenow.states import ServiceNowStates
from shared.servicenow.table_api import TableApi
from shared.servicenow.transport import ServiceNowTransport
from shared.servicenow.users import ServiceNowUsers
from shared.tickets.ports import StateModel, TicketRecords


class ServiceNowClient:
    """Every ServiceNow port that asks with access tokens, for any number of instances.

    Attributes:
        users: The user directory.
        records: The tickets' records.
        catalogue: Groups and choice lists.
        probe: What a connection check looks at.
    """

    def __init__(self, transport: ServiceNowTransport, tokens: TokenSource) -> None:
        table_api = TableApi(AuthorizedTransport(transport, tokens))
        self.users: UserDirectory = ServiceNowUsers(table_api)
        self.records: TicketRecords = ServiceNowRecords(table_api)
        self.catalogue: InstanceCatalogue = ServiceNowCatalogue(table_api)
        self.states: StateModel = ServiceNowStates()
        self.probe: InstanceProbe = ServiceNowProbe(transport, table_api, self.catalogue)
