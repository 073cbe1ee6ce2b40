"""Run checkov over everything that each network mode deploys: ``python -m tests.infra.run_checkov``.

checkov's own Bicep parser knows neither typed parameters nor modules, and passes what it cannot read. So it gets the
expanded snapshot as a template. A failed check needs a reason in ``checkov/accepted.toml``, and a reason needs a failed
check. checkov has its own environment, ``.sandbox/checkov``, which is recreated when its requirements change.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from release.bicep import find_compiler
from tests.infra.compiler import MODES, REPOSITORY, expanded_templates
from tests.infra.snapshots import Json

FOLDER: Final = Path(__file__).parent / "checkov"
REQUIREMENTS: Final = FOLDER / "requirements.txt"
ACCEPTED: Final = FOLDER / "accepted.toml"
ENVIRONMENT: Final = REPOSITORY / ".sandbox" / "checkov"
TEMPLATE_SCHEMA: Final = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


class Finding(NamedTuple):
    """A check that fails on a type of resource in a network mode."""

    check: str
    resource_type: str
    mode: str


class Report(NamedTuple):
    """What checkov said."""

    findings: dict[Finding, str]
    resources: int
    parsing_errors: int
    passed: int


def main() -> int:
    """Check every mode, print all faults, and return the exit status."""
    compiler = find_compiler()
    if compiler is None:
        print("checkov: skipped, no Bicep compiler: set BICEP to one, install bicep, or run az bicep install")
        return 1 if os.environ.get("CI") == "true" else 0
    expanded = expanded_templates(compiler)
    modes = {mode: azure_resources(json.loads((expanded / f"{mode}.json").read_text())) for mode in MODES}
    report = check(installed_checkov(), modes)
    accepted = accepted_findings(tomllib.loads(ACCEPTED.read_text()))
    faults = disagreements(report.findings, accepted)
    if report.parsing_errors:
        faults.append(f"{report.parsing_errors} parse errors")
    expected = sum(len(resources) for resources in modes.values())
    if report.resources != expected or not report.passed:
        faults.append(f"{report.resources} of {expected} resources were looked at, {report.passed} checks passed")
    for fault in faults:
        print(f"checkov: {fault}", file=sys.stderr)
    print(f"checkov: {report.resources} resources, {report.passed} checks passed, {len(accepted)} failures accepted")
    return 1 if faults else 0


def azure_resources(snapshot: Json) -> list[Json]:
    """Return the resources of a snapshot that checkov knows: those of Azure, not those of Microsoft Graph."""
    return [each for each in snapshot["predictedResources"] if not each["type"].startswith("Microsoft.Graph/")]


def check(program: Path, modes: Mapping[str, Sequence[Json]]) -> Report:
    """Run checkov over the resources of each mode. Raises SystemExit if it gives no report."""
    with tempfile.TemporaryDirectory() as folder:
        for mode, resources in modes.items():
            template = {"$schema": TEMPLATE_SCHEMA, "contentVersion": "1.0.0.0", "resources": resources}
            (Path(folder) / f"{mode}.json").write_text(json.dumps(template))
        outcome = subprocess.run(
            [program, "--directory", folder, "--framework", "arm", "--output", "json", "--skip-download"],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        said = json.loads(outcome.stdout)
        summary = said["summary"]
        failed = said["results"]["failed_checks"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise SystemExit(f"checkov gave no report: {outcome.stderr or outcome.stdout}") from None
    findings = {
        Finding(each["check_id"], resource_type(each["resource"]), Path(each["file_path"]).stem): each["check_name"]
        for each in failed
    }
    return Report(findings, summary["resource_count"], summary["parsing_errors"], summary["passed"])


def resource_type(resource: str) -> str:
    """Return the type from checkov's ``Microsoft.Web/sites.name``."""
    provider, _, rest = resource.partition("/")
    return f"{provider}/{rest.partition('.')[0]}"


def accepted_findings(document: Json) -> set[Finding]:
    """Read the accepted findings. Raises SystemExit if one lacks a reason."""
    for entry in document["accepted"]:
        if len(entry["reason"].split()) < 5 or not set(entry["modes"]) <= set(MODES):
            raise SystemExit(f"accepted.toml: {entry['check']} on {entry['type']} needs a reason and modes of {MODES}")
    return {Finding(entry["check"], entry["type"], mode) for entry in document["accepted"] for mode in entry["modes"]}


def disagreements(findings: dict[Finding, str], accepted: set[Finding]) -> list[str]:
    """Return the failures without a reason, and the reasons without a failure."""
    failed = [
        f"{each.check} fails on {each.resource_type} in {each.mode}: {findings[each]}"
        for each in sorted(findings.keys() - accepted)
    ]
    stale = [
        f"{each.check} does not fail on {each.resource_type} in {each.mode} any more: remove it from accepted.toml"
        for each in sorted(accepted - findings.keys())
    ]
    return failed + stale


def installed_checkov() -> Path:
    """Return the path of checkov, installed exactly as its requirements say."""
    stamp = ENVIRONMENT / ".installed"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    program = ENVIRONMENT / "bin" / "checkov"
    if stamp.is_file() and stamp.read_text() == digest:
        return program
    print("Installing checkov ...")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    venv.create(ENVIRONMENT, with_pip=True)
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    stamp.write_text(digest)
    return program


if __name__ == "__main__":
    sys.exit(main())
