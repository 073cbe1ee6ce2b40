"""What a company has already takes the place of what the deployment would make: names, resources, a way out and in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from release.bicep import Compiler
from tests.infra.compiler import PARAMETERS, REPOSITORY, copy_of_templates
from tests.infra.expansion import Expansion
from tests.infra.snapshots import SUBSCRIPTION_ID, Json, SnapshotError, snapshots

ELSEWHERE: Final = "/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups"
IDENTITY: Final = f"{ELSEWHERE}/identities/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-tickets"
NETWORK: Final = f"{ELSEWHERE}/networks/providers/Microsoft.Network/virtualNetworks/vnet-spoke"
WORKSPACE: Final = f"{ELSEWHERE}/logs/providers/Microsoft.OperationalInsights/workspaces/log-central"
VAULT: Final = f"{ELSEWHERE}/vaults/providers/Microsoft.KeyVault/vaults/kv-tickets"
VAULT_ZONE: Final = "privatelink.vaultcore.azure.net"
HUB_ZONE: Final = (
    "/subscriptions/55555555-5555-5555-5555-555555555555/resourceGroups/hub"
    f"/providers/Microsoft.Network/privateDnsZones/{VAULT_ZONE}"
)
ROLES: Final = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
WITHOUT_TAGS: Final = ("Microsoft.Authorization/", "Microsoft.Graph/", "Microsoft.Insights/diagnosticSettings")
"""Types of whole resources that Azure gives no tags."""


def settings(deployed: Expansion) -> Json:
    found: Json = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
    return found


def authentication(deployed: Expansion) -> Json:
    found: Json = deployed.one("Microsoft.Web/sites/config", "authsettingsV2")["properties"]
    return found


def whole_resources(deployed: Expansion) -> list[Json]:
    """Those that are not inside another one."""
    return [each for each in deployed.resources if each["type"].count("/") == 1]


@pytest.mark.parametrize("name", ["every_choice", "existing_resources", "own_names"])
def test_every_resource_that_can_carry_tags_does(name: str, request: pytest.FixtureRequest) -> None:
    deployed: Expansion = request.getfixturevalue(name)
    for each in whole_resources(deployed):
        if not each["type"].startswith(WITHOUT_TAGS):
            assert each["tags"].items() >= {"department": "security", "azd-env-name": "contoso"}.items(), each["name"]


class TestNames:
    def test_no_resource_has_a_name_that_was_not_chosen(self, own_names: Expansion, public: Expansion) -> None:
        """Zones have Azure's names, and what Azure names by a GUID has one that follows from the other names."""
        by_azure = ("Microsoft.Network/privateDnsZones", "Microsoft.Insights/workbooks", *WITHOUT_TAGS)
        for each in whole_resources(own_names):
            if not each["type"].startswith(by_azure):
                assert each["name"].startswith("own"), each["id"]
        assert public.suffix not in json.dumps([own_names.resources, own_names.outputs])

    def test_every_resource_can_have_one(self, own_names: Expansion, template: Json) -> None:
        (members,) = [
            definition["properties"].keys()
            for name, definition in template["definitions"].items()
            if name.endswith("resourceNames")
        ]
        chosen = (PARAMETERS / "own-names.bicepparam").read_text()
        # Where a firewall is the way out, there is no gateway and no address to name.
        assert {name for name in members if f"\n  {name}: 'own" not in chosen} == {"natGateway", "publicIpAddress"}

    def test_things_find_each_other_by_them(self, own_names: Expansion) -> None:
        identity = "Microsoft.ManagedIdentity/userAssignedIdentities/own-identity"
        app = own_names.one("Microsoft.Web/sites")
        assert app["identity"]["userAssignedIdentities"] == {identity: {}}
        assert app["properties"]["serverFarmId"] == "Microsoft.Web/serverfarms/own-plan"
        network = own_names.one("Microsoft.Network/virtualNetworks")
        subnets = [f"{network['id']}/subnets/{each['name']}" for each in network["properties"]["subnets"]]
        assert app["properties"]["virtualNetworkSubnetId"] == subnets[0]
        for each in own_names.all("Microsoft.Network/privateEndpoints"):
            assert each["properties"]["subnet"] == {"id": subnets[1]}
        assert settings(own_names)["KEY_VAULT_URL"] == "<own-vault.vaultUri>"
        assert settings(own_names)["TABLES_URL"] == "<ownmappingstorage.primaryEndpoints.table>"
        alerts = own_names.all("Microsoft.Insights/scheduledQueryRules")
        assert {each["name"] for each in alerts} >= {"own-consent-ending", "own-maintenance-stopped"}

    def test_the_default_names_are_those_of_the_first_release(self, fixed_egress: Expansion) -> None:
        """Another name would be another resource, and the tickets are in one of them."""
        names = {name for _, name in fixed_egress.names()}
        assert names >= {"stmap*", "sthost*", "kv-*", "func-contoso-*", "plan-func-contoso-*", "id-contoso-*"}


