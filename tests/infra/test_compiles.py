"""The templates compile without messages from the compiler or its linter."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from release.bicep import TEMPLATES, Compiler
from tests.infra.compiler import PARAMETERS, REPOSITORY, copy_of_templates, diagnostics

PINNED_VERSION = re.compile(r"az bicep install --version v([\d.]+)")
SOURCES = sorted([*TEMPLATES.rglob("*.bicep"), *TEMPLATES.rglob("*.bicepparam"), *PARAMETERS.glob("*.bicepparam")])


@pytest.fixture
def copied(compiler: Compiler, tmp_path: Path) -> Path:
    """A copy of the templates that a test may change."""
    return copy_of_templates(compiler, tmp_path)


def test_templates_have_no_diagnostics(compiler: Compiler, copied: Path) -> None:
    assert diagnostics(compiler, copied / "**" / "*.bicep") == []


def test_parameter_files_have_no_diagnostics(compiler: Compiler, copied: Path) -> None:
    assert diagnostics(compiler, copied.parent / "**" / "*.bicepparam") == []


MISTAKES: Final = (
    ("modules/function-app.bicep", "httpsOnly: true", "httpOnly: true", "BCP089"),
    ("modules/key-vault.bicep", "vaults@2026-05-15", "vaults@2019-09-01", "use-recent-api-versions"),
    ("main.bicep", "param tags object = {}", "param tags object = {}\nparam x string = ''", "no-unused-params"),
    ("modules/sign-in.bicep", "appRoleAssignmentRequired:", "appRoleAssignmentsRequired:", "BCP089"),
)
"""A misspelt property, an old API version, an unused parameter and a misspelt property of Microsoft Graph."""


def test_a_mistake_is_a_diagnostic(compiler: Compiler, copied: Path) -> None:
    for file, right, wrong, _ in MISTAKES:
        source = copied / file
        assert source.read_text().count(right) == 1
        source.write_text(source.read_text().replace(right, wrong))
    said = diagnostics(compiler, copied / "main.bicep")
    for file, _, _, rule in MISTAKES:
        assert [line for line in said if line.startswith(f"{Path(file).name}:") and rule in line], (file, said)


def test_newest_api_versions(compiler: Compiler, copied: Path) -> None:
    """They are the newest that the pinned compiler knows; a newer compiler may know newer ones."""
    pinned = PINNED_VERSION.search((REPOSITORY / ".github" / "workflows" / "check.yml").read_text())
    assert pinned
    if compiler.version() != pinned[1]:
        pytest.skip(f"the compiler is {compiler.version()}; API versions are held against {pinned[1]}")
    configuration = json.loads((copied / "bicepconfig.json").read_text())
    configuration["analyzers"]["core"]["rules"]["use-recent-api-versions"]["maxAgeInDays"] = 0
    (copied / "bicepconfig.json").write_text(json.dumps(configuration))
    assert diagnostics(compiler, copied / "main.bicep") == []


def test_every_file_is_formatted(compiler: Compiler, copied: Path) -> None:
    for suffix in ("bicep", "bicepparam"):
        assert compiler.run("format", "--pattern", copied.parent / "**" / f"*.{suffix}").returncode == 0
    for source in SOURCES:
        formatted = (copied.parent / source.relative_to(REPOSITORY)).read_text()
        assert formatted.rstrip() == source.read_text().rstrip(), f"run bicep format on {source.name}"


def test_every_linter_rule_is_an_error() -> None:
    core = json.loads((TEMPLATES / "bicepconfig.json").read_text())["analyzers"]["core"]
    assert core["enabled"] is True
    assert {rule["level"] for rule in core["rules"].values()} == {"error"}


def test_a_rule_is_only_passed_over_with_a_reason() -> None:
    for source in SOURCES:
        lines = source.read_text().splitlines()
        for before, line in pairwise(lines):
            if "#disable" in line:
                assert before.strip().startswith("//"), f"{source.name}: {line}"


def test_main_only_wires_modules() -> None:
    assert not re.search(r"^resource ", (TEMPLATES / "main.bicep").read_text(), re.MULTILINE)


def test_every_module_is_used() -> None:
    sources = "".join(source.read_text() for source in TEMPLATES.rglob("*.bicep"))
    modules = {module.name for module in (TEMPLATES / "modules").glob("*.bicep")}
    used = {Path(name).name for name in re.findall(r"'([\w/-]+\.bicep)'", sources)}
    assert used == modules
