"""What a caller may ask for, checked before anything else happens."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NaiveDatetime,
    model_validator,
)

from shared.connections.model import Connection, Portal, TicketKind
from shared.errors import FixRequest
from shared.request_faults import fault, read_body
from shared.request_texts import Line, SysId, TenantId, Text
from shared.texts import utf16_length
from shared.tickets.model import (
    DESCRIPTION_MAX_LENGTH,
    EARLIEST,
    NAME_MAX_LENGTH,
    Priority,
    Recommendation,
    Requester,
    TicketContent,
)
from shared.tickets.record_texts import description_overflow

ASSIGNMENT_GROUP: Final = "sys_id of the group that the ticket gets; if left out, the one of the connection's kind."
ASSIGNED_TO: Final = "sys_id of the user who gets the ticket."
CONFIGURATION_ITEM: Final = "sys_id of the configuration item that the ticket is about."
MAX_RETRIED: Final = 200
"""How many tickets one request may send again."""


def _fits_short_description(name: str) -> str:
    if utf16_length(name) > NAME_MAX_LENGTH:
        raise fault("too_long_for_servicenow", limit=NAME_MAX_LENGTH)
    return name


def _due_date(value: object) -> object:
    """Read an ISO 8601 date or date-time; refuse anything else (a number, a time without a date)."""
    if not isinstance(value, str):
        raise fault("not_a_text")
    try:
        return date.fromisoformat(value)
    except ValueError:
        pass  # not a date without a time
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise fault("not_a_date") from None


ConnectionId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
TicketName = Annotated[Line, Field(min_length=1, max_length=NAME_MAX_LENGTH), AfterValidator(_fits_short_description)]
DueDate = Annotated[
    date | NaiveDatetime | AwareDatetime | None,
    BeforeValidator(lambda value: None if value is None else _due_date(value), json_schema_input_type=str | None),
]


class TicketRequest(BaseModel):
    """A ticket to create."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    connection_id: ConnectionId | None = Field(
        default=None, description="The connection to use; may be left out when there is exactly one."
    )
    kind: TicketKind
    portal: Portal
    name: TicketName = Field(description="Becomes ServiceNow's short description.")
    description: Text = Field(
        default="",
        description=f"Becomes ServiceNow's description, below a block that names requester and recommendation; "
        f"at most {DESCRIPTION_MAX_LENGTH} characters together, where an emoji counts as two.",
    )
    priority: Priority
    due_date: DueDate = Field(
        default=None,
        description="ISO 8601. A date means the end of that day, a time without an offset means local time, both in "
        "the connection's time zone.",
    )
    recommendation: Recommendation
    assignment_group: SysId | None = Field(default=None, description=ASSIGNMENT_GROUP)
    assigned_to: SysId | None = Field(default=None, description=ASSIGNED_TO)
    configuration_item: SysId | None = Field(default=None, description=CONFIGURATION_ITEM)
    tenant_id: TenantId | None = Field(
        default=None,
        description="The tenant that the ticket is about, one of the connection's or one without a connection: the "
        "ticket gets its company.",
    )
    requested_by: Requester | None = Field(
        default=None, description="Only for applications: the user for whom the ticket is made."
    )


class RetryFilter(BaseModel):
    """Which failed tickets to send again; a missing value means any."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    connection_id: ConnectionId | None = Field(
        default=None, description="Without it, the tickets of excluded customers are left out."
    )
    kind: TicketKind | None = None
    portal: Portal | None = None
    text: Annotated[str, Field(min_length=1, max_length=NAME_MAX_LENGTH)] | None = Field(
        default=None, description="Words of a search, as in the list."
    )


class RetryRequest(BaseModel):
    """Failed tickets to send again: chosen by their ids or by a filter."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    ticket_ids: (
        Annotated[
            tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")], ...], Field(min_length=1, max_length=MAX_RETRIED)
        ]
        | None
    ) = None
    filter: RetryFilter | None = Field(
        default=None, description=f"The newest {MAX_RETRIED} failed tickets; repeat the request while more is true."
    )

    @model_validator(mode="after")
    def _names_tickets_in_one_way(self) -> Self:
        if (self.ticket_ids is None) == (self.filter is None):
            raise fault("not_one_way")
        return self


def read_retry_request(body: object) -> RetryRequest:
    """Read a request to send tickets again from its JSON value.

    Raises:
        FixRequest: 422 ``invalid_retry`` with one entry per fault.
    """
    return read_body("invalid_retry", RetryRequest, body)


def read_ticket_request(body: object) -> TicketRequest:
    """Read a request from its JSON value.

    Raises:
        FixRequest: 422 ``invalid_ticket`` with one entry per fault, which does not repeat the value.
    """
    return read_body("invalid_ticket", TicketRequest, body)


def due_at(due_date: date | datetime | None, time_zone: str) -> datetime | None:
    """Return when a ticket is due, as aware UTC: the end of that day, or that time, in the time zone.

    Raises OverflowError when it is outside the calendar.
    """
    if due_date is None:
        return None
    if not isinstance(due_date, datetime):
        due_date = datetime.combine(due_date, time(23, 59, 59))
    if due_date.tzinfo is None:
        due_date = due_date.replace(tzinfo=ZoneInfo(time_zone))
    ends_at = due_date.astimezone(UTC).replace(microsecond=0)
    if ends_at < EARLIEST:
        raise OverflowError(ends_at.year)
    return ends_at


def wanted_due_at(
    refusal: Literal["invalid_ticket", "invalid_batch", "invalid_update"],
    due_date: date | datetime | None,
    connection: Connection,
) -> datetime | None:
    """Return when a ticket is due, as aware UTC, in the connection's time zone.

    Raises FixRequest (422 with this code) if that is outside the calendar.
    """
    try:
        return due_at(due_date, connection.time_zone)
    except OverflowError:
        raise FixRequest(
            refusal,
            status=422,
            count=1,
            errors=[{"pointer": "/due_date", "code": "outside_calendar", "values": {}}],
        ) from None


def ticket_content(request: TicketRequest, requester: Requester, connection: Connection) -> TicketContent:
    """Return what the ticket will hold.

    Raises:
        FixRequest: 422 when the connection does not allow the kind or portal, the due date is outside the calendar, or
            the description is too long for ServiceNow's column.
    """
    if not connection.kinds[request.kind].enabled:
        raise FixRequest("kind_not_enabled", status=422, kind=request.kind)
    if request.portal not in connection.portals:
        raise FixRequest("portal_not_enabled", status=422, portal=request.portal)
    due = wanted_due_at("invalid_ticket", request.due_date, connection)
    content = TicketContent(
        kind=request.kind,
        portal=request.portal,
        name=request.name,
        description=request.description,
        priority=request.priority,
        due_at=due,
        recommendation=request.recommendation,
        requester=requester,
        assignment_group=request.assignment_group,
        assigned_to=request.assigned_to,
        configuration_item=request.configuration_item,
        shares_requester=connection.shares_requester,
        language=connection.language,
    )
    if (overflow := description_overflow(content)) > 0:
        raise FixRequest("description_too_long", status=422, too_long_by=overflow)
    return content
