"""What the policies of companies and landing zones do to each network mode."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.infra.compiler import REPOSITORY
from tests.infra.expansion import Expansion
from tests.infra.policy import SCOPES, Finding, evaluate, policies, write
from tests.infra.policy_table import LANDING_ZONES, expanded_modes, legend, outcomes
from tests.infra.snapshots import Json

ALL = policies()
NETWORKS = "Microsoft.Network/virtualNetworks"


def numbers(findings: Iterable[Finding]) -> set[int]:
    return {finding.policy.number for finding in findings}


def without(deployed: Expansion, kind: str, name: str) -> list[Json]:
    """Return all resources, with one property removed from all of a type."""
    resources = copy.deepcopy(list(deployed.resources))
    for each in resources:
        if each["type"] == kind:
            del each["properties"][name]
    return resources


def test_all_of_them_are_there() -> None:
    assert {each.number for each in ALL} == set(range(1, 46))
    assert len({each.id for each in ALL}) == len(ALL)
    for each in ALL:
        assert each.effects.keys() <= set(SCOPES)
        assert each.effects, each.name
        assert bool(each.writes) == bool({"append", "modify"} & set(each.effects.values())), each.name


def test_what_no_template_writes_has_its_own_test() -> None:
    for each in ALL:
        assert bool(each.tested_by) == (each.mode == "Data"), each.name
        if each.tested_by:
            file, _, name = each.tested_by.partition("::")
            assert re.search(rf"^async def {name}\(", (REPOSITORY / file).read_text(), re.MULTILINE), each.tested_by


def test_the_documentation_shows_what_they_do(expanded: Path) -> None:
    modes = expanded_modes(expanded)
    page = (REPOSITORY / "docs" / "azure-policy.md").read_text()
    for table in (outcomes(modes), legend(modes)):
        print(table)
        assert f"\n{table}\n" in page, "run python -m tests.infra.policy_table and copy its tables"


def test_corp_needs_private_mode(expanded: Path) -> None:
    corp = {
        mode: numbers(evaluate(deployed.resources, ALL, LANDING_ZONES["Corp"]).refused)
        for mode, deployed in expanded_modes(expanded).items()
    }
    assert corp == {"public": {1, 2, 3, 4}, "fixedEgress": {1, 2, 3, 4}, "privateData": {1, 2}, "private": set()}


def test_online_with_guardrails_has_a_mode_that_is_open_to_people(private_data: Expansion) -> None:
    outcome = evaluate(private_data.resources, ALL, LANDING_ZONES["Online, guardrails on"])
    assert (outcome.refused, outcome.changed) == ((), ())


def test_guardrails_need_a_route_table(private: Expansion) -> None:
    resources = copy.deepcopy(list(private.resources))
    for network in (each for each in resources if each["type"] == NETWORKS):
        for subnet in network["properties"]["subnets"]:
            del subnet["properties"]["routeTable"]
    assert evaluate(resources, ALL, LANDING_ZONES["Corp"]).refused == ()
    assert numbers(evaluate(resources, ALL, LANDING_ZONES["Corp, guardrails on"]).refused) == {37}


def test_a_network_without_a_plan_gets_that_of_the_landing_zones(fixed_egress: Expansion, private: Expansion) -> None:
    assert numbers(evaluate(fixed_egress.resources, ALL, LANDING_ZONES["Online"]).changed) == {40}
    assert evaluate(private.resources, ALL, LANDING_ZONES["Online"]).changed == ()


def test_the_hubs_zones_are_for_endpoints_without_a_group(private: Expansion, existing_resources: Expansion) -> None:
    assert evaluate(private.resources, ALL, LANDING_ZONES["Corp"]).added == ()
    endpoints = existing_resources.all("Microsoft.Network/privateEndpoints")
    with_a_group = {
        each["name"].partition("/")[0]
        for each in existing_resources.all("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    }
    assert with_a_group
    added = evaluate(existing_resources.resources, ALL, LANDING_ZONES["Corp"]).added
    assert numbers(added) == {42}
    assert {finding.resource for finding in added} == {
        each["id"] for each in endpoints if each["name"] not in with_a_group
    }


def test_bringing_your_own_is_refused_by_nothing(existing_resources: Expansion, own_names: Expansion) -> None:
    for deployed in (existing_resources, own_names):
        assert evaluate(deployed.resources, ALL, LANDING_ZONES["Corp"]).refused == ()
    scopes = LANDING_ZONES["Corp, guardrails on"]
    assert evaluate(existing_resources.resources, ALL, scopes).refused == ()
    # Its storage was made without double encryption, and its network has no route table.
    assert numbers(evaluate(own_names.resources, ALL, scopes).refused) == {19, 21, 37}


@pytest.mark.parametrize(
    ("kind", "name", "number"),
    [
        ("Microsoft.Storage/storageAccounts", "minimumTlsVersion", 7),
        ("Microsoft.Storage/storageAccounts", "publicNetworkAccess", 4),
        ("Microsoft.Storage/storageAccounts", "allowBlobPublicAccess", 5),
        ("Microsoft.KeyVault/vaults", "enableSoftDelete", 9),
        ("Microsoft.KeyVault/vaults", "enablePurgeProtection", 10),
        ("Microsoft.KeyVault/vaults", "enableRbacAuthorization", 11),
    ],
)
def test_what_a_template_forgets_is_refused(private: Expansion, kind: str, name: str, number: int) -> None:
    refused = evaluate(without(private, kind, name), ALL, LANDING_ZONES["Corp"]).refused
    assert numbers(refused) == {number}
    assert len(refused) == len(private.all(kind))


@pytest.mark.parametrize(("name", "number"), [("encryption", 19), ("allowedCopyScope", 20), ("sasPolicy", 27)])
def test_so_is_what_only_guardrails_ask_for(private: Expansion, name: str, number: int) -> None:
    resources = without(private, "Microsoft.Storage/storageAccounts", name)
    scopes = ["guardrails", "offered"]
    before = numbers(evaluate(private.resources, ALL, scopes).refused)
    assert number in numbers(evaluate(resources, ALL, scopes).refused) - before


def test_a_site_that_forgets_https_is_changed_and_not_refused(private: Expansion) -> None:
    outcome = evaluate(without(private, "Microsoft.Web/sites", "httpsOnly"), ALL, LANDING_ZONES["Online"])
    assert (numbers(outcome.refused), numbers(outcome.changed)) == (set(), {8})


def test_the_storage_guardrails_close_an_account_silently(private: Expansion) -> None:
    """Modify acts before deny: what Corp alone refuses is then changed instead."""
    resources = copy.deepcopy(list(private.resources))
    for each in resources:
        if each["type"] == "Microsoft.Storage/storageAccounts":
            write(each, "properties.publicNetworkAccess", "Enabled")
    outcome = evaluate(resources, ALL, LANDING_ZONES["Corp, guardrails on"])
    assert (numbers(outcome.refused), numbers(outcome.changed)) == (set(), {26})


def test_subnets_of_an_existing_network_are_looked_at_too(private: Expansion) -> None:
    """A subnet as a resource of its own is refused by what does not see it inside its network."""
    network = private.one(NETWORKS)
    child = copy.deepcopy(network["properties"]["subnets"][0])
    child |= {"type": f"{NETWORKS}/subnets", "id": "subnet", "name": f"{network['name']}/application"}
    child["properties"] |= {"serviceEndpoints": [{"service": "Microsoft.Storage"}], "networkSecurityGroup": None}
    assert numbers(evaluate([child], ALL, LANDING_ZONES["Online, guardrails on"]).refused) == {37, 38}


def test_locations_and_tags_reach_every_resource(every_choice: Expansion) -> None:
    """The company of the examples allows one country and asks for a tag; it also forbids public addresses."""
    refused = evaluate(every_choice.resources, ALL, ["customer"]).refused
    assert [(finding.policy.name, finding.resource.partition("/pip-")[0]) for finding in refused] == [
        ("Not allowed resource types", "Microsoft.Network/publicIPAddresses")
    ]
