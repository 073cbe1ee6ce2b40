#!/usr/bin/env python3
"""Everything that the connector needs in Microsoft Entra ID: docs/identity-team.md says what, why, and how to undo it.

Makes the same app registration as infra/modules/sign-in.bicep, from the same definitions (infra/sign-in), for companies
where a deployment may not use Microsoft Graph. Needs Python 3.9 or newer and the Azure CLI, signed in. Azure Cloud
Shell has both.

Safe to run again: it reads what is there, changes what differs, and says so. What it has done goes to standard error,
the parameters of the deployment go to standard output. It never prints a secret.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]

DEFINITIONS = Path(__file__).resolve().parent.parent / "sign-in"
GRAPH_CLIENT_ID = "00000003-0000-0000-c000-000000000000"
READ_SECURITY_EVENTS = "bf394140-e372-4bf9-a898-299cfc7564e5"
TOKEN_EXCHANGE = "api://AzureADTokenExchange"  # noqa: S105 - the name of an audience
SIGN_IN_SCOPES = "openid profile email"
RENEW_BEFORE_DAYS = 30
WAITS_S = (2, 4, 8, 16, 32, 60)
"""Seconds between two tries, while Microsoft Graph asks to wait or does not know yet what was made a moment ago."""

BUSY = re.compile(r"^(Too Many Requests|Service Unavailable|Gateway Time-?out|Bad Gateway|Internal Server Error)\b")
NOT_KNOWN_YET = re.compile(
    r"^Not Found\b|does not reference a valid application object|Not a valid reference update"
    r"|Permission being assigned was not found on application"
)
ALREADY_THERE = "Permission being assigned already exists"

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
HOST_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
UNIQUE_NAME = re.compile(r"[A-Za-z0-9-]{1,120}")
SECRET_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
VAULT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]")

REGISTERING = "Application Developer, for an application that they registered, or Cloud Application Administrator"
ASSIGNING = "Cloud Application Administrator"
CONSENTING = "Cloud Application Administrator"
GRANTING = "Privileged Role Administrator"
STORING = f"{REGISTERING}; and Key Vault Secrets Officer on the vault, from a network that it lets in"


class RefusedError(Exception):
    """Azure refused a command; the text is what it said."""

    @property
    def is_missing(self) -> bool:
        """Whether there is no such object."""
        return str(self).startswith("Not Found")

    @property
    def is_forbidden(self) -> bool:
        """Whether whoever is signed in lacks the right."""
        return bool(re.search(r"^Forbidden\b|Authorization_RequestDenied|ForbiddenByRbac", str(self)))


def run_az(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the Azure CLI."""
    program = shutil.which("az")
    if program is None:
        sys.exit("The Azure CLI (az) is not installed. Azure Cloud Shell has it.")
    # Every argument is a constant or was checked when the command line was read.
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603


class Azure:
    """Microsoft Graph and Key Vault, through the Azure CLI."""

    def __init__(self, run: Run, sleep: Callable[[float], None]) -> None:
        self._run = run
        self._sleep = sleep
        self.graph = self.ask("cloud", "show", "--query", "endpoints.microsoftGraphResourceId").rstrip("/") + "/v1.0"
        self.authority = self.ask("cloud", "show", "--query", "endpoints.activeDirectory").rstrip("/")
        self.tenant_id = self.ask("account", "show", "--query", "tenantId")

    def ask(self, *arguments: str, output: str = "tsv") -> str:
        """Return what a command prints. Raises RefusedError."""
        done = self._run([*arguments, "--output", output, "--only-show-errors"])
        if done.returncode:
            raise RefusedError(re.sub(r"^\s*ERROR: ", "", done.stderr).strip())
        return done.stdout.strip()

    def call(self, method: str, path: str, body: Json | None = None, *, just_made: bool = False) -> Json:
        """Call Microsoft Graph, again while it asks to wait or, for what was just made, does not know it yet."""
        arguments = ["rest", "--method", method, "--url", path if path.startswith("https:") else f"{self.graph}/{path}"]
        if body is not None:
            headers = ["Content-Type=application/json", *(["Prefer=create-if-missing"] if method == "PATCH" else [])]
            arguments += ["--headers", *headers, "--body", json.dumps(body)]
        for wait_s in (*WAITS_S, None):
            try:
                return dict(json.loads(self.ask(*arguments, output="json") or "{}"))
            except RefusedError as refused:
                again = BUSY.search(str(refused)) or (just_made and NOT_KNOWN_YET.search(str(refused)))
                if wait_s is None or not again:
                    raise
            self._sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def find(self, path: str) -> Json | None:
        """Return an object, or None if there is none."""
        try:
            return self.call("GET", path)
        except RefusedError as refused:
            if refused.is_missing:
                return None
            raise

    def all(self, path: str) -> Iterator[Json]:
        """Return the members of a collection, page after page."""
        page = self.call("GET", path)
        yield from page["value"]
        while following := page.get("@odata.nextLink"):
            page = self.call("GET", following)
            yield from page["value"]


