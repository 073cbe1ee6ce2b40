"""What a caller may ask of a ticket's record, checked before anything else happens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.connections.model import Connection
from shared.request_faults import fault, read_body
from shared.request_texts import Text
from shared.texts import utf16_length
from shared.tickets.requests import DueDate, wanted_due_at
from shared.tickets.updates.model import UpdateKind
from shared.value_object import value_object

NOTES_MAX_LENGTH: Final = 3500
"""With the person's name in front, it fits ServiceNow's columns (ServiceNow §5.1), where an emoji counts as two."""


def _fits(text: str) -> str:
    if utf16_length(text) > NOTES_MAX_LENGTH:
        raise fault("too_long_for_servicenow", limit=NOTES_MAX_LENGTH)
    return text


Notes = Annotated[Text, Field(max_length=NOTES_MAX_LENGTH), AfterValidator(_fits)]


class StateChangeRequest(BaseModel):
    """How a record is to be resolved or canceled."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    notes: Notes = Field(default="", description="Becomes ServiceNow's close notes.")


class UpdateRequest(BaseModel):
    """One change of a ticket's record: exactly one of the members."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    comment: Annotated[Notes, Field(min_length=1)] | None = Field(
        default=None, description="Becomes an additional comment, below the name of its author."
    )
    due_date: DueDate = Field(
        default=None, description="ISO 8601, read as that of a new ticket; null removes the due date."
    )
    resolve: StateChangeRequest | None = Field(
        default=None, description="Resolve the incident, or close the change if ServiceNow offers that."
    )
    cancel: StateChangeRequest | None = Field(default=None, description="Cancel the record.")

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> Self:
        named = self.model_fields_set
        if len(named) != 1 or (named != {"due_date"} and getattr(self, next(iter(named))) is None):
            raise fault("not_one_change")
        return self


@value_object
class Wanted:
    """What a request asks for, as :func:`shared.tickets.updates.ask.asked` takes it."""

    kind: UpdateKind
    text: str = ""
    due_at: datetime | None = None


def read_update_request(body: object) -> UpdateRequest:
    """Read a request from its JSON value.

    Raises:
        FixRequest: 422 ``invalid_update`` with one entry per fault, which does not repeat the value.
    """
    return read_body("invalid_update", UpdateRequest, body)


def wanted_by(request: UpdateRequest, connection: Connection) -> Wanted:
    """Return what a request asks for. Raises FixRequest (422 ``invalid_update``) for a date outside the calendar."""
    if request.comment is not None:
        return Wanted(UpdateKind.COMMENT, request.comment)
    if request.resolve is not None:
        return Wanted(UpdateKind.RESOLVE, request.resolve.notes)
    if request.cancel is not None:
        return Wanted(UpdateKind.CANCEL, request.cancel.notes)
    return Wanted(UpdateKind.DUE_DATE, due_at=wanted_due_at("invalid_update", request.due_date, connection))
