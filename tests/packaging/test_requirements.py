"""The requirement files pin everything, and no installed package hides the product."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent


def pinned(name: str) -> dict[str, Requirement]:
    """Return the requirements of a file, and of those it includes, by name."""
    found: dict[str, Requirement] = {}
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= pinned(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = requirement
    return found


def needed(requirements: dict[str, Requirement]) -> Iterator[tuple[str, Requirement]]:
    """Yield what each requirement needs here, and which package needs it."""
    for requirement in requirements.values():
        for text in distribution(requirement.name).requires or []:
            need = Requirement(text)
            extras = requirement.extras or {""}
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                yield requirement.name, need


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_version_is_exact_and_installed(name: str) -> None:
    for requirement in pinned(name).values():
        assert str(requirement.specifier) == f"=={distribution(requirement.name).version}", requirement


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_set_is_complete(name: str) -> None:
    requirements = pinned(name)
    for by, need in needed(requirements):
        pin = requirements.get(canonicalize_name(need.name))
        assert pin is not None, f"{by} needs {need}, which {name} does not pin"
        assert need.extras <= pin.extras, f"{by} needs {need}, which {name} pins without that extra"
        version = str(pin.specifier).removeprefix("==")
        assert need.specifier.contains(version, prereleases=True), f"{by} needs {need}, but {name} pins {version}"


def test_requirements_are_what_is_imported_or_needed() -> None:
    """A pin that nothing needs must be removed."""
    imported = {
        "azure-core",
        "azure-data-tables",
        "azure-functions",
        "azure-identity",
        "azure-keyvault-secrets",
        "defusedxml",
        "httpx",
        "jinja2",
        "nh3",
        "openpyxl",
        "pydantic",
        "stamina",
        "tzdata",
        "werkzeug",
    }
    requirements = pinned("requirements.txt")
    brought_along = {canonicalize_name(need.name) for _, need in needed(requirements)}
    assert set(requirements) == imported | brought_along


@pytest.mark.parametrize("name", ["shared", "function_app", "tests", "sandbox"])
def test_no_distribution_owns_a_name_of_ours(name: str) -> None:
    assert packages_distributions().get(name) is None
