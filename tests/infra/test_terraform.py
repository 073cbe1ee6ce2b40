"""The example for Terraform: it is HCL, and agrees with the template that it deploys."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Final

import pytest

from release.bicep import TEMPLATES
from tests.infra.availability import unavailable
from tests.infra.compiler import REPOSITORY
from tests.infra.run_checkov import ENVIRONMENT
from tests.infra.snapshots import Json

EXAMPLE: Final = TEMPLATES / "terraform" / "main.tf"
READ: Final = "import hcl2, json, sys; print(json.dumps(hcl2.load(sys.stdin)))"


@pytest.fixture(scope="module")
def example() -> Json:
    """The example as read by the HCL parser that comes with checkov."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        unavailable("no HCL parser: `make policies` installs it with checkov")
    read = subprocess.run([python, "-c", READ], input=EXAMPLE.read_text(), capture_output=True, text=True, check=True)
    content: Json = json.loads(read.stdout)
    return content


@pytest.fixture(scope="module")
def deployment(example: Json) -> Json:
    """The attributes of the one resource."""
    (resource,) = example["resource"]
    found: Json = resource["azapi_resource"]["connector"]
    return found


def test_it_deploys_the_template_of_a_release(deployment: Json) -> None:
    assert deployment["type"][0].partition("@")[0] == "Microsoft.Resources/deployments"
    (body,) = deployment["body"]
    assert body["properties"]["mode"] == "Incremental"
    assert body["properties"]["template"] == '${jsondecode(file("${path.module}/azuredeploy.json"))}'


def test_the_address_of_the_package_is_not_kept(example: Json, deployment: Json, template: Json) -> None:
    (secret,) = deployment["sensitive_body"]
    given = secret["properties"]["parameters"]
    assert given.keys() == {
        name for name, parameter in template["parameters"].items() if parameter.get("type") == "securestring"
    }
    (variable,) = [each["package_url"] for each in example["variable"] if "package_url" in each]
    assert given == {"packageUrl": {"value": "${var.package_url}"}}
    assert variable["ephemeral"] == [True]
    assert deployment["sensitive_body_version"] == [{"properties.parameters.packageUrl.value": "${var.package_sha256}"}]


def test_its_parameters_and_outputs_exist(example: Json, template: Json) -> None:
    (local,) = example["locals"]
    named = re.findall(r"'(\w+)': '", local["parameters"][0])
    assert named
    assert set(named) <= template["parameters"].keys()
    used = [output["value"][0] for each in example["output"] for output in each.values()]
    assert used
    for value in used:
        found = re.fullmatch(r"\$\{azapi_resource\.connector\.output\.properties\.outputs\.(\w+)\.value\}", value)
        assert found
        assert found[1] in template["outputs"]


def test_the_page_sets_every_variable(example: Json) -> None:
    page = (REPOSITORY / "docs" / "releases.md").read_text()
    variables = {name for each in example["variable"] for name in each}
    assert set(re.findall(r"-var ['\"](\w+)=", page)) == variables


@pytest.mark.skipif(
    not (shutil.which("terraform") or shutil.which("tofu")), reason="no terraform or tofu, whose grammar is stricter"
)
def test_terraform_reads_it_and_would_write_it_the_same() -> None:
    program = shutil.which("terraform") or shutil.which("tofu") or ""
    outcome = subprocess.run([program, "fmt", "-check", "-diff", EXAMPLE], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
