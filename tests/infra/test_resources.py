"""Every resource of each network mode, and its settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import pytest

from release.bicep import TEMPLATES
from tests.infra.compiler import AGAIN, MODES, PARAMETERS, REPOSITORY
from tests.infra.expansion import Expansion, expansion
from tests.infra.snapshots import Json

ALERTS = (
    "authorization-required",
    "connection-not-served",
    "connection-unavailable",
    "consent-ending",
    "deliveries-failing",
    "deliveries-waiting",
    "maintenance-stopped",
    "messages-poisoned",
    "server-errors",
    "sync-lag",
    "throttled",
    "tenant-not-read",
    "token-requests-failing",
)
EVERYWHERE = {
    ("Microsoft.ManagedIdentity/userAssignedIdentities", "id-contoso-*"),
    ("Microsoft.OperationalInsights/workspaces", "log-contoso-*"),
    ("Microsoft.Insights/components", "appi-contoso-*"),
    ("Microsoft.Storage/storageAccounts", "sthost*"),
    ("Microsoft.Storage/storageAccounts/blobServices", "sthost*/default"),
    ("Microsoft.Storage/storageAccounts/blobServices/containers", "sthost*/default/packages"),
    ("Microsoft.Storage/storageAccounts/queueServices", "sthost*/default"),
    ("Microsoft.Storage/storageAccounts/queueServices/queues", "sthost*/default/maintain-connections"),
    ("Microsoft.Storage/storageAccounts/queueServices/queues", "sthost*/default/read-tenants"),
    ("Microsoft.Storage/storageAccounts", "stmap*"),
    ("Microsoft.Storage/storageAccounts/tableServices", "stmap*/default"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/connections"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/authorizations"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/tickets"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/idempotency"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/directory"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/tenants"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/evidence"),
    ("Microsoft.Storage/storageAccounts/tableServices/tables", "stmap*/default/recommendations"),
    ("Microsoft.KeyVault/vaults", "kv-*"),
    ("Microsoft.Insights/diagnosticSettings", "audit"),
    ("Microsoft.Insights/diagnosticSettings", "table-audit"),
    ("Microsoft.Web/serverfarms", "plan-func-contoso-*"),
    ("Microsoft.Web/sites", "func-contoso-*"),
    ("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "func-contoso-*/ftp"),
    ("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "func-contoso-*/scm"),
    ("Microsoft.Web/sites/config", "func-contoso-*/appsettings"),
    ("Microsoft.Web/sites/config", "func-contoso-*/authsettingsV2"),
    *(("Microsoft.Insights/scheduledQueryRules", f"contoso-*-{alert}") for alert in ALERTS),
}
RECIPIENTS = {("Microsoft.Insights/actionGroups", "ag-contoso-*")}
NETWORK = {
    ("Microsoft.Network/virtualNetworks", "vnet-contoso-*"),
    ("Microsoft.Network/natGateways", "ng-contoso-*"),
    ("Microsoft.Network/publicIPAddresses", "pip-contoso-*"),
    ("Microsoft.Network/networkSecurityGroups", "nsg-contoso-*-application"),
    ("Microsoft.Network/networkSecurityGroups", "nsg-contoso-*-private-endpoints"),
}
ZONES = (
    "privatelink.blob.core.windows.net",
    "privatelink.queue.core.windows.net",
    "privatelink.table.core.windows.net",
    "privatelink.vaultcore.azure.net",
    "privatelink.azurewebsites.net",
    "privatelink.monitor.azure.com",
    "privatelink.oms.opinsights.azure.com",
    "privatelink.ods.opinsights.azure.com",
    "privatelink.agentsvc.azure-automation.net",
)
DATA_ENDPOINTS = ("host-storage", "host-queues", "mapping-storage", "key-vault")
ENDPOINTS = (*DATA_ENDPOINTS, "function-app", "monitoring")


def private_endpoints(endpoints: Iterable[str], zones: Iterable[str]) -> set[tuple[str, str]]:
    """The resources of these private endpoints and DNS zones."""
    return {
        (kind, name)
        for zone in zones
        for kind, name in (
            ("Microsoft.Network/privateDnsZones", zone),
            ("Microsoft.Network/privateDnsZones/virtualNetworkLinks", f"{zone}/vnet-contoso-*"),
        )
    } | {
        (kind, name)
        for endpoint in endpoints
        for kind, name in (
            ("Microsoft.Network/privateEndpoints", f"pe-contoso-*-{endpoint}"),
            ("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", f"pe-contoso-*-{endpoint}/default"),
        )
    }


PRIVATE_DATA = private_endpoints(DATA_ENDPOINTS, ZONES[:4])
PRIVATE = {
    ("Microsoft.Insights/privateLinkScopes", "ampls-contoso-*"),
    ("Microsoft.Insights/privateLinkScopes/scopedResources", "ampls-contoso-*/workspace"),
    ("Microsoft.Insights/privateLinkScopes/scopedResources", "ampls-contoso-*/application-insights"),
    *private_endpoints(ENDPOINTS, ZONES),
}


def test_public_mode_has_no_network(public: Expansion) -> None:
    assert public.names() == EVERYWHERE | RECIPIENTS


def test_fixed_egress_mode_adds_a_network(fixed_egress: Expansion) -> None:
    assert fixed_egress.names() == EVERYWHERE | RECIPIENTS | NETWORK


def test_private_data_mode_adds_endpoints_of_data(private_data: Expansion) -> None:
    assert private_data.names() == EVERYWHERE | RECIPIENTS | NETWORK | PRIVATE_DATA


def test_private_mode_adds_endpoints(private: Expansion) -> None:
    assert private.names() == EVERYWHERE | NETWORK | PRIVATE


def test_every_resource_is_counted(deployed: Expansion) -> None:
    """The resources that ``names`` omits: four role assignments, one workbook, the app registration's parts."""
    unnamed = [each for each in deployed.resources if each["type"].startswith(("Microsoft.Graph/", "Microsoft.Auth"))]
    assert len(deployed.resources) == len(deployed.names()) + len(unnamed) + 1
    assert len(deployed.all("Microsoft.Authorization/roleAssignments")) == 5
    assert len(deployed.all("Microsoft.Insights/workbooks")) == 1


