"""Value objects: they do not change, and are equal when their fields are."""

from __future__ import annotations

from dataclasses import field
from typing import dataclass_transform

from shared.deferred_dataclass import defer_dataclass


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_object[Class](cls: type[Class]) -> type[Class]:
    """Make a class a value object: a frozen dataclass that is processed when it is first used."""
    return defer_dataclass(cls, ("__init__", "__repr__", "__eq__", "__hash__"))
