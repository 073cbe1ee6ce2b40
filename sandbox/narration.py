"""How a story is shown: numbered steps, their details, and the app's requests to other services."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

_NAME_WIDTH = 26


class StepFailedError(Exception):
    """A step of the story failed; the text says what was expected and what was found."""


class Narration:
    """Shows the steps of a story and holds them to what is expected.

    Args:
        show: Receives each line.
    """

    def __init__(self, show: Callable[[str], None] = print) -> None:
        self._show = show
        self._steps = 0
        self._requests_shown: dict[str, int] = {}

    def step(self, text: str) -> None:
        """Begin a step."""
        self._steps += 1
        self._show(f"\n{self._steps:2}. {text}")

    def heading(self, text: str) -> None:
        """Show the heading of the details that follow."""
        self._show(f"      {text}")

    def detail(self, name: str, value: object) -> None:
        """Show a detail of the step."""
        self._show(f"      {name:{_NAME_WIDTH}} {value}")

    def expect(self, name: str, found: object, wanted: object, shown: object = None) -> None:
        """Show a detail that has to be as expected.

        Raises:
            StepFailedError: It is not.
        """
        if found != wanted:
            raise StepFailedError(f"{name} is {found!r} where {wanted!r} was expected")
        self.detail(name, found if shown is None else shown)

    def requests(self, service: str, so_far: Sequence[str]) -> None:
        """Show the app's requests to a service since the last time, equal ones on one line.

        Args:
            so_far: All requests since the beginning, oldest first.
        """
        new = so_far[self._requests_shown.get(service, 0) :]
        self._requests_shown[service] = len(so_far)
        self.detail(f"requests to {service}", len(new) or "none")
        for request, times in Counter(new).items():
            self.detail("", request if times == 1 else f"{request}, {times} times")