def differences(wanted: Any, present: Any, name: str = "") -> list[str]:
    """Say what is not as it is wanted; what Microsoft Graph adds by itself does not count."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        return [
            each
            for key, value in wanted.items()
            for each in differences(value, present.get(key), f"{name}.{key}".strip("."))
        ]
    if isinstance(wanted, list) and isinstance(present, list):
        named_wanted, named_present = _by_name(wanted), _by_name(present)
        return [
            *(f"{name}: without {key}" for key in named_present.keys() - named_wanted.keys()),
            *(f"{name}: with {key}" for key in named_wanted.keys() - named_present.keys()),
            *(
                each
                for key in named_wanted.keys() & named_present.keys()
                for each in differences(named_wanted[key], named_present[key], f"{name}[{key}]")
            ),
        ]
    return [] if wanted == present else [f"{name}: {wanted!r} instead of {present!r}"]


def _by_name(items: Sequence[Any]) -> dict[str, Any]:
    return {
        str(each.get("id") or each.get("resourceAppId") or each["name"]) if isinstance(each, dict) else str(each): each
        for each in items
    }


@dataclass
class Registration:
    """The steps of one run, and what became of them."""

    azure: Azure
    options: argparse.Namespace
    client_id: str = ""
    customers_client_id: str = ""
    principal_id: str = ""
    made_application: bool = False
    made_principal: bool = False
    refused: list[str] = field(default_factory=list)

    def unchanged(self, what: str) -> None:
        """Report what is there already."""
        print(f"unchanged: {what}", file=sys.stderr)

    def change(self, done: str, what: str, call: Callable[[], Json]) -> Json:
        """Make a change and report it; in a dry run, only say what it would be."""
        if self.options.dry_run:
            print(f"would be {done}: {what}", file=sys.stderr)
            return {}
        answer = call()
        print(f"{done}: {what}", file=sys.stderr)
        return answer

    def attempt(self, step: Callable[[], None], what: str, needs: str) -> None:
        """Take a step; if it is refused, keep the reason and let the other steps go on."""
        try:
            step()
        except RefusedError as refused:
            who = f" It needs: {needs}." if refused.is_forbidden else ""
            self.refused.append(f"{what}: refused.{who} Azure said: {refused}")

    def put(self, what: str, path: str, wanted: Json, present: Json | None, *, just_made: bool = False) -> Json:
        """Create an object or change what differs; return it as far as it is known."""
        changes = sorted(differences(wanted, present or {}))
        if present is not None and not changes:
            self.unchanged(what)
            return present
        done, what = ("created", what) if present is None else ("changed", "; ".join([what, *changes]))
        answer = self.change(done, what, lambda: self.azure.call("PATCH", path, wanted, just_made=just_made))
        return answer or present or {}

    def application(self) -> None:
        """The app registration, and the enterprise application that stands for it in this tenant."""
        path = f"applications(uniqueName='{self.options.unique_name}')"
        wanted = json.loads((DEFINITIONS / "application.json").read_text(encoding="utf-8"))
        if self.options.host_name:
            wanted["web"] = {
                "redirectUris": [f"https://{host}/.auth/login/aad/callback" for host in self.options.host_name],
                "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": True},
            }
        found = self.azure.find(path)
        self.made_application = found is None
        made = self.put(f"app registration {self.options.unique_name}", path, wanted, found)
        self.client_id = made.get("appId", "")
        path = f"servicePrincipals(appId='{self.client_id}')"
        wanted = json.loads((DEFINITIONS / "service-principal.json").read_text(encoding="utf-8"))
        present = self.azure.find(path) if found else None
        made = self.put("enterprise application", path, wanted, present, just_made=self.made_application)
        self.principal_id = made.get("id", "")
        self.made_principal = present is None

    def customer_tenants(self) -> None:
        """The app registration that customers' tenants consent to; nobody signs in to it."""
        name = f"{self.options.unique_name}-customer-tenants"
        path = f"applications(uniqueName='{name}')"
        wanted = json.loads((DEFINITIONS / "customer-tenants.json").read_text(encoding="utf-8"))
        if self.options.host_name:
            wanted["web"] = {
                "redirectUris": [f"https://{host}/tenants/consent" for host in self.options.host_name],
                "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
            }
        found = self.azure.find(path)
        self.customers_client_id = self.put(f"app registration {name}", path, wanted, found).get("appId", "")
        if self.options.identity_principal_id:
            is_government = self.azure.authority.endswith(".us")
            audience = "api://AzureADTokenExchangeUSGov" if is_government else TOKEN_EXCHANGE
            self.trust_identity(self.customers_client_id, audience, just_made=found is None)

    def federated_credential(self) -> None:
        """The trust in the managed identity, which takes the place of a client secret."""
        self.trust_identity(self.client_id, TOKEN_EXCHANGE, just_made=self.made_application)

    def trust_identity(self, client_id: str, audience: str, *, just_made: bool) -> None:
        """Let the managed identity prove an application."""
        wanted = {
            "audiences": [audience],
            "issuer": f"{self.azure.authority}/{self.azure.tenant_id}/v2.0",
            "subject": self.options.identity_principal_id,
            "description": "The function app proves itself with its managed identity instead of a client secret.",
        }
        path = f"applications(appId='{client_id}')/federatedIdentityCredentials"
        existing = [] if just_made else list(self.azure.all(path))
        for each in existing:
            if each["name"] != "managed-identity" and (each["issuer"], each["subject"]) == (
                wanted["issuer"],
                wanted["subject"],
            ):
                return self.unchanged(f"federated credential {each['name']}")
        present = next((each for each in existing if each["name"] == "managed-identity"), None)
        path += "(name='managed-identity')"
        self.put("federated credential managed-identity", path, wanted, present, just_made=just_made)
        return None

    def client_secret(self) -> None:
        """A client secret, straight into the key vault, where tenants do not allow federated credentials."""
        vault, name = self.options.secret_vault, self.options.secret_name
        path = f"applications(appId='{self.client_id}')"
        limit = _timestamp(RENEW_BEFORE_DAYS)
        application = {} if self.made_application else self.azure.call("GET", f"{path}?$select=passwordCredentials")
        valid = {each["keyId"] for each in application.get("passwordCredentials", []) if each["endDateTime"] > limit}
        query = f"[?name=='{name}'].tags.keyId | [0]"
        if self.azure.ask("keyvault", "secret", "list", "--vault-name", vault, "--query", query) in valid:
            return self.unchanged(f"client secret {name} in {vault}")
        what = f"client secret for {self.options.secret_days} days, as {name} in {vault}"
        self.change("created", what, lambda: self.make_secret(path, vault, name))
        return None

    def make_secret(self, path: str, vault: str, name: str) -> Json:
        """Make a client secret and store it; take it back if it cannot be stored."""
        end = _timestamp(self.options.secret_days)
        wanted = {"passwordCredential": {"displayName": f"Key vault {vault}", "endDateTime": end}}
        made = self.azure.call("POST", f"{path}/addPassword", wanted, just_made=self.made_application)
        # Only the owner can read the file.
        handle, file = tempfile.mkstemp()
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as content:
                content.write(made["secretText"])
            self.azure.ask(
                *("keyvault", "secret", "set", "--vault-name", vault, "--name", name, "--file", file),
                *("--content-type", "client secret", "--expires", end, "--tags", f"keyId={made['keyId']}"),
                output="none",
            )
        except BaseException:
            self.azure.call("POST", f"{path}/removePassword", {"keyId": made["keyId"]}, just_made=True)
            raise
        finally:
            Path(file).unlink()
        return {}

    def assignments(self) -> None:
        """App roles for people and groups."""
        definition = json.loads((DEFINITIONS / "application.json").read_text(encoding="utf-8"))
        role_ids = {role["value"]: role["id"] for role in definition["appRoles"]}
        wanted = [(role, person) for person in self.options.administrator for role in role_ids]
        wanted += [tuple(each.split("=")) for each in self.options.assign]
        path = f"servicePrincipals/{self.principal_id}/appRoleAssignedTo"
        present = [] if self.made_principal else list(self.azure.all(f"{path}?$top=999"))
        given = {(each["appRoleId"], each["principalId"].lower()) for each in present}
        for role, person in wanted:
            what = f"{role} for {person}"
            if (role_ids[role], person.lower()) in given:
                self.unchanged(what)
            else:
                self.give(
                    what, path, {"principalId": person, "resourceId": self.principal_id, "appRoleId": role_ids[role]}
                )

    def give(self, what: str, path: str, assignment: Json) -> None:
        """Assign an app role that is not assigned yet."""
        try:
            self.change(
                "created", what, lambda: self.azure.call("POST", path, assignment, just_made=self.made_principal)
            )
        except RefusedError as refused:
            if ALREADY_THERE not in str(refused):
                raise
            self.unchanged(what)

    def consent(self) -> None:
        """The consent to sign people in, for all of them."""
        resource_id = self.azure.call("GET", f"servicePrincipals(appId='{GRAPH_CLIENT_ID}')?$select=id")["id"]
        query = f"clientId%20eq%20'{self.principal_id}'%20and%20consentType%20eq%20'AllPrincipals'"
        present = [] if self.made_principal else list(self.azure.all(f"oauth2PermissionGrants?$filter={query}"))
        grants = [each for each in present if each["resourceId"] == resource_id]
        scopes = grants[0]["scope"].split() if grants else []
        what = f"consent to {SIGN_IN_SCOPES} for everybody"
        if set(SIGN_IN_SCOPES.split()) <= set(scopes):
            self.unchanged(what)
        elif grants:
            together = {"scope": " ".join(dict.fromkeys([*scopes, *SIGN_IN_SCOPES.split()]))}
            path = f"oauth2PermissionGrants/{grants[0]['id']}"
            self.change("changed", what, lambda: self.azure.call("PATCH", path, together))
        else:
            grant = {"clientId": self.principal_id, "consentType": "AllPrincipals", "resourceId": resource_id}
            grant["scope"] = SIGN_IN_SCOPES
            self.change(
                "created",
                what,
                lambda: self.azure.call("POST", "oauth2PermissionGrants", grant, just_made=self.made_principal),
            )

    def reading_secure_score(self) -> None:
        """The one permission of Microsoft Graph, for the managed identity."""
        identity = self.options.identity_principal_id
        resource_id = self.azure.call("GET", f"servicePrincipals(appId='{GRAPH_CLIENT_ID}')?$select=id")["id"]
        path = f"servicePrincipals/{identity}/appRoleAssignments"
        what = f"SecurityEvents.Read.All for the managed identity {identity}"
        if READ_SECURITY_EVENTS in {each["appRoleId"] for each in self.azure.all(path)}:
            self.unchanged(what)
        else:
            self.give(
                what, path, {"principalId": identity, "resourceId": resource_id, "appRoleId": READ_SECURITY_EVENTS}
            )

    def check_identity(self) -> None:
        """Refuse to trust anything but a managed identity of this tenant."""
        identity = self.options.identity_principal_id
        found = self.azure.find(f"servicePrincipals/{identity}?$select=servicePrincipalType")
        if found is None or found["servicePrincipalType"] != "ManagedIdentity":
            sys.exit(
                f"{identity} is not the principal id of a managed identity in the tenant {self.azure.tenant_id}. "
                "Nothing was changed. Check that it is not the client id. If the identity was just made, try again in "
                "some minutes."
            )

    def run(self) -> int:
        """Take every step that was asked for; return the exit code."""
        options = self.options
        print(f"Tenant {self.azure.tenant_id}", file=sys.stderr)
        if options.identity_principal_id:
            self.check_identity()
        self.attempt(self.application, "app registration", REGISTERING)
        if not self.refused:
            if options.secret_vault:
                self.attempt(self.client_secret, "client secret", STORING)
            elif options.identity_principal_id:
                self.attempt(self.federated_credential, "federated credential", REGISTERING)
            if options.administrator or options.assign:
                self.attempt(self.assignments, "people and groups", ASSIGNING)
            if options.consent:
                self.attempt(self.consent, "consent", CONSENTING)
        if options.customer_tenants:
            self.attempt(self.customer_tenants, "registration for customers' tenants", REGISTERING)
        if options.grant_secure_score:
            self.attempt(self.reading_secure_score, "SecurityEvents.Read.All", GRANTING)
        for each in self.refused:
            print(f"NOT DONE: {each}", file=sys.stderr)
        if self.client_id and not options.dry_run:
            print(self.parameters())
        return 1 if self.refused else 0

    def parameters(self) -> str:
        """Return the deployment's parameters, as lines for a .bicepparam file."""
        lines = ["// From the identity team, made by register_application.py. No line is secret."]
        if not self.options.host_name:
            lines.append("// Run it again with --host-name after the deployment; until then nobody can sign in.")
        if not (self.options.identity_principal_id or self.options.secret_vault):
            lines.append(
                "// Run it again with --identity-principal-id after the deployment; until then nobody can sign in."
            )
        credential = ["param signInCredential = 'managedIdentity'"]
        if self.options.secret_vault:
            credential = [
                "param signInCredential = 'keyVaultSecret'",
                f"param signInSecretName = '{self.options.secret_name}'",
            ]
        return "\n".join(
            [
                *lines,
                f"param existingClientId = '{self.client_id}'",
                *credential,
                "param administratorObjectIds = []",
                "param grantSecureScoreReading = false",
                *(
                    [f"param existingCustomerTenantsClientId = '{self.customers_client_id}'"]
                    if self.customers_client_id
                    else []
                ),
            ]
        )


