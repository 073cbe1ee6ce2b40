"""An expanded snapshot, in a form for policy tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

from tests.infra.snapshots import RESOURCE_GROUP, SUBSCRIPTION_ID, Json

_TOKEN: Final = re.compile(r"\s*(?:'((?:[^']|'')*)'|([A-Za-z_]\w*)|(\d+)|([().,]))")
_NAMED_BY_GUID: Final = ("Microsoft.Graph/", "Microsoft.Authorization/", "Microsoft.Insights/workbooks")
_GROUP: Final = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}/providers/"


@dataclass(frozen=True, slots=True)
class Expansion:
    """What one parameter file deploys.

    Values that only Azure knows during the deployment appear as ``<resource.property>``, and resource ids lack their
    subscription and resource group.
    """

    resources: tuple[Json, ...]
    outputs: Json
    suffix: str

    def all(self, resource_type: str) -> list[Json]:
        """Return the resources of a type."""
        return [each for each in self.resources if each["type"].partition("@")[0] == resource_type]

    def one(self, resource_type: str, name: str = "") -> Json:
        """Return the only resource of a type, or the only one whose name contains this."""
        found = [each for each in self.all(resource_type) if name in str(each.get("name", ""))]
        assert len(found) == 1, f"{len(found)} resources of type {resource_type} with {name!r} in the name"
        return found[0]

    def names(self) -> set[tuple[str, str]]:
        """Return the type and name of every resource with a readable name, with ``*`` for the deployment's suffix."""
        return {
            (each["type"], each["name"].replace(self.suffix, "*"))
            for each in self.resources
            if not each["type"].startswith(
                ("Microsoft.Graph/", "Microsoft.Authorization/", "Microsoft.Insights/workbooks")
            )
        }


def expansion(snapshot: Json) -> Expansion:
    """Read a snapshot. Refuse one with a warning, because then something was not expanded."""
    assert snapshot["diagnostics"] == [], snapshot["diagnostics"]
    resources = tuple(_readable(each) for each in snapshot["predictedResources"])
    plan = next(each for each in resources if each["type"] == "Microsoft.Web/serverfarms")
    return Expansion(resources, _readable(snapshot["outputs"]), plan["name"].rpartition("-")[2])


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_readable(name): _readable(content) for name, content in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if not isinstance(value, str):
        return value
    if value.startswith("[") and value.endswith("]"):
        return _Expression(value[1:-1]).value()
    return value.replace(_GROUP, "")


class _Expression:
    """The rest of a template expression after the expansion: text around values that only Azure knows."""

    def __init__(self, text: str) -> None:
        self.tokens = [found.groups() for found in _TOKEN.finditer(text)]
        self.position = 0

    def value(self) -> Any:
        literal, word, number, _ = self._next()
        if literal is not None:
            return str(literal).replace("''", "'").replace(_GROUP, "")
        if number is not None:
            return str(number)
        arguments = self._arguments()
        properties = self._properties()
        match word, arguments:
            case "format", [str(template), *inserted]:
                return re.sub(r"\{(\d+)\}", lambda found: str(inserted[int(found[1])]), template)
            case "coalesce", [_, *_] if found := [each for each in arguments if each is not None]:
                return found[0]
            case "reference", [str(resource), *_]:
                return f"<{resource.rpartition('/')[2]}.{properties}>"
            case "environment", []:
                return f"<environment.{properties}>"
            case "parameters" | "variables" as kind, [str(name)]:
                return f"<{kind.removesuffix('s')} {'.'.join(filter(None, (name, properties)))}>"
            case "null", []:
                return None
            case "createArray", _:
                return arguments
            case "createObject", _:
                return dict(batched(arguments, 2, strict=True))
            case "empty" | "not", [str(argument)]:
                return f"<{word} {argument}>"
            case "equals", [str(one), str(other)]:
                return f"<{one} = {other}>"
            case "if", [str(condition), str(chosen), str(other)]:
                return f"<{chosen} if {condition}, else {other}>"
            case _:
                raise AssertionError(f"an expression that nothing here expects: {word}{arguments}")

    def _arguments(self) -> list[Any]:
        self._expect("(")
        arguments: list[Any] = []
        while self.tokens[self.position][3] != ")":
            if arguments:
                self._expect(",")
            arguments.append(self.value())
        self._expect(")")
        return arguments

    def _properties(self) -> str:
        names = []
        while self.position < len(self.tokens) and self.tokens[self.position][3] == ".":
            self._expect(".")
            names.append(str(self._next()[1]))
        return ".".join(names)

    def _next(self) -> tuple[str | None, ...]:
        self.position += 1
        return self.tokens[self.position - 1]

    def _expect(self, sign: str) -> None:
        assert self._next()[3] == sign
