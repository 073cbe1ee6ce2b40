"""The Bicep compiler, and its output for the templates.

It is the program in the variable ``BICEP``, or else ``bicep`` on PATH, or else that of ``az bicep install``. The
Microsoft Graph extension comes from Microsoft's registry, as ``infra/bicepconfig.json`` says; without access to that
registry, it comes from a file beside the compiler.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).parent.parent.parent
TEMPLATES: Final = REPOSITORY / "infra"
PARAMETERS: Final = Path(__file__).parent / "parameters"
EXPANDED: Final = REPOSITORY / ".sandbox" / "infra"
MODES: Final = ("public", "fixed-egress", "private-data", "private")
"""Names of the parameter files, one for each network mode."""
SUBSCRIPTION_ID: Final = "22222222-2222-2222-2222-222222222222"
TENANT_ID: Final = "33333333-3333-3333-3333-333333333333"
RESOURCE_GROUP: Final = "tickets"
LOCATION: Final = "westeurope"
OFFLINE_EXTENSION: Final = "microsoftgraph-v1.0.tgz"

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Compiler:
    """A Bicep compiler, and the path of an offline Graph extension, if there is one."""

    program: Path
    offline_extension: Path | None

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command; the caller checks its output, because warnings do not change the exit status."""
        # Not every machine has ICU, and nothing here depends on a culture. A run of a few seconds gains nothing from
        # profiling and optimisation.
        environment = {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "DOTNET_TieredPGO": "0"}
        return subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False, env=environment)

    def version(self) -> str:
        """Return the version, such as ``0.49.2``."""
        found = re.search(r"\d+\.\d+\.\d+", self.run("--version").stdout)
        assert found, "the compiler does not say its version"
        return found.group()

    def copy_of_templates(self, place: Path) -> Path:
        """Copy the templates and parameter files to a writable place; return the copy's ``infra``."""
        templates = shutil.copytree(TEMPLATES, place / "infra")
        parameters = shutil.copytree(PARAMETERS, place / PARAMETERS.relative_to(REPOSITORY))
        configuration: Json = json.loads((templates / "bicepconfig.json").read_text())
        if self.offline_extension is not None:
            configuration["extensions"]["microsoftGraphV1"] = OFFLINE_EXTENSION
        # The compiler looks for its configuration beside and above a file: the parameter files need their own.
        for folder in (templates, parameters):
            (folder / "bicepconfig.json").write_text(json.dumps(configuration))
            if self.offline_extension is not None:
                shutil.copy(self.offline_extension, folder / OFFLINE_EXTENSION)
        return templates

    def diagnostics(self, pattern: Path) -> list[str]:
        """Return all messages of the compiler and its linter about the matching files."""
        command = "build-params" if pattern.suffix == ".bicepparam" else "lint"
        outcome = self.run(command, "--pattern", pattern, "--diagnostics-format", "sarif")
        reports = _documents(outcome.stdout + outcome.stderr)
        assert reports, f"no file matches {pattern}"
        return [_sentence(result) for report in reports for run in report["runs"] for result in run["results"]]

    def snapshot(self, parameters: Path, *, deployment_name: str = "main") -> Json:
        """Return all resources and outputs that a parameter file deploys, with modules and conditions expanded."""
        outcome = self.run(
            *("snapshot", parameters, "--mode", "overwrite", "--deployment-name", deployment_name),
            *("--subscription-id", SUBSCRIPTION_ID, "--tenant-id", TENANT_ID),
            *("--resource-group", RESOURCE_GROUP, "--location", LOCATION),
        )
        assert outcome.returncode == 0, outcome.stderr
        expanded: Json = json.loads(parameters.with_suffix(".snapshot.json").read_text())
        return expanded


def find_compiler() -> Compiler | None:
    """Return the compiler, or None."""
    # "az bicep" runs this program, and passes on only a few of its commands.
    of_azure_cli = Path(os.environ.get("AZURE_CONFIG_DIR", Path.home() / ".azure")) / "bin" / "bicep"
    for program in (os.environ.get("BICEP", ""), "bicep", str(of_azure_cli)):
        found = shutil.which(program) if program else None
        if found is not None:
            beside = Path(found).resolve().parent / OFFLINE_EXTENSION
            return Compiler(Path(found), beside if beside.is_file() else None)
    return None


def expanded_templates(compiler: Compiler) -> Path:
    """Return a folder with the compiled template, ``main.json``, and each snapshot, ``<parameter file>.json``.

    It is made once for each state of the templates; tests in several processes and the checkov run share it.
    """
    digest = hashlib.sha256(str(compiler.program).encode())
    for source in sorted([*TEMPLATES.rglob("*.*"), *PARAMETERS.glob("*"), Path(__file__)]):
        if source.suffix != ".sh":
            digest.update(source.name.encode() + source.read_bytes())
    place = EXPANDED / digest.hexdigest()[:16]
    EXPANDED.mkdir(parents=True, exist_ok=True)
    with (EXPANDED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            with tempfile.TemporaryDirectory(dir=EXPANDED) as temporary:
                _expand(compiler, Path(temporary)).rename(place)
    return place


def _expand(compiler: Compiler, place: Path) -> Path:
    made = place / "made"
    made.mkdir()
    templates = compiler.copy_of_templates(place / "sources")
    built = compiler.run("build", templates / "main.bicep", "--outfile", made / "main.json")
    assert built.returncode == 0, built.stderr
    sources = sorted((templates.parent / PARAMETERS.relative_to(REPOSITORY)).glob("*.bicepparam"))
    with ThreadPoolExecutor() as side_by_side:
        for source, snapshot in zip(sources, side_by_side.map(compiler.snapshot, sources), strict=True):
            (made / f"{source.stem}.json").write_text(json.dumps(snapshot, indent=1))
    return made


def _documents(text: str) -> list[Json]:
    """Read consecutive JSON documents: the compiler writes a report for each file."""
    decoder = json.JSONDecoder()
    documents: list[Json] = []
    rest = text.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].strip()
    return documents


def _sentence(result: Mapping[str, Any]) -> str:
    places: Sequence[Mapping[str, Any]] = result["locations"]
    where = [
        f"{Path(place['physicalLocation']['artifactLocation']['uri']).name}:{place['physicalLocation']['region']['startLine']}"
        for place in places
    ]
    return f"{', '.join(where)} {result['ruleId']}: {result['message']['text']}"
