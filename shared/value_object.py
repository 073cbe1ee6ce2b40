"""Value objects: they do not change, and are equal when their fields are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, dataclass_transform

_GENERATED: Final = ("__init__", "__repr__", "__eq__", "__hash__")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_object[Class](cls: type[Class]) -> type[Class]:
    """Make a class a value object: a frozen dataclass with slots.

    Its methods are generated when one of them is first used. Generating those of every class took half of the time in
    which the app's own modules are imported at each cold start, and no request needs them all.
    """
    made = dataclass(frozen=True, init=False, repr=False, eq=False, slots=True)(cls)
    for name in _GENERATED:
        if name not in vars(made):
            setattr(made, name, _OnFirstUse(made, name))
    return made


class _OnFirstUse:
    """Takes the place of a method until it is first used; then all such methods of the class are generated."""

    __slots__ = ("_cls", "_name")

    def __init__(self, cls: type, name: str) -> None:
        self._cls, self._name = cls, name

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        complete: type = dataclass(frozen=True)(type(self._cls.__name__, (self._cls,), {"__slots__": ()}))
        for name in _GENERATED:
            if isinstance(vars(self._cls)[name], _OnFirstUse):
                setattr(self._cls, name, vars(complete)[name])
        method: Callable[..., Any] = vars(complete)[self._name].__get__(instance, owner)
        return method
