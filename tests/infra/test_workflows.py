"""The workflows: no stored secrets, no versions that move, no more rights than needed."""

from __future__ import annotations

import re
from typing import Final

import pytest
import yaml  # type: ignore[import-untyped]

from release import package, template
from release.core_tools import published_files
from tests.infra.compiler import REPOSITORY
from tests.infra.snapshots import Json

FOLDER: Final = REPOSITORY / ".github" / "workflows"
PINNED_ACTION: Final = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
NAMES: Final = sorted(path.name for path in FOLDER.iterdir())


def read(name: str) -> Json:
    """Read a workflow; YAML reads the key ``on`` as true."""
    content = yaml.safe_load((FOLDER / name).read_text())
    return {"on" if key is True else key: value for key, value in content.items()}


def test_there_are_three() -> None:
    assert NAMES == ["check.yml", "deploy.yml", "release.yml"]


@pytest.mark.parametrize("name", NAMES)
class TestEvery:
    def test_actions_are_pinned_to_a_commit(self, name: str) -> None:
        used = re.findall(r"uses: (.*)", (FOLDER / name).read_text())
        assert used
        for action in used:
            assert PINNED_ACTION.fullmatch(action), action

    def test_no_secret_is_stored(self, name: str) -> None:
        text = (FOLDER / name).read_text()
        assert "secrets." not in text
        assert "creds:" not in text
        assert "publish-profile" not in text

    def test_nothing_that_somebody_else_can_write_stands_in_a_command(self, name: str) -> None:
        """An expression in ``run`` is inserted before the shell reads it; a variable is not."""
        for job in read(name)["jobs"].values():
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), step

    def test_the_checkout_leaves_no_credentials(self, name: str) -> None:
        for job in read(name)["jobs"].values():
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"] == {"persist-credentials": False}

    def test_tools_have_one_version(self, name: str) -> None:
        text = (FOLDER / name).read_text()
        assert re.search(r"az bicep install --version v\d+\.\d+\.\d+\n", text)
        assert "latest" not in text

    def test_a_job_has_no_right_that_it_does_not_name(self, name: str) -> None:
        workflow = read(name)
        assert workflow["permissions"] == {}
        assert all(job["permissions"] for job in workflow["jobs"].values())

    def test_nothing_is_installed_beside_a_session_with_azure(self, name: str) -> None:
        """A package from a registry, and its dependencies, would run with the rights of the deployment."""
        for job in read(name)["jobs"].values():
            uses = [step.get("uses", "") for step in job["steps"]]
            if any(each.startswith("azure/login@") for each in uses):
                assert {each.partition("@")[0] for each in uses if each} == {"actions/checkout", "azure/login"}
                commands = "\n".join(step.get("run", "") for step in job["steps"])
                assert not re.search(r"\b(npm|npx|pip|pipx|uv|apt-get|az extension)\b|\bcurl\b.*\|", commands)

    def test_it_ends(self, name: str) -> None:
        for job in read(name)["jobs"].values():
            assert job["timeout-minutes"] <= 60


def test_all_use_one_compiler() -> None:
    versions = {re.findall(r"az bicep install --version (\S+)", (FOLDER / name).read_text())[0] for name in NAMES}
    assert len(versions) == 1


def test_check_runs_on_pull_requests_and_may_only_read() -> None:
    workflow = read("check.yml")
    assert workflow["on"].keys() == {"pull_request", "push"}
    assert workflow["jobs"]["check"]["permissions"] == {"contents": "read"}
    assert [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step][-1] == "make check"