def test_every_resource_carries_the_tags_and_location(every_choice: Expansion) -> None:
    for each in every_choice.resources:
        if "location" in each:
            assert each["location"] in ("japaneast", "global"), each["name"]
            assert each["tags"].items() >= {"department": "security", "azd-env-name": "contoso"}.items(), each["name"]


def test_what_a_policy_can_close_says_what_was_wanted(deployed: Expansion) -> None:
    """The site, the vault and both storage accounts."""
    tagged = [each for each in deployed.resources if "wanted-public-network-access" in each.get("tags", {})]
    assert [each["tags"]["wanted-public-network-access"] for each in tagged] == [
        each["properties"]["publicNetworkAccess"] for each in tagged
    ]
    assert {each["type"] for each in tagged} == {
        each["type"] for each in deployed.resources if "publicNetworkAccess" in each.get("properties", {})
    }
    assert len(tagged) == 4


def is_audited(setting: Json, deployed: Expansion) -> bool:
    """Whether a diagnostic setting sends every access to the workspace."""
    properties = setting["properties"]
    to_workspace = str(properties["workspaceId"]).endswith(f"/log-contoso-{deployed.suffix}")
    return to_workspace and properties["logs"] == [{"categoryGroup": "audit", "enabled": True}]


class TestStorage:
    @pytest.fixture(params=["sthost", "stmap"])
    def account(self, request: pytest.FixtureRequest, deployed: Expansion) -> Json:
        content: Json = deployed.one("Microsoft.Storage/storageAccounts", request.param)["properties"]
        return content

    def test_only_identities_are_let_in(self, account: Json) -> None:
        assert account["allowSharedKeyAccess"] is False
        assert account["defaultToOAuthAuthentication"] is True
        assert account["allowBlobPublicAccess"] is False
        assert account["allowCrossTenantReplication"] is False

    def test_only_over_tls(self, account: Json) -> None:
        assert account["supportsHttpsTrafficOnly"] is True
        assert account["minimumTlsVersion"] == "TLS1_2"

    def test_copies_and_signatures_stay_in_the_tenant_and_short(self, account: Json) -> None:
        assert account["allowedCopyScope"] == "AAD"
        assert account["sasPolicy"] == {"expirationAction": "Block", "sasExpirationPeriod": "07.00:00:00"}

    def test_everything_is_encrypted_twice(self, account: Json) -> None:
        with_the_accounts_key = {"enabled": True, "keyType": "Account"}
        assert account["encryption"] == {
            "keySource": "Microsoft.Storage",
            "requireInfrastructureEncryption": True,
            "services": dict.fromkeys(("blob", "file", "queue", "table"), with_the_accounts_key),
        }

    def test_a_new_deployment_asks_for_it(self) -> None:
        assert "\nparam infrastructureEncryption = true\n" in (TEMPLATES / "main.bicepparam").read_text()
        assert re.search(r"infrastructureEncryption += true", (TEMPLATES / "terraform" / "main.tf").read_text())
        assert "infrastructureEncryption=true" in (REPOSITORY / "docs" / "releases.md").read_text()

    @pytest.mark.parametrize("name", ["ownhoststorage", "ownmappingstorage"])
    def test_an_existing_account_is_not_asked_for_what_only_creation_takes(
        self, name: str, own_names: Expansion
    ) -> None:
        """Its parameters, those of an earlier release, do not name the encryption."""
        assert own_names.one("Microsoft.Storage/storageAccounts", name)["properties"]["encryption"] is None

    def test_mappings_are_kept_in_three_zones_by_default(self, deployed: Expansion, every_choice: Expansion) -> None:
        assert deployed.one("Microsoft.Storage/storageAccounts", "stmap")["sku"] == {"name": "Standard_ZRS"}
        assert every_choice.one("Microsoft.Storage/storageAccounts", "stmap")["sku"] == {"name": "Standard_GZRS"}

    def test_who_read_or_wrote_the_mappings_is_on_record(self, deployed: Expansion) -> None:
        (audit,) = [
            each
            for each in deployed.all("Microsoft.Insights/diagnosticSettings")
            if each["id"].startswith(
                f"Microsoft.Storage/storageAccounts/stmap{deployed.suffix}/tableServices/default/providers/"
            )
        ]
        assert is_audited(audit, deployed)

    def test_packages_are_private_and_can_be_restored(self, deployed: Expansion) -> None:
        container = deployed.one("Microsoft.Storage/storageAccounts/blobServices/containers")
        assert container["properties"] == {"publicAccess": "None"}
        blobs = deployed.one("Microsoft.Storage/storageAccounts/blobServices")["properties"]
        assert blobs["deleteRetentionPolicy"] == {"enabled": True, "days": 7}


