"""How the compiler is found, and that no check passes without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.bicep import OFFLINE_EXTENSION, find_compiler
from tests.infra import run_checkov
from tests.infra.availability import unavailable


def program(place: Path) -> Path:
    """Write an executable file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return place


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BICEP", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "azure"))


def test_nowhere() -> None:
    assert find_compiler() is None


def test_the_variable_comes_before_path_and_path_before_azure_cli(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = [program(tmp_path / place) for place in ("azure/bin/bicep", "path/bicep", "named/compiler")]
    monkeypatch.setenv("BICEP", str(places[2]))
    for place in reversed(places):
        found = find_compiler()
        assert found is not None
        assert found.program == place
        place.unlink()
    assert find_compiler() is None


def test_the_extension_lies_beside_the_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BICEP", str(program(tmp_path / "tools" / "bicep")))
    without = find_compiler()
    (tmp_path / "tools" / OFFLINE_EXTENSION).touch()
    beside = find_compiler()
    assert without is not None
    assert without.offline_extension is None
    assert beside is not None
    assert beside.offline_extension == tmp_path / "tools" / OFFLINE_EXTENSION


class TestWithoutACompiler:
    def test_tests_are_skipped_at_a_desk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CI", raising=False)
        with pytest.raises(pytest.skip.Exception, match="no compiler"):
            unavailable("no compiler")

    def test_tests_fail_in_ci(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CI", "true")
        with pytest.raises(pytest.fail.Exception, match="no compiler"):
            unavailable("no compiler")

    @pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)], ids=["CI", "desk"])
    def test_checkov_says_so(
        self, ci: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("CI", ci)
        assert run_checkov.main() == status
        assert capsys.readouterr().out.startswith("checkov: skipped, no Bicep compiler")