def test_deploy_is_started_by_a_person_and_signs_in_with_openid_connect() -> None:
    workflow = read("deploy.yml")
    assert workflow["on"].keys() == {"workflow_dispatch"}
    assert workflow["jobs"]["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    (login,) = [step for step in workflow["jobs"]["deploy"]["steps"] if step.get("uses", "").startswith("azure/login@")]
    assert login["with"].keys() == {"client-id", "tenant-id", "subscription-id"}
    assert all(value.startswith("${{ vars.") for value in login["with"].values())


def test_nothing_is_changed_unless_asked() -> None:
    workflow = read("deploy.yml")
    assert workflow["on"]["workflow_dispatch"]["inputs"]["apply"]["default"] is False
    for step in workflow["jobs"]["deploy"]["steps"]:
        if re.search(r"az deployment group create|az functionapp|verify-deployment|curl", step.get("run", "")):
            assert step["if"] == "inputs.apply", step["name"]


PUBLISHING: Final = (
    "git archive --format zip --output package.zip HEAD function_app.py host.json requirements.txt shared",
    'az functionapp deployment source config-zip --resource-group "$GROUP" --name "$APP" --src package.zip '
    "--build-remote true",
)


def test_publishing_is_what_the_page_says() -> None:
    page = (REPOSITORY / "docs" / "releases.md").read_text()
    workflow = (FOLDER / "deploy.yml").read_text().replace("$RESOURCE_GROUP", "$GROUP")
    for command in PUBLISHING:
        assert command in workflow
        assert command in page


def test_what_is_packed_is_what_other_ways_of_publishing_take() -> None:
    assert set(PUBLISHING[0].partition(" HEAD ")[2].split()) == {
        path.partition("/")[0] for path in published_files(REPOSITORY)
    }


def test_after_publishing_one_script_looks_whether_it_runs() -> None:
    command = 'infra/scripts/verify-deployment.sh --resource-group "$GROUP" --app "$APP"'
    assert command in (FOLDER / "deploy.yml").read_text().replace("$RESOURCE_GROUP", "$GROUP")
    assert command in (REPOSITORY / "docs" / "deployment.md").read_text()


class TestRelease:
    """A tag makes a release; no job can do more than its part."""

    def test_only_a_tag_starts_it(self) -> None:
        assert read("release.yml")["on"] == {"push": {"tags": ["v*"]}}

    def test_each_job_has_the_rights_of_its_part(self) -> None:
        """What builds cannot sign or publish, and what signs or publishes runs nothing of the repository."""
        jobs = read("release.yml")["jobs"]
        assert {name: job["permissions"] for name, job in jobs.items()} == {
            "build": {"actions": "read", "contents": "read"},
            "attest": {"attestations": "write", "id-token": "write"},
            "publish": {"contents": "write"},
        }
        assert [jobs["attest"]["needs"], jobs["publish"]["needs"]] == ["build", "attest"]
        for job in (jobs["attest"], jobs["publish"]):
            uses = {step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step}
            assert uses <= {"actions/download-artifact", "actions/attest-build-provenance"}
            commands = "".join(step.get("run", "") for step in job["steps"])
            assert not re.search(r"\b(make|python|npm|npx|pip|az|apt-get|curl)\b", commands)

    def test_it_builds_what_make_builds_and_publishes_exactly_that(self) -> None:
        jobs = read("release.yml")["jobs"]
        assert "make package template" in [step.get("run") for step in jobs["build"]["steps"]]
        (record,) = [step["with"]["subject-path"] for step in jobs["attest"]["steps"] if "subject-path" in step["with"]]
        assert record.split() == [f"build/{package.NAME}", f"build/{template.NAME}"]
        commands = jobs["publish"]["steps"][-1]["run"]
        assets = commands.rpartition("'")[2].split()[1:]
        assert assets == [name for asset in (package.NAME, template.NAME) for name in (asset, f"{asset}.sha256")]

    def test_only_a_checked_commit_of_that_version_is_released(self) -> None:
        commands = [step.get("run", "") for step in read("release.yml")["jobs"]["build"]["steps"]]
        before = commands[: commands.index("make package template")]
        assert any(
            'VERSION: Final = \\"${GITHUB_REF_NAME#v}\\"' in command and "shared/product.py" in command
            for command in before
        )
        assert any("--workflow check.yml" in command and "--status success" in command for command in before)
