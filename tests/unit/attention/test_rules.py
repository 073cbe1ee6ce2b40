"""Every cause gives exactly one item, in order, and nobody sees what is not for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.attention.model import Action, AttentionItem, Audience, Cause, Severity, TicketNeeds
from shared.attention.needs import (
    figures_of,
    needs_of_summary,
    needs_of_tickets,
    needs_of_turn,
    with_refused_changes,
)
from shared.attention.rules import WatchedConnection, attention_items
from shared.connections.customers import Figures
from shared.connections.directory import DirectoryEntry
from shared.connections.model import ConnectionStatus, Grant, LastError, Operation
from shared.connections.present import listed_customer
from shared.error_codes import Code
from shared.errors import Failure
from shared.storage.directory import customer_of_row, entry_row
from shared.tenants.model import AdminConsent, Tenant, TenantError
from shared.tickets.listed import CurrentTickets, listed
from shared.tickets.model import Delivery, Phase
from shared.tickets.outcomes import Closing, Outcome, RecommendationOutcome, Verification
from shared.tickets.summary import Summary, SummaryChange
from shared.tickets.updates.model import Update, UpdateKind, UpdateStatus
from tests.memory.clock import START
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import a_connection, delivered_ticket, new_ticket

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
FAILURE: Final = Failure("graph_unavailable")


def watched(needs: TicketNeeds | None = None, **changes: Any) -> WatchedConnection:
    figures = Figures(last_sync_at=START - MINUTE)
    connection = a_connection(status_since_at=START - DAY, **changes)
    return WatchedConnection(listed_customer(connection, None, figures), needs or TicketNeeds())


def with_figures(one: WatchedConnection, **found: Any) -> WatchedConnection:
    return replace(one, listed=replace(one.listed, figures=replace(one.listed.figures, **found)))


def tenant(**changes: Any) -> Tenant:
    known = Tenant(TENANT, "Contoso", "contoso", added_at=START - 9 * DAY, due_at=START, read_at=START - MINUTE)
    return replace(known, **changes)


def items(*connections: WatchedConnection, tenants: tuple[Tenant, ...] = (), rows: int = 0) -> list[AttentionItem]:
    return list(attention_items(connections, tenants, START, sync_interval=MINUTE, unreadable_rows=rows))


STATUS = ConnectionStatus
SITUATIONS: Final[Mapping[Cause, list[AttentionItem]]] = {
    Cause.REAUTHORIZATION_REQUIRED: items(watched(status=STATUS.REAUTHORIZATION_REQUIRED)),
    Cause.RECONNECTION_REQUIRED: items(watched(status=STATUS.REAUTHORIZATION_REQUIRED, grant=Grant.CLIENT_CREDENTIALS)),
    Cause.CONSENT_ENDS: items(watched(consent_ends_at=START + 5 * DAY)),
    Cause.UNAVAILABLE: items(watched(status=STATUS.UNAVAILABLE)),
    Cause.CONNECTION_ERROR: items(watched(last_error=LastError(Failure("records_not_visible"), START))),
    Cause.NOT_SYNCHRONISED: items(with_figures(watched(), last_sync_at=START - timedelta(minutes=61))),
    Cause.SECRETS_NOT_RENEWED: items(watched(secrets_renew_at=START - 8 * DAY)),
    Cause.SETUP_UNFINISHED: items(watched(status=STATUS.AWAITING_AUTHORIZATION)),
    Cause.TICKETS_REFUSED: items(watched(TicketNeeds(failed=3))),
    Cause.TICKETS_OVERDUE: items(watched(TicketNeeds(overdue=3))),
    Cause.TICKETS_NOT_FIXED: items(watched(TicketNeeds(not_fixed=3))),
    Cause.TICKETS_REGRESSED: items(watched(TicketNeeds(regressed=3))),
    Cause.CHANGES_REFUSED: items(watched(TicketNeeds(refused_changes=3))),
    Cause.REMINDERS_NOT_TAKEN: items(with_figures(watched(), reminders_failed_at=START - DAY)),
    Cause.LISTS_INCOMPLETE: items(replace(watched(), is_listed=False)),
    Cause.TENANT_NO_PERMISSION: items(
        watched(), tenants=(tenant(error=TenantError(Failure("graph_permission_missing"), START)),)
    ),
    Cause.TENANT_UNREADABLE: items(watched(), tenants=(tenant(error=TenantError(FAILURE, START)),)),
    Cause.TENANT_NOT_READ: items(watched(), tenants=(tenant(read_at=START - 3 * DAY),)),
    Cause.TENANT_WITHOUT_CONNECTION: items(watched(), tenants=(tenant(connection_id="removed"),)),
    Cause.ROWS_UNREADABLE: items(watched(), rows=3),
}


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_gives_exactly_one_item(cause: Cause) -> None:
    assert [each.cause for each in SITUATIONS[cause]] == [cause]


@pytest.mark.parametrize("code", ["graph_permission_missing", "admin_consent_missing"])
def test_a_consent_that_was_just_given_needs_nobody_yet(code: Code) -> None:
    lacking = tenant(error=TenantError(Failure(code), START))
    just_now, before = (AdminConsent("", START - DAY, answered_at=START - age) for age in (MINUTE, 6 * MINUTE))
    assert items(watched(), tenants=(replace(lacking, consent=just_now),)) == []
    assert len(items(watched(), tenants=(replace(lacking, consent=before),))) == 1


def test_a_missing_consent_leads_to_where_it_is_asked_for() -> None:
    [item] = items(watched(), tenants=(tenant(error=TenantError(Failure("admin_consent_missing"), START)),))
    assert item.address == f"/tenants/{TENANT}#consent"


def test_what_works_needs_nobody() -> None:
    fine = watched(TicketNeeds(waiting=9), consent_ends_at=START + 40 * DAY, secrets_renew_at=START + DAY)
    assert items(fine, tenants=(tenant(), replace(tenant(), due_at=None, read_at=None))) == []


@pytest.mark.parametrize(
    ("days", "severity"),
    [(0, "critical"), (3, "critical"), (4, "warning"), (14, "warning"), (15, "information"), (30, "information")],
)
def test_the_nearer_the_end_of_the_consent_the_worse(days: int, severity: str) -> None:
    [item] = items(watched(consent_ends_at=START + days * DAY + MINUTE, second_factor_holder="Diego Siciliani"))
    assert item.severity is Severity(severity)
    assert item.values["days"] == days
    assert item.values["holder"] == "Diego Siciliani"


def test_a_consent_that_ends_is_said_beside_an_instance_that_does_not_answer() -> None:
    found = items(watched(status=STATUS.UNAVAILABLE, consent_ends_at=START + DAY))
    assert [each.cause for each in found] == [Cause.CONSENT_ENDS, Cause.UNAVAILABLE]
    ended = watched(status=STATUS.REAUTHORIZATION_REQUIRED, consent_ends_at=START + DAY)
    assert [each.cause for each in items(ended)] == [Cause.REAUTHORIZATION_REQUIRED]


def test_a_slow_interval_is_not_late() -> None:
    slow = with_figures(watched(), last_sync_at=START - timedelta(hours=4))
    assert attention_items([slow], (), START, sync_interval=timedelta(hours=1)) == []


def test_about_tickets_only_readers_are_told_and_about_settings_only_managers() -> None:
    found = {cause: made[0] for cause, made in SITUATIONS.items()}
    tickets = {cause for cause in Cause if cause.startswith(("tickets_", "changes_", "lists_"))}
    managed = {
        Cause.SETUP_UNFINISHED,
        Cause.TENANT_WITHOUT_CONNECTION,
        Cause.ROWS_UNREADABLE,
        Cause.REMINDERS_NOT_TAKEN,
    }
    for cause, item in found.items():
        seen_by = (
            Audience.READERS if cause in tickets else Audience.MANAGERS if cause in managed else Audience.EVERYBODY
        )
        assert item.seen_by is seen_by, cause
        assert item.done_by is (Audience.READERS if cause in tickets else Audience.MANAGERS), cause


needs = st.builds(
    TicketNeeds,
    failed=st.integers(0, 2),
    overdue=st.integers(0, 2),
    not_fixed=st.integers(0, 2),
    regressed=st.integers(0, 2),
    refused_changes=st.integers(0, 2),
    since_at=st.dictionaries(st.sampled_from(Cause), st.integers(0, 99).map(lambda days: START - days * DAY)),
)
times = st.none() | st.integers(-40, 40).map(lambda days: START + days * DAY)
connections = st.lists(
    st.builds(
        lambda number, needs, synchronised_at, is_listed, **changes: WatchedConnection(
            listed_customer(
                a_connection(connection_id=f"c-{number}", **changes), None, Figures(last_sync_at=synchronised_at)
            ),
            needs,
            is_listed,
        ),
        number=st.integers(0, 5),
        needs=needs,
        synchronised_at=times,
        is_listed=st.booleans(),
        status=st.sampled_from([each for each in ConnectionStatus if each is not ConnectionStatus.DISCONNECTED]),
        grant=st.sampled_from(Grant),
        status_since_at=times,
        consented_at=times,
        consent_lifetime_s=st.integers(1, 9),
        second_factor_holder=st.none() | st.text(st.characters(codec="utf-8"), max_size=3),
        consent_ends_at=times,
        secrets_renew_at=times,
        last_error=st.none()
        | st.just(LastError(FAILURE, START))
        | st.just(LastError(Failure("records_not_visible", {"table": "incident"}), START, Operation.COMPARISON)),
    ),
    max_size=4,
    unique_by=lambda each: each.listed.connection_id,
)
tenants = st.lists(
    st.builds(
        Tenant,
        st.sampled_from(["a", "b", "c"]),
        st.just("Tenant"),
        connection_id=st.sampled_from([None, "c-0", "c-1"]),
        due_at=times,
        read_at=times,
        added_at=times,
        error=st.none() | st.just(TenantError(FAILURE, START)),
    ),
    max_size=3,
    unique_by=lambda each: each.tenant_id,
)


@settings(max_examples=60)
@given(connections, tenants, st.integers(0, 2))
def test_nothing_is_said_twice_and_the_worst_and_oldest_come_first(
    some: list[WatchedConnection], others: list[Tenant], rows: int
) -> None:
    found = items(*some, tenants=tuple(others), rows=rows)
    places = Counter((each.cause, each.about and (each.about.kind, each.about.id)) for each in found)
    assert all(count == 1 for count in places.values())
    severities = list(Severity)
    order = [
        (severities.index(each.severity), each.since_at is None, (each.since_at and each.since_at.timestamp()) or 0)
        for each in found
    ]
    assert order == sorted(order)
    assert found == items(*reversed(some), tenants=tuple(reversed(others)), rows=rows), "the order of rows is no age"


@settings(max_examples=40)
@given(connections)
def test_the_row_of_a_customer_says_as_much_as_the_connection(some: list[WatchedConnection]) -> None:
    def from_row(one: WatchedConnection) -> WatchedConnection:
        listed = one.listed
        entry = DirectoryEntry(listed.connection_id, customer=listed.customer, figures=listed.figures)
        return replace(one, listed=customer_of_row(entry_row(entry)))

    assert [from_row(each) for each in some] == some


def test_needs_are_the_same_from_the_summary_the_tickets_and_the_last_turn() -> None:
    def closed(outcome: Outcome, *, superseded: bool = False) -> Any:
        verification = Verification(
            START,
            (RecommendationOutcome(TENANT, "0" * 32, outcome=outcome),),
            Closing(noticed_at=START - 4 * DAY),
            is_superseded=superseded,
        )
        return replace(delivered_ticket(START), phase=Phase.CLOSED, verification=verification)

    refused = new_ticket(START - 2 * DAY)
    refused = replace(refused, delivery=replace(refused.delivery, status=Delivery.FAILED))
    tickets = [
        refused,
        delivered_ticket(START, due_at=START - 3 * DAY),
        delivered_ticket(START, due_at=START + 3 * DAY),
        closed(Outcome.NOT_FIXED),
        closed(Outcome.NOT_FIXED, superseded=True),
        closed(Outcome.REGRESSED),
        closed(Outcome.WAITING),
    ]
    summary = Summary().plus([SummaryChange.between([(None, ticket) for ticket in tickets])])
    update = Update("contoso", "t", "u", UpdateKind.COMMENT, "me", START, status=UpdateStatus.REFUSED)
    expected = TicketNeeds(
        failed=1, overdue=1, waiting=1, not_fixed=1, regressed=1, refused_changes=1, refused_change_of="t"
    )
    assert needs_of_summary(summary, START, [update, replace(update, status=UpdateStatus.WAITING)]) == replace(
        expected, since_at={Cause.CHANGES_REFUSED: START}
    )
    figures = figures_of(summary, expected)
    assert needs_of_turn(figures) == expected
    current = CurrentTickets("contoso", summary, [each for each in map(listed, tickets) if each.is_current])
    assert needs_of_tickets(current, figures, START) == replace(
        expected,
        since_at={
            Cause.TICKETS_REFUSED: START - 2 * DAY,
            Cause.TICKETS_OVERDUE: START - 3 * DAY,
            Cause.TICKETS_NOT_FIXED: START - 4 * DAY,
        },
    )


def test_a_refused_change_leads_to_its_ticket_and_one_that_is_gone_to_nothing() -> None:
    stale = TicketNeeds(refused_changes=2)
    update = Update("contoso", "t-1", "u", UpdateKind.COMMENT, "me", START - DAY, status=UpdateStatus.REFUSED)
    newer = replace(update, ticket_id="t-2", asked_at=START)
    [item] = items(watched(with_refused_changes(stale, [newer, update])))
    assert (item.action, item.address, item.since_at) == (Action.SHOW_TICKET, "/tickets/t-1", START - DAY)
    assert items(watched(with_refused_changes(stale, [replace(update, status=UpdateStatus.WAITING)]))) == []
    at_the_end_of_a_turn = figures_of(Summary(), needs_of_summary(Summary(), START, [newer, update]))
    [item] = items(watched(needs_of_turn(at_the_end_of_a_turn)))
    assert (item.address, item.values["count"]) == ("/tickets/t-1", 2)
