"""An expanded snapshot, as policy tests want to read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tests.infra.compiler import RESOURCE_GROUP, SUBSCRIPTION_ID, Json

_MODULE_OUTPUT: Final = re.compile(
    r"reference\(resourceId\('[^']*', '[^']*', 'Microsoft\.Resources/deployments', "
    r"format\('(\w+)-\{0\}'.*?\), '\d{4}-\d{2}-\d{2}'\)"
    r"(?:\.outputs\.(\w+)\.value|, 'outputs', '(\w+)', 'value')"
)
_RESOURCE_PROPERTY: Final = re.compile(r"reference\('[^']*/([^'/]+)', '\d{4}-\d{2}-\d{2}(?:-preview)?'\)\.([\w.]+)")
_GROUP: Final = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}/providers/"


@dataclass(frozen=True, slots=True)
class Expansion:
    """What one parameter file deploys.

    What only Azure knows while it deploys appears as ``<module.output>`` or ``<resource.property>``, and resource ids
    lack their subscription and resource group.
    """

    resources: tuple[Json, ...]
    outputs: Json
    suffix: str

    def all(self, resource_type: str) -> list[Json]:
        """Return the resources of a type."""
        return [each for each in self.resources if each["type"].partition("@")[0] == resource_type]

    def one(self, resource_type: str, name: str = "") -> Json:
        """Return the only resource of a type, or the only one whose name has this in it."""
        found = [each for each in self.all(resource_type) if name in str(each.get("name", ""))]
        assert len(found) == 1, f"{len(found)} resources of type {resource_type} with {name!r} in the name"
        return found[0]

    def names(self) -> set[tuple[str, str]]:
        """Return type and name of every Azure resource, the suffix of this deployment replaced by ``*``."""
        return {
            (each["type"], each["name"].replace(self.suffix, "*"))
            for each in self.resources
            if not each["type"].startswith(
                ("Microsoft.Graph/", "Microsoft.Authorization/", "Microsoft.Insights/workbooks")
            )
        }


def expansion(snapshot: Json) -> Expansion:
    """Read a snapshot. A warning in it means that something was not expanded, so it is refused."""
    assert snapshot["diagnostics"] == [], snapshot["diagnostics"]
    resources = tuple(_readable(each) for each in snapshot["predictedResources"])
    vault = next(each for each in resources if each["type"] == "Microsoft.KeyVault/vaults")
    return Expansion(resources, _readable(snapshot["outputs"]), vault["name"].removeprefix("kv-"))


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_readable(name): _readable(content) for name, content in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return _without_expression(value) if isinstance(value, str) else value


def _without_expression(text: str) -> str:
    if not (text.startswith("[") and text.endswith("]")):
        return text.replace(_GROUP, "")
    text = _MODULE_OUTPUT.sub(lambda found: f"<{found[1]}.{found[2] or found[3]}>", text[1:-1])
    text = _RESOURCE_PROPERTY.sub(lambda found: f"<{found[1]}.{found[2]}>", text)
    text = re.sub(r"tryGet\((<[\w.]+>)\)", r"\1", text)
    text = re.sub(r"coalesce\((<[\w.]+>), .*\)$", r"\1", text)
    text = text.replace("environment().authentication.loginEndpoint", "<loginEndpoint>")
    formatted = re.fullmatch(r"format\('([^']*)', (.*)\)", text)
    if formatted:
        template, arguments = formatted.groups()
        for index, argument in enumerate(arguments.split(", ")):
            template = template.replace(f"{{{index}}}", argument.strip("'"))
        return template
    return text
