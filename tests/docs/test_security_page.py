"""For each threat, the security page names an existing test that tries it on the running app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
FROM_OUTSIDE = ROOT / "tests" / "security"
OF_THE_DEPLOYMENT = {ROOT / "tests" / "infra", ROOT / "tests" / "packaging"}
"""These attack the templates, the workflows and the package, without a running app."""
NOT_FROM_OUTSIDE = {
    "The managed identity's token is sent to a false vault": "the address is the operator's setting, not in a request",
    "Somebody creates connections without end": "a thousand of them take longer than all other attacks together",
}
"""Threats that no test tries on the running app, and why."""


def threats() -> dict[str, str]:
    """Return the tests of each threat."""
    table = PAGE.partition("\n## Threats")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {3}
    tried_by = {threat.strip(): tests.strip() for threat, _, tests in rows[1:]}
    assert len(tried_by) == len(rows) - 1, "a threat has two rows"
    return tried_by


THREATS = threats()


def modules_of_tests() -> dict[str, set[Path]]:
    """Return the modules that define each test name."""
    found: dict[str, set[Path]] = {}
    for module in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", module.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name, set()).add(module)
    return found


MODULES = modules_of_tests()


def named_tests(text: str) -> set[str]:
    return set(re.findall(r"`(test_\w+)`", text))


def places_of(text: str) -> set[Path]:
    """Return the test modules and folders that a text names."""
    modules = {module for name in named_tests(text) for module in MODULES.get(name, set())}
    return modules | {ROOT / path for path in re.findall(r"`(tests/[\w/.]+)`", text)}


def is_of_the_deployment(threat: str) -> bool:
    places = places_of(THREATS[threat])
    return bool(places) and all(OF_THE_DEPLOYMENT & {place, *place.parents} for place in places)


@pytest.mark.parametrize("threat", [threat for threat in THREATS if not is_of_the_deployment(threat)])
def test_each_threat_to_the_app_is_tried_from_outside(threat: str) -> None:
    is_tried = any(place.parent == FROM_OUTSIDE for place in places_of(THREATS[threat]))
    assert is_tried is (threat not in NOT_FROM_OUTSIDE)


def test_no_exception_is_left_over() -> None:
    assert NOT_FROM_OUTSIDE.keys() <= THREATS.keys()


@pytest.mark.parametrize("module", sorted(FROM_OUTSIDE.glob("test_*.py")), ids=lambda module: module.stem)
def test_each_module_of_attacks_is_named(module: Path) -> None:
    assert module in places_of("\n".join(THREATS.values()))


def test_what_the_page_names_exists() -> None:
    assert named_tests(PAGE) <= MODULES.keys()
    assert all((ROOT / path).exists() for path in re.findall(r"`(tests/[\w/.]+)`", PAGE))
