import pytest

from shared.service import service


@service
class Greeter:
    greeting: str
    mark: str = "!"

    def greet(self, name: str) -> str:
        return f"{self.greeting} {name}{self.mark}"


def test_a_service_is_made_from_its_parts() -> None:
    assert Greeter("Hello").greet("Ada") == "Hello Ada!"
    with pytest.raises(TypeError, match="greeting"):
        Greeter()  # type: ignore[call-arg]


def test_a_service_is_equal_to_nothing_but_itself_and_shows_none_of_its_parts() -> None:
    one = Greeter("Hello")
    assert one != Greeter("Hello")
    assert len({one, Greeter("Hello"), one}) == 2
    assert "Hello" not in repr(one)


def test_a_service_keeps_its_parts_and_has_no_other_attributes() -> None:
    one = Greeter("Hello")
    with pytest.raises(AttributeError):
        one.mark = "?"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        one.added = 1  # type: ignore[attr-defined]


def test_a_service_is_processed_when_it_is_first_made() -> None:
    @service
    class Late:
        part: int

    assert not callable(vars(Late)["__init__"])
    assert Late(1).part == 1
    assert callable(vars(Late)["__init__"])
