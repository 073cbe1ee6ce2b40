"""The script makes the same app registration as the deployment, in a tenant that behaves like Microsoft's."""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from release.bicep import TEMPLATES
from tests.infra.compiler import REPOSITORY
from tests.infra.entra import IDENTITY_ID, MICROSOFT_GRAPH, Entra
from tests.infra.expansion import Expansion
from tests.infra.snapshots import Json

SCRIPT: Final = TEMPLATES / "scripts" / "register_application.py"
ADMINISTRATOR_ID: Final = "11111111-1111-1111-1111-111111111111"
GROUP_ID: Final = "22222222-2222-2222-2222-222222222222"
PAGE: Final = (REPOSITORY / "docs" / "identity-team.md").read_text()

NAME: Final = ("--unique-name", "tickets")
COMPLETE: Final = (
    *NAME,
    *("--host-name", "func-contoso.azurewebsites.net", "--host-name", "tickets.contoso.com"),
    *("--identity-principal-id", IDENTITY_ID),
    *("--administrator", ADMINISTRATOR_ID),
)
EVERYTHING: Final = (*COMPLETE, "--assign", f"Tickets.Read={GROUP_ID}", "--consent", "--grant-secure-score")


def load() -> ModuleType:
    """Import the script, which is no module of the app."""
    specification = importlib.util.spec_from_file_location("register_application", SCRIPT)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


script: Final = load()


@pytest.fixture
def entra() -> Entra:
    """A tenant with nothing of the connector in it but its managed identity."""
    return Entra()


def register(entra: Entra, *arguments: str) -> int:
    """Run the script; return its exit code."""
    code: int = script.main(arguments, run=entra.az, sleep=entra.sleep)
    return code


def test_before_the_deployment_it_needs_only_a_name(entra: Entra, capsys: pytest.CaptureFixture[str]) -> None:
    assert register(entra, *NAME) == 0
    (application,) = entra.applications.values()
    printed = capsys.readouterr().out
    assert f"param existingClientId = '{application['appId']}'" in printed
    assert "// Run it again with --host-name" in printed
    assert "// Run it again with --identity-principal-id" in printed


def test_it_makes_what_the_deployment_makes(entra: Entra, public: Expansion) -> None:
    assert register(entra, *COMPLETE) == 0
    (made,) = entra.applications.values()

    wanted = dict(public.one("Microsoft.Graph/applications")["properties"])
    assert wanted.pop("uniqueName")
    own_host = wanted["web"]["redirectUris"][0].removeprefix("https://").partition("/")[0]
    wanted["web"]["redirectUris"] = [
        wanted["web"]["redirectUris"][0].replace(own_host, host)
        for host in ("func-contoso.azurewebsites.net", "tickets.contoso.com")
    ]
    assert script.differences(wanted, made) == []
    assert made.keys() - wanted.keys() == {"appId", "uniqueName", "passwordCredentials", "tags"}

    principal = dict(public.one("Microsoft.Graph/servicePrincipals")["properties"])
    assert principal.pop("appId")
    assert script.differences(principal, entra.principals[made["appId"]]) == []

    credential = dict(public.one("Microsoft.Graph/applications/federatedIdentityCredentials")["properties"])
    credential["name"] = credential["name"].rpartition("/")[2]
    credential["subject"] = IDENTITY_ID
    credential["issuer"] = credential["issuer"].replace(
        "<environment.authentication.loginEndpoint>", "https://login.microsoftonline.com/"
    )
    (trust,) = entra.credentials[made["appId"]]
    assert {name: value for name, value in trust.items() if name != "id"} == credential

    given = [(each["principalId"], each["appRoleId"]) for each in entra.assignments]
    assigned = [each["properties"] for each in public.all("Microsoft.Graph/appRoleAssignedTo")]
    assert given == [(each["principalId"], each["appRoleId"]) for each in assigned]
    assert {each["resourceId"] for each in entra.assignments} == {entra.principals[made["appId"]]["id"]}


