"""Network access, in each mode."""

from __future__ import annotations

import ipaddress

import pytest

from tests.infra.expansion import Expansion
from tests.infra.snapshots import Json

DATA_SERVICES = [
    ("Microsoft.Storage/storageAccounts", "sthost"),
    ("Microsoft.Storage/storageAccounts", "stmap"),
    ("Microsoft.KeyVault/vaults", "kv-"),
]
type Endpoint = tuple[str, str, str, str, list[str]]
ENDPOINTS: list[Endpoint] = [
    ("host-storage", "Microsoft.Storage/storageAccounts", "sthost", "blob", ["privatelink.blob.core.windows.net"]),
    ("host-queues", "Microsoft.Storage/storageAccounts", "sthost", "queue", ["privatelink.queue.core.windows.net"]),
    ("mapping-storage", "Microsoft.Storage/storageAccounts", "stmap", "table", ["privatelink.table.core.windows.net"]),
    ("key-vault", "Microsoft.KeyVault/vaults", "kv-", "vault", ["privatelink.vaultcore.azure.net"]),
    ("function-app", "Microsoft.Web/sites", "func-", "sites", ["privatelink.azurewebsites.net"]),
    (
        "monitoring",
        "Microsoft.Insights/privateLinkScopes",
        "ampls-",
        "azuremonitor",
        [
            "privatelink.monitor.azure.com",
            "privatelink.oms.opinsights.azure.com",
            "privatelink.ods.opinsights.azure.com",
            "privatelink.agentsvc.azure-automation.net",
            "privatelink.blob.core.windows.net",
        ],
    ),
]
"""Name, the service's type and name, its sub-resource, and the DNS zones. The first four are those of data."""
data_services = pytest.mark.parametrize(("kind", "name"), DATA_SERVICES, ids=[name for _, name in DATA_SERVICES])


def subnet(mode: Expansion, name: str) -> Json:
    network = mode.one("Microsoft.Network/virtualNetworks")
    found: Json = next(each for each in network["properties"]["subnets"] if each["name"] == name)["properties"]
    return found


def rules(mode: Expansion, group: str) -> list[tuple[str, str, str, str, str]]:
    """Direction, access, protocol, destination and port of each rule, in the order of their priority."""
    found = mode.one("Microsoft.Network/networkSecurityGroups", group)["properties"]["securityRules"]
    contents = sorted((each["properties"] for each in found), key=lambda each: each["priority"])
    return [
        (
            each["direction"],
            each["access"],
            each["protocol"],
            f"{each['sourceAddressPrefix']} to {each['destinationAddressPrefix']}",
            each["destinationPortRange"],
        )
        for each in contents
    ]


def leads_to_its_service(mode: Expansion, endpoint: Endpoint) -> None:
    """Assert that a private endpoint is in its subnet, leads to its service, and is in its DNS zones."""
    endpoint_name, kind, name, group, zones = endpoint
    properties = mode.one("Microsoft.Network/privateEndpoints", endpoint_name)["properties"]
    network = mode.one("Microsoft.Network/virtualNetworks")["id"]
    assert properties["subnet"] == {"id": f"{network}/subnets/private-endpoints"}
    connection = properties["privateLinkServiceConnections"][0]["properties"]
    assert connection == {"privateLinkServiceId": mode.one(kind, name)["id"], "groupIds": [group]}
    entered = mode.one("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", endpoint_name)["properties"]
    entered_ids = [each["properties"]["privateDnsZoneId"] for each in entered["privateDnsZoneConfigs"]]
    assert entered_ids == [mode.one("Microsoft.Network/privateDnsZones", zone)["id"] for zone in zones]


class TestPublic:
    @data_services
    def test_identity_alone_decides(self, public: Expansion, kind: str, name: str) -> None:
        service = public.one(kind, name)["properties"]
        assert service["publicNetworkAccess"] == "Enabled"
        assert service["networkAcls"]["defaultAction"] == "Allow"

    def test_the_app_uses_the_platforms_way_out(self, public: Expansion) -> None:
        app = public.one("Microsoft.Web/sites")["properties"]
        assert app["publicNetworkAccess"] == "Enabled"
        assert app["virtualNetworkSubnetId"] is None


