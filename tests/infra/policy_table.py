"""Print the tables of docs/azure-policy.md: ``python -m tests.infra.policy_table``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from release.bicep import find_compiler
from tests.infra.compiler import MODES, expanded_templates
from tests.infra.expansion import Expansion, expansion
from tests.infra.policy import Finding, Policy, evaluate, policies

LANDING_ZONES: Final = {
    "Online": ("root", "landing_zones"),
    "Corp": ("root", "landing_zones", "corp"),
    "Online, guardrails on": ("root", "landing_zones", "guardrails"),
    "Corp, guardrails on": ("root", "landing_zones", "corp", "guardrails"),
}
"""Who assigns the policies that are in force, by landing zone. Guardrails come assigned, and switched off."""
SCOPE_NAMES: Final = {
    "root": "everywhere",
    "landing_zones": "Online and Corp",
    "corp": "Corp",
    "guardrails": "guardrails",
    "offered": "not assigned",
}


def mode_name(file: str) -> str:
    """Return the network mode that a parameter file is named for."""
    return re.sub(r"-(\w)", lambda found: found[1].upper(), file)


def outcomes(modes: Mapping[str, Expansion]) -> str:
    """Return a table of what becomes of each network mode in each landing zone."""
    lines = [
        "| `networkMode` | " + " | ".join(LANDING_ZONES) + " |",
        "| --- |" + " --- |" * len(LANDING_ZONES),
    ]
    assigned = policies()
    for mode, deployed in modes.items():
        cells = []
        for scopes in LANDING_ZONES.values():
            outcome = evaluate(deployed.resources, assigned, scopes)
            refused = f"**refused** by {_numbers(outcome.refused)}" if outcome.refused else "deployed"
            changed = f", changed by {_numbers(outcome.changed)}" if outcome.changed else ""
            cells.append(f"{refused}{changed}")
        lines.append(f"| `{mode}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def legend(modes: Mapping[str, Expansion]) -> str:
    """Return a table of the policies that act on any network mode, with who assigns them and their effect."""
    lines = ["| | policy | effect | acts on |", "| --- | --- | --- | --- |"]
    for policy in policies():
        acted_on = [mode for mode, deployed in modes.items() if _acts(policy, deployed)]
        effects = [f"{SCOPE_NAMES[scope]}: {effect}" for scope, effect in policy.effects.items() if scope != "customer"]
        if acted_on and effects:
            where = "every mode" if len(acted_on) == len(modes) else ", ".join(f"`{mode}`" for mode in acted_on)
            lines.append(f"| {policy.number} | {policy.name} | {', '.join(effects)} | {where} |")
    return "\n".join(lines)


def expanded_modes(folder: Path) -> dict[str, Expansion]:
    """Read the snapshots of all network modes, by the name of the mode."""
    return {mode_name(file): expansion(json.loads((folder / f"{file}.json").read_text())) for file in MODES}


def _acts(policy: Policy, deployed: Expansion) -> bool:
    azure = [each for each in deployed.resources if not each["type"].startswith("Microsoft.Graph/")]
    return any(policy.fires(each, azure) for each in azure)


def _numbers(findings: Iterable[Finding]) -> str:
    return ", ".join(str(number) for number in sorted({finding.policy.number for finding in findings}))


if __name__ == "__main__":
    compiler = find_compiler()
    if compiler is None:
        sys.exit("no Bicep compiler: set BICEP to one, install bicep, or run az bicep install")
    expanded = expanded_modes(expanded_templates(compiler))
    print(outcomes(expanded), legend(expanded), sep="\n\n")
