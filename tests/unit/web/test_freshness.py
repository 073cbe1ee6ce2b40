"""A page says how old its data are, and names what is behind."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.connections.customers import Figures, ListedCustomer, customer_of
from shared.connections.model import ConnectionStatus
from shared.connections.present import listed_customer
from shared.web.freshness import LATE_BY, WAITED_FOR, freshness
from tests.memory.clock import START
from tests.unit.tickets.examples import a_connection

MINUTE = timedelta(minutes=1)


def customer(name: str, at: datetime | None, asked_at: datetime | None = None) -> ListedCustomer:
    connection = a_connection(connection_id=name, display_name=name.upper())
    return ListedCustomer(name, customer_of(connection), Figures(last_sync_at=at), asked_at)


def test_the_oldest_counts_and_who_is_behind_is_named() -> None:
    newest, older = customer("a", START - MINUTE), customer("b", START - MINUTE - LATE_BY)
    shown = freshness([newest, older, customer("c", START - 2 * MINUTE - LATE_BY)], START)
    assert shown is not None
    assert (shown.as_of, shown.late, shown.connection_id) == (START - 2 * MINUTE - LATE_BY, ["C"], "")
    never = freshness([newest, older, customer("c", None)], START)
    assert never is not None
    assert (never.as_of, never.late) == (None, ["C"])
    one = freshness([newest], START)
    assert one is not None
    assert (one.as_of, one.late, one.connection_id, one.again_s) == (START - MINUTE, [], "a", 60)


def test_what_is_never_synchronised_has_no_age() -> None:
    unfinished = a_connection(consented_at=None)
    removed = a_connection(status=ConnectionStatus.DISCONNECTED)
    assert freshness([listed_customer(each, None, Figures()) for each in (unfinished, removed)], START) is None


@pytest.mark.parametrize(
    ("asked_at", "waits"),
    [(None, False), (START, True), (START - WAITED_FOR, False), (START + 5 * MINUTE, False)],
)
def test_a_page_says_that_somebody_waits_for_newer_data_and_then_looks_sooner(
    asked_at: datetime | None, waits: bool
) -> None:
    shown = freshness([customer("contoso", START, asked_at)], START)
    assert shown is not None
    assert shown.is_refreshing is waits
    assert shown.again_s == (10 if waits else 60)
