"""The texts of the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from shared.tickets.model import EventKind, TimelineEvent
from shared.web.timeline import event_words
from shared.words.language import languages
from tests.memory.clock import START

NAMES = {"1": "Neu", "6": "Gelöst", "incident": "no table's name"}
STATES = {"from": "1", "from_label": "New", "to": "6", "to_label": "Resolved", "phase": "resolved"}


def words(kind: EventKind, details: Mapping[str, str], names: Mapping[str, str] = MappingProxyType({})) -> str:
    return event_words(
        TimelineEvent(kind, START, details), languages()["en"], state_names=names, time_zone="Asia/Tokyo"
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (NAMES, "State changed from Neu to Gelöst"),
        ({"6": "Gelöst"}, "State changed from New to Gelöst"),
        ({}, "State changed from New to Resolved"),
    ],
)
def test_states_have_the_names_that_the_connection_gives_them(names: dict[str, str], expected: str) -> None:
    assert words(EventKind.STATE_CHANGED, STATES, names) == expected


def test_a_state_without_a_label_is_its_value() -> None:
    assert words(EventKind.STATE_CHANGED, {"from": "1", "to": "21"}) == "State changed from 1 to 21"
    assert words(EventKind.FOUND_AGAIN, {"state": "21"}) == "Found again in ServiceNow: 21"
    assert words(EventKind.FOUND_AGAIN, {"state": "6", "label": "Resolved"}, NAMES).endswith("Gelöst")


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("2031-05-01T14:59:59+00:00", "2031-05-01"),
        ("2031-05-01T10:00:00+00:00", "2031-05-01 10:00 UTC"),
        (None, "None"),
    ],
)
def test_a_due_date_is_written_as_everywhere_on_the_page(to: str | None, expected: str) -> None:
    details = {} if to is None else {"to": to}
    assert words(EventKind.DUE_DATE_CHANGED, details) == f"Due date changed in ServiceNow: {expected}"


def test_a_table_is_no_state() -> None:
    moved = words(EventKind.MOVED, {"from": "incident", "to": "sn_si_incident"}, NAMES)
    assert moved == "Moved in ServiceNow from incident to sn_si_incident"


def test_an_error_is_told_in_the_persons_language_with_the_fields_it_names() -> None:
    details = {"code": "mandatory_fields_missing", "variant": "named", "names": "Category, Service"}
    refused = TimelineEvent(EventKind.DELIVERY_FAILED, START, details)
    for t in languages().values():
        said = t("error.mandatory_fields_missing.named.message", names="Category, Service")
        assert said in event_words(refused, t, state_names={}, time_zone="UTC")
    assert "as stored" in words(EventKind.DELIVERY_FAILED, {"code": "of_another_release", "message": "as stored"})


def test_texts_that_were_shortened() -> None:
    assert words(EventKind.SHORTENED, {"description": "300"}).endswith("Characters lost: Description 300")
    both = {"description": "300", "short_description": "12"}
    assert words(EventKind.SHORTENED, both).endswith("Characters lost: Name 12, Description 300")