class TestRolesAssignedBySomebodyElse:
    def test_none_is_assigned(self, own_names: Expansion) -> None:
        assert own_names.all("Microsoft.Authorization/roleAssignments") == []

    def test_each_is_listed(self, own_names: Expansion) -> None:
        scopes = {
            "Storage Blob Data Owner": "Microsoft.Storage/storageAccounts/ownhoststorage",
            "Storage Queue Data Contributor": "Microsoft.Storage/storageAccounts/ownhoststorage",
            "Storage Table Data Contributor": "Microsoft.Storage/storageAccounts/ownmappingstorage",
            "Key Vault Secrets Officer": "Microsoft.KeyVault/vaults/own-vault",
            "Monitoring Metrics Publisher": "Microsoft.Insights/components/own-telemetry",
        }
        listed = {each["roleName"]: each for each in own_names.outputs["neededRoles"]}
        assert {name: each["scope"] for name, each in listed.items()} == scopes
        for name, each in listed.items():
            assert each["roleDefinitionId"].endswith(f"/{ROLES[name]}")
            assert each["principalId"] == "<own-identity.principalId>"


class TestCompanyFirewall:
    def test_is_the_only_way_out(self, own_names: Expansion) -> None:
        assert own_names.all("Microsoft.Network/natGateways") == []
        assert own_names.all("Microsoft.Network/publicIPAddresses") == []
        subnets = own_names.one("Microsoft.Network/virtualNetworks")["properties"]["subnets"]
        assert [each["properties"].get("natGateway") for each in subnets] == [None, None]
        assert [each["properties"]["defaultOutboundAccess"] for each in subnets] == [False, False]

    def test_its_addresses_are_shown_to_administrators(self, own_names: Expansion) -> None:
        assert settings(own_names)["EGRESS_ADDRESSES"] == "203.0.113.8/29,198.51.100.7"
        assert own_names.outputs["egressAddress"] == "203.0.113.8/29,198.51.100.7"
        assert own_names.outputs["serviceNowAccessControl"].splitlines() == [
            "Type: Allow, Range start: 203.0.113.8, Range end: 203.0.113.15, Active: true",
            "Type: Allow, Range start: 198.51.100.7, Range end: 198.51.100.7, Active: true",
        ]


