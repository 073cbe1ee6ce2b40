"""Fields that every new ticket of a kind gets with the same value, as an administrator chose them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from shared.request_texts import Line, Text
from shared.value_object import value_object

MOST_FIXED_FIELDS: Final = 20
COLUMN: Final = r"^[a-z][a-z0-9_]{0,79}$"
"""A column's name; those that a customer added begin with ``u_``."""


@value_object
class FixedField:
    """A field of new tickets and its value."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    column: Annotated[str, Field(pattern=COLUMN, description="Name of the column in ServiceNow.")]
    value: Annotated[
        Annotated[Text, Field(min_length=1, max_length=4000)],
        Field(description="ServiceNow's raw value; for a reference, the sys_id of its record."),
    ]
    label: Annotated[
        Annotated[Line, Field(max_length=200)] | None, Field(description="What people call the value.")
    ] = None
