"""The pages about the deployment agree with the templates."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from release.bicep import TEMPLATES
from shared.triggers.provisioning_pages import PATH as PROVISIONING
from tests.infra.availability import unavailable
from tests.infra.compiler import REPOSITORY
from tests.infra.run_checkov import ENVIRONMENT
from tests.infra.snapshots import Json

PAGE: Final = (REPOSITORY / "docs" / "deployment.md").read_text()
PARAMETERS: Final = (REPOSITORY / "docs" / "parameters.md").read_text()
RELEASES: Final = (REPOSITORY / "docs" / "releases.md").read_text()


def section(title: str, page: str = PAGE) -> str:
    """Return the text under a heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of a table's rows, by their first cell."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip("`"): [cell.strip("` ") for cell in cells[1:]] for cells in lines[2:]}


def test_every_parameter_with_its_default(template: Json) -> None:
    documented = rows(section("Every parameter", PARAMETERS))
    assert documented.keys() == template["parameters"].keys()
    for name, parameter in template["parameters"].items():
        default = parameter.get("defaultValue")
        if isinstance(default, int) or (isinstance(default, str) and default and not default.startswith("[")):
            shown = "each minute" if name == "maintainSchedule" else str(default)
            shown = shown.lower() if isinstance(default, bool) else shown
            assert documented[name][0] == shown, name


def test_every_output(template: Json) -> None:
    named = set(re.findall(r"^\| (`.*?`) \|", section("Every output", PARAMETERS), re.MULTILINE))
    assert {name for cell in named for name in re.findall(r"`(\w+)`", cell)} == template["outputs"].keys()
    for page in (REPOSITORY / "docs").glob("*.md"):
        for used in re.findall(r"\$\(output (\w+)\)", page.read_text()):
            assert used in template["outputs"], f"{page.name}: {used}"


OUTPUT: Final = re.compile(r"^output\(\) \{.*\}$", re.MULTILINE)
DEPLOYMENTS: Final = [
    {"properties": {"timestamp": "2026-11-03", "outputs": None}},
    {"properties": {"timestamp": "2026-11-03", "outputs": {"needed": {"value": []}}}},
    {
        "properties": {
            "timestamp": "2026-11-02",
            "outputs": {
                "functionAppName": {"value": "func-new"},
                "neededRoles": {"value": [{"scope": "s", "roleDefinitionId": "r", "principalId": "p", "why": "w"}]},
            },
        }
    },
    {"properties": {"timestamp": "2026-11-01", "outputs": {"functionAppName": {"value": "func-old"}}}},
]
"""A deployment that failed, a module, the newest deployment, and an older one."""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("functionAppName", "func-new"),
        ("neededRoles '[].[scope, roleDefinitionId, principalId]'", [["s", "r", "p"]]),
    ],
)
def test_an_output_is_read_from_the_newest_deployment(output: str, expected: object, tmp_path: Path) -> None:
    """A shell reads the command; the query goes through the library of the Azure CLI, which comes with checkov."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        unavailable("no JMESPath: `make policies` installs it with checkov")
    assert f"output {output}" in PAGE + (REPOSITORY / "docs" / "bring-your-own.md").read_text()
    (tmp_path / "az").write_text('#!/bin/sh\nfor last; do :; done; printf %s "$last"\n')
    (tmp_path / "az").chmod(0o700)
    (function,) = OUTPUT.findall(PAGE)
    shell = ["sh", "-c", f"{function}\noutput {output}"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GROUP": "tickets"}
    query = subprocess.run(shell, env=environment, check=True, capture_output=True, text=True).stdout
    evaluate = "import jmespath, json, sys; print(json.dumps(jmespath.search(sys.argv[1], json.load(sys.stdin))))"
    found = subprocess.run(
        [python, "-c", evaluate, query], input=json.dumps(DEPLOYMENTS), check=True, capture_output=True, text=True
    )
    assert json.loads(found.stdout) == expected


def test_every_app_role() -> None:
    roles = re.findall(r'"value": "(\w+\.\w+)"', (TEMPLATES / "sign-in" / "application.json").read_text())
    assert list(rows(section("Sign-in"))) == roles


def test_every_network_mode(template: Json) -> None:
    assert rows(section("The network")).keys() == set(template["parameters"]["networkMode"]["allowedValues"])


def test_every_provider_is_registered(template: Json) -> None:
    named = set(re.findall(r"\bMicrosoft\.\w+\b", section("Before you begin")))
    used = set(re.findall(r"'(Microsoft\.\w+)/", "".join(path.read_text() for path in TEMPLATES.rglob("*.bicep"))))
    # Every subscription has the first; the second is not a provider of Azure. The subnet is delegated to the third.
    assert named == used - {"Microsoft.Authorization", "Microsoft.Graph"} | {"Microsoft.App"}


def test_every_workflow_variable() -> None:
    workflow = (REPOSITORY / ".github" / "workflows" / "deploy.yml").read_text()
    for variable in set(re.findall(r"vars\.(\w+)", workflow)):
        assert f"`{variable}`" in section("From GitHub", RELEASES), variable


COMPANIONS: Final = ("acceptance", "bring-your-own", "releases")
"""Pages whose commands use the names of the first one."""


@pytest.mark.parametrize("name", COMPANIONS)
def test_a_page_says_where_its_names_come_from(name: str) -> None:
    page = (REPOSITORY / "docs" / f"{name}.md").read_text()
    (said,) = [line for line in page.splitlines() if "commands use the names" in line]
    assert "](deployment.md" in said
    assert page.index(said) <= min(
        page.index("$GROUP"), *(found.start() for found in re.finditer(r"\$\(output ", page))
    )


@pytest.mark.parametrize("name", ["deployment", *COMPANIONS, "identity-team"])
def test_every_variable_is_set_before_it_is_used(name: str) -> None:
    commands = "\n".join(code_of((REPOSITORY / "docs" / f"{name}.md").read_text()))
    if name in COMPANIONS:
        commands = f"GROUP= APP=\n{commands}"
    set_at: dict[str, int] = {}
    for found in re.finditer(r"\b([A-Z][A-Z_]+)=", commands):
        set_at.setdefault(found[1], found.start())
    used = [(found[1], found.start()) for found in re.finditer(r"\$\{?([A-Z][A-Z_]+)", commands)]
    assert used
    for variable, place in used:
        assert set_at.get(variable, place) < place, f"${variable} is not set where it is first used"


def code_of(page: str) -> list[str]:
    """Return the page's commands in order: whole blocks, and those inside a line."""
    return ["".join(groups) for groups in re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", page, re.DOTALL)]


def test_the_first_connection_is_made_on_the_page_that_makes_it() -> None:
    assert f"(`/{PROVISIONING}`)" in section("ServiceNow and the first connection")
    assert "configuration page" not in section("ServiceNow and the first connection")