class TestZones:
    def test_a_zone_of_the_hub_takes_the_place_of_one_of_ours(self, own_names: Expansion, private: Expansion) -> None:
        made, usual = (
            {each["name"] for each in which.all("Microsoft.Network/privateDnsZones")} for which in (own_names, private)
        )
        assert made == usual - {VAULT_ZONE}
        links = own_names.all("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
        assert {each["name"] for each in links} == {f"{zone}/own-network" for zone in made}
        assert self._entered(own_names)["own-vault-endpoint"] == [HUB_ZONE]
        assert self._entered(own_names)["own-app-endpoint"] == [
            "Microsoft.Network/privateDnsZones/privatelink.azurewebsites.net"
        ]

    def test_without_zones_of_ours_an_endpoint_is_entered_where_the_hub_has_its_zone(
        self, existing_resources: Expansion
    ) -> None:
        """A policy enters the others; a group that were there before would keep it from doing so."""
        assert existing_resources.all("Microsoft.Network/privateDnsZones") == []
        assert existing_resources.all("Microsoft.Network/privateDnsZones/virtualNetworkLinks") == []
        assert len(existing_resources.all("Microsoft.Network/privateEndpoints")) == 6
        assert list(self._entered(existing_resources).values()) == [[HUB_ZONE]]

    @staticmethod
    def _entered(deployed: Expansion) -> dict[str, list[str]]:
        """The zones in which each endpoint is entered."""
        return {
            each["name"].partition("/")[0]: [
                zone["properties"]["privateDnsZoneId"] for zone in each["properties"]["privateDnsZoneConfigs"]
            ]
            for each in deployed.all("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
        }


class TestExistingResources:
    @pytest.mark.parametrize(
        "kind",
        [
            "Microsoft.ManagedIdentity/userAssignedIdentities",
            "Microsoft.Network/virtualNetworks",
            "Microsoft.Network/networkSecurityGroups",
            "Microsoft.Network/natGateways",
            "Microsoft.Network/publicIPAddresses",
            "Microsoft.OperationalInsights/workspaces",
            "Microsoft.KeyVault/vaults",
        ],
    )
    def test_nothing_is_made_or_changed_in_their_place(self, existing_resources: Expansion, kind: str) -> None:
        assert existing_resources.all(kind) == []

    def test_only_the_role_goes_to_another_resource_group(self, existing_resources: Expansion) -> None:
        (role,) = [each for each in existing_resources.resources if each.get("id", "").startswith("/subscriptions/")]
        assert role["type"] == "Microsoft.Authorization/roleAssignments"
        assert role["id"].startswith(f"{VAULT}/providers/")

    def test_the_app_acts_as_the_identity(self, existing_resources: Expansion) -> None:
        app = existing_resources.one("Microsoft.Web/sites")
        assert app["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
        storage = app["properties"]["functionAppConfig"]["deployment"]["storage"]
        assert storage["authentication"]["userAssignedIdentityResourceId"] == IDENTITY
        assert settings(existing_resources)["AZURE_CLIENT_ID"] == "<id-tickets.clientId>"
        assert existing_resources.outputs["identityPrincipalId"] == "<id-tickets.principalId>"
        given = existing_resources.all("Microsoft.Authorization/roleAssignments")
        assert [each["properties"]["principalId"] for each in given] == ["<id-tickets.principalId>"] * 5

    def test_its_role_on_the_vault_is_of_the_vaults_subscription(self, existing_resources: Expansion) -> None:
        listed = {each["roleName"]: each for each in existing_resources.outputs["neededRoles"]}
        assert listed["Key Vault Secrets Officer"]["scope"] == VAULT
        (given,) = [
            each["properties"]
            for each in existing_resources.all("Microsoft.Authorization/roleAssignments")
            if each["id"].startswith(VAULT)
        ]
        of_the_vault = f"{ELSEWHERE.removesuffix('/resourceGroups')}/providers/Microsoft.Authorization/roleDefinitions"
        assert given["roleDefinitionId"] == f"{of_the_vault}/{ROLES['Key Vault Secrets Officer']}"
        assert listed["Key Vault Secrets Officer"]["roleDefinitionId"] == given["roleDefinitionId"]
        assert listed["Storage Blob Data Owner"]["roleDefinitionId"].startswith(f"/subscriptions/{SUBSCRIPTION_ID}/")

    def test_the_app_uses_the_subnets(self, existing_resources: Expansion) -> None:
        app = existing_resources.one("Microsoft.Web/sites")["properties"]
        assert app["virtualNetworkSubnetId"] == f"{NETWORK}/subnets/snet-app"
        for each in existing_resources.all("Microsoft.Network/privateEndpoints"):
            assert each["properties"]["subnet"] == {"id": f"{NETWORK}/subnets/snet-endpoints"}

    def test_nobody_claims_to_know_the_address_of_that_network(self, existing_resources: Expansion) -> None:
        assert settings(existing_resources)["EGRESS_ADDRESSES"] == ""
        assert existing_resources.outputs["egressAddress"] == ""
        assert "egressAddresses" in existing_resources.outputs["serviceNowAccessControl"]

    def test_the_app_reaches_the_vault_through_an_endpoint(self, existing_resources: Expansion) -> None:
        assert settings(existing_resources)["KEY_VAULT_URL"] == "https://kv-tickets<environment.suffixes.keyvaultDns>/"
        assert existing_resources.outputs["keyVaultName"] == "kv-tickets"
        endpoint = existing_resources.one("Microsoft.Network/privateEndpoints", "key-vault")["properties"]
        assert endpoint["privateLinkServiceConnections"][0]["properties"] == {
            "privateLinkServiceId": VAULT,
            "groupIds": ["vault"],
        }

    def test_the_vaults_audit_log_is_its_owners(self, existing_resources: Expansion) -> None:
        (audit,) = existing_resources.all("Microsoft.Insights/diagnosticSettings")
        assert "/tableServices/" in audit["id"]
        assert audit["properties"]["workspaceId"] == WORKSPACE

    def test_telemetry_goes_to_the_workspace(self, existing_resources: Expansion) -> None:
        component = existing_resources.one("Microsoft.Insights/components")
        assert component["properties"]["WorkspaceResourceId"] == WORKSPACE
        linked = existing_resources.all("Microsoft.Insights/privateLinkScopes/scopedResources")
        assert {each["properties"]["linkedResourceId"] for each in linked} == {WORKSPACE, component["id"]}


class TestGatewayInFront:
    def test_sign_in_reads_the_headers_of_the_gateway(
        self, existing_resources: Expansion, own_names: Expansion, public: Expansion
    ) -> None:
        headers = [
            authentication(each)["httpSettings"]["forwardProxy"] for each in (public, existing_resources, own_names)
        ]
        assert headers == [
            {"convention": "NoProxy"},
            {"convention": "Standard"},
            {
                "convention": "Custom",
                "customHostHeaderName": "X-Original-Host",
                "customProtoHeaderName": "X-Original-Proto",
            },
        ]

    def test_people_come_back_by_the_name_they_used(self, own_names: Expansion) -> None:
        assert own_names.outputs["baseUrl"] == "https://tickets.contoso.com"
        assert own_names.one("Microsoft.Graph/applications")["properties"]["web"]["redirectUris"] == [
            "https://<own-app.defaultHostName>/.auth/login/aad/callback",
            "https://tickets.contoso.com/.auth/login/aad/callback",
        ]


class TestClientSecretInKeyVault:
    SETTING: Final = "MICROSOFT_PROVIDER_AUTHENTICATION_SECRET"

    def test_sign_in_reads_it_by_reference(self, existing_resources: Expansion) -> None:
        assert settings(existing_resources)[self.SETTING] == (
            "@Microsoft.KeyVault(SecretUri=https://kv-tickets<environment.suffixes.keyvaultDns>/secrets/entra-tickets)"
        )
        entra = authentication(existing_resources)["identityProviders"]["azureActiveDirectory"]
        assert entra["registration"]["clientSecretSettingName"] == self.SETTING
        assert existing_resources.one("Microsoft.Web/sites")["properties"]["keyVaultReferenceIdentity"] == IDENTITY

    def test_the_registration_trusts_no_identity(self, existing_resources: Expansion) -> None:
        assert existing_resources.all("Microsoft.Graph/applications/federatedIdentityCredentials") == []
        assert "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID" not in settings(existing_resources)

    def test_the_other_settings_are_the_same(self, existing_resources: Expansion, public: Expansion) -> None:
        """``test_agrees_with_code`` holds those of the network modes."""
        assert settings(existing_resources).keys() ^ settings(public).keys() == {
            self.SETTING,
            "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
        }

    def test_no_parameter_takes_it(self, template: Json, existing_resources: Expansion) -> None:
        secure = [name for name, each in template["parameters"].items() if "secure" in str(each.get("type")).lower()]
        # The address of a package can hold a signature.
        assert secure == ["packageUrl"]
        assert existing_resources.all("Microsoft.KeyVault/vaults/secrets") == []

    def test_an_identity_is_trusted_otherwise(self, own_names: Expansion) -> None:
        credential = own_names.one("Microsoft.Graph/applications/federatedIdentityCredentials")
        assert credential["properties"]["subject"] == "<own-identity.principalId>"
        assert own_names.one("Microsoft.Web/sites")["properties"]["keyVaultReferenceIdentity"] is None


@pytest.mark.parametrize(
    "name",
    [
        "names",
        "existingIdentityId",
        "assignRoles",
        "existingApplicationSubnetId",
        "existingPrivateEndpointSubnetId",
        "createDnsZones",
        "privateDnsZoneIds",
        "existingWorkspaceId",
        "existingKeyVaultId",
        "egressAddresses",
        "forwardProxy",
        "signInCredential",
        "signInSecretName",
    ],
)
def test_the_page_explains_every_parameter(name: str, template: Json) -> None:
    assert name in template["parameters"]
    assert f"`{name}" in (REPOSITORY / "docs" / "bring-your-own.md").read_text()


CONTRADICTIONS: Final = {
    "networkMode = 'public'\nparam egressAddresses = ['198.51.100.7']": "need another networkMode",
    "networkMode = 'public'\nparam forwardProxy = { convention: 'Standard' }": "needs customHostName",
    f"networkMode = 'private'\nparam existingApplicationSubnetId = '{NETWORK}/subnets/snet-app'": "go together",
}


def test_parameters_that_contradict_each_other_are_refused(compiler: Compiler, tmp_path: Path) -> None:
    copy_of_templates(compiler, tmp_path)
    folder = tmp_path / PARAMETERS.relative_to(REPOSITORY)

    with snapshots(compiler) as taken:
        for parameters, expected in CONTRADICTIONS.items():
            file = folder / f"{expected}.bicepparam"
            file.write_text(
                f"using '../../../infra/main.bicep'\n\nparam environmentName = 'contoso'\nparam {parameters}\n"
            )
            with pytest.raises(SnapshotError, match=expected):
                taken.of(file)
