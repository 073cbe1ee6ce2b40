"""Calls of page handlers over an app in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlencode

import azure.functions as func
import pytest

from shared.access.sight import Sight
from shared.attention.board import AttentionBoard
from shared.check.preflight.run import TEST_TICKETS, Preflight
from shared.connections.grant.lease import Lease
from shared.connections.present import CustomerReading
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.servicenow.fields import record_fields
from shared.servicenow.states import ServiceNowStates
from shared.storage.rows import RowReader
from shared.tickets.preview import TicketPreview
from shared.tickets.updates.live import LiveRecords
from shared.triggers import front_door
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, Handler
from shared.triggers.principal import Principal, Role
from shared.triggers.request_bodies import FormBody, read_form
from shared.triggers.routes import ROUTES, read_query
from shared.words.language import languages
from tests.memory.columns import MemoryColumns
from tests.memory.customer_limits import MemoryCustomerLimits
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.probe import MemoryProbe
from tests.memory.record_updates import MemoryRecordUpdates
from tests.memory.trial_store import MemoryTrialStore
from tests.unit.recommendations.world import World
from tests.unit.tickets.examples import REQUESTER

URL = "https://connector.example.com"
CREATOR = Principal(
    REQUESTER.id,
    REQUESTER.name,
    REQUESTER.email,
    frozenset({Role.TICKETS_CREATE, Role.TICKETS_READ}),
    is_application=False,
)
MANAGER = Principal(
    REQUESTER.id, REQUESTER.name, REQUESTER.email, frozenset({Role.CONNECTIONS_MANAGE, *CREATOR.roles}), False
)
READER = Principal(REQUESTER.id, REQUESTER.name, REQUESTER.email, frozenset({Role.TICKETS_READ}), is_application=False)


class Pages:
    """Visits pages of an app in memory."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows = RowReader(world.clock)
        self.record_updates = MemoryRecordUpdates(world.servicenow)
        self.columns = MemoryColumns()
        self.trials = MemoryTrialStore()
        self.probe = MemoryProbe()
        self.preflight = Preflight(
            columns=self.columns,
            tickets=world.store,
            requesters=MemoryRequesterDirectory(),
            trials=self.trials,
            record_fields=record_fields,
            companies=world.companies,
            lease=Lease(MemoryLeaseStore(world.clock), TEST_TICKETS),
            clock=world.clock,
        )
        self.limits = MemoryCustomerLimits()
        self.sight = Sight(self.limits, world.clock)
        customers = CustomerReading(world.connections, world.directory, self.sight, world.clock)
        self.application = SimpleNamespace(
            clock=world.clock,
            sight=self.sight,
            rows=self.rows,
            tenants=world.tenants,
            companies=world.companies,
            recommendations=world.recommendations,
            recommendation_tickets=world.beside,
            recommendation_lists=world.lists,
            recommendation_ticketing=world.ticketing,
            batches=world.batches,
            creation=world.creation,
            preview=TicketPreview(world.creation, record_fields),
            connection_store=world.connections,
            directory=world.directory,
            turns=world.creation.turns,
            settings=SimpleNamespace(public_base_url=URL),
            tickets=world.store,
            customers=customers,
            attention=AttentionBoard(
                customers=customers,
                tenants=world.tenants,
                tickets=world.store,
                sight=self.sight,
                unreadable_rows=lambda: len(self.rows.unreadable),
                sync_interval=timedelta(minutes=1),
                clock=world.clock,
            ),
            states=ServiceNowStates(),
            search=world.search,
            resending=world.resending,
            updates=world.updates(self.record_updates),
            live_records=LiveRecords(self.record_updates, limit_s=0.01),
            waiting_times=WaitingTimes(),
            preflight=self.preflight,
            servicenow=SimpleNamespace(probe=self.probe),
        )

    async def get(
        self,
        handler: Handler,
        path: str,
        *,
        caller: Principal = CREATOR,
        language: str = "en",
        cookie: str = "",
        **parameters: str,
    ) -> func.HttpResponse:
        """Open a page."""
        return await self._call("GET", handler, path, b"", caller, language, parameters, cookie)

    async def post(
        self,
        handler: Handler,
        path: str,
        fields: Sequence[tuple[str, str]],
        *,
        caller: Principal = CREATOR,
        **parameters: str,
    ) -> func.HttpResponse:
        """Send a form."""
        return await self._call("POST", handler, path, urlencode(fields).encode(), caller, "en", parameters)

    async def ask(
        self,
        handler: Handler,
        method: str,
        body: object = None,
        *,
        caller: Principal = CREATOR,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> JsonAnswer:
        """Call an operation of the API."""
        [route] = [each for each in ROUTES if each.name == handler.__name__]
        request = func.HttpRequest(
            method=method,
            url=f"{URL}/api",
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key}),
            route_params=parameters,
        )
        answer = await handler(Call(route, request, "request", languages()["en"], caller=caller, query=query or {}))
        assert isinstance(answer, JsonAnswer)
        return answer

    async def _call(
        self,
        method: str,
        handler: Handler,
        path: str,
        body: bytes,
        caller: Principal,
        language: str,
        parameters: dict[str, str],
        cookie: str = "",
    ) -> func.HttpResponse:
        [route] = [each for each in ROUTES if each.name == handler.__name__]
        request = func.HttpRequest(
            method=method,
            url=URL + path,
            body=body,
            headers={"Content-Type": "application/x-www-form-urlencoded"} | ({"Cookie": cookie} if cookie else {}),
            route_params=parameters,
        )
        call = Call(
            route,
            request,
            "request",
            languages()[language],
            caller=caller,
            query=read_query(URL + path),
            content=read_form(request, FormBody()),
        )
        answer = await handler(call)
        assert isinstance(answer, func.HttpResponse)
        return answer


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    """Pages over an empty world."""
    found = Pages(World())
    monkeypatch.setattr(front_door, "application", lambda: found.application)
    return found


def text_of(answer: func.HttpResponse) -> str:
    """Return a page's HTML."""
    return answer.get_body().decode()
