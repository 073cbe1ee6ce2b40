"""Compile the templates to the one JSON file that deploys without Bicep: ``python -m release.template``."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Final

from release.bicep import Compiler, find_compiler
from release.checksum import write_checksum
from release.wheels import ROOT

NAME: Final = "azuredeploy.json"


def compile_templates(compiler: Compiler, template: Path) -> None:
    """Compile ``infra/main.bicep`` to a file.

    Raises:
        SystemExit: It does not compile; the text is the compiler's.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = compiler.copy_of_templates(Path(temporary)) / "main.bicep"
        outcome = compiler.run("build", source, "--outfile", template)
    if outcome.returncode != 0:
        raise SystemExit(outcome.stderr)


def main() -> None:
    """Compile the templates and write the checksum of the outcome beside it."""
    parser = argparse.ArgumentParser(prog="python -m release.template", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="folder for the template")
    output: Path = parser.parse_args().output
    compiler = find_compiler()
    if compiler is None:
        raise SystemExit("There is no Bicep compiler: set BICEP to one, install bicep, or run az bicep install.")
    output.mkdir(parents=True, exist_ok=True)
    template = output / NAME
    compile_templates(compiler, template)
    print(f"{template}, {write_checksum(template)}")


if __name__ == "__main__":
    main()