class TestKeyVault:
    def test_roles_and_purge_protection(self, deployed: Expansion) -> None:
        vault = deployed.one("Microsoft.KeyVault/vaults")["properties"]
        assert vault["enableRbacAuthorization"] is True
        assert vault["enableSoftDelete"] is True
        assert vault["enablePurgeProtection"] is True
        assert vault["softDeleteRetentionInDays"] == 90
        assert not vault["enabledForDeployment"]
        assert not vault["enabledForDiskEncryption"]
        assert not vault["enabledForTemplateDeployment"]
        assert "accessPolicies" not in vault

    def test_who_read_a_secret_is_on_record(self, deployed: Expansion) -> None:
        (audit,) = [
            each
            for each in deployed.all("Microsoft.Insights/diagnosticSettings")
            if each["id"].startswith(f"Microsoft.KeyVault/vaults/kv-{deployed.suffix}/")
        ]
        assert is_audited(audit, deployed)

    def test_no_secret_is_written_by_the_deployment(self, deployed: Expansion) -> None:
        assert not [each for each in deployed.resources if each["type"] == "Microsoft.KeyVault/vaults/secrets"]


class TestMonitoring:
    def test_telemetry_needs_an_identity(self, deployed: Expansion) -> None:
        assert deployed.one("Microsoft.Insights/components")["properties"]["DisableLocalAuth"] is True
        workspace = deployed.one("Microsoft.OperationalInsights/workspaces")["properties"]
        assert workspace["features"]["disableLocalAuth"] is True

    def test_telemetry_is_kept_in_the_workspace(self, deployed: Expansion, every_choice: Expansion) -> None:
        component = deployed.one("Microsoft.Insights/components")["properties"]
        assert component["IngestionMode"] == "LogAnalytics"
        assert component["WorkspaceResourceId"].endswith(f"/log-contoso-{deployed.suffix}")
        days = [
            each.one("Microsoft.OperationalInsights/workspaces")["properties"]["retentionInDays"]
            for each in (deployed, every_choice)
        ]
        assert days == [90, 365]


