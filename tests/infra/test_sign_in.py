"""People and programs sign in with Microsoft Entra ID, and no secret exists for it."""

from __future__ import annotations

import re

import pytest

from tests.infra.expansion import Expansion
from tests.infra.snapshots import TENANT_ID, Json

ISSUER = f"<environment.authentication.loginEndpoint>{TENANT_ID}/v2.0"
ANONYMOUS = {"/api/oauth/callback", "/tenants/consent", "/api/health"}


def authentication(mode: Expansion) -> Json:
    found: Json = mode.one("Microsoft.Web/sites/config", "authsettingsV2")["properties"]
    return found


class TestAppRegistration:
    @pytest.fixture
    def application(self, deployed: Expansion) -> Json:
        found: Json = deployed.one("Microsoft.Graph/applications")["properties"]
        return found

    def test_three_app_roles_for_people_and_programs(self, application: Json) -> None:
        values = {role["value"] for role in application["appRoles"]}
        assert values == {"Tickets.Read", "Tickets.Create", "Connections.Manage"}
        for role in application["appRoles"]:
            assert role["allowedMemberTypes"] == ["User", "Application"]
            assert role["isEnabled"] is True
            assert role["displayName"]
            assert role["description"]
        assert len({role["id"] for role in application["appRoles"]}) == 3

    def test_one_tenant_and_no_password(self, application: Json) -> None:
        assert application["signInAudience"] == "AzureADMyOrg"
        assert not {"passwordCredentials", "keyCredentials"} & application.keys()
        assert application["api"]["requestedAccessTokenVersion"] == 2

    def test_tokens_say_what_the_code_reads(self, application: Json) -> None:
        """Without ``idtyp`` a program's token could not be distinguished from a person's."""
        claims = {
            kind: {each["name"] for each in each_kind} for kind, each_kind in application["optionalClaims"].items()
        }
        for_people = {"email", "xms_edov", "groups"}
        assert claims == {"idToken": for_people, "accessToken": for_people | {"idtyp"}}

    def test_tokens_name_only_groups_that_are_assigned_to_the_app(self, application: Json) -> None:
        """With every group of a person, a token soon names none at all (Authentication §G2, §G4)."""
        assert application["groupMembershipClaims"] == "ApplicationGroup"

    def test_no_permission_beyond_signing_in(self, application: Json) -> None:
        (graph,) = application["requiredResourceAccess"]
        assert graph["resourceAppId"] == "00000003-0000-0000-c000-000000000000"
        assert {(each["id"], each["type"]) for each in graph["resourceAccess"]} == {
            ("37f7f235-527c-4136-accd-4a02d197296e", "Scope"),  # openid
            ("14dad69e-099b-42c9-810b-d002981feec1", "Scope"),  # profile
            ("64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0", "Scope"),  # email
        }

    def test_sign_in_comes_back_to_the_app(self, deployed: Expansion, application: Json) -> None:
        host = f"<func-contoso-{deployed.suffix}.defaultHostName>"
        assert application["web"] == {
            "redirectUris": [f"https://{host}/.auth/login/aad/callback"],
            "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": True},
        }

    def test_the_managed_identity_stands_in_for_a_secret(self, deployed: Expansion) -> None:
        credential = deployed.one("Microsoft.Graph/applications/federatedIdentityCredentials")["properties"]
        assert credential["audiences"] == ["api://AzureADTokenExchange"]
        assert credential["issuer"] == ISSUER
        assert credential["subject"] == f"<id-contoso-{deployed.suffix}.principalId>"

    def test_nobody_without_a_role_signs_in(self, deployed: Expansion) -> None:
        principal = deployed.one("Microsoft.Graph/servicePrincipals")["properties"]
        assert principal["appId"] == "<application.appId>"
        assert principal["appRoleAssignmentRequired"] is True

    def test_administrators_get_every_role(self, public: Expansion, private: Expansion) -> None:
        given = [each["properties"] for each in public.all("Microsoft.Graph/appRoleAssignedTo")]
        roles = {role["id"] for role in public.one("Microsoft.Graph/applications")["properties"]["appRoles"]}
        assert {each["appRoleId"] for each in given} == roles
        assert {each["principalId"] for each in given} == {"11111111-1111-1111-1111-111111111111"}
        assert {each["resourceId"] for each in given} == {"<principal.id>"}
        assert "<principal.id>" not in {
            each["properties"]["resourceId"] for each in private.all("Microsoft.Graph/appRoleAssignedTo")
        }

    def test_none_is_made_where_one_is_given(self, every_choice: Expansion) -> None:
        made = [each["properties"]["signInAudience"] for each in every_choice.all("Microsoft.Graph/applications")]
        assert "AzureADMyOrg" not in made
        entra = authentication(every_choice)["identityProviders"]["azureActiveDirectory"]
        assert entra["registration"]["clientId"] == "99999999-9999-9999-9999-999999999999"


