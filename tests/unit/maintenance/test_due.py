"""When a connection is due: never later than release 0.1 would serve it, and not every minute when idle."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.clock import believed
from shared.connections.directory import LOOK_EVERY, Place, SyncState
from shared.connections.model import Connection, ConnectionStatus, LastError
from shared.errors import Failure
from shared.maintenance.due import due_at
from shared.settings import Settings
from shared.tickets.attempts import LEASE_S
from shared.tickets.deliver import attempt_due_at, is_deliverable
from shared.tickets.model import DeliveryProgress, Ticket
from tests.memory.clock import START
from tests.memory.maintenance import settings
from tests.unit.tickets.examples import a_connection, new_ticket

MINUTE = timedelta(minutes=1)

around = st.none() | st.timedeltas(timedelta(days=-3), timedelta(days=3)).map(lambda off: START + off)
soon = st.none() | st.timedeltas(timedelta(minutes=-90), timedelta(minutes=90)).map(lambda off: START + off)
connections = st.builds(
    replace,
    st.just(a_connection()),
    status=st.sampled_from(ConnectionStatus),
    consented_at=around,
    consent_ends_at=around | soon,
    access_token_issued_at=soon,
    access_token_expires_at=soon,
    access_token_refresh_at=soon,
    refresh_token_outdated_until_at=soon,
    refresh_again_at=soon,
    secrets_renew_at=around,
    last_error=st.none()
    | st.sampled_from(["secret_missing", "refresh_token_refused"]).map(lambda code: LastError(Failure(code), START)),
)
states = st.builds(
    SyncState,
    last_started_at=soon,
    requested_at=st.none() | st.just(START),
    resume_at=st.none() | st.just(Place(None, 7)),
    resume_after_ticket=st.none() | st.just("0" * 32),
    reconciled_at=around,
    reconcile_after=st.none() | st.just("0" * 32),
    reconcile_again_at=soon,
)
progresses = st.builds(DeliveryProgress, next_attempt_at=soon, leased_until_at=soon)
choices = st.builds(
    lambda interval_s, hour: settings(SYNC_INTERVAL_S=interval_s, RECONCILE_AT=time(hour, 0)),
    st.sampled_from([30, 60, 300, 3600, 86_400]),
    st.integers(0, 23),
)


def served_before(
    connection: Connection, state: SyncState, ticket: Ticket | None, chosen: Settings, at: datetime
) -> bool:
    """Say whether release 0.1 would work on the connection in a minute, by its own rules."""
    if connection.is_removed:
        return False
    if connection.status is not ConnectionStatus.NOT_CONFIGURED:
        renew_at = believed(connection.secrets_renew_at, at, ahead=chosen.secret_lifetime * 2 / 3)
        if renew_at is None or renew_at <= at:
            return True
    if not connection.ever_consented:
        return False
    in_use = connection.status in {ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE}
    from_the_future = believed(connection.access_token_issued_at, at) != connection.access_token_issued_at
    refused = connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    again_at = believed(connection.refresh_again_at, at, ahead=timedelta(hours=1))
    may_refresh = in_use or (
        refused
        and connection.consent_ends_at is not None
        and connection.consent_ends_at > at
        and (connection.last_error is None or connection.last_error.code != "secret_missing")
        and (again_at is None or again_at <= at)
    )
    refresh_at = connection.access_token_refresh_at
    if may_refresh and (refused or refresh_at is None or refresh_at <= at or from_the_future):
        return True
    ends_at = connection.access_token_expires_at
    usable = ends_at is not None and not from_the_future and ends_at - at > timedelta(seconds=5)
    if not may_refresh and not usable:
        return False
    if connection.status is ConnectionStatus.UNAVAILABLE:
        return True
    if ticket is not None and is_deliverable(ticket, at):
        return True
    started_at = believed(state.last_started_at, at)
    if state.requested_at or state.resume_at or state.resume_after_ticket or started_at is None:
        return True
    if at >= started_at + timedelta(seconds=chosen.sync_interval_s):
        return True
    reconcile_again_at = believed(state.reconcile_again_at, at, ahead=timedelta(hours=1))
    if reconcile_again_at is not None and at < reconcile_again_at:
        return False
    planned_at = datetime.combine(at.date(), chosen.reconcile_at, tzinfo=at.tzinfo)
    planned_at -= timedelta(days=planned_at > at)
    reconciled_at = believed(state.reconciled_at, at)
    return state.reconcile_after is not None or reconciled_at is None or reconciled_at < planned_at


@given(connections, states, st.none() | progresses, choices, st.floats(0, 1, exclude_max=True))
def test_nothing_is_due_before_it_is_said_to_be(
    connection: Connection, state: SyncState, progress: DeliveryProgress | None, chosen: Settings, share: float
) -> None:
    ticket = None if progress is None else replace(new_ticket(START), delivery=progress)
    next_attempt_at = None if ticket is None else attempt_due_at(ticket, START)
    at = due_at(connection, state, chosen, START, next_attempt_at=next_attempt_at)
    if at is None:
        assert connection.is_removed
        return
    assert START <= at <= START + LOOK_EVERY
    before = START + (at - START) * share
    if before < at:
        assert not served_before(connection, state, ticket, chosen, before)


def idle(**changes: object) -> Connection:
    """A connection that works."""
    return replace(
        a_connection(),
        access_token_issued_at=START,
        access_token_refresh_at=START + timedelta(minutes=20),
        access_token_expires_at=START + timedelta(minutes=30),
        secrets_renew_at=START + timedelta(days=60),
        **changes,  # type: ignore[arg-type]
    )


DONE = SyncState(last_started_at=START, last_completed_at=START, reconciled_at=START)


def test_an_idle_connection_is_due_when_it_is_to_be_synchronised() -> None:
    at = due_at(idle(), DONE, settings(SYNC_INTERVAL_S=300), START)
    assert at == START + timedelta(seconds=270)
    at = due_at(idle(), DONE, settings(SYNC_INTERVAL_S=3600), START)
    assert at == START + LOOK_EVERY, "a lost hint is repaired later"


def test_a_refused_connection_is_due_when_the_connector_asks_again() -> None:
    again_at = START + timedelta(minutes=2)
    refused = idle(
        status=ConnectionStatus.REAUTHORIZATION_REQUIRED,
        refresh_again_at=again_at,
        consent_ends_at=START + timedelta(days=1),
    )
    ended = replace(refused, access_token_expires_at=START)
    assert due_at(ended, SyncState(), settings(), START) == again_at
    assert due_at(refused, SyncState(), settings(), START) == START, "its access token still works"
    assert due_at(replace(ended, refresh_again_at=None), DONE, settings(), START) == START
    assert due_at(replace(ended, consent_ends_at=START), DONE, settings(), START) == START + LOOK_EVERY


def test_a_waiting_ticket_is_due_when_its_attempt_may_begin() -> None:
    ticket = new_ticket(START)
    assert attempt_due_at(ticket, START) == START
    leased_until_at = START + timedelta(seconds=LEASE_S)
    leased = replace(ticket, delivery=DeliveryProgress(leased_until_at=leased_until_at, next_attempt_at=START))
    assert attempt_due_at(leased, START) == leased_until_at
    chosen = settings(SYNC_INTERVAL_S=300)
    assert due_at(idle(), DONE, chosen, START, next_attempt_at=leased_until_at) == leased_until_at


def test_an_instance_that_does_not_answer_is_asked_each_minute() -> None:
    assert due_at(idle(status=ConnectionStatus.UNAVAILABLE), DONE, settings(), START) == START


def test_a_newer_refresh_token_in_memory_is_offered_each_minute() -> None:
    outdated = idle(refresh_token_outdated_until_at=START + timedelta(minutes=30))
    assert due_at(outdated, DONE, settings(SYNC_INTERVAL_S=3600), START) == START


def test_a_comparison_is_due_at_its_time_of_day() -> None:
    chosen = settings(SYNC_INTERVAL_S=3600, RECONCILE_AT=time(9, 33))
    assert due_at(idle(), DONE, chosen, START) == START.replace(minute=33, second=0, microsecond=0)
    missed = replace(DONE, reconciled_at=START - timedelta(days=1))
    assert due_at(idle(), missed, chosen, START) == START
    refused = replace(missed, reconcile_again_at=START + timedelta(minutes=4))
    assert due_at(idle(), refused, chosen, START) == START + timedelta(minutes=4)


def test_a_token_that_a_wrong_clock_issued_is_used_when_its_time_has_come() -> None:
    early = idle(
        status=ConnectionStatus.REAUTHORIZATION_REQUIRED,
        refresh_again_at=START + timedelta(hours=1),
        consent_ends_at=START + timedelta(days=1),
    )
    early = replace(early, access_token_issued_at=START + timedelta(minutes=3))
    assert due_at(early, SyncState(), settings(), START) == START + timedelta(minutes=2)
    assert due_at(replace(early, access_token_expires_at=START), SyncState(), settings(), START) == START + LOOK_EVERY
