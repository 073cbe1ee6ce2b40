"""The deployment and the code agree."""

from __future__ import annotations

import json
import re

import function_app  # noqa: F401 - declares every operation
from shared.settings import SETTING_NAMES, Settings
from shared.storage.tables import TABLE_NAMES
from shared.tenants.admin_consent import CALLBACK
from shared.triggers.principal import Role
from shared.triggers.routes import operations
from tests.infra.compiler import REPOSITORY
from tests.infra.expansion import Expansion

SET_BY_AZURE = {"WEBSITE_AUTH_ENABLED"}
"""Variables that the code reads and App Service itself sets."""
READ_BY_THE_PLATFORM = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__blobServiceUri",
    "WorkQueue__credential",
    "WorkQueue__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
}
READ_BY_LIBRARIES = {"PYDANTIC_DISABLE_PLUGINS"}
ONLY_ON_A_LAPTOP = {
    "FUNCTIONS_WORKER_RUNTIME",
    "AzureWebJobsStorage",
    "WorkQueue__credential",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "SSL_CERT_FILE",
}
"""Settings of the sandbox only; Azure provides the same by other means."""
FORBIDDEN_ON_FLEX = re.compile(
    "FUNCTIONS_(WORKER_RUNTIME|EXTENSION_VERSION|WORKER_PROCESS_COUNT).*"
    "|WEBSITE_(RUN_FROM_PACKAGE|CONTENT|VNET_ROUTE_ALL|DNS_SERVER|MAX_DYNAMIC|TIME_ZONE|NODE).*"
    "|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD"
)