def _timestamp(days: int) -> str:
    """Return a day from now on, as Microsoft Graph and Key Vault write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86_400))


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return text

    return check


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what is not understood is not sent anywhere."""
    definition = json.loads((DEFINITIONS / "application.json").read_text(encoding="utf-8"))
    roles = "|".join(re.escape(role["value"]) for role in definition["appRoles"])
    object_id = _matching(GUID, "an object id")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False)
    add = parser.add_argument
    add(
        "--unique-name",
        required=True,
        type=_matching(UNIQUE_NAME, "a name of letters, digits and hyphens"),
        help="by which the registration is found again",
    )
    add(
        "--host-name",
        action="append",
        default=[],
        type=_matching(HOST_NAME, "a host name"),
        help="of the app; repeat it for a host name of your own",
    )
    add("--identity-principal-id", default=None, type=object_id, help="principal id of the app's managed identity")
    add(
        "--administrator",
        action="append",
        default=[],
        type=object_id,
        help="object id of a person or group that gets every app role",
    )
    add(
        "--assign",
        action="append",
        default=[],
        type=_matching(re.compile(f"({roles})={GUID.pattern}"), "ROLE=OBJECT_ID with one of the app's roles"),
        metavar="ROLE=OBJECT_ID",
        help="gives one app role to a person or group",
    )
    add("--consent", action="store_true", help="consents for everybody to being signed in")
    add(
        "--grant-secure-score",
        action="store_true",
        help="lets the managed identity read the Secure Score of this tenant",
    )
    add(
        "--customer-tenants",
        action="store_true",
        help="makes the registration that customers' tenants consent to, so that the app reads their Secure Score, too",
    )
    add(
        "--secret-vault",
        default=None,
        type=_matching(VAULT_NAME, "the name of a key vault"),
        help="makes a client secret and stores it there, instead of a federated credential",
    )
    add(
        "--secret-name",
        default="sign-in-client-secret",
        type=_matching(SECRET_NAME, "a name of letters, digits and hyphens"),
        help="of the secret in the vault",
    )
    add(
        "--secret-days",
        default=90,
        type=int,
        choices=range(RENEW_BEFORE_DAYS + 1, 731),
        metavar="DAYS",
        help="for which a client secret is valid; 90 by default",
    )
    add("--dry-run", action="store_true", help="says what would change, and changes nothing")
    options = parser.parse_args(arguments)
    if options.grant_secure_score and not options.identity_principal_id:
        parser.error("--grant-secure-score needs --identity-principal-id")
    return options


def main(arguments: Sequence[str] | None = None, run: Run = run_az, sleep: Callable[[float], None] = time.sleep) -> int:
    """Register the application; return the exit code."""
    options = parse(arguments)
    try:
        return Registration(Azure(run, sleep), options).run()
    except RefusedError as refused:
        sys.exit(f"Azure refused: {refused}\nSign in (az login) and try again. It is safe to run this again.")


if __name__ == "__main__":
    sys.exit(main())
