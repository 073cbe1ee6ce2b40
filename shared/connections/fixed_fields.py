"""Fields that every new ticket of a kind gets with the same value, as an administrator chose them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from shared.request_texts import Line, Text
from shared.value_object import value_object

MOST_FIXED_FIELDS: Final = 20
LABEL_MAX_LENGTH: Final = 200
COLUMN: Final = r"^[a-z][a-z0-9_]{0,79}$"
"""A column's name; those that a customer added begin with ``u_``."""

_EVERY_KIND: Final = {
    **dict.fromkeys(("sys_id", "correlation_id", "correlation_display"), "connector"),
    **dict.fromkeys(("short_description", "description", "due_date"), "ticket"),
    **dict.fromkeys(("work_notes", "comments"), "notes"),
    **dict.fromkeys(("state", "close_code", "close_notes"), "state"),
    "assignment_group": "assignment_group",
    "category": "category",
    "company": "company",
}
RESERVED_COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "incident": {**_EVERY_KIND, "impact": "priority", "urgency": "priority", "caller_id": "default_caller"},
    "change": {**_EVERY_KIND, "priority": "priority", "requested_by": "default_caller"},
}
"""The columns that the connector writes itself, for each kind, with the words that say what to use instead.

The assignee and the configuration item are not among them: a ticket that names none gets the fixed one.
"""
_OF_SERVICENOW: Final = frozenset({"number", "active", "comments_and_work_notes", "approval_history"})
_SETTABLE_OF_SYSTEM: Final = frozenset({"sys_domain"})

SUGGESTED_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "incident": ("cmdb_ci", "business_service", "contact_type", "subcategory", "assigned_to"),
    "change": ("cmdb_ci", "business_service", "type", "risk", "impact", "assigned_to"),
}
"""The columns that companies set most often; pages offer them first."""
REFERENCES: Final[Mapping[str, str]] = {
    "assigned_to": "sys_user",
    "assignment_group": "sys_user_group",
    "business_service": "cmdb_ci_service",
    "caller_id": "sys_user",
    "cmdb_ci": "cmdb_ci",
    "location": "cmn_location",
    "opened_by": "sys_user",
    "requested_by": "sys_user",
    "service_offering": "service_offering",
}
"""The tables that standard columns refer to (ServiceNow §5.1), for instances that do not show their columns."""
STANDARD_LABELS: Final[Mapping[str, Sequence[str]]] = {
    "assigned to": ("assigned_to",),
    "assignment group": ("assignment_group",),
    "business service": ("business_service",),
    "caller": ("caller_id",),
    "category": ("category",),
    "channel": ("contact_type",),
    "company": ("company",),
    "configuration item": ("cmdb_ci",),
    "contact type": ("contact_type",),
    "justification": ("justification",),
    "location": ("location",),
    "requested by": ("requested_by",),
    "risk": ("risk",),
    "service": ("business_service",),
    "service offering": ("service_offering",),
    "subcategory": ("subcategory",),
    "type": ("type",),
}
"""What ServiceNow's English forms call columns that companies require, in lower case, for the same instances."""


@value_object
class FixedField:
    """A field of new tickets and its value."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    column: Annotated[str, Field(pattern=COLUMN, description="Name of the column in ServiceNow.")]
    value: Annotated[
        Annotated[Text, Field(min_length=1, max_length=4000)],
        Field(
            description="ServiceNow's raw value. A choice can be given by its label. A reference is the sys_id of its "
            "record, or a name that only one record has."
        ),
    ]
    label: Annotated[
        Annotated[Line, Field(max_length=LABEL_MAX_LENGTH)] | None, Field(description="What people call the value.")
    ] = None


def reservation(kind: str, column: str) -> str | None:
    """Return the key of the words that say what to use instead of a fixed value; None if the column can have one."""
    if instead := RESERVED_COLUMNS[kind].get(column):
        return instead
    is_system = column.startswith("sys_") and column not in _SETTABLE_OF_SYSTEM
    return "servicenow" if is_system or column in _OF_SERVICENOW else None
