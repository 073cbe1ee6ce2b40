"""The way in: everything the product asks of ServiceNow, over one transport."""

from __future__ import annotations

from shared.check.observations import InstanceProbe
from shared.clock import Clock, system_clock
from shared.connections.options import InstanceCatalogue
from shared.connections.ports import AuthorizationServer, UserDirectory
from shared.outbound.transport import Limits, Transport
from shared.servicenow.catalogue import ServiceNowCatalogue
from shared.servicenow.oauth import ServiceNowOAuth
from shared.servicenow.probes import ServiceNowProbe
from shared.servicenow.records import ServiceNowRecords
from shared.servicenow.states import ServiceNowStates
from shared.servicenow.table_api import TableApi
from shared.servicenow.transport import ServiceNowTransport
from shared.servicenow.users import ServiceNowUsers
from shared.tickets.ports import StateModel, TicketRecords


class ServiceNowClient:
    """Every ServiceNow port, for any number of instances.

    Attributes:
        oauth: The authorization server.
        users: The user directory.
        records: The tickets' records.
        catalogue: Groups and choice lists.
        probe: What a connection check looks at.
    """

    def __init__(self, outbound: Transport, *, limits: Limits | None = None, clock: Clock = system_clock) -> None:
        transport = ServiceNowTransport(outbound, limits=limits, clock=clock)
        table_api = TableApi(transport)
        self.oauth: AuthorizationServer = ServiceNowOAuth(transport)
        self.users: UserDirectory = ServiceNowUsers(table_api)
        self.records: TicketRecords = ServiceNowRecords(table_api)
        self.catalogue: InstanceCatalogue = ServiceNowCatalogue(table_api)
        self.states: StateModel = ServiceNowStates()
        self.probe: InstanceProbe = ServiceNowProbe(table_api, self.catalogue)
