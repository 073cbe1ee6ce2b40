"""What the Bicep compiler says of the templates, and what it makes of them for each parameter file of the tests."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from release.bicep import TEMPLATES, Compiler
from release.template import compile_templates
from tests.infra.snapshots import Json, snapshots

REPOSITORY: Final = Path(__file__).parent.parent.parent
PARAMETERS: Final = Path(__file__).parent / "parameters"
EXPANDED: Final = REPOSITORY / ".sandbox" / "infra"
MODES: Final = ("public", "fixed-egress", "private-data", "private")
"""Names of the parameter files, one for each network mode."""
AGAIN: Final = "again"
"""Name of a second snapshot of the first mode, in which only the name of the deployment differs."""

MAKERS: Final = (
    *(Path(__file__).with_name(name) for name in ("compiler.py", "snapshots.py")),
    *(REPOSITORY / "release" / name for name in ("bicep.py", "template.py")),
)
"""The code that makes what is here."""


def copy_of_templates(compiler: Compiler, place: Path) -> Path:
    """Copy the templates and the parameter files of the tests to a writable place; return the copy's ``infra``."""
    templates = compiler.copy_of_templates(place)
    # The compiler looks for its configuration beside and above a file: the parameter files need their own.
    compiler.configure(shutil.copytree(PARAMETERS, place / PARAMETERS.relative_to(REPOSITORY)))
    return templates


def diagnostics(compiler: Compiler, pattern: Path) -> list[str]:
    """Return all messages of the compiler and its linter about the matching files."""
    command = "build-params" if pattern.suffix == ".bicepparam" else "lint"
    outcome = compiler.run(command, "--pattern", pattern, "--diagnostics-format", "sarif")
    reports = _documents(outcome.stdout + outcome.stderr)
    assert reports, f"no file matches {pattern}"
    return [_sentence(result) for report in reports for run in report["runs"] for result in run["results"]]


def expanded_templates(compiler: Compiler) -> Path:
    """Return a folder with the compiled template, ``main.json``, and each snapshot, ``<parameter file>.json``.

    It is made once for each state of the templates; tests in several processes and the checkov run share it.
    """
    digest = hashlib.sha256(str(compiler.program).encode())
    for source in sorted([*TEMPLATES.rglob("*.*"), *PARAMETERS.glob("*"), *MAKERS]):
        if not source.is_relative_to(TEMPLATES / "scripts") and source.suffix != ".tf":
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
    compile_templates(compiler, made / "main.json")
    templates = copy_of_templates(compiler, place / "sources")
    sources = sorted((templates.parent / PARAMETERS.relative_to(REPOSITORY)).glob("*.bicepparam"))
    with snapshots(compiler) as taken:
        for source in sources:
            (made / f"{source.stem}.json").write_text(json.dumps(taken.of(source), indent=1))
            if source.stem == MODES[0]:
                again = taken.of(source, deployment_name="another")
                (made / f"{AGAIN}.json").write_text(json.dumps(again, indent=1))
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
