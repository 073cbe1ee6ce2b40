"""Requests in a link: choices have several names, and nothing is silently ignored."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.triggers.links import (
    ALIASES,
    GROUPS_OF_WORDS,
    LIST_CHOICES,
    LIST_TEXTS,
    SHOWN_MAX_LENGTH,
    TICKET_CHOICES,
    TICKET_DEFAULTS,
    TICKET_TEXTS,
    link_words,
    list_address,
    read_choice,
    read_list_link,
    read_ticket_link,
)
from shared.words.language import languages
from tests.docs.test_docs import API

FIELDS = (*TICKET_CHOICES, *TICKET_TEXTS, "due_date", "connection", "connection_id")


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        ("priority", "High", "high"),
        ("priority", "1", "critical"),
        ("priority", "5", "planning"),
        ("priority", "3 - Moderate", "moderate"),
        ("priority", "２ - 高", "high"),
        ("priority", "MEDIUM", "moderate"),
        ("category", "Identity", "identity"),
        ("category", "Device", "devices"),
        ("category", "Account", "identity"),
        ("category", "アプリ", "apps"),
        ("kind", "change_request", "change"),
        ("kind", "Change Request", "change"),
        ("kind", " INCIDENT ", "incident"),
        ("source", "Microsoft", "microsoft"),
        ("portal", "Purview", "compliance"),
    ],
)
def test_a_choice_goes_by_any_of_its_names(parameter: str, text: str, value: str) -> None:
    link = read_ticket_link({parameter: text})
    assert link.values == {**read_ticket_link({}).values, parameter: value}
    assert not link.not_understood


@pytest.mark.parametrize(("parameter", "choices"), {**TICKET_CHOICES, **LIST_CHOICES}.items())
def test_no_name_means_two_things(parameter: str, choices: type) -> None:
    group = GROUPS_OF_WORDS.get(parameter, parameter)
    for choice in choices:  # type: ignore[attr-defined]
        names = [choice.value, *ALIASES.get(choice, ()), *(t(f"{group}.{choice}") for t in languages().values())]
        assert {read_choice(choices, group, name) for name in names} == {choice}


@given(st.sampled_from(sorted(TICKET_CHOICES)), st.text())
def test_whatever_is_not_known_keeps_the_default_and_is_said(parameter: str, text: str) -> None:
    link = read_ticket_link({parameter: text})
    understood = read_choice(TICKET_CHOICES[parameter], parameter, text)
    assert link.values[parameter] == (understood or TICKET_DEFAULTS[parameter])
    said = [each.parameter for each in link.not_understood]
    assert said == ([parameter] if understood is None and text.strip() else [])


@pytest.mark.parametrize(
    ("text", "day", "reason"),
    [
        ("2026-12-31", "2026-12-31", None),
        ("31.12.2026", "", "date"),
        ("12/31/2026", "", "date"),
        ("tomorrow", "", "date"),
        ("2026-12-31T17:00:00+01:00", "2026-12-31", "time"),
        ("", "", None),
    ],
)
def test_due_dates(text: str, day: str, reason: str | None) -> None:
    link = read_ticket_link({"due_date": text})
    assert link.values["due_date"] == day
    assert [each.reason for each in link.not_understood] == ([] if reason is None else [reason])


def test_a_parameter_that_the_page_does_not_have_is_said() -> None:
    link = read_ticket_link({"title": "Block legacy authentication", "name": "x"})
    assert [(each.parameter, each.reason) for each in link.not_understood] == [("title", "parameter")]


@pytest.mark.parametrize(
    ("query", "connection"),
    [({"connection": " Contoso "}, "contoso"), ({"connection_id": "contoso"}, "contoso"), ({}, None)],
)
def test_the_connection(query: dict[str, str], connection: str | None) -> None:
    link = read_ticket_link(query)
    assert (link.connection, link.not_understood) == (connection, ())


@pytest.mark.parametrize("code", languages())
def test_words(code: str) -> None:
    query = {"priority": "urgent" * 99, "due_date": "soon", "title": "x", "x" * 999: "y"}
    words = [link_words(each, languages()[code], "3") for each in read_ticket_link(query).not_understood]
    assert len(words) == 4
    assert all("{" not in each and len(each) < SHOWN_MAX_LENGTH * 3 for each in words)


def test_filters_of_the_list() -> None:
    sent = {"kind": "Change_Request", "show": "Overdue", "connection": "CONTOSO", "text": " mfa ", "done": "retried"}
    link = read_list_link(sent, {"contoso"}, {"done"})
    assert not link.not_understood
    assert {name: value for name, value in link.chosen.items() if value} == {
        "kind": "change",
        "show": "overdue",
        "connection": "contoso",
        "text": "mfa",
    }


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("kind", "problem"),
        ("phase", "7"),
        ("portal", "azure"),
        ("show", "everything"),
        ("connection", "fabrikam"),
        ("delivery", "failed"),
        ("priority", "urgent"),
        ("sort", "colour"),
        ("order", "random"),
        ("page", "0"),
        ("page", "last"),
    ],
)
def test_a_filter_that_is_not_understood_is_said(parameter: str, value: str) -> None:
    link = read_list_link({parameter: value}, {"contoso"}, ())
    assert [(each.parameter, each.value) for each in link.not_understood] == [(parameter, value)]


@given(
    st.dictionaries(st.sampled_from(LIST_TEXTS), st.text(min_size=1).filter(lambda each: each == each.strip())),
    st.fixed_dictionaries({}, optional={name: st.sampled_from(choices) for name, choices in LIST_CHOICES.items()}),
    st.sampled_from(["", "1", "27"]),
)
def test_the_list_understands_every_address_of_its_own(
    texts: dict[str, str], choices: dict[str, str], page: str
) -> None:
    chosen = {**texts, **choices, "page": page}
    path, _, query = list_address(**chosen).partition("?")
    link = read_list_link(dict(parse_qsl(query)), {"contoso"}, ())
    assert path == "/tickets"
    assert not link.not_understood
    assert {name: value for name, value in link.chosen.items() if value} == {
        name: value for name, value in chosen.items() if value
    }


def test_the_list_has_no_address_for_what_it_does_not_know() -> None:
    assert list_address() == "/tickets"
    assert list_address("/tickets.csv", text="a&b", show="overdue") == "/tickets.csv?text=a%26b&show=overdue"
    with pytest.raises(ValueError, match="delivery"):
        list_address(delivery="failed")


def test_every_parameter_and_alias_is_documented() -> None:
    section = API[API.index("### Links to the form") : API.index("### Addresses of the list")]
    assert [name for name in FIELDS if f"`{name}`" not in section] == []
    names = [choice.value for each in TICKET_CHOICES.values() for choice in each]
    names += [alias for each in ALIASES.values() for alias in each]
    assert [name for name in names if f"`{name}`" not in section] == []