def test_the_registration_for_customers_is_the_deployments(
    entra: Entra, every_choice: Expansion, capsys: pytest.CaptureFixture[str]
) -> None:
    assert register(entra, *COMPLETE, "--customer-tenants") == 0
    (made,) = [each for each in entra.applications.values() if each["uniqueName"] == "tickets-customer-tenants"]
    wanted = dict(every_choice.one("Microsoft.Graph/applications")["properties"])
    assert wanted.pop("uniqueName").endswith("-customer-tenants")
    wanted["web"]["redirectUris"] = [
        f"https://{host}/tenants/consent" for host in ("func-contoso.azurewebsites.net", "tickets.contoso.com")
    ]
    assert script.differences(wanted, made) == []
    assert made["appRoles"] == []
    (trust,) = entra.credentials[made["appId"]]
    assert (trust["subject"], trust["audiences"]) == (IDENTITY_ID, ["api://AzureADTokenExchange"])
    assert made["appId"] not in entra.principals, "it reads no tenant that has not consented"
    printed = capsys.readouterr().out
    assert f"param existingCustomerTenantsClientId = '{made['appId']}'" in printed
    assert f"param existingClientId = '{made['appId']}'" not in printed
    entra.requests.clear()
    assert register(entra, *COMPLETE, "--customer-tenants") == 0
    assert entra.changes == []
    assert capsys.readouterr().out == printed


def test_the_permission_is_the_one_that_the_deployment_grants(entra: Entra, private: Expansion) -> None:
    assert register(entra, *NAME, "--identity-principal-id", IDENTITY_ID, "--grant-secure-score") == 0
    (wanted,) = [each["properties"] for each in private.all("Microsoft.Graph/appRoleAssignedTo")]
    resource_id = entra.principals[MICROSOFT_GRAPH]["id"]
    assert entra.assignments == [
        {"principalId": IDENTITY_ID, "resourceId": resource_id, "appRoleId": wanted["appRoleId"]}
    ]


def test_one_role_for_a_group_and_the_consent_for_everybody(entra: Entra) -> None:
    assert register(entra, *NAME, "--assign", f"Tickets.Read={GROUP_ID}", "--consent") == 0
    (given,) = entra.assignments
    (application,) = entra.applications.values()
    (role,) = [each for each in application["appRoles"] if each["id"] == given["appRoleId"]]
    assert (given["principalId"], role["value"]) == (GROUP_ID, "Tickets.Read")
    (grant,) = entra.grants
    assert grant["consentType"] == "AllPrincipals"
    assert grant["scope"] == "openid profile email"
    assert grant["resourceId"] == entra.principals[MICROSOFT_GRAPH]["id"]


def test_again_changes_nothing(entra: Entra, capsys: pytest.CaptureFixture[str]) -> None:
    assert register(entra, *EVERYTHING) == 0
    entra.requests.clear()
    first = capsys.readouterr()
    assert register(entra, *EVERYTHING) == 0
    second = capsys.readouterr()
    assert entra.changes == []
    assert second.out == first.out
    assert re.findall(r"^\w+(?=: )", second.err, re.MULTILINE) == ["unchanged"] * 9


def test_what_somebody_changed_is_set_right_and_named(entra: Entra, capsys: pytest.CaptureFixture[str]) -> None:
    register(entra, *EVERYTHING)
    (application,) = entra.applications.values()
    application["web"]["redirectUris"].append("https://old.contoso.com/.auth/login/aad/callback")
    application["signInAudience"] = "AzureADMultipleOrgs"
    application["groupMembershipClaims"] = "All"
    entra.principals[application["appId"]]["appRoleAssignmentRequired"] = False
    entra.grants[0]["scope"] = "openid User.Read"
    entra.credentials[application["appId"]][0]["subject"] = "another identity"
    capsys.readouterr()
    assert register(entra, *EVERYTHING) == 0
    said = capsys.readouterr().err
    assert "web.redirectUris: without https://old.contoso.com/.auth/login/aad/callback" in said
    assert "groupMembershipClaims: 'ApplicationGroup' instead of 'All'" in said
    assert "signInAudience: 'AzureADMyOrg' instead of 'AzureADMultipleOrgs'" in said
    assert "appRoleAssignmentRequired: True instead of False" in said
    assert f"subject: '{IDENTITY_ID}' instead of 'another identity'" in said
    assert entra.grants[0]["scope"] == "openid User.Read profile email"
    entra.requests.clear()
    register(entra, *EVERYTHING)
    assert entra.changes == []


def test_a_trust_that_has_another_name_is_enough(entra: Entra) -> None:
    register(entra, *COMPLETE)
    (application,) = entra.applications.values()
    entra.credentials[application["appId"]][0]["name"] = "made-by-hand"
    entra.requests.clear()
    assert register(entra, *COMPLETE) == 0
    assert entra.changes == []


