"""The rules for checkov's findings; ``make check`` runs checkov itself."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.infra.compiler import MODES
from tests.infra.run_checkov import (
    ACCEPTED,
    REQUIREMENTS,
    Finding,
    accepted_findings,
    azure_resources,
    disagreements,
    resource_type,
)
from tests.infra.snapshots import Json

FOUND = Finding("CKV_AZURE_1", "Microsoft.Web/sites", "public")


def test_a_failure_needs_a_reason() -> None:
    assert disagreements({FOUND: "Ensure something"}, set()) == [
        "CKV_AZURE_1 fails on Microsoft.Web/sites in public: Ensure something"
    ]


def test_a_reason_needs_a_failure() -> None:
    assert disagreements({}, {FOUND}) == [
        "CKV_AZURE_1 does not fail on Microsoft.Web/sites in public any more: remove it from accepted.toml"
    ]


def test_an_accepted_failure_is_no_fault() -> None:
    assert disagreements({FOUND: "Ensure something"}, {FOUND}) == []


def test_a_reason_holds_for_its_modes_only() -> None:
    assert disagreements({FOUND._replace(mode="private"): "Ensure something"}, {FOUND})


@pytest.mark.parametrize(
    "entry",
    [
        {"reason": "", "modes": ["public"]},
        {"reason": "because", "modes": ["public"]},
        {"reason": "A reason of more than five words.", "modes": ["elsewhere"]},
    ],
    ids=["none", "one word", "unknown mode"],
)
def test_a_reason_is_a_sentence(entry: Json) -> None:
    with pytest.raises(SystemExit, match="needs a reason"):
        accepted_findings({"accepted": [{"check": "CKV_AZURE_1", "type": "Microsoft.Web/sites", **entry}]})


def test_every_accepted_failure_has_its_reason() -> None:
    document = tomllib.loads(ACCEPTED.read_text())
    named = [(entry["check"], entry["type"]) for entry in document["accepted"]]
    assert len(named) == len(set(named))
    assert accepted_findings(document)


def test_types_with_and_without_children() -> None:
    assert resource_type("Microsoft.Web/sites.func-contoso") == "Microsoft.Web/sites"
    assert resource_type("Microsoft.Web/sites/config.func-contoso/appsettings") == "Microsoft.Web/sites/config"


def test_checkov_sees_every_azure_resource(expanded: Path) -> None:
    for mode in MODES:
        snapshot = json.loads((expanded / f"{mode}.json").read_text())
        left_out = [each for each in snapshot["predictedResources"] if each not in azure_resources(snapshot)]
        assert all(each["type"].startswith("Microsoft.Graph/") for each in left_out)


def test_every_requirement_is_exact() -> None:
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert "checkov==3.3.30" in lines
    assert all(line.count("==") == 1 for line in lines)
