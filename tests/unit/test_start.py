import json
import subprocess
import sys

RARELY_NEEDED = {"shared.check.run", "shared.check.rules", "shared.check.observations", "shared.servicenow.probes"}
OF_FILES = {"shared.recommendations.importing", "shared.recommendations.files.spreadsheet", "openpyxl", "defusedxml"}


def test_the_app_starts_without_what_only_a_check_or_a_file_needs() -> None:
    program = "import function_app, json, sys; print(json.dumps([*sys.modules]))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)
    assert "shared.application" in loaded
    assert not (RARELY_NEEDED | OF_FILES) & set(loaded)
