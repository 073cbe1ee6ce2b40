"""The package of a release: what it holds, that two builds give the same bytes, and that it runs as it is."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
from typing import Any, Final

import pytest

from release.checksum import sha256, write_checksum
from release.core_tools import published_files
from release.package import NAME, SITE_PACKAGES, build
from release.wheels import KEPT, WheelsMissingError, locked, wheels
from sandbox.azurite import StorageAccount
from sandbox.certificates import Certificates
from sandbox.functions_host.authentication import Tenant, person_principal
from sandbox.managed_identity.process import ManagedIdentityEndpoint
from sandbox.world import PEOPLE, create_tables, sample_settings
from shared.triggers.routes import operations
from tests.packaging.test_requirements import pinned
from tests.registered import functions

ROOT: Final = Path(__file__).parent.parent.parent
RUNNER: Final = Path(__file__).with_name("run_package.py")
MOST_BYTES: Final = 65_000_000
UNCHECKED: Final = (1).to_bytes(4, "little")
"""The flags of byte code that is valid whatever has become of its source."""
WORKER: Final = ("azure-functions-runtime", "azurefunctions-extensions-base")
"""What the platform adds to a package: the worker's own libraries."""
pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def package(dependencies: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this folder."""
    built = tmp_path_factory.mktemp("release") / NAME
    build(ROOT, dependencies, built)
    return built


@pytest.fixture(scope="module")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application folder as Azure unpacks it."""
    wwwroot = tmp_path_factory.mktemp("site") / "wwwroot"
    with zipfile.ZipFile(package) as archive:
        archive.extractall(wwwroot)
    return wwwroot


@pytest.fixture
def ran(
    site: Path,
    tmp_path: Path,
    storage_account: StorageAccount,
    vault_url: str,
    managed_identity: ManagedIdentityEndpoint,
    certificates: Certificates,
) -> dict[str, Any]:
    """What the worker library says of the package."""
    create_tables(storage_account, certificates)
    worker = tmp_path / "worker"
    worker.mkdir()
    for name in WORKER:
        for top in {file.parts[0] for file in distribution(name).files or ()}:
            (worker / top).symlink_to(str(distribution(name).locate_file(top)))
    tenant = Tenant.read(PEOPLE)
    principal = json.dumps(person_principal(tenant, tenant.people[0])).encode()
    given = {
        "package": str(site),
        "worker": str(worker),
        "repository": str(ROOT),
        "headers": {"x-ms-client-principal": base64.b64encode(principal).decode(), "x-ms-client-principal-idp": "aad"},
        "environment": {
            **sample_settings(),
            "TABLES_URL": storage_account.tables_url,
            "KEY_VAULT_URL": vault_url,
            "SSL_CERT_FILE": str(certificates.authority),
            "WEBSITE_AUTH_ENABLED": "True",
            **managed_identity.environment,
        },
    }
    completed = subprocess.run(
        [sys.executable, "-I", "-S", "-B", RUNNER, json.dumps(given)],
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert completed.returncode == 0, completed.stderr
    said: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    assert said["error"] is None, said["error"]
    return said


def test_it_runs_as_it_is_without_a_network(site: Path, ran: dict[str, Any], tmp_path: Path) -> None:
    assert ran["guard_works"]
    for triggered in ("maintain", "maintain_connections", "read_tenants"):
        assert ran["functions"].pop(triggered) is None
    assert set(ran["functions"]) == {
        function.get_function_name() for function in functions() if function.is_http_function()
    }
    assert {operation.name for operation in operations()} <= set(ran["functions"])
    assert ran["timer"] is None
    assert (ran["status"], json.loads(ran["body"])) == ("200", {"connections": []})
    of_packages = {file for file in ran["files"] if "site-packages" in file}
    assert all(Path(file).is_relative_to(site) for file in of_packages)
    assert len(of_packages) > len(pinned("requirements.txt"))


def test_it_holds_the_product_its_dependencies_and_their_byte_code(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        assert names == sorted(set(names), key=Path)
        code = {name: archive.read(name) for name in names if name.endswith(".pyc")}
        sources = {cache_from_source(name): archive.read(name) for name in names if name.endswith(".py")}
    product = {name for name in names if name not in code and not Path(name).is_relative_to(SITE_PACKAGES)}
    assert product == set(published_files(ROOT))
    assert code.keys() == sources.keys()
    for name, content in code.items():
        assert content[:16] == MAGIC_NUMBER + UNCHECKED + source_hash(sources[name]), name
    assert package.stat().st_size <= MOST_BYTES


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    """Also from another folder, whose files are older and more private. A part of the product is enough."""
    first, second = tmp_path / "first", tmp_path / "second"
    for copy in (first, second):
        shutil.copytree(ROOT / "shared" / "recommendations", copy / "shared" / "recommendations")
        shutil.copy(ROOT / ".funcignore", copy)
    for file in (path for path in second.rglob("*") if path.is_file()):
        file.chmod(stat.S_IRUSR)
        os.utime(file, (0, 0))
    for copy in (first, second):
        build(copy, [], copy.with_suffix(".zip"))
    assert sha256(first.with_suffix(".zip")) == sha256(second.with_suffix(".zip"))


def test_a_wheel_that_writes_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").touch()
    wheel = tmp_path / "left-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("left-1.0.data/scripts/left", "")
    with pytest.raises(SystemExit, match=r"installs left-1\.0\.data/scripts/left outside"):
        build(tmp_path, [wheel], tmp_path / NAME)


def test_the_checksum_file_is_read_by_the_usual_tool(tmp_path: Path) -> None:
    asset = tmp_path / NAME
    asset.write_bytes(b"package")
    beside = write_checksum(asset)
    check = ["sha256sum", "--check", "--strict", beside.name]
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    asset.write_bytes(b"packages")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_the_locked_wheels_are_those_of_the_requirements() -> None:
    """After a change of requirements.txt, run ``make lock``."""
    assert set(locked()) == {
        f"{name}{requirement.specifier}" for name, requirement in pinned("requirements.txt").items()
    }


def test_a_wheel_with_another_hash_is_refused(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (requirement,) = [each for each in locked() if each.startswith("h11==")]
    lock = tmp_path / "wheels.txt"
    lock.write_text(f"{requirement} --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr("release.wheels.LOCK", lock)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(KEPT))
    with pytest.raises(WheelsMissingError, match="DO NOT MATCH THE HASHES"):
        wheels(tmp_path)