@pytest.mark.parametrize("before", [(), NAME, COMPLETE], ids=["nothing", "registered", "complete"])
def test_a_dry_run_says_what_the_run_then_does(
    entra: Entra, capsys: pytest.CaptureFixture[str], before: tuple[str, ...]
) -> None:
    if before:
        register(entra, *before)
    entra.requests.clear()
    capsys.readouterr()
    assert register(entra, *EVERYTHING, "--dry-run") == 0
    foretold = capsys.readouterr()
    assert entra.changes == []
    assert foretold.out == ""
    assert register(entra, *EVERYTHING) == 0
    assert foretold.err.replace("would be ", "") == capsys.readouterr().err


class TestClientSecret:
    """Where a tenant allows no federated credential."""

    ARGUMENTS: Final = (*NAME, "--host-name", "func-contoso.azurewebsites.net", "--secret-vault", "kv-contoso")

    def test_goes_into_the_vault_and_nowhere_else(self, entra: Entra, capsys: pytest.CaptureFixture[str]) -> None:
        assert register(entra, *self.ARGUMENTS, "--secret-name", "entra-tickets") == 0
        (name,) = entra.secrets
        stored = entra.secrets[name]
        assert stored["value"].startswith("secret-")
        assert stored["contentType"]
        assert not stored["file"].exists()
        (application,) = entra.applications.values()
        assert [each["endDateTime"] for each in application["passwordCredentials"]] == [stored["expires"]]
        printed = capsys.readouterr()
        assert "param signInCredential = 'keyVaultSecret'\nparam signInSecretName = 'entra-tickets'\n" in printed.out
        assert stored["value"] not in "".join([*printed, *entra.arguments])
        assert entra.credentials == {}

    def test_is_renewed_only_when_it_ends_soon(self, entra: Entra) -> None:
        register(entra, *self.ARGUMENTS)
        (first,) = [each["keyId"] for each in entra.secrets.values()]
        register(entra, *self.ARGUMENTS)
        (application,) = entra.applications.values()
        assert [each["keyId"] for each in application["passwordCredentials"]] == [first]
        application["passwordCredentials"][0]["endDateTime"] = "2020-01-01T00:00:00Z"
        register(entra, *self.ARGUMENTS)
        (second,) = [each["keyId"] for each in entra.secrets.values()]
        # The app uses the old one until it reads the vault again.
        assert [each["keyId"] for each in application["passwordCredentials"]] == [first, second]

    @pytest.mark.parametrize("code", ["ForbiddenByRbac", "ForbiddenByConnection"])
    def test_is_taken_back_if_it_cannot_be_stored(
        self, entra: Entra, capsys: pytest.CaptureFixture[str], code: str
    ) -> None:
        entra.vault_refusal = code
        assert register(entra, *self.ARGUMENTS) == 1
        (application,) = entra.applications.values()
        assert application["passwordCredentials"] == []
        said = capsys.readouterr().err
        assert "NOT DONE: client secret" in said
        assert code in said

    def test_is_taken_back_if_somebody_interrupts(self, entra: Entra) -> None:
        def interrupted(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
            if words[:3] == ["keyvault", "secret", "set"]:
                raise KeyboardInterrupt
            return entra.az(words)

        with pytest.raises(KeyboardInterrupt):
            script.main(self.ARGUMENTS, run=interrupted, sleep=entra.sleep)
        (application,) = entra.applications.values()
        assert application["passwordCredentials"] == []

    def test_is_what_the_template_reads(self, template: Json) -> None:
        assert template["parameters"]["signInSecretName"]["defaultValue"] == script.parse(self.ARGUMENTS).secret_name


class TestTroubles:
    """What Microsoft Graph does to scripts."""

    @pytest.mark.parametrize(
        ("forbidden", "not_done", "needs", "done"),
        [
            ("POST .*/appRoleAssignments", "SecurityEvents.Read.All", "Privileged Role Administrator", 4),
            ("POST oauth2PermissionGrants", "consent", "Cloud Application Administrator", 5),
            ("POST .*/appRoleAssignedTo", "people and groups", "Cloud Application Administrator", 1),
            ("PATCH .*/federated", "federated credential", "Application Developer", 5),
        ],
    )
    def test_a_missing_right_stops_only_its_own_step(
        self, entra: Entra, capsys: pytest.CaptureFixture[str], forbidden: str, not_done: str, needs: str, done: int
    ) -> None:
        entra.forbidden = forbidden
        assert register(entra, *EVERYTHING) == 1
        said = capsys.readouterr()
        (line,) = [line for line in said.err.splitlines() if line.startswith("NOT DONE")]
        assert line.startswith(f"NOT DONE: {not_done}: refused. It needs: ")
        assert needs in line
        assert "Authorization_RequestDenied" in line
        assert "param existingClientId" in said.out
        assert len(entra.assignments) == done
        entra.forbidden = ""
        assert register(entra, *EVERYTHING) == 0
        assert len(entra.assignments) == 5

    def test_nothing_goes_on_without_a_registration(self, entra: Entra, capsys: pytest.CaptureFixture[str]) -> None:
        entra.forbidden = "PATCH applications"
        assert register(entra, *COMPLETE) == 1
        said = capsys.readouterr()
        assert "NOT DONE: app registration: refused. It needs: Application Developer" in said.err
        assert said.out == ""
        assert len(entra.changes) == 1

    def test_it_waits_when_it_is_asked_to(self, entra: Entra) -> None:
        entra.busy = 3
        assert register(entra, *EVERYTHING) == 0
        assert entra.waits_s == [2, 4, 8]

    def test_it_does_not_wait_for_ever(self, entra: Entra, capsys: pytest.CaptureFixture[str]) -> None:
        entra.busy = 1000
        assert register(entra, *NAME) == 1
        assert "Too Many Requests" in capsys.readouterr().err
        assert sum(entra.waits_s) < 300

    def test_what_was_just_made_may_be_unknown_for_a_while(self, entra: Entra) -> None:
        entra.slow = 2
        assert register(entra, *EVERYTHING) == 0
        assert len(entra.assignments) == 5

    def test_it_trusts_nothing_but_a_managed_identity(self, entra: Entra) -> None:
        for wrong in (entra.principals[MICROSOFT_GRAPH]["id"], "99999999-9999-9999-9999-999999999999"):
            with pytest.raises(SystemExit, match="Nothing was changed"):
                register(entra, *NAME, "--identity-principal-id", wrong, "--grant-secure-score")
        assert entra.changes == []

    def test_an_assignment_that_another_run_just_made_is_as_good(self, entra: Entra) -> None:
        register(entra, *EVERYTHING)
        given = list(entra.assignments)
        registration = script.Registration(script.Azure(entra.az, entra.sleep), script.parse(EVERYTHING))
        registration.give("a role", f"servicePrincipals/{given[0]['resourceId']}/appRoleAssignedTo", given[0])
        assert entra.assignments == given


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--unique-name",),
        ("--unique-name", "a'b"),
        (*NAME, "--identity-principal-id", "me"),
        (*NAME, "--host-name", 'evil.example/"'),
        (*NAME, "--administrator", "x' or '1'=='1"),
        (*NAME, "--assign", f"Everything={GROUP_ID}"),
        (*NAME, "--assign", "Tickets.Read=all"),
        (*NAME, "--secret-vault", "kv;rm"),
        (*NAME, "--secret-days", "3"),
        (*NAME, "--secret-name", "a/b"),
        (*NAME, "--grant-secure-score"),
        ("--unknown", "x"),
    ],
)
def test_what_it_does_not_understand_it_does_not_send(entra: Entra, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        register(entra, *arguments)
    assert stopped.value.code == 2
    assert entra.arguments == []


def test_it_runs_the_azure_cli_and_passes_on_its_refusal(tmp_path: Path) -> None:
    (tmp_path / "az").write_text("#!/bin/sh\necho ERROR: Please run az login to setup account. >&2\nexit 1\n")
    (tmp_path / "az").chmod(stat.S_IRWXU)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    outcome = subprocess.run([SCRIPT, *NAME], capture_output=True, text=True, check=False, env=environment)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("Azure refused: Please run az login")
    assert outcome.stdout == ""


def test_its_output_is_the_other_part(entra: Entra, capsys: pytest.CaptureFixture[str], template: Json) -> None:
    register(entra, *EVERYTHING, "--secret-vault", "kv-contoso")
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("//")]
    given = dict(line.removeprefix("param ").split(" = ") for line in lines)
    assert given.keys() <= template["parameters"].keys()
    assert given["grantSecureScoreReading"] == "false"


def test_the_page_names_every_option_and_every_right() -> None:
    options = set(re.findall(r'add\(\s*"(--[\w-]+)"', SCRIPT.read_text()))
    assert len(options) == 12
    assert options <= set(re.findall(r"--[\w-]+", PAGE))
    for role in ("Application Developer", "Cloud Application Administrator", "Privileged Role Administrator"):
        assert role in PAGE
