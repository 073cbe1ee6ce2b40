"""The published files, with their requirements installed as by the remote build, give the documented functions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from release.core_tools import published_files
from shared.triggers.routes import operations
from tests.registered import functions

ROOT = Path(__file__).parent.parent.parent
HTTP_FUNCTIONS = [function for function in functions() if function.is_http_function()]
INDEXER = Path(__file__).with_name("index_functions.py")
pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def site(dependencies: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application folder as in Azure after a remote build.

    pip resolves ``requirements.txt`` among the locked wheels: what it needs beyond them is missing from the file, and
    asking the registry for files that are already here takes most of an installation's time.
    """
    wwwroot = tmp_path_factory.mktemp("site") / "wwwroot"
    for path in published_files(ROOT):
        (wwwroot / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, wwwroot / path)
    target = wwwroot / ".python_packages" / "lib" / "site-packages"
    [folder] = {wheel.parent for wheel in dependencies}
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    found = ["--no-index", "--find-links", str(folder), "--only-binary", ":all:", "--requirement", "requirements.txt"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    subprocess.run([*install, *found, "--target", str(target)], cwd=wwwroot, check=True, env=environment)
    return wwwroot


@pytest.mark.parametrize("app_root_first", [True, False], ids=["app root first", "app root last"])
def test_the_published_app_indexes(site: Path, app_root_first: bool) -> None:
    packages = site / ".python_packages" / "lib" / "site-packages"
    order = [site, packages] if app_root_first else [packages, site]
    completed = subprocess.run(
        [sys.executable, "-I", "-S", str(INDEXER), json.dumps([str(path) for path in order])],
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert completed.returncode == 0, completed.stderr
    indexed = json.loads(completed.stdout)
    assert indexed["shared"] == str(site / "shared" / "__init__.py")
    for triggered in ("maintain", "maintain_connections", "read_tenants"):
        assert indexed["functions"].pop(triggered) is None
    assert set(indexed["functions"]) == {function.get_function_name() for function in HTTP_FUNCTIONS}
    api = {name for name, route in indexed["functions"].items() if route.startswith("api/")}
    assert api == {operation.name for operation in operations()}
