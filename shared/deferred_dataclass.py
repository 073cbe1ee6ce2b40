"""Frozen dataclasses that are processed when they are first used.

The standard library processes a dataclass when it is defined, and writes, compiles and runs a program for its methods.
That took more than a quarter of the time in which the app's own modules are imported at each cold start, and no request
needs all classes, let alone all methods.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, FrozenInstanceError, dataclass, fields, make_dataclass
from threading import RLock
from typing import Any, Final, NoReturn


def defer_dataclass[Class](cls: type[Class], methods: Collection[str]) -> type[Class]:
    """Make a class a frozen dataclass: its fields are found, and each of these methods is generated, on first use.

    Args:
        methods: Of ``__init__``, ``__repr__``, ``__eq__`` and ``__hash__``, those that it gets unless it has its own.
    """
    # Without a text, a dataclass writes its signature, which takes half a millisecond.
    cls.__doc__ = cls.__doc__ or cls.__name__
    deferred: dict[str, object] = {name: _Method(cls, name) for name in methods if name not in vars(cls)}
    for name, value in (deferred | {_FIELDS: _Fields(cls)} | _SHARED).items():
        setattr(cls, name, value)
    return cls


class _Fields:
    """Takes the place of a class's fields until somebody asks for them; then the class becomes a dataclass."""

    __slots__ = ("_cls",)

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: type) -> Mapping[str, Field[Any]]:
        with _LOCK:
            if vars(self._cls)[_FIELDS] is self:
                dataclass(init=False, repr=False, eq=False)(self._cls)
        found: Mapping[str, Field[Any]] = vars(self._cls)[_FIELDS]
        return found


class _Method:
    """Takes the place of a method until it is first used; then the method is generated."""

    __slots__ = ("_cls", "_name")

    def __init__(self, cls: type, name: str) -> None:
        self._cls, self._name = cls, name

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        with _LOCK:
            if vars(self._cls)[self._name] is self:
                setattr(self._cls, self._name, self._generated())
        method: Callable[..., Any] = vars(self._cls)[self._name].__get__(instance, owner)
        return method

    def _generated(self) -> Callable[..., Any]:
        cls = self._cls
        after = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
        frozen = make_dataclass(
            cls.__name__,
            [(each.name, each.type, each) for each in fields(cls)],
            namespace={"__doc__": cls.__doc__, **after},
            module=cls.__module__,
            init=self._name == "__init__",
            repr=self._name == "__repr__",
            eq=self._name in ("__eq__", "__hash__"),
            frozen=True,
        )
        generated: Callable[..., Any] = vars(frozen)[self._name]
        return generated


def _refuse(_value: object, name: str, *_new: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot change field {name!r}")


_FIELDS: Final = "__dataclass_fields__"
"""Where the standard library keeps the fields of a dataclass."""
_SHARED: Final = {"__setattr__": _refuse, "__delattr__": _refuse}
_LOCK: Final = RLock()
"""Several threads can be the first that use a class, and a class can be the first that uses its base."""
