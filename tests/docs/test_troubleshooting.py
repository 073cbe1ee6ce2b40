"""The page about troubles names things by the names they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| what is shown", "| ---"))
]


def test_each_trouble_has_a_cause_and_a_remedy() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        assert len(row) == 3, row
        assert all(row), row


@pytest.mark.parametrize(
    "symptom",
    [
        "Local python version",
        "The build takes long",
        "responded with Forbidden",
        "appears to be unhealthy",
        "triggers are missing",
        "500 at `/.auth/login/aad/callback`",
        "RequestDisallowedByPolicy",
        "AADSTS50105",
        "503",
    ],
)
def test_every_known_trouble(symptom: str) -> None:
    assert any(symptom in shown for shown, _, _ in ROWS)


def test_parameters_exist() -> None:
    template = (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8")
    outputs_and_parameters = set(re.findall(r"^(?:param|output) (\w+)", template, re.MULTILINE))
    named = set(re.findall(r"`([a-z]+[A-Z]\w+)`", PAGE))
    assert {"signInCredential", "assignRoles", "existingClientId"} <= named
    values = set(re.findall(r"'(\w+)'", template))
    assert named <= outputs_and_parameters | values


def test_options_exist() -> None:
    script = (ROOT / "infra" / "scripts" / "register_application.py").read_text(encoding="utf-8")
    for option in set(re.findall(r"`(--[\w-]+)`", PAGE)):
        assert f'"{option}"' in script, option


def test_deployment_leads_here() -> None:
    for page in ("deployment.md", "operations.md"):
        assert "](troubleshooting.md" in (ROOT / "docs" / page).read_text(encoding="utf-8"), page