class TestSettings:
    def test_azure_gets_what_the_code_reads_and_nothing_else(self, deployed: Expansion) -> None:
        settings = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        assert settings.keys() == set(SETTING_NAMES) - SET_BY_AZURE | READ_BY_LIBRARIES | READ_BY_THE_PLATFORM

    def test_so_does_the_sample_for_a_laptop(self) -> None:
        sample = json.loads((REPOSITORY / "local.settings.sample.json").read_text())["Values"]
        assert sample.keys() == set(SETTING_NAMES) - SET_BY_AZURE | READ_BY_LIBRARIES | ONLY_ON_A_LAPTOP

    def test_every_setting_named_in_a_binding_exists(self, deployed: Expansion) -> None:
        """The host drops a timer whose schedule names a missing setting, silently (Functions host §T3)."""
        settings = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        named = {
            name
            for source in [REPOSITORY / "function_app.py", *(REPOSITORY / "shared").rglob("*.py")]
            for name in re.findall(r'"%(\w+)%"', source.read_text())
        }
        assert named == {"MAINTAIN_SCHEDULE", "MAINTAIN_QUEUE", "READ_QUEUE"}
        assert named <= settings.keys()

    def test_every_queue_named_in_a_setting_exists(self, deployed: Expansion) -> None:
        """The host waits for a missing queue and never creates it (Storage Queue §L1)."""
        settings = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        queues = deployed.all("Microsoft.Storage/storageAccounts/queueServices/queues")
        names = {each["name"].split("/")[-1] for each in queues}
        assert names == {settings["MAINTAIN_QUEUE"], settings["READ_QUEUE"]}

    def test_the_environment_is_read_in_one_place(self) -> None:
        readers = {
            source.relative_to(REPOSITORY).as_posix()
            for source in [REPOSITORY / "function_app.py", *(REPOSITORY / "shared").rglob("*.py")]
            if re.search(r"\bos\.(environ|getenv)\b", source.read_text())
        }
        assert readers == {"shared/application.py"}

    def test_none_that_flex_consumption_refuses(self, deployed: Expansion) -> None:
        settings = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        assert [name for name in settings if FORBIDDEN_ON_FLEX.fullmatch(name)] == []

    def test_values(self, deployed: Expansion) -> None:
        settings = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        identity = f"<id-contoso-{deployed.suffix}.clientId>"
        assert (
            settings.items()
            >= {
                "PUBLIC_BASE_URL": deployed.outputs["baseUrl"],
                "KEY_VAULT_URL": f"<kv-{deployed.suffix}.vaultUri>",
                "TABLES_URL": f"<stmap{deployed.suffix}.primaryEndpoints.table>",
                "AZURE_CLIENT_ID": identity,
                "ALLOW_LOOPBACK_HTTP": "false",
                "PYDANTIC_DISABLE_PLUGINS": "__all__",
                "AzureWebJobsStorage__credential": "managedidentity",
                "AzureWebJobsStorage__clientId": identity,
                "AzureWebJobsStorage__blobServiceUri": f"<sthost{deployed.suffix}.primaryEndpoints.blob>",
                "WorkQueue__queueServiceUri": f"<sthost{deployed.suffix}.primaryEndpoints.queue>",
                "WorkQueue__credential": "managedidentity",
                "WorkQueue__clientId": identity,
                "APPLICATIONINSIGHTS_CONNECTION_STRING": f"<appi-contoso-{deployed.suffix}.ConnectionString>",
                "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"ClientId={identity};Authorization=AAD",
            }.items()
        )
        assert all(isinstance(value, str) for value in settings.values())

    def test_parameters_become_settings(self, every_choice: Expansion) -> None:
        settings = every_choice.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        assert (
            settings.items()
            >= {
                "PUBLIC_BASE_URL": "https://tickets.contoso.com",
                "MAINTAIN_SCHEDULE": "30 */2 * * * *",
                "SYNC_INTERVAL_S": "600",
                "SECRET_LIFETIME_DAYS": "30",
                "RECONCILE_AT": "17:30",
                "VERIFY_AFTER_H": "72",
                "VERIFY_AFTER_ENTRA_DAYS": "10",
                "VERIFY_AFTER_TEAMS_DAYS": "40",
                "REGRESSION_QUIET_DAYS": "14",
                "EVIDENCE_RETENTION_DAYS": "2555",
                "REACHABLE_FROM_INTERNET": "true",
                "ALLOWED_SERVICENOW_HOSTS": "servicenow.contoso.com,itsm.contoso.com",
                "ALLOWED_WEBHOOK_HOSTS": "hooks.contoso.local",
                "GRAPH_URL": "https://graph.microsoft.us",
                "SECURITY_PORTAL_URL": "https://security.microsoft.us",
                "ENVIRONMENT_NAME": "Test",
                "DOCUMENTATION_URL": "https://github.com/contoso/tickets/tree/v1.2.0/docs",
            }.items()
        )

    def test_opentelemetry_is_switched_on_in_the_worker_and_the_host(
        self, every_choice: Expansion, public: Expansion
    ) -> None:
        on = every_choice.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        off = public.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        assert {name: on[name] for name in on.keys() - off.keys()} == {
            "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
            "AzureFunctionsJobHost__telemetryMode": "OpenTelemetry",
        }

    def test_defaults_are_those_of_the_code(self, deployed: Expansion) -> None:
        """The code can read Azure's settings, and reads the same values as its own defaults."""
        settings = deployed.one("Microsoft.Web/sites/config", "appsettings")["properties"]
        known = {name: value for name, value in settings.items() if name in SETTING_NAMES and "<" not in value}
        known.pop("REACHABLE_FROM_INTERNET")  # It depends on the network.
        addresses = {
            "PUBLIC_BASE_URL": "https://app.example",
            "KEY_VAULT_URL": "https://vault.example/",
            "TABLES_URL": "https://tables.example/",
        }
        assert Settings.from_environment(known | addresses) == Settings.from_environment(addresses)


class TestTables:
    def test_azure_gets_the_tables_that_the_code_uses(self, deployed: Expansion) -> None:
        tables = {
            each["name"].rpartition("/")[2]
            for each in deployed.all("Microsoft.Storage/storageAccounts/tableServices/tables")
        }
        assert tables == set(TABLE_NAMES)


class TestSignIn:
    def test_the_anonymous_routes_are_those_that_the_code_knows(self, deployed: Expansion) -> None:
        """If the platform let a route through that the code takes for guarded, or the reverse, it would be a hole."""
        authentication = deployed.one("Microsoft.Web/sites/config", "authsettingsV2")["properties"]
        anonymous = {f"/{operation.path}" for operation in operations() if operation.roles is None} | {f"/{CALLBACK}"}
        assert set(authentication["globalValidation"]["excludedPaths"]) == anonymous

    def test_the_app_roles_are_those_that_the_code_knows(self, deployed: Expansion) -> None:
        application = deployed.one("Microsoft.Graph/applications")["properties"]
        assert {role["value"] for role in application["appRoles"]} == {role.value for role in Role}