class TestFixedEgress:
    @data_services
    def test_data_is_closed_to_all_but_the_apps_subnet(self, fixed_egress: Expansion, kind: str, name: str) -> None:
        service = fixed_egress.one(kind, name)["properties"]
        assert service["publicNetworkAccess"] == "Enabled"
        access = service["networkAcls"]
        assert access["defaultAction"] == "Deny"
        assert access["bypass"] == "None"
        assert access.get("ipRules", []) == []
        app = fixed_egress.one("Microsoft.Web/sites")["properties"]
        assert [rule["id"] for rule in access["virtualNetworkRules"]] == [app["virtualNetworkSubnetId"]]

    def test_the_subnet_reaches_data_by_service_endpoints(self, fixed_egress: Expansion) -> None:
        services = subnet(fixed_egress, "application")["serviceEndpoints"]
        assert services == [{"service": "Microsoft.Storage"}, {"service": "Microsoft.KeyVault"}]

    def test_people_reach_the_app(self, fixed_egress: Expansion) -> None:
        assert fixed_egress.one("Microsoft.Web/sites")["properties"]["publicNetworkAccess"] == "Enabled"


@pytest.mark.parametrize("mode", ["fixed_egress", "private_data", "private"])
class TestNetwork:
    @pytest.fixture
    def network(self, mode: str, request: pytest.FixtureRequest) -> Expansion:
        found: Expansion = request.getfixturevalue(mode)
        return found

    def test_everything_leaves_by_one_static_address(self, network: Expansion) -> None:
        address = network.one("Microsoft.Network/publicIPAddresses")
        assert address["sku"] == {"name": "Standard"}
        assert address["properties"] == {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"}
        gateway = network.one("Microsoft.Network/natGateways")
        assert gateway["properties"]["publicIpAddresses"] == [{"id": address["id"]}]
        application = subnet(network, "application")
        assert application["natGateway"] == {"id": gateway["id"]}
        assert application["defaultOutboundAccess"] is False

    def test_the_apps_subnet_is_the_platforms_alone(self, network: Expansion) -> None:
        application = subnet(network, "application")
        assert [each["properties"] for each in application["delegations"]] == [
            {"serviceName": "Microsoft.App/environments"}
        ]
        app = network.one("Microsoft.Web/sites")["properties"]
        assert (
            app["virtualNetworkSubnetId"]
            == f"{network.one('Microsoft.Network/virtualNetworks')['id']}/subnets/application"
        )

    def test_subnets_fit_and_do_not_overlap(self, network: Expansion) -> None:
        properties = network.one("Microsoft.Network/virtualNetworks")["properties"]
        whole = ipaddress.ip_network(properties["addressSpace"]["addressPrefixes"][0])
        parts = [ipaddress.ip_network(each["properties"]["addressPrefix"]) for each in properties["subnets"]]
        assert len(parts) == 2
        assert not parts[0].overlaps(parts[1])
        for part in parts:
            assert isinstance(part, ipaddress.IPv4Network)
            assert isinstance(whole, ipaddress.IPv4Network)
            assert part.subnet_of(whole)
            # Flex Consumption needs a /27 or larger.
            assert part.prefixlen <= 27

    def test_only_https_leaves_and_nothing_comes_in(self, network: Expansion) -> None:
        assert rules(network, "-application") == [
            ("Outbound", "Allow", "Tcp", "VirtualNetwork to *", "443"),
            ("Inbound", "Deny", "*", "* to *", "*"),
            ("Outbound", "Deny", "*", "* to *", "*"),
        ]
        group = network.one("Microsoft.Network/networkSecurityGroups", "-application")
        assert subnet(network, "application")["networkSecurityGroup"] == {"id": group["id"]}

    def test_private_endpoints_answer_the_network_alone(self, network: Expansion) -> None:
        assert rules(network, "-private-endpoints") == [
            ("Inbound", "Allow", "Tcp", "VirtualNetwork to VirtualNetwork", "443"),
            ("Inbound", "Deny", "*", "* to *", "*"),
        ]
        endpoints = subnet(network, "private-endpoints")
        group = network.one("Microsoft.Network/networkSecurityGroups", "-private-endpoints")
        assert endpoints["networkSecurityGroup"] == {"id": group["id"]}
        # Without this, the rules would not apply to private endpoints. Policies ask for it on every subnet.
        for each in (endpoints, subnet(network, "application")):
            assert each["privateEndpointNetworkPolicies"] == "Enabled"

    def test_the_address_is_shown_to_administrators(self, network: Expansion) -> None:
        settings = network.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        assert (
            settings["EGRESS_ADDRESSES"]
            == f"<pip-contoso-{network.suffix}.ipAddress>"
            == network.outputs["egressAddress"]
        )


@pytest.mark.parametrize("mode", ["private_data", "private"])
class TestPrivateData:
    @pytest.fixture
    def closed(self, mode: str, request: pytest.FixtureRequest) -> Expansion:
        found: Expansion = request.getfixturevalue(mode)
        return found

    @data_services
    def test_the_public_door_is_shut(self, closed: Expansion, kind: str, name: str) -> None:
        service = closed.one(kind, name)["properties"]
        assert service["publicNetworkAccess"] == "Disabled"
        assert service["networkAcls"]["defaultAction"] == "Deny"
        assert service["networkAcls"]["bypass"] == "None"
        assert service["networkAcls"]["virtualNetworkRules"] == []

    @pytest.mark.parametrize("endpoint", ENDPOINTS[:3], ids=[each[0] for each in ENDPOINTS[:3]])
    def test_each_endpoint_leads_to_its_service(self, closed: Expansion, endpoint: Endpoint) -> None:
        leads_to_its_service(closed, endpoint)

    def test_every_zone_is_linked_to_the_network(self, closed: Expansion) -> None:
        network = closed.one("Microsoft.Network/virtualNetworks")["id"]
        zones = {each["name"] for each in closed.all("Microsoft.Network/privateDnsZones")}
        links = closed.all("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
        assert {link["name"].partition("/")[0] for link in links} == zones
        for link in links:
            assert link["properties"] == {"registrationEnabled": False, "virtualNetwork": {"id": network}}

    def test_no_service_endpoint_goes_round_the_private_ones(self, closed: Expansion) -> None:
        assert subnet(closed, "application")["serviceEndpoints"] == []


class TestPrivateDataAlone:
    def test_people_reach_the_app(self, private_data: Expansion) -> None:
        assert private_data.one("Microsoft.Web/sites")["properties"]["publicNetworkAccess"] == "Enabled"

    def test_telemetry_is_accepted_from_the_internet_with_an_identity(self, private_data: Expansion) -> None:
        for kind in ("Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces"):
            assert private_data.one(kind)["properties"]["publicNetworkAccessForIngestion"] == "Enabled"


class TestPrivate:
    def test_the_app_and_telemetry_too(self, private: Expansion) -> None:
        assert private.one("Microsoft.Web/sites")["properties"]["publicNetworkAccess"] == "Disabled"
        for kind in ("Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces"):
            properties = private.one(kind)["properties"]
            assert properties["publicNetworkAccessForIngestion"] == "Disabled"
            assert properties["publicNetworkAccessForQuery"] == "Enabled"
        scope = private.one("Microsoft.Insights/privateLinkScopes")["properties"]
        assert scope["accessModeSettings"] == {"ingestionAccessMode": "PrivateOnly", "queryAccessMode": "Open"}
        linked = {
            each["properties"]["linkedResourceId"]
            for each in private.all("Microsoft.Insights/privateLinkScopes/scopedResources")
        }
        assert linked == {
            private.one("Microsoft.OperationalInsights/workspaces")["id"],
            private.one("Microsoft.Insights/components")["id"],
        }

    @pytest.mark.parametrize("endpoint", ENDPOINTS[3:], ids=[each[0] for each in ENDPOINTS[3:]])
    def test_each_endpoint_leads_to_its_service(self, private: Expansion, endpoint: Endpoint) -> None:
        leads_to_its_service(private, endpoint)


class TestTheCompanysNetwork:
    """Every-choice is in fixedEgress mode; the public mode has no network."""

    @pytest.mark.parametrize("name", ["application", "private-endpoints"])
    def test_its_route_table_leads_every_subnet(
        self, every_choice: Expansion, fixed_egress: Expansion, name: str
    ) -> None:
        assert subnet(every_choice, name)["routeTable"]["id"].endswith("/routeTables/firewall")
        assert subnet(fixed_egress, name)["routeTable"] is None

    def test_its_ddos_plan_protects_the_network(self, every_choice: Expansion, fixed_egress: Expansion) -> None:
        network = every_choice.one("Microsoft.Network/virtualNetworks")["properties"]
        assert network["enableDdosProtection"] is True
        assert network["ddosProtectionPlan"]["id"].endswith("/ddosProtectionPlans/company")
        network = fixed_egress.one("Microsoft.Network/virtualNetworks")["properties"]
        assert network["enableDdosProtection"] is False
        assert network["ddosProtectionPlan"] is None
