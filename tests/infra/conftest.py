"""Fixtures for the tests of the infrastructure: the compiler and the expanded templates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from release.bicep import Compiler, find_compiler
from tests.infra.availability import unavailable
from tests.infra.compiler import MODES, expanded_templates
from tests.infra.expansion import Expansion, expansion
from tests.infra.snapshots import Json


@pytest.fixture(scope="session")
def compiler() -> Compiler:
    """The Bicep compiler; without one the test is skipped, or fails in CI."""
    found = find_compiler()
    if found is None:
        unavailable("no Bicep compiler: set BICEP to one, install bicep, or run az bicep install")
    return found


@pytest.fixture(scope="session")
def expanded(compiler: Compiler) -> Path:
    """The folder of the compiled template and the snapshots."""
    return expanded_templates(compiler)


@pytest.fixture(scope="session")
def template(expanded: Path) -> Json:
    """The compiled template."""
    content: Json = json.loads((expanded / "main.json").read_text())
    return content


@pytest.fixture(params=MODES)
def deployed(request: pytest.FixtureRequest, expanded: Path) -> Expansion:
    """What each network mode deploys, one mode after another."""
    return _read(expanded, request.param)


@pytest.fixture
def public(expanded: Path) -> Expansion:
    """What public mode deploys."""
    return _read(expanded, "public")


@pytest.fixture
def fixed_egress(expanded: Path) -> Expansion:
    """What fixedEgress mode deploys."""
    return _read(expanded, "fixed-egress")


@pytest.fixture
def private_data(expanded: Path) -> Expansion:
    """What privateData mode deploys."""
    return _read(expanded, "private-data")


@pytest.fixture
def private(expanded: Path) -> Expansion:
    """What private mode deploys."""
    return _read(expanded, "private")


@pytest.fixture
def every_choice(expanded: Path) -> Expansion:
    """What a deployment without any default parameters deploys."""
    return _read(expanded, "every-choice")


@pytest.fixture
def existing_resources(expanded: Path) -> Expansion:
    """What a deployment makes around an identity, a network, a workspace and a vault that exist."""
    return _read(expanded, "existing-resources")


@pytest.fixture
def own_names(expanded: Path) -> Expansion:
    """What a deployment makes with the company's own name for everything."""
    return _read(expanded, "own-names")


def _read(expanded: Path, name: str) -> Expansion:
    return expansion(json.loads((expanded / f"{name}.json").read_text()))
