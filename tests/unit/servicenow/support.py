"""A ServiceNow that returns a test's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs

import httpx

from shared.connections.model import Connection, KindSettings, Portal, TicketKind
from shared.outbound.transport import Limits, Transport
from shared.secret import Secret
from shared.tickets.model import (
    DeliveryProgress,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Requester,
    Ticket,
    TicketContent,
)
from tests.fixtures.servicenow import WholeClient
from tests.memory.tokens import MemoryTokens
from tests.unit.outbound.support import Answering

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
INSTANCE = "https://contoso.service-now.com"
ACCESS_TOKEN = "canary-access-token"
CONNECTION = Connection(
    connection_id="main",
    display_name="Contoso",
    instance=INSTANCE,
    client_id="c" * 32,
    integration_user="m365.integration",
)
TICKET_ID = "0a" * 16


type Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class Instance:
    """Returns the replies in turn, then repeats the last one, and remembers the requests."""

    replies: Sequence[Reply]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx.Response) else reply(request)

    def client(self, limits: Limits | None = None) -> WholeClient:
        return WholeClient(
            Transport(network=Answering(self)), MemoryTokens(Secret(ACCESS_TOKEN)), limits=limits, clock=lambda: NOW
        )

    def query(self, index: int = -1) -> str:
        """The encoded query of a request."""
        return self.parameters(index)["sysparm_query"]

    def parameters(self, index: int = -1) -> dict[str, str]:
        return dict(self.requests[index].url.params)

    def form(self, index: int = -1) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.requests[index].content.decode()).items()}


def instance(*replies: Reply) -> Instance:
    return Instance(replies)


def json_reply(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    """Return a new response for each request, because a response can be read only once."""
    return raw_reply(json.dumps(document).encode(), status, "application/json;charset=UTF-8", headers)


def raw_reply(
    body: bytes, status: int = 200, content_type: str = "text/html", headers: Mapping[str, str] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, headers={"Content-Type": content_type, **(headers or {})}, content=body)


def error_reply(
    status: int, message: str, detail: str | None, headers: Mapping[str, str] | None = None
) -> Callable[[httpx.Request], httpx.Response]:
    return json_reply({"error": {"message": message, "detail": detail}, "status": "failure"}, status, headers)


def cell(value: str, label: str | None = None) -> dict[str, str]:
    return {"display_value": value if label is None else label, "value": value}


def record_cells(number: int = 1, **changed: str) -> dict[str, dict[str, str]]:
    """A row as the instance shows it with sysparm_display_value=all."""
    cells = {
        "sys_id": cell(f"{number:032x}"),
        "sys_class_name": cell("incident", "Incident"),
        "number": cell(f"INC{number:07d}"),
        "state": cell("2", "In Progress"),
        "active": cell("true"),
        "sys_updated_on": cell("2026-03-01 10:00:00", "01/03/2026 11:00:00"),
        "sys_mod_count": cell("3"),
        "priority": cell("2", "2 - High"),
        "assigned_to": cell("f" * 32, "Beth Anglin"),
        "assignment_group": cell("", ""),
        "due_date": cell("2026-03-31 21:59:59", "31/03/2026 23:59:59"),
        "correlation_id": cell(f"m365:{number:032x}"),
    }
    return {**cells, **{name: cell(value) for name, value in changed.items()}}


def ticket(**changed: object) -> Ticket:
    content = {
        "kind": TicketKind.INCIDENT,
        "portal": Portal.SECURITY,
        "name": "canary-ticket-name",
        "description": "canary-ticket-description",
        "priority": Priority.HIGH,
        "due_at": datetime(2026, 3, 31, 21, 59, 59, tzinfo=UTC),
        "recommendation": Recommendation(RecommendedBy.MICROSOFT, RecommendationCategory.IDENTITY, "MFA", None),
        "requester": Requester("object-id", "Ada Lovelace", "ada@contoso.com"),
    } | changed
    return Ticket(
        ticket_id=TICKET_ID,
        connection_id="main",
        instance=INSTANCE,
        content=TicketContent(**content),  # type: ignore[arg-type]
        created_at=NOW,
        delivery=DeliveryProgress(),
    )


KIND_SETTINGS = KindSettings()
