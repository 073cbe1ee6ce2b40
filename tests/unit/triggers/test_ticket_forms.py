"""The form of a new ticket: the request it means, and where it shows what is wrong with that."""

from __future__ import annotations

import pytest

from shared.errors import Failure, FixRequest
from shared.tickets.requests import read_ticket_request
from shared.triggers.links import TICKET_DEFAULTS
from shared.triggers.ticket_forms import FIELDS, ticket_body, ticket_faults
from shared.words.error_words import words_of
from shared.words.language import languages

VALUES = {**dict.fromkeys(FIELDS, ""), **TICKET_DEFAULTS, "name": "Require MFA"}
WRONG = {
    "kind": "problem",
    "portal": "azure",
    "name": "",
    "description": "\0",
    "priority": "6",
    "due_date": "soon",
    "source": "nobody",
    "category": "weather",
    "link": "javascript:alert(1)",
    "recommendation_id": "x" * 1000,
}


def faults(language: str, **changes: str) -> dict[str, str]:
    with pytest.raises(FixRequest) as refused:
        read_ticket_request(ticket_body({**VALUES, **changes}))
    return ticket_faults(languages()[language], refused.value)


def test_what_is_empty_is_left_out_of_the_request() -> None:
    request = read_ticket_request(ticket_body(VALUES))
    assert (request.connection_id, request.due_date) == (None, None)
    assert (request.recommendation.id, request.recommendation.link) == (None, None)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("field", [field for field in WRONG if field != "recommendation_id"])
def test_each_fault_is_shown_at_its_field(language: str, field: str) -> None:
    assert faults(language, **{field: WRONG[field]}) == {field: languages()[language](f"fault.{field}")}


def test_all_faults_are_shown_at_once_and_those_of_the_hidden_field_above_the_form() -> None:
    found = faults("en", **WRONG)
    assert set(found) == {"", *WRONG} - {"recommendation_id"}
    assert found[""] == languages()["en"]("fault.recommendation_id")


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("connection_ambiguous", "connection_id"),
        ("description_too_long", "description"),
        ("kind_not_enabled", "kind"),
        ("ticket_not_found", ""),
    ],
)
def test_an_error_without_a_list_of_faults(code: str, field: str) -> None:
    error = FixRequest.of(Failure(code, {"kind": "incident", "too_long_by": 3, "connection_ids": ["a", "b"]}))
    t = languages()["en"]
    assert ticket_faults(t, error) == {field: words_of(error, t).message}
