"""Stands in for the Azure CLI: a Microsoft Entra tenant and a key vault in memory, which answer as Microsoft's do.

Errors have the form in which ``az rest`` passes them on: the reason and, in brackets, the answer of Microsoft Graph.
"""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.infra.snapshots import TENANT_ID, Json

GRAPH: Final = "https://graph.microsoft.com/v1.0/"
MICROSOFT_GRAPH: Final = "00000003-0000-0000-c000-000000000000"
IDENTITY_ID: Final = "77777777-7777-7777-7777-777777777777"
PAGE: Final = 2
"""Members on each page of a collection; Microsoft's pages are longer."""


class _Refusal(Exception):
    """An answer that is not a success."""

    def __init__(self, reason: str, code: str, message: str) -> None:
        super().__init__(f"{reason}({json.dumps({'error': {'code': code, 'message': message}})})")


def _not_found() -> _Refusal:
    return _Refusal("Not Found", "Request_ResourceNotFound", "Resource does not exist or one of its queried objects.")


@dataclass
class Entra:
    """A tenant.

    Attributes:
        forbidden: What whoever is signed in may not do, as an expression that a request's method and path match.
        busy: How many requests are answered with 429 before the next one is served.
        slow: How many requests about an object that was just made are answered as if it were not there.
        vault_refusal: What Key Vault answers to a write; nothing refuses if it is empty.
    """

    forbidden: str = ""
    busy: int = 0
    slow: int = 0
    vault_refusal: str = ""
    applications: dict[str, Json] = field(default_factory=dict)
    principals: dict[str, Json] = field(default_factory=dict)
    credentials: dict[str, list[Json]] = field(default_factory=dict)
    assignments: list[Json] = field(default_factory=list)
    grants: list[Json] = field(default_factory=list)
    secrets: dict[str, Json] = field(default_factory=dict)
    """What the key vault holds, by name."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    """Every argument of every command, in one list."""

    def __post_init__(self) -> None:
        self._unknown_for: dict[str, int] = {}
        for app_id, kind, object_id in (
            (MICROSOFT_GRAPH, "Application", str(uuid.uuid4())),
            (str(uuid.uuid4()), "ManagedIdentity", IDENTITY_ID),
        ):
            self.principals[app_id] = {"id": object_id, "appId": app_id, "servicePrincipalType": kind}

    @property
    def changes(self) -> list[tuple[str, str]]:
        """The requests that wrote, or tried to."""
        return [request for request in self.requests if request[0] != "GET"]

    def az(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        self.arguments += words
        try:
            return subprocess.CompletedProcess(words, 0, self._command(list(words)), "")
        except _Refusal as refusal:
            return subprocess.CompletedProcess(words, 1, "", f"ERROR: {refusal}\n")

    def sleep(self, seconds: float) -> None:
        """Take no time."""
        self.waits_s.append(seconds)

    def _command(self, words: list[str]) -> str:
        options = dict(pairwise(words))
        match words[:3]:
            case ["cloud", "show", _]:
                endpoint = {"endpoints.microsoftGraphResourceId": "https://graph.microsoft.com/"}
                return endpoint.get(options["--query"], "https://login.microsoftonline.com") + "\n"
            case ["account", "show", _]:
                return f"{TENANT_ID}\n"
            case ["rest", *_]:
                answer = self._request(options["--method"], options["--url"], words, options.get("--body"))
                return json.dumps(answer, indent=2) if answer else ""
            case ["keyvault", "secret", "list"]:
                name = options["--query"].split("'")[1]
                return f"{self.secrets[name]['keyId']}\n" if name in self.secrets else ""
            case ["keyvault", "secret", "set"]:
                return self._store(options)
            case _:
                raise AssertionError(f"unexpected: {words}")

    def _store(self, options: dict[str, str]) -> str:
        if self.vault_refusal:
            raise _Refusal("(Forbidden) Caller is not authorized", self.vault_refusal, "The request was denied.")
        file = Path(options["--file"])
        assert file.stat().st_mode & 0o077 == 0, "others can read the secret"
        self.secrets[options["--name"]] = {
            "value": file.read_text(),
            "keyId": options["--tags"].removeprefix("keyId="),
            "contentType": options["--content-type"],
            "expires": options["--expires"],
            "file": file,
        }
        assert options["--output"] == "none", "az would print the secret"
        return ""

    def _request(self, method: str, url: str, words: list[str], body: str | None) -> Json | None:
        path, _, query = url.removeprefix(GRAPH).partition("?")
        self.requests.append((method, path))
        if self.busy:
            self.busy -= 1
            raise _Refusal("Too Many Requests", "TooManyRequests", "Too many requests.")
        if self.forbidden and re.match(self.forbidden, f"{method} {path}"):
            raise _Refusal(
                "Forbidden", "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
            )
        for name in re.findall(r"[0-9a-f-]{36}", path):
            if self._unknown_for.get(name, 0):
                self._unknown_for[name] -= 1
                raise _not_found()
        content: Json = json.loads(body) if body else {}
        if method == "PATCH" and "(" in path:
            assert "Prefer=create-if-missing" in words
        parts = re.fullmatch(r"(\w+)(?:\((\w+)='([^']+)'\)|/([0-9a-f-]{36}))?(?:/(\w+)(?:\(name='([\w-]+)'\))?)?", path)
        assert parts, path
        kind, key, value, object_id, member, name = parts.groups()
        match kind:
            case "applications":
                return self._application(method, key, value, member, name, content)
            case "servicePrincipals":
                return self._principal(method, value or object_id, member, query, content)
            case "oauth2PermissionGrants":
                return self._grant(method, object_id, query, content)
        raise AssertionError(path)

    def _application(self, method: str, key: str, value: str, member: str, name: str, content: Json) -> Json | None:
        if key == "uniqueName" and method == "PATCH" and value not in self.applications:
            app_id = str(uuid.uuid4())
            self._unknown_for[app_id] = self.slow
            # Microsoft Graph adds properties of its own, and keeps an order of its own.
            made = {"passwordCredentials": [], "tags": [], **content, "appId": app_id, "uniqueName": value}
            made["appRoles"] = [each | {"origin": "Application"} for each in reversed(made.get("appRoles", []))]
            self.applications[value] = made
            return made
        found = next((each for each in self.applications.values() if each[key] == value), None)
        if found is None:
            raise _not_found()
        match method, member:
            case "GET", None:
                return found
            case "PATCH", None:
                found.update(content)
                return None
            case "GET", "federatedIdentityCredentials":
                return {"value": self.credentials.get(value, [])}
            case "PATCH", "federatedIdentityCredentials":
                others = [each for each in self.credentials.get(value, []) if each["name"] != name]
                self.credentials[value] = [*others, {"name": name, "id": str(uuid.uuid4()), **content}]
                return None
            case "POST", "addPassword":
                made = {"keyId": str(uuid.uuid4()), "secretText": f"secret-{uuid.uuid4()}"}
                kept = {"keyId": made["keyId"], **content["passwordCredential"]}
                found["passwordCredentials"].append(kept)
                return kept | made
            case "POST", "removePassword":
                found["passwordCredentials"] = [
                    each for each in found["passwordCredentials"] if each["keyId"] != content["keyId"]
                ]
                return None
        raise AssertionError((method, member))

    def _principal(self, method: str, value: str, member: str | None, query: str, content: Json) -> Json | None:
        found = self.principals.get(value) or next(
            (each for each in self.principals.values() if each["id"] == value), None
        )
        if found is None and method == "PATCH":
            if all(each["appId"] != value for each in self.applications.values()):
                raise _Refusal(
                    "Bad Request",
                    "NoBackingApplicationObject",
                    f"The appId '{value}' of the service principal does not reference a valid application object.",
                )
            object_id = str(uuid.uuid4())
            self._unknown_for[object_id] = self.slow
            self.principals[value] = {"id": object_id, "appId": value, "servicePrincipalType": "Application", **content}
            return self.principals[value]
        if found is None:
            raise _not_found()
        match method, member:
            case "GET", None:
                return found
            case "PATCH", None:
                found.update(content)
                return None
            case "GET", ("appRoleAssignedTo" | "appRoleAssignments"):
                side = "resourceId" if member == "appRoleAssignedTo" else "principalId"
                return self._page(f"servicePrincipals/{value}/{member}", side, found["id"], query)
            case "POST", ("appRoleAssignedTo" | "appRoleAssignments"):
                if content in self.assignments:
                    message = "Permission being assigned already exists on the object"
                    raise _Refusal("Bad Request", "Request_BadRequest", message)
                self.assignments.append(content)
                return content
        raise AssertionError((method, member))

    def _page(self, path: str, side: str, object_id: str, query: str) -> Json:
        start = int(query.removeprefix("$skiptoken=")) if query.startswith("$skiptoken=") else 0
        found = [each for each in self.assignments if each[side] == object_id]
        page: dict[str, Any] = {"value": found[start : start + PAGE]}
        if len(found) > start + PAGE:
            page["@odata.nextLink"] = f"{GRAPH}{path}?$skiptoken={start + PAGE}"
        return page

    def _grant(self, method: str, object_id: str | None, query: str, content: Json) -> Json | None:
        match method:
            case "GET":
                client = query.split("'")[1]
                return {"value": [each for each in self.grants if each["clientId"] == client]}
            case "POST":
                self.grants.append({"id": str(uuid.uuid4()), **content})
                return self.grants[-1]
            case "PATCH":
                next(each for each in self.grants if each["id"] == object_id).update(content)
                return None
        raise AssertionError(method)
