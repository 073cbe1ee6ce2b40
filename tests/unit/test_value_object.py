import copy
import pickle
from collections.abc import Mapping
from dataclasses import KW_ONLY, FrozenInstanceError, field, fields, is_dataclass, replace
from threading import Thread

import pytest

from shared.value_object import value_object


@value_object
class Point:
    x: int
    y: int = 0
    labels: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@value_object
class Named(Point):
    _: KW_ONLY
    name: str = "origin"


@value_object
class Shown:
    text: str

    def __repr__(self) -> str:
        return "Shown(***)"


def test_a_value_is_made_from_its_fields_and_their_defaults() -> None:
    assert (Point(1).x, Point(1).y, Point(1).labels) == (1, 0, {})
    assert Named(1, 2, name="corner").name == "corner"
    with pytest.raises(TypeError, match="'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        Named(1, 2, {}, "corner")  # type: ignore[call-arg]


def test_values_are_equal_and_have_one_hash_when_their_compared_fields_are_equal() -> None:
    assert Point(1, 2, {"a": "b"}) == Point(1, 2)
    assert {Point(1, 2, {"a": "b"}), Point(1, 2)} == {Point(1, 2)}
    assert Point(1) != Point(2)
    assert Point(1) != Named(1)


def test_any_method_of_a_value_can_be_the_first_that_is_used() -> None:
    @value_object
    class Unused:
        x: int

    one = object.__new__(Unused)
    object.__setattr__(one, "x", 1)
    assert hash(one) == hash((1,))
    assert repr(one).endswith("Unused(x=1)")


def test_a_value_shows_its_fields_but_for_those_that_are_not_shown() -> None:
    assert repr(Point(1, labels={"secret": "s"})) == "Point(x=1, y=0)"
    assert repr(Named(1)) == "Named(x=1, y=0, name='origin')"


def test_a_value_can_look_at_its_fields_once_it_is_made() -> None:
    @value_object
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError("odd")

    assert Even(2).number == 2
    with pytest.raises(ValueError, match="odd"):
        Even(3)


def test_a_method_of_the_class_itself_is_kept() -> None:
    assert repr(Shown("text")) == "Shown(***)"
    assert Shown("text") == Shown("text")


def test_a_value_does_not_change() -> None:
    one = Point(1)
    with pytest.raises(FrozenInstanceError):
        one.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del one.y
    with pytest.raises((AttributeError, TypeError)):
        one.added = 1  # type: ignore[attr-defined]
    assert replace(one, y=3) == Point(1, 3)


def test_a_copy_has_the_fields_of_the_value_and_does_not_change_either() -> None:
    one = Named(1, labels={"a": "b"}, name="corner")
    for copied in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert copied == one
        assert copied.labels == {"a": "b"}
        with pytest.raises(FrozenInstanceError):
            copied.name = "edge"  # type: ignore[misc]


def test_a_value_becomes_a_dataclass_when_its_fields_are_first_asked_for() -> None:
    @value_object
    class Base:
        x: int
        hidden: int = field(default=1, repr=False)

    @value_object
    class Late(Base):
        y: int = 2

    for cls in (Base, Late):
        assert not isinstance(vars(cls)["__dataclass_fields__"], Mapping)
    assert is_dataclass(Base)
    assert not isinstance(vars(Late)["__dataclass_fields__"], Mapping)
    assert [each.name for each in fields(Late)] == ["x", "hidden", "y"]
    assert Late.hidden == 1


def test_each_method_of_a_value_is_generated_when_it_is_first_used() -> None:
    @value_object
    class Late:
        x: int

    assert not callable(vars(Late)["__init__"])
    assert vars(Late)["__setattr__"] is vars(Point)["__setattr__"], "all classes share the methods that know no field"
    one = Late(1)
    assert callable(vars(Late)["__init__"])
    assert not callable(vars(Late)["__eq__"])
    assert one == Late(1)
    assert callable(vars(Late)["__eq__"])


def test_several_threads_can_be_the_first_that_make_a_value() -> None:
    made: list[object] = []

    class Meanwhile:
        """A default that the standard library looks at twice; the second time, half of the fields are processed."""

        looks = 0

        def __get__(self, instance: object, owner: type) -> str:
            self.looks += 1
            if self.looks == 2:
                other.start()
                other.join(0.02)
            return "default"

    @value_object
    class Contested:
        x: int
        labels: Mapping[str, str] = field(default_factory=dict, compare=False)
        looked_at: str = Meanwhile()  # type: ignore[assignment]

    other = Thread(target=lambda: made.append(Contested(2)))
    made.append(Contested(1))
    other.join()
    assert made == [Contested(1), Contested(2)]
    assert [each.compare for each in fields(Contested)] == [True, False, True]
