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


def test_a_service_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        Greeter("Hello").added = 1  # type: ignore[attr-defined]
