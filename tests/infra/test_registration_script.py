"""The script makes the same app registration as the deployment; here it runs with a stand-in for the Azure CLI."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.infra.compiler import TEMPLATES, TENANT_ID, Json
from tests.infra.expansion import Expansion

SCRIPT: Final = TEMPLATES / "scripts" / "register-application.sh"
CLIENT_ID: Final = "55555555-5555-5555-5555-555555555555"
PRINCIPAL_ID: Final = "66666666-6666-6666-6666-666666666666"
IDENTITY_ID: Final = "77777777-7777-7777-7777-777777777777"
ADMINISTRATOR_ID: Final = "11111111-1111-1111-1111-111111111111"
GRAPH: Final = "https://graph.microsoft.com/v1.0"
APPLICATION: Final = f"{GRAPH}/applications(uniqueName='tickets')"

AZ: Final = f'''#!{sys.executable} -ES
"""Stands in for the Azure CLI: a Microsoft Graph that keeps what it is sent, in one file."""
import json, pathlib, sys

store = pathlib.Path(__file__).with_name("graph.json")
state = json.loads(store.read_text()) if store.exists() else {{"objects": {{}}, "assignments": [], "requests": []}}
words = sys.argv[1:]
options = dict(zip(words[1:], words[2:]))
if words[:2] == ["cloud", "show"]:
    graph = options["--query"] == "endpoints.microsoftGraphResourceId"
    print("https://graph.microsoft.com/" if graph else "https://login.microsoftonline.com")
elif words[:2] == ["account", "show"]:
    print("{TENANT_ID}")
elif words[0] == "rest":
    url, _, _ = options["--url"].partition("?")
    body = options.get("--body")
    if body and body.startswith("@"):
        body = pathlib.Path(body[1:]).read_text()
    content = json.loads(body) if body else None
    start = words.index("--headers") + 1 if "--headers" in words else len(words)
    state["requests"].append([options["--method"], url, words[start : start + 2]])
    if options["--method"] == "PATCH":
        state["objects"].setdefault(url, {{}}).update(content)
    elif options["--method"] == "POST":
        state["assignments"].append(content)
    elif options["--query"] == "appId":
        print("{CLIENT_ID}")
    elif options["--query"] == "id":
        print("{PRINCIPAL_ID}")
    elif options["--query"] == "appRoles[].id":
        print("\\n".join(role["id"] for role in state["objects"][url]["appRoles"]))
    else:
        wanted = options["--query"].split("'")[1]
        print("\\n".join(each["appRoleId"] for each in state["assignments"] if each["principalId"] == wanted))
    store.write_text(json.dumps(state))
else:
    sys.exit(f"unexpected: {{words}}")
'''


class Directory:
    """A directory with the script's stand-in for az on its PATH."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "az").write_text(AZ)
        (place / "az").chmod(stat.S_IRWXU)

    def register(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{self.place}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False, env=environment)

    def state(self) -> Json:
        content: Json = json.loads((self.place / "graph.json").read_text())
        return content


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """An empty directory."""
    return Directory(tmp_path)


COMPLETE: Final = (
    *("--unique-name", "tickets"),
    *("--host-name", "func-contoso.azurewebsites.net", "--host-name", "tickets.contoso.com"),
    *("--identity-principal-id", IDENTITY_ID),
    *("--administrator", ADMINISTRATOR_ID),
)


def test_before_the_deployment_it_prints_the_client_id(directory: Directory) -> None:
    outcome = directory.register("--unique-name", "tickets")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, f"{CLIENT_ID}\n", "")
    assert directory.state()["objects"].keys() == {APPLICATION, f"{GRAPH}/servicePrincipals(appId='{CLIENT_ID}')"}


def test_it_makes_what_the_deployment_makes(directory: Directory, public: Expansion) -> None:
    assert directory.register(*COMPLETE).returncode == 0
    made = directory.state()["objects"]

    application = dict(public.one("Microsoft.Graph/applications")["properties"])
    assert application.pop("uniqueName")
    own_host = application["web"]["redirectUris"][0].removeprefix("https://").partition("/")[0]
    application["web"]["redirectUris"] = [
        application["web"]["redirectUris"][0].replace(own_host, host)
        for host in ("func-contoso.azurewebsites.net", "tickets.contoso.com")
    ]
    assert made[APPLICATION] == application

    principal = dict(public.one("Microsoft.Graph/servicePrincipals")["properties"])
    assert principal.pop("appId")
    assert made[f"{GRAPH}/servicePrincipals(appId='{CLIENT_ID}')"] == principal

    credential = dict(public.one("Microsoft.Graph/applications/federatedIdentityCredentials")["properties"])
    assert credential.pop("name").endswith("/managed-identity")
    credential["subject"] = IDENTITY_ID
    issuer = credential["issuer"].replace(
        "<environment.authentication.loginEndpoint>", "https://login.microsoftonline.com/"
    )
    assert made[f"{APPLICATION}/federatedIdentityCredentials(name='managed-identity')"] == credential | {
        "issuer": issuer
    }

    given = [(each["principalId"], each["appRoleId"]) for each in directory.state()["assignments"]]
    wanted = [each["properties"] for each in public.all("Microsoft.Graph/appRoleAssignedTo")]
    assert given == [(each["principalId"], each["appRoleId"]) for each in wanted]
    assert {each["resourceId"] for each in directory.state()["assignments"]} == {PRINCIPAL_ID}


def test_everything_is_created_if_it_is_missing(directory: Directory) -> None:
    directory.register(*COMPLETE)
    changes = [request for request in directory.state()["requests"] if request[0] == "PATCH"]
    assert len(changes) == 4
    for _, _, headers in changes:
        assert headers == ["Content-Type=application/json", "Prefer=create-if-missing"]


def test_again_changes_nothing(directory: Directory) -> None:
    directory.register(*COMPLETE)
    first = directory.state()
    assert directory.register(*COMPLETE).returncode == 0
    second = directory.state()
    assert second["objects"] == first["objects"]
    assert second["assignments"] == first["assignments"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--unique-name",),
        ("--unique-name", "a'b"),
        ("--unique-name", "tickets", "--identity-principal-id", "me"),
        ("--unique-name", "tickets", "--host-name", 'evil.example/"'),
        ("--unique-name", "tickets", "--administrator", "x' or '1'=='1"),
        ("--unknown", "x"),
    ],
)
def test_what_it_does_not_understand_it_does_not_send(directory: Directory, arguments: tuple[str, ...]) -> None:
    outcome = directory.register(*arguments)
    assert outcome.returncode == 2
    assert "--unique-name NAME" in outcome.stderr
    assert not (directory.place / "graph.json").exists()


def test_a_refusal_by_graph_ends_it(directory: Directory) -> None:
    (directory.place / "az").write_text("#!/bin/sh\necho Forbidden >&2\nexit 1\n")
    outcome = directory.register(*COMPLETE)
    assert outcome.returncode == 1
    assert "Forbidden" in outcome.stderr
    assert outcome.stdout == ""
