import json
import re
import subprocess
import sys
from pathlib import Path

import shared

RARELY_NEEDED = {
    "shared.check.run",
    "shared.check.rules",
    "shared.check.observations",
    "shared.connections.views",
    "shared.evidence.views",
    "shared.servicenow.probes",
    "shared.graph.source",
    "shared.portfolio.views",
    "shared.recommendations.reading.joining",
    "shared.recommendations.reading.read",
    "shared.recommendations.texts.plain_texts",
    "shared.recommendations.ticketing.bulk",
    "shared.recommendations.ticketing.create",
    "shared.recommendations.ticketing.follow_ups",
    "shared.recommendations.ticketing.linking",
    "shared.recommendations.verifying.tenant",
    "shared.maintenance.run",
    "shared.maintenance.serve",
    "shared.maintenance.due",
    "shared.tenants.configure",
    "shared.tenants.views",
    "shared.tickets.closings",
    "shared.tickets.reconcile",
    "shared.tickets.recording",
    "shared.tickets.updates.people",
    "shared.tickets.updates.send",
    "shared.web.check_views",
    "html.parser",
}
OF_FILES = {
    "shared.recommendations.files.importing",
    "shared.recommendations.files.listed_actions",
    "shared.recommendations.files.spreadsheet",
    "shared.recommendations.files.views",
    "openpyxl",
    "defusedxml",
}

BUILT_MODELS = """
import function_app, json
from pydantic import BaseModel

def below(model):
    for each in model.__subclasses__():
        yield each
        yield from below(each)

print(json.dumps(sorted({
    f"{each.__module__}.{each.__name__}"
    for each in below(BaseModel)
    if each.__module__.startswith("shared.")
    and each.__pydantic_complete__
    and not each.__pydantic_generic_metadata__["parameters"]
})))
"""

GARBAGE = """
import gc, json
gc.collect()
collections = []
gc.callbacks.append(lambda phase, info: collections.append(phase))
import function_app
print(json.dumps([len(collections), gc.isenabled(), gc.get_freeze_count() > 100_000]))
"""


def _printed(program: str) -> list[object]:
    printed: list[object] = json.loads(
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout
    )
    return printed


def test_the_app_starts_without_what_few_of_its_instances_need() -> None:
    program = "import function_app, json, sys; print(json.dumps([*sys.modules]))"
    loaded = _printed(program)
    assert "shared.application" in loaded
    assert not (RARELY_NEEDED | OF_FILES) & set(loaded)


def test_no_class_has_its_methods_generated_at_start_that_a_value_object_has_generated_on_first_use() -> None:
    sources = Path(shared.__file__).parent.rglob("*.py")
    frozen = [
        str(each) for each in sources if re.search(r"^ *@dataclass\(.*frozen=True", each.read_text(), re.MULTILINE)
    ]
    assert frozen == []


def test_the_app_starts_without_building_the_models_of_its_requests_and_answers() -> None:
    assert _printed(BUILT_MODELS) == []


def test_nobody_looks_for_garbage_among_the_modules_while_they_are_imported_or_later() -> None:
    assert _printed(GARBAGE) == [0, True, True]