class TestFunctionApp:
    def test_flex_consumption_on_python(self, deployed: Expansion) -> None:
        assert deployed.one("Microsoft.Web/serverfarms")["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
        app = deployed.one("Microsoft.Web/sites")
        assert app["kind"] == "functionapp,linux"
        version = (REPOSITORY / ".python-version").read_text().strip()
        runtime = app["properties"]["functionAppConfig"]["runtime"]
        assert runtime["name"] == "python"
        assert version == runtime["version"] or version.startswith(f"{runtime['version']}.")

    def test_one_identity_and_no_password(self, deployed: Expansion) -> None:
        app = deployed.one("Microsoft.Web/sites")
        identity = f"Microsoft.ManagedIdentity/userAssignedIdentities/id-contoso-{deployed.suffix}"
        assert app["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
        storage = app["properties"]["functionAppConfig"]["deployment"]["storage"]
        assert storage == {
            "type": "blobContainer",
            "value": f"<sthost{deployed.suffix}.primaryEndpoints.blob>packages",
            "authentication": {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": identity},
        }
        policies = deployed.all("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
        assert [policy["properties"] for policy in policies] == [{"allow": False}, {"allow": False}]

    def test_only_over_tls(self, deployed: Expansion) -> None:
        assert deployed.one("Microsoft.Web/sites")["properties"]["httpsOnly"] is True

    def test_site_configuration_is_what_every_stamp_accepts(self, deployed: Expansion) -> None:
        """Flex Consumption refuses properties that it does not have; Microsoft's quickstart sets this one alone."""
        assert deployed.one("Microsoft.Web/sites")["properties"]["siteConfig"] == {"minTlsVersion": "1.2"}
        for each in deployed.all("Microsoft.Web/sites/config"):
            assert each["name"].rpartition("/")[2] in ("appsettings", "authsettingsV2")

    def test_memory_concurrency_and_most_instances(self, deployed: Expansion, every_choice: Expansion) -> None:
        scale = deployed.one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]
        assert scale == {
            "instanceMemoryMB": 2048,
            "maximumInstanceCount": 40,
            "triggers": {"http": {"perInstanceConcurrency": 16}},
        }
        chosen = every_choice.one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]
        assert chosen["maximumInstanceCount"] == 60

    def test_azd_finds_it(self, deployed: Expansion) -> None:
        service = deployed.one("Microsoft.Web/sites")["tags"]["azd-service-name"]
        assert f"\n  {service}:\n" in (REPOSITORY / "azure.yaml").read_text()

    def test_the_portal_and_the_script_find_its_telemetry(self, deployed: Expansion) -> None:
        tags = deployed.one("Microsoft.Web/sites")["tags"]
        assert tags["hidden-link: /app-insights-resource-id"] == deployed.one("Microsoft.Insights/components")["id"]


class TestPackage:
    """A release's package, which Azure's deployment service fetches."""

    def test_it_is_installed_as_it_is(self, every_choice: Expansion) -> None:
        installed = every_choice.one("Microsoft.Web/sites/extensions")
        assert installed["name"] == f"{every_choice.one('Microsoft.Web/sites')['name']}/onedeploy"
        assert installed["properties"] == {"packageUri": "<parameter packageUrl>", "remoteBuild": False}
        assert installed["condition"] == "<not <empty <parameter packageUrl>>>"

    def test_nothing_is_installed_without_an_address(self, deployed: Expansion) -> None:
        assert deployed.all("Microsoft.Web/sites/extensions") == []

    def test_it_comes_after_the_settings_and_the_roles(self, template: Json) -> None:
        """Azure writes it into the app's storage with the app's identity, and starts the app from it."""
        needed, found = {"package"}, set[str]()
        while needed:
            found |= needed
            needed = {each for name in needed for each in template["resources"][name].get("dependsOn", ())} - found
        assert found >= {"configuration", "functionApp", "roles", "hostStorage", "network", "privateEndpoint"}

    def test_the_address_is_kept_out_of_the_deployments_history(self, template: Json) -> None:
        """With a signature in it, it opens the file to whoever reads it."""
        module = template["resources"]["package"]["properties"]
        assert module["template"]["parameters"]["packageUrl"]["type"] == "securestring"
        assert module["parameters"]["packageUrl"] == {"value": "[parameters('packageUrl')]"}


class TestRoles:
    NEEDED: ClassVar = {
        ("Microsoft.Storage/storageAccounts/sthost*", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
        ("Microsoft.Storage/storageAccounts/sthost*", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"),
        ("Microsoft.Storage/storageAccounts/stmap*", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"),
        ("Microsoft.KeyVault/vaults/kv-*", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"),
        ("Microsoft.Insights/components/appi-contoso-*", "3913510d-42f4-4e42-8a64-420c390055eb"),
    }
    """Blob Data Owner, Queue and Table Data Contributor, Key Vault Secrets Officer, Monitoring Metrics Publisher."""

    def test_each_on_one_resource(self, deployed: Expansion) -> None:
        given = {
            (
                each["id"].partition("/providers/Microsoft.Authorization")[0].replace(deployed.suffix, "*"),
                each["properties"]["roleDefinitionId"].rpartition("/")[2],
            )
            for each in deployed.all("Microsoft.Authorization/roleAssignments")
        }
        assert given == self.NEEDED

    def test_the_list_for_assigning_by_hand_is_what_is_assigned(self, deployed: Expansion) -> None:
        assigned = {
            (
                each["id"].partition("/providers/Microsoft.Authorization")[0],
                each["properties"]["roleDefinitionId"],
                each["properties"]["principalId"],
            )
            for each in deployed.all("Microsoft.Authorization/roleAssignments")
        }
        listed = deployed.outputs["neededRoles"]
        assert {(each["scope"], each["roleDefinitionId"], each["principalId"]) for each in listed} == assigned
        for each in listed:
            assert each["roleName"]
            assert each["why"].endswith(".")

    VAULT_ACTIONS: ClassVar = {
        "get_secret": "getSecret",
        "set_secret": "setSecret",
        "update_secret_properties": "update",
        "list_properties_of_secret_versions": "readMetadata",
        "recover_deleted_secret": "recover",
    }
    """The vault's permissions, by the method of its client."""

    def test_the_narrow_role_has_what_the_code_does_and_nothing_else(self) -> None:
        source = (REPOSITORY / "shared" / "storage" / "secrets.py").read_text()
        used = set(re.findall(r"self\._client\.(\w+)\(", source)) - {"close"}
        role = json.loads((TEMPLATES / "roles" / "key-vault-secrets.json").read_text())
        needed = {f"Microsoft.KeyVault/vaults/secrets/{self.VAULT_ACTIONS[method]}/action" for method in used}
        assert set(role["DataActions"]) == needed
        assert role["Actions"] == []

    def test_it_can_take_the_place_of_the_wider_one(self, every_choice: Expansion) -> None:
        given = [
            each["properties"]["roleDefinitionId"].rpartition("/")[2]
            for each in every_choice.all("Microsoft.Authorization/roleAssignments")
            if each["id"].startswith("Microsoft.KeyVault/")
        ]
        assert given == ["77777777-7777-7777-7777-777777777777"]

    def test_for_the_apps_identity_alone(self, deployed: Expansion) -> None:
        for each in deployed.all("Microsoft.Authorization/roleAssignments"):
            assert each["properties"]["principalId"] == f"<id-contoso-{deployed.suffix}.principalId>"
            assert each["properties"]["principalType"] == "ServicePrincipal"

    def test_all_in_two_modules(self) -> None:
        holders = {
            source.name
            for source in TEMPLATES.rglob("*.bicep")
            if "Microsoft.Authorization/roleAss" in source.read_text()
        }
        assert holders == {"roles.bicep", "role-on-key-vault.bicep"}


class TestDeployingAgain:
    def test_gives_the_same_resources(self, expanded: Path) -> None:
        """Another deployment name changes no names or settings."""
        first, again = (expansion(json.loads((expanded / f"{name}.json").read_text())) for name in (MODES[0], AGAIN))
        assert again.resources == first.resources
        assert again.outputs == first.outputs

    def test_nothing_depends_on_the_time_or_on_chance(self) -> None:
        for source in TEMPLATES.rglob("*.bicep"):
            assert not any(word in source.read_text() for word in ("utcNow(", "newGuid(")), source.name

    def test_recovers_the_vault_only_when_asked(self, deployed: Expansion, every_choice: Expansion) -> None:
        modes = [each.one("Microsoft.KeyVault/vaults")["properties"]["createMode"] for each in (deployed, every_choice)]
        assert modes == ["default", "recover"]

    def test_another_suffix_gives_other_names(self, fixed_egress: Expansion, every_choice: Expansion) -> None:
        """Names that stay taken after a deletion, or that are unique in all of Azure or in the tenant."""
        for kind in ("KeyVault/vaults", "Storage/storageAccounts", "Web/sites", "OperationalInsights/workspaces"):
            names = [
                {each["name"] for each in which.all(f"Microsoft.{kind}")} for which in (fixed_egress, every_choice)
            ]
            assert names[0].isdisjoint(names[1])


class TestOrder:
    """Names computed from parameters let Azure preview everything; explicit dependencies then set the order."""

    NEEDED: ClassVar = {
        "roles": {"identity", "hostStorage", "mappingStorage", "keyVault", "monitoring"},
        "functionApp": {"roles", "network"},
        "hostStorage": {"network"},
        "mappingStorage": {"network"},
        "keyVault": {"network", "monitoring"},
        "configuration": {"functionApp"},
        "package": {"configuration", "privateEndpoint"},
        "alerts": {"monitoring"},
        "workbook": {"monitoring"},
        "privateDnsZones": {"network"},
        "privateEndpoint": {
            "network",
            "hostStorage",
            "mappingStorage",
            "keyVault",
            "functionApp",
            "monitoringPrivateLink",
            "privateDnsZones",
        },
    }

    def test_what_must_exist_first(self, template: Json) -> None:
        for module, needed in self.NEEDED.items():
            assert set(template["resources"][module]["dependsOn"]) >= needed, module


def test_outputs(deployed: Expansion) -> None:
    app = f"func-contoso-{deployed.suffix}"
    address = f"<pip-contoso-{deployed.suffix}.ipAddress>"
    fixed = bool(deployed.all("Microsoft.Network/publicIPAddresses"))
    assert deployed.outputs == {
        "functionAppName": app,
        "hostName": f"<{app}.defaultHostName>",
        "baseUrl": f"https://<{app}.defaultHostName>",
        "serviceNowRedirectUrl": f"https://<{app}.defaultHostName>/api/oauth/callback",
        "clientId": "<application.appId>",
        "identityPrincipalId": f"<id-contoso-{deployed.suffix}.principalId>",
        "egressAddress": address if fixed else "",
        "serviceNowAccessControl": (
            f"Type: Allow, Range start: {address}, Range end: {address}, Active: true"
            if fixed
            else "No fixed address in this network mode: ServiceNow cannot be closed to all but this app."
        ),
        "keyVaultName": f"kv-{deployed.suffix}",
        "mappingStorageName": f"stmap{deployed.suffix}",
        "hostStorageName": f"sthost{deployed.suffix}",
        "workbookId": deployed.one("Microsoft.Insights/workbooks")["id"],
        "neededRoles": deployed.outputs["neededRoles"],
    }


def test_every_parameter_is_described_and_only_an_address_may_hold_a_secret(template: Json) -> None:
    for name, parameter in template["parameters"].items():
        assert parameter.get("type", "object").lower().startswith("secure") is (name == "packageUrl"), name
        if name not in ("location", "tags"):
            assert parameter["metadata"]["description"], name


def test_every_choice_leaves_no_parameter_at_its_default(template: Json) -> None:
    # Resources that exist already take the place of those that the other choices are about.
    files = ("every-choice", "existing-resources", "own-names")
    chosen = "".join((PARAMETERS / f"{name}.bicepparam").read_text() for name in files)
    omitted = {name for name in template["parameters"] if f"\nparam {name} = " not in chosen}
    # It only matters where the deployment makes the app registration.
    assert omitted == {"administratorObjectIds"}
