"""After a publish, a script says that the app runs, or what to do; here a stand-in for the Azure CLI answers it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from release.bicep import TEMPLATES
from tests.infra.compiler import REPOSITORY

SCRIPT: Final = TEMPLATES / "scripts" / "verify-deployment.sh"
ABOUT: Final = ("--resource-group", "tickets", "--app", "func-tickets-a1b2c")

AZ: Final = f'''#!{sys.executable} -ES
"""Stands in for the Azure CLI: each question has its answers, one after the other; the last one stays."""
import json, pathlib, sys

store = pathlib.Path(__file__).with_name("azure.json")
state = json.loads(store.read_text())
words = sys.argv[1:]
options = dict(zip(words, words[1:]))
url = options.get("--url", "")
if words[:2] == ["functionapp", "show"]:
    question = options["--query"]
elif words[:3] == ["functionapp", "function", "list"]:
    question = "functions"
elif words[:2] == ["resource", "show"] and options["--ids"] == "/subscriptions/s/the-component-id":
    question = "component"
elif words[:2] == ["resource", "show"] and options["--query"] == "properties.publicNetworkAccess":
    question = options["--ids"].rpartition("/")[2]
elif words[:2] == ["resource", "list"]:
    question = "wanted"
elif words[0] == "rest" and "/syncfunctiontriggers?" in url:
    question = "sync"
elif words[0] == "rest" and url == "https://api.applicationinsights.io/v1/apps/the-component/query":
    question = "runs"
else:
    sys.exit(f"unexpected: {{words}}")
state["asked"].append([question, words])
answers = state[question]
answer = answers.pop(0) if len(answers) > 1 else answers[0]
store.write_text(json.dumps(state))
if answer is None:
    sys.exit(f"ERROR: Azure refuses {{question}}")
if answer:
    print(answer)
'''

NAMES: Final = ("get_health", "maintain", "maintain_connections", "read_tenants")


def listed(*left_out: str) -> str:
    """Return Azure's list of the functions."""
    return "\n".join(f"func-tickets-a1b2c/{name}" for name in NAMES if name not in left_out)


FUNCTIONS: Final = listed()
WELL: Final[dict[str, list[str | None]]] = {
    "id": ["/subscriptions/s/resourceGroups/tickets/providers/Microsoft.Web/sites/func-tickets-a1b2c"],
    "state": ["Running"],
    "wanted": ["Disabled\t/subscriptions/s/sthost\nDisabled\t/subscriptions/s/kv\nEnabled\t/subscriptions/s/func"],
    "sthost": ["Disabled"],
    "kv": ["disabled"],
    "func": ["Enabled"],
    "sync": [""],
    "functions": [FUNCTIONS],
    'tags."hidden-link: /app-insights-resource-id"': ["/subscriptions/s/the-component-id"],
    "component": ["the-component"],
    "runs": ["1\t0"],
}


