"""Services: the objects that do the work, made once from the parts that they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import dataclass_transform


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def service[Class](cls: type[Class]) -> type[Class]:
    """Make a class a service: its fields are its parts.

    Nobody compares or prints services, or assigns to their parts, as the type checker ensures. A frozen dataclass would
    generate methods for all this, which takes three times as long at every cold start.
    """
    cls.__doc__ = cls.__doc__ or cls.__name__  # As in a value object.
    return dataclass(eq=False, repr=False, slots=True)(cls)
