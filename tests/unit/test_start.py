import json
import subprocess
import sys

RARELY_NEEDED = {
    "shared.check.run",
    "shared.check.rules",
    "shared.check.observations",
    "shared.servicenow.probes",
    "shared.graph.source",
    "shared.recommendations.joining",
}
OF_FILES = {"shared.recommendations.importing", "shared.recommendations.files.spreadsheet", "openpyxl", "defusedxml"}


def test_the_app_starts_without_what_few_of_its_instances_need() -> None:
    program = "import function_app, json, sys; print(json.dumps([*sys.modules]))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)
    assert "shared.application" in loaded
    assert not (RARELY_NEEDED | OF_FILES) & set(loaded)
