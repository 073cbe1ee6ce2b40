"""The Bicep compiler.

It is the program in the variable ``BICEP``, or else ``bicep`` on PATH, or else that of ``az bicep install``. The
Microsoft Graph extension comes from Microsoft's registry, as ``infra/bicepconfig.json`` says; without access to that
registry, it comes from a file beside the compiler.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from release.wheels import ROOT

TEMPLATES: Final = ROOT / "infra"
OFFLINE_EXTENSION: Final = "microsoftgraph-v1.0.tgz"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A Bicep compiler, and the path of an offline Graph extension, if there is one."""

    program: Path
    offline_extension: Path | None

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command; the caller checks its output, because warnings do not change the exit status."""
        return subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, check=False, env=self.environment()
        )

    @staticmethod
    def environment() -> dict[str, str]:
        """Return the variables for the program."""
        # Not every machine has ICU, and nothing here depends on a culture. A run of a few seconds gains nothing from
        # profiling and optimisation.
        return {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "DOTNET_TieredPGO": "0"}

    def version(self) -> str:
        """Return the version, such as ``0.49.2``."""
        found = re.search(r"\d+\.\d+\.\d+", self.run("--version").stdout)
        assert found, "the compiler does not say its version"
        return found.group()

    def copy_of_templates(self, place: Path) -> Path:
        """Copy the templates to a writable place; return the copy's ``infra``."""
        templates = shutil.copytree(TEMPLATES, place / TEMPLATES.name)
        self.configure(templates)
        return templates

    def configure(self, folder: Path) -> None:
        """Write the configuration for the files in a folder, with the offline extension if there is one."""
        configuration = json.loads((TEMPLATES / "bicepconfig.json").read_text())
        if self.offline_extension is not None:
            configuration["extensions"]["microsoftGraphV1"] = OFFLINE_EXTENSION
            shutil.copy(self.offline_extension, folder / OFFLINE_EXTENSION)
        (folder / "bicepconfig.json").write_text(json.dumps(configuration))


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