class TestReadingSecureScore:
    def test_the_identity_gets_one_role_of_microsoft_graph(self, private: Expansion, every_choice: Expansion) -> None:
        for mode in (private, every_choice):
            (given,) = [each["properties"] for each in mode.all("Microsoft.Graph/appRoleAssignedTo")]
            assert given == {
                "appRoleId": "bf394140-e372-4bf9-a898-299cfc7564e5",  # SecurityEvents.Read.All
                "principalId": f"<id-contoso-{mode.suffix}.principalId>",
                "resourceId": "<microsoftGraph.id>",
            }

    def test_no_permission_is_granted_unless_it_is_asked_for(self, public: Expansion, fixed_egress: Expansion) -> None:
        for mode in (public, fixed_egress):
            given = mode.all("Microsoft.Graph/appRoleAssignedTo")
            assert {each["properties"]["resourceId"] for each in given} <= {"<principal.id>"}


class TestAuthentication:
    def test_required_everywhere_but_on_two_routes(self, deployed: Expansion) -> None:
        settings = authentication(deployed)
        assert settings["platform"]["enabled"] is True
        validation = settings["globalValidation"]
        assert validation["requireAuthentication"] is True
        assert validation["unauthenticatedClientAction"] == "RedirectToLoginPage"
        assert validation["redirectToProvider"] == "azureactivedirectory"
        assert set(validation["excludedPaths"]) == ANONYMOUS
        assert settings["httpSettings"]["requireHttps"] is True

    def test_only_this_registrations_tokens(self, deployed: Expansion) -> None:
        providers = authentication(deployed)["identityProviders"]
        assert providers.keys() == {"azureActiveDirectory"}
        entra = providers["azureActiveDirectory"]
        assert entra["enabled"] is True
        assert entra["registration"] == {
            "clientId": "<application.appId>",
            "openIdIssuer": ISSUER,
            "clientSecretSettingName": "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
        }
        assert entra["validation"]["allowedAudiences"] == ["<application.appId>"]
        assert entra["validation"]["defaultAuthorizationPolicy"] == {"allowedApplications": ["<application.appId>"]}

    def test_other_programs_only_when_named(self, every_choice: Expansion) -> None:
        entra = authentication(every_choice)["identityProviders"]["azureActiveDirectory"]
        assert entra["validation"]["defaultAuthorizationPolicy"]["allowedApplications"] == [
            "99999999-9999-9999-9999-999999999999",
            "88888888-8888-8888-8888-888888888888",
        ]

    def test_the_secret_setting_names_the_identity(self, deployed: Expansion) -> None:
        settings = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        assert settings["OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"] == f"<id-contoso-{deployed.suffix}.clientId>"

    def test_no_token_is_kept_and_nobody_is_sent_elsewhere(self, deployed: Expansion) -> None:
        login = authentication(deployed)["login"]
        assert login["tokenStore"] == {"enabled": False}
        assert login["allowedExternalRedirectUrls"] == []
        assert login["nonce"]["validateNonce"] is True


class TestCustomerTenants:
    """The registration that customers' tenants consent to is one of its own, and reads Secure Score only."""

    @pytest.fixture
    def registration(self, every_choice: Expansion) -> Json:
        found: Json = every_choice.one("Microsoft.Graph/applications")["properties"]
        return found

    def test_it_reads_secure_score_and_nothing_else(self, registration: Json) -> None:
        (graph,) = registration["requiredResourceAccess"]
        assert graph["resourceAppId"] == "00000003-0000-0000-c000-000000000000"
        assert graph["resourceAccess"] == [{"id": "bf394140-e372-4bf9-a898-299cfc7564e5", "type": "Role"}]
        assert registration["signInAudience"] == "AzureADMultipleOrgs"

    def test_nobody_signs_in_to_it(self, registration: Json) -> None:
        assert not {"passwordCredentials", "keyCredentials", "appRoles", "api"} & registration.keys()
        grants = registration["web"]["implicitGrantSettings"]
        assert grants == {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False}
        assert all(each.endswith("/tenants/consent") for each in registration["web"]["redirectUris"])

    def test_the_managed_identity_proves_it(self, every_choice: Expansion) -> None:
        (credential,) = every_choice.all("Microsoft.Graph/applications/federatedIdentityCredentials")
        assert credential["properties"]["issuer"] == ISSUER
        (audience,) = credential["properties"]["audiences"]
        assert {"api://AzureADTokenExchange", "api://AzureADTokenExchangeUSGov"} == set(
            re.findall(r"api://\w+", audience)
        )

    def test_the_app_knows_it(self, every_choice: Expansion, existing_resources: Expansion, public: Expansion) -> None:
        def known(mode: Expansion) -> str:
            settings = mode.one("Microsoft.Web/sites/config", "appsettings")["properties"]
            return str(settings["GRAPH_CLIENT_ID"])

        assert "appId" in known(every_choice)
        assert known(existing_resources) == "88888888-8888-8888-8888-888888888888"
        assert known(public) == ""
