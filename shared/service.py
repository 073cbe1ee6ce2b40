"""Services: the objects that do the work, made once from the parts that they need."""

from __future__ import annotations

from dataclasses import field
from typing import dataclass_transform

from shared.deferred_dataclass import defer_dataclass


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def service[Class](cls: type[Class]) -> type[Class]:
    """Make a class a service: its fields are its parts, and nobody assigns to them, compares or prints it."""
    return defer_dataclass(cls, ("__init__",))