class Azure:
    """A subscription with the script's stand-in for az on its PATH."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "az").write_text(AZ)
        (place / "az").chmod(stat.S_IRWXU)

    def verify(self, *arguments: str, **answers: list[str | None]) -> subprocess.CompletedProcess[str]:
        (self.place / "azure.json").write_text(json.dumps(WELL | answers | {"asked": []}))
        environment = {**os.environ, "PATH": f"{self.place}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False, env=environment)

    def asked(self, question: str) -> list[list[str]]:
        """Return the words of each command that asked this question."""
        state: dict[str, Any] = json.loads((self.place / "azure.json").read_text())
        return [words for each, words in state["asked"] if each == question]


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    return Azure(tmp_path)


def test_a_deployment_that_works(azure: Azure) -> None:
    outcome = azure.verify(*ABOUT, "--wait-s", "0")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    *steps, last = outcome.stdout.splitlines()
    assert all(step.startswith("ok: ") for step in steps)
    assert len(steps) == 5
    assert last == "The deployment works."


def test_it_compares_what_the_deployment_noted(azure: Azure) -> None:
    """The tag's name is the template's."""
    azure.verify(*ABOUT, "--wait-s", "0")
    (words,) = azure.asked("wanted")
    query = words[words.index("--query") + 1]
    assert query == '[?tags."wanted-public-network-access"].[tags."wanted-public-network-access", id]'
    for module in ("storage-account", "key-vault", "function-app"):
        assert "'wanted-public-network-access':" in (TEMPLATES / "modules" / f"{module}.bicep").read_text(), module


def test_only_a_run_since_the_publish_counts(azure: Azure) -> None:
    azure.verify(*ABOUT, "--wait-s", "0")
    (words,) = azure.asked("runs")
    query = json.loads(words[words.index("--body") + 1])["query"]
    assert query.startswith("requests | where timestamp >= datetime(20")
    assert "name =~ 'maintain'" in query
    (words,) = azure.asked("sync")
    assert words[words.index("--url") + 1].startswith(f"{WELL['id'][0]}/syncfunctiontriggers?api-version=")
    assert words[words.index("--method") + 1] == "POST"


def test_it_waits_for_what_comes_late(azure: Azure) -> None:
    outcome = azure.verify(
        *(*ABOUT, "--wait-s", "60", "--every-s", "0"),
        sync=[None, ""],
        functions=["", None, listed("read_tenants"), FUNCTIONS],
        runs=["", "0\t1", "1\t1"],
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert [len(azure.asked(each)) for each in ("sync", "functions", "runs")] == [2, 4, 3]


@pytest.mark.parametrize(
    ("answers", "wrong", "fix"),
    [
        ({"id": [None]}, "The function app", "az account set"),
        ({"state": ["Stopped"]}, "its state is 'Stopped'", "az functionapp start"),
        ({"wanted": [None]}, "cannot be listed", "Reader"),
        ({"wanted": [""]}, "which public network access was wanted", "Deploy the infrastructure again"),
        ({"kv": [None]}, "of kv cannot be read", "Reader"),
        ({"func": ["Disabled"]}, "now is not: func.", "A policy with the effect Modify"),
        ({"func": [""]}, "now is not: func.", "docs/azure-policy.md"),
        ({"sthost": ["Enabled"], "kv": ["Enabled"]}, "now is open: sthost kv.", "Deploy the infrastructure again"),
        ({"sthost": ["SecuredByPerimeter"]}, "now is open: sthost.", "which policy opens it"),
        ({"sync": [None]}, "its host does not start", "wait ten minutes for the roles"),
        ({"functions": [""]}, "No function is listed", "Publish again"),
        ({"functions": [None]}, "No function is listed", "Publish again"),
        ({"functions": [listed("maintain")]}, "maintain is not listed", "check maintainSchedule"),
        ({"functions": [listed("maintain_connections")]}, "maintain_connections is not listed", "MAINTAIN_QUEUE"),
        ({"functions": [listed("read_tenants")]}, "read_tenants is not listed", "WorkQueue__"),
        ({"component": [None]}, "is not found", "Reader"),
        ({'tags."hidden-link: /app-insights-resource-id"': [""]}, "is not found", "Deploy the infrastructure again"),
        ({"runs": [None]}, "does not answer", "Reader"),
        ({"runs": ["0\t0"]}, "No run of the timer", "Monitoring Metrics Publisher"),
        ({"runs": [""]}, "No run of the timer", "Monitoring Metrics Publisher"),
        ({"runs": ["0\t3"]}, "fails: 3 times", "exceptions"),
    ],
)
def test_what_is_wrong_and_what_to_do(azure: Azure, answers: dict[str, list[str | None]], wrong: str, fix: str) -> None:
    outcome = azure.verify(*ABOUT, "--wait-s", "0", **answers)
    assert outcome.returncode == 1
    first, second, *rest = outcome.stderr.splitlines()
    assert first.startswith("FAILED: ")
    assert wrong in first
    assert second.startswith("Fix: ")
    assert fix in second
    refused = [question for question, given in answers.items() if None in given]
    assert rest == [f"Azure said: ERROR: Azure refuses {question}" for question in refused]
    assert "The deployment works." not in outcome.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--app", "func-tickets-a1b2c"),
        ("--resource-group", "tickets", "--app", "func-'; drop table"),
        ("--resource-group", "a b", "--app", "func-tickets-a1b2c"),
        (*ABOUT, "--wait-s", "soon"),
        (*ABOUT, "--wait-s"),
        (*ABOUT, "--unknown", "x"),
    ],
)
def test_what_it_does_not_understand_it_does_not_ask(azure: Azure, arguments: tuple[str, ...]) -> None:
    outcome = azure.verify(*arguments)
    assert outcome.returncode == 2
    assert "--resource-group GROUP --app NAME" in outcome.stderr
    assert azure.asked("id") == []


def test_what_it_sends_people_to_is_there() -> None:
    text = SCRIPT.read_text()
    assert "docs/azure-policy.md" in text
    assert (REPOSITORY / "docs" / "azure-policy.md").exists()
    assert "docs/operations.md, maintenance-stopped" in text
    assert "\n### maintenance-stopped\n" in (REPOSITORY / "docs" / "operations.md").read_text()
