"""Services: the objects that do the work, made once from the parts that they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import dataclass_transform


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def service[Class](cls: type[Class]) -> type[Class]:
    """Make a class a service: its fields are its parts.

    A service is no value: nobody compares or prints one. Nobody assigns to its parts either, and the type checker sees
    to that. What a frozen dataclass generates for all this takes three times as long, at every cold start.
    """
    return dataclass(eq=False, repr=False, slots=True)(cls)
