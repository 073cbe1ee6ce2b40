"""Warnings before a ticket is created."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tickets.model import Delivery, Phase, Ticket, TicketContent
from shared.tickets.warnings import SHOWN_TICKETS, WarningCode, recommendation_keys, warnings_about
from tests.memory.clock import START
from tests.unit.tickets.examples import delivered_ticket, new_ticket


def named(ticket: Ticket, name: str, recommendation_id: str | None = None, link: str | None = None) -> Ticket:
    recommendation = replace(ticket.content.recommendation, id=recommendation_id, link=link)
    return replace(ticket, content=replace(ticket.content, name=name, recommendation=recommendation))


def codes(ticket: Ticket, *others: Ticket) -> list[WarningCode]:
    return [each.code for each in warnings_about(ticket, others)]


NEW = named(new_ticket(START), "Block legacy authentication", "BlockLegacy", "https://security.microsoft.com/a")
OPEN = delivered_ticket(START - timedelta(days=1))


@pytest.mark.parametrize(
    ("name", "recommendation_id", "link", "is_same"),
    [
        ("Another name", "BlockLegacy", None, True),
        ("Another name", "blocklegacy", "https://elsewhere.example", True),
        ("block  LEGACY authentication", "AnotherId", None, True),
        ("Another name", None, "https://security.microsoft.com/a", True),
        ("Another name", "AnotherId", "https://security.microsoft.com/a", False),
        ("Another name", None, None, False),
    ],
)
def test_the_same_recommendation(name: str, recommendation_id: str | None, link: str | None, is_same: bool) -> None:
    other = named(OPEN, name, recommendation_id, link)
    assert codes(NEW, other) == [WarningCode.RECOMMENDATION_HAS_OPEN_TICKET] * is_same


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"phase": Phase.CLOSED}, False),
        ({"phase": Phase.DELETED}, False),
        ({"phase": None, "record": None, "delivery": replace(OPEN.delivery, status=Delivery.PENDING)}, True),
        ({"phase": None, "record": None, "delivery": replace(OPEN.delivery, status=Delivery.FAILED)}, False),
        ({"instance": "https://left.service-now.com"}, False),
        ({"ticket_id": NEW.ticket_id}, False),
    ],
)
def test_only_new_ticket_that_somebody_works_on_counts(changes: dict[str, Any], counts: bool) -> None:
    other = replace(named(OPEN, NEW.content.name), **changes)
    assert bool(codes(NEW, other)) is counts


def test_a_due_date_that_is_over() -> None:
    for ahead, warned in ((timedelta(seconds=-1), True), (timedelta(), False)):
        due = replace(NEW, content=replace(NEW.content, due_at=NEW.created_at + ahead))
        assert codes(due) == [WarningCode.DUE_DATE_PAST] * warned
    assert codes(replace(NEW, content=replace(NEW.content, due_at=None))) == []


def test_only_the_newest_are_named_and_each_is_accepted_for_itself() -> None:
    others = [replace(named(OPEN, NEW.content.name), ticket_id=f"{number:032x}") for number in range(5)]
    [warning] = warnings_about(NEW, others)
    assert warning.tickets == tuple(others[:SHOWN_TICKETS])
    [first] = warnings_about(NEW, others[:1])
    assert first.keys < warning.keys


@given(st.text(min_size=1), st.sampled_from(["name", "id", "link"]))
def test_whatever_is_the_same_has_a_key_in_common(text: str, shared: str) -> None:
    def content(name: str, **recommendation: str) -> TicketContent:
        return named(NEW, name, recommendation.get("id"), recommendation.get("link")).content

    if shared == "name":
        one, other = content(text), content(f" {text.casefold()} ")
    else:
        one, other = content("one", **{shared: text}), content("other", **{shared: text})
    assert set(recommendation_keys(one)) & set(recommendation_keys(other))
