"""The page about costs counts what the templates deploy."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from tests.infra.compiler import MODES, REPOSITORY
from tests.infra.expansion import expansion
from tests.infra.snapshots import Json
from tests.infra.test_observability import ESSENTIAL, RULES

PAGE: Final = (REPOSITORY / "docs" / "costs.md").read_text()
NOTHING: Final = "–"
BILLED_BY_THE_MONTH: Final = {
    "NAT gateway": "Microsoft.Network/natGateways",
    "public address": "Microsoft.Network/publicIPAddresses",
    "private endpoints": "Microsoft.Network/privateEndpoints",
    "private DNS zones": "Microsoft.Network/privateDnsZones",
}
RULE_PRICES: Final = {"PT5M": Decimal("1.50"), "PT15M": Decimal("0.50"), "PT1H": Decimal("0.50")}
"""Dollars a month of a rule, by how often it runs; each further connection or tenant costs a tenth of it."""


def rows(heading: str, header: str) -> dict[str, list[str]]:
    """Return the cells of a table's rows by their first cell, the header's among them."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = (header + section.partition(header)[2]).partition("\n\n")[0]
    lines = [[cell.strip("*` ") for cell in line.strip("| ").split("|")] for line in table.splitlines()]
    return {cells[0]: cells[1:] for cells in lines}


def price(rule: str) -> Decimal:
    """Return the monthly price of an alert rule."""
    return RULE_PRICES[RULES[rule][5]]


def test_every_network_mode(template: Json) -> None:
    assert set(rows("Each network mode", "| part |")["part"][1:]) == set(
        template["parameters"]["networkMode"]["allowedValues"]
    )


@pytest.mark.parametrize("name", MODES)
def test_what_a_network_mode_costs(name: str, expanded: Path) -> None:
    deployed = expansion(json.loads((expanded / f"{name}.json").read_text()))
    table = rows("Each network mode", "| part |")
    mode = re.sub(r"-(\w)", lambda found: found[1].upper(), name)
    column = table["part"].index(mode)
    together = sum((price(rule) for rule in RULES), Decimal())
    assert table["alert rules, all of them, for one connection"][column] == str(together)
    for part, resource_type in BILLED_BY_THE_MONTH.items():
        monthly = Decimal(table[part][0].removesuffix(" each")) * len(deployed.all(resource_type))
        assert table[part][column] == (str(monthly) if monthly else NOTHING), part
        together += monthly
    assert table["fixed, together"][column] == str(together)


def test_every_alert_level(template: Json) -> None:
    levels = rows("Alerts", "| `alertLevel` |")
    assert levels.keys() - {"alertLevel", "---"} == set(template["parameters"]["alertLevel"]["allowedValues"])
    for level, names in {"none": set[str](), "essential": ESSENTIAL, "all": set(RULES)}.items():
        further = sum((price(name) / 10 for name in names if RULES[name][7] == "connection_id"), Decimal())
        monthly = sum((price(name) for name in names), Decimal())
        assert levels[level] == [str(len(names)), f"{monthly:.2f}", f"{further:.2f}"]


def test_every_alert_rule() -> None:
    described = rows("Alerts", "| rule |")
    assert list(described)[2:] == list(RULES)
    for name, (*_, dimension) in RULES.items():
        levels = "essential`, `all" if name in ESSENTIAL else "all"
        assert described[name] == [levels, f"{price(name):.2f}", f"{price(name) / 10:.2f}" if dimension else NOTHING]
