"""Value objects: they do not change, and are equal when their fields are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, make_dataclass
from typing import Any, Final, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_object[Class](cls: type[Class]) -> type[Class]:
    """Make a class a value object: what a frozen dataclass with slots is.

    Each method that depends on its fields is generated when it is first used, and all classes share the others. A
    frozen dataclass generates its own when it is defined: that took more than half of the time in which the app's own
    modules are imported at each cold start, and no request needs them all.
    """
    # Without a text, a dataclass writes its signature, which takes half a millisecond.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    for name in _GENERATED:
        if name not in vars(made):
            setattr(made, name, _OnFirstUse(made, name))
    for name, method in _SHARED.items():
        setattr(made, name, method)
    return made


class _OnFirstUse:
    """Takes the place of a method until it is first used; then the method is generated."""

    __slots__ = ("_cls", "_name")

    def __init__(self, cls: type, name: str) -> None:
        self._cls, self._name = cls, name

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        cls = self._cls
        own_fields = [(each.name, each.type, each) for each in fields(cls)]
        kept = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
        frozen = make_dataclass(
            cls.__name__,
            own_fields,
            namespace=kept,
            module=cls.__module__,
            init=self._name == "__init__",
            repr=self._name == "__repr__",
            eq=self._name in ("__eq__", "__hash__"),
            frozen=True,
        )
        setattr(cls, self._name, vars(frozen)[self._name])
        method: Callable[..., Any] = vars(frozen)[self._name].__get__(instance, owner)
        return method


def _refuse(_value: object, name: str, *_new: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot change field {name!r}")


def _restore(copy: object, state: tuple[None, Mapping[str, object]]) -> None:
    """Give a copy its fields: what copying and unpickling do instead of assigning to them."""
    for name, value in state[1].items():
        object.__setattr__(copy, name, value)


_GENERATED: Final = ("__init__", "__repr__", "__eq__", "__hash__")
_SHARED: Final = {"__setattr__": _refuse, "__delattr__": _refuse, "__setstate__": _restore}
