"""ServiceNow has a bad day: nothing is lost, nothing is doubled, and people see what happens."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.connections.model import ConnectionStatus
from shared.tickets.attempts import COMMIT_MAY_TAKE_S
from shared.tickets.model import Delivery, Phase
from shared.waiting_person import waiting
from tests.english import told
from tests.faults.in_process import CONNECTION_ID, InProcess

WRITES = r"^/api/now/(v2/)?table/incident"
LOOK_UPS = r"^/api/now/(v2/)?table/(task|incident)"
NOT_DONE = ("rate_limited", "rate_limited_bare", "queue_full")
REFUSED = ("write_forbidden", "unauthorized")
UNCLEAR = (
    "address_blocked",
    "redirected",
    "not_found_page",
    "not_found_text",
    "cancelled_after_commit",
    "cancelled_before_commit",
    "cut_off_json",
    "hibernating",
    "bad_gateway",
    "reset_before_commit",
    "reset_after_commit",
    "html_as_json",
    "accepted",
    "huge_body",
    "encoded",
)


@pytest.mark.parametrize("kind", [*NOT_DONE, *REFUSED, *UNCLEAR])
async def test_a_bad_answer_to_the_write_neither_loses_nor_doubles(in_process: InProcess, kind: str) -> None:
    options = {"encoding": "gzip, gzip"} if kind == "encoded" else {}
    in_process.control.set_fault(kind, method="POST", path=WRITES, remaining=1, **options)
    creation = await in_process.create("a bad day")
    ticket_id = creation.ticket.ticket_id
    assert creation.ticket.delivery.status is Delivery.PENDING
    assert creation.ticket.delivery.failure
    # Repeating the request gives the same ticket.
    assert (await in_process.create("a bad day")).ticket.ticket_id == ticket_id
    await in_process.recover()
    ticket = await in_process.ticket(ticket_id)
    assert ticket.delivery.status is Delivery.DELIVERED
    assert ticket.phase is Phase.NEW
    assert len(in_process.records(ticket_id)) == 1
    assert (await in_process.connection()).status is ConnectionStatus.CONNECTED


@pytest.mark.parametrize("kind", ["cut_off_json", "bad_gateway", "hibernating", "reset_before_commit"])
async def test_a_bad_answer_to_the_look_up_neither_loses_nor_doubles(in_process: InProcess, kind: str) -> None:
    """The write was carried out, its answer was lost, and then the look-up fails too."""
    in_process.control.set_fault("reset_after_commit", method="POST", path=WRITES, remaining=1)
    ticket_id = (await in_process.create()).ticket.ticket_id
    in_process.control.set_fault(kind, method="GET", path=LOOK_UPS, remaining=4)
    await in_process.recover(runs=1)
    in_process.control.clear_faults()
    await in_process.recover()
    assert (await in_process.ticket(ticket_id)).delivery.status is Delivery.DELIVERED
    assert len(in_process.records(ticket_id)) == 1


@pytest.mark.parametrize("supplied", ["honoured", "replaced"])
@pytest.mark.parametrize("duplicate", ["refused", "replaced"])
async def test_a_record_that_is_hidden_is_not_written_a_second_time(
    in_process: InProcess, supplied: str, duplicate: str
) -> None:
    """Access rules hide the record from the look-up, in the parent table and in its own."""
    properties = {"simulator.supplied_sys_id": supplied, "simulator.duplicate_sys_id": duplicate}
    in_process.control.set_properties(properties)
    in_process.control.set_fault("reset_after_commit", method="POST", path=WRITES, remaining=1)
    ticket_id = (await in_process.create()).ticket.ticket_id
    hidden = in_process.control.set_fault("empty_page", method="GET", path=LOOK_UPS, remaining=None)
    await in_process.recover()
    ticket = await in_process.ticket(ticket_id)
    assert (ticket.delivery.status, ticket.delivery.error_code) == (Delivery.FAILED, "records_not_visible")
    assert len(in_process.records(ticket_id)) == 1
    in_process.control.remove_fault(hidden)
    retried = await in_process.app.delivery.retry(await in_process.connection(), ticket)
    assert retried.delivery.status is Delivery.DELIVERED
    assert len(in_process.records(ticket_id)) == 1


@pytest.mark.parametrize("supplied", ["honoured", "replaced"])
@pytest.mark.parametrize("readable", ["task and incident", "task", "incident"])
async def test_a_record_that_moved_to_another_class_is_found(
    in_process: InProcess, supplied: str, readable: str
) -> None:
    in_process.control.set_properties({"simulator.supplied_sys_id": supplied})
    in_process.control.set_fault("reset_after_commit", method="POST", path=WRITES, remaining=1)
    ticket_id = (await in_process.create()).ticket.ticket_id
    [record] = in_process.records(ticket_id)
    closed = {"task": "/table/incident", "incident": "/table/task"}.get(readable)
    if closed is not None:
        in_process.control.set_fault("unauthorized", method="GET", path=closed, remaining=None)
    if readable != "incident":
        in_process.control.move_record("incident", record["sys_id"], "problem")
    await in_process.recover(runs=1)
    ticket = await in_process.ticket(ticket_id)
    assert ticket.record is not None
    assert ticket.record.table == ("incident" if readable == "incident" else "problem")
    assert len(in_process.records(ticket_id)) == 1


@pytest.mark.parametrize("kind", ["unauthenticated", "unauthenticated_bearer", "unauthenticated_oauth"])
async def test_a_write_that_is_carried_out_and_answered_401_is_not_repeated(in_process: InProcess, kind: str) -> None:
    in_process.control.set_properties({"simulator.supplied_sys_id": "replaced"})
    in_process.control.set_fault(kind, method="POST", path=WRITES, remaining=1, runs=True)
    ticket_id = (await in_process.create()).ticket.ticket_id
    await in_process.recover()
    assert (await in_process.ticket(ticket_id)).delivery.status is Delivery.DELIVERED
    assert len(in_process.records(ticket_id)) == 1


async def test_an_error_of_deliveries_is_on_the_connection_until_one_succeeds(in_process: InProcess) -> None:
    """Reads still work, so the synchronisation succeeds every minute."""
    fault = in_process.control.set_fault("redirected", method="POST", path=WRITES, remaining=None)
    await in_process.create()
    assert (await in_process.connection()).status is ConnectionStatus.UNAVAILABLE
    for _ in range(3):
        in_process.clock.advance(60)
        await in_process.app.maintenance.run()
        connection = await in_process.connection()
        assert connection.status is ConnectionStatus.CONNECTED
        assert connection.last_error is not None
        assert connection.last_error.code == "servicenow_redirects"
    in_process.control.remove_fault(fault)
    await in_process.recover(runs=1)
    assert (await in_process.connection()).last_error is None


@pytest.mark.parametrize("kind", ["cancelled_after_commit", "cancelled_before_commit"])
async def test_a_write_of_unknown_outcome_is_not_repeated_while_it_may_still_commit(
    in_process: InProcess, kind: str
) -> None:
    in_process.control.set_fault(kind, method="POST", path=WRITES, remaining=1)
    ticket_id = (await in_process.create()).ticket.ticket_id
    in_process.control.clear_requests()
    in_process.clock.advance(COMMIT_MAY_TAKE_S - 1)
    await in_process.app.maintenance.run()
    assert in_process.control.requests(WRITES) == []
    await in_process.recover(runs=1)
    asked = [
        request["method"]
        for request in in_process.control.requests(LOOK_UPS)
        if request["method"] == "POST" or ticket_id in request["query"]
    ]
    assert asked == (["GET"] if kind == "cancelled_after_commit" else ["GET", "POST"])
    assert len(in_process.records(ticket_id)) == 1


async def test_retry_after_is_honoured(in_process: InProcess) -> None:
    in_process.control.set_fault("rate_limited", method="POST", path=WRITES, remaining=1, retry_after_s=600)
    creation = await in_process.create()
    waits_until = creation.ticket.delivery.next_attempt_at
    assert waits_until is not None
    assert waits_until - in_process.clock() >= timedelta(seconds=600)
    in_process.clock.advance(590)
    await in_process.app.maintenance.run()
    assert in_process.records(creation.ticket.ticket_id) == []
    in_process.clock.advance(11)
    await in_process.app.maintenance.run()
    assert len(in_process.records(creation.ticket.ticket_id)) == 1


async def test_hibernation_is_noticed_and_its_end_as_well(in_process: InProcess) -> None:
    in_process.control.set_fault("hibernating", path="")
    creation = await in_process.create()
    assert creation.ticket.delivery.status is Delivery.PENDING
    in_process.clock.advance(3600)
    await in_process.app.maintenance.run()
    connection = await in_process.connection()
    assert connection.status is ConnectionStatus.UNAVAILABLE
    assert connection.last_error is not None
    assert "hibernat" in told(connection.last_error.failure).lower()
    # A new ticket now waits without a request to ServiceNow.
    in_process.control.clear_requests()
    assert (await in_process.create()).ticket.delivery.status is Delivery.PENDING
    assert in_process.control.requests() == []
    in_process.control.clear_faults()
    await in_process.recover()
    assert (await in_process.connection()).status is ConnectionStatus.CONNECTED
    assert not await in_process.app.tickets.list_pending(CONNECTION_ID, limit=10)


async def test_an_instance_that_replaces_our_sys_id_gets_no_second_record(in_process: InProcess) -> None:
    in_process.control.set_properties({"simulator.supplied_sys_id": "replaced"})
    in_process.control.set_fault("reset_after_commit", method="POST", path=WRITES, remaining=1)
    ticket_id = (await in_process.create()).ticket.ticket_id
    await in_process.recover()
    ticket = await in_process.ticket(ticket_id)
    assert ticket.record is not None
    assert ticket.record.sys_id != ticket_id
    assert len(in_process.records(ticket_id)) == 1


async def test_a_lost_answer_of_a_sync_page_is_read_again(in_process: InProcess) -> None:
    tickets = [(await in_process.create()).ticket for _ in range(3)]
    in_process.control.bulk_touch("incident", f"correlation_id=m365:{tickets[0].ticket_id}", {"state": "2"})
    for kind in ("cut_off_json", "reset_before_commit", "bad_gateway", "hibernating"):
        in_process.control.set_fault(kind, path="/table/task", remaining=None)
        in_process.clock.advance(400)
        await in_process.app.maintenance.run()
        in_process.control.clear_faults()
        assert (await in_process.ticket(tickets[0].ticket_id)).phase is Phase.NEW
    in_process.clock.advance(400)
    await in_process.app.maintenance.run()
    assert [(await in_process.ticket(each.ticket_id)).phase for each in tickets] == [
        Phase.IN_PROGRESS,
        Phase.NEW,
        Phase.NEW,
    ]


async def test_consent_ends(in_process: InProcess) -> None:
    await in_process.create()
    in_process.control.advance_clock(8_640_001)
    in_process.clock.advance(8_640_001)
    await in_process.app.maintenance.run()
    connection = await in_process.connection()
    assert connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert connection.last_error is not None
    assert connection.last_error.code == "consent_ended"
    waiting = (await in_process.create()).ticket
    assert waiting.delivery.status is Delivery.PENDING
    await in_process.authorize()
    await in_process.recover(runs=1)
    assert (await in_process.ticket(waiting.ticket_id)).delivery.status is Delivery.DELIVERED


async def test_tokens_are_refreshed_by_the_timer_through_the_whole_consent(in_process: InProcess) -> None:
    """Calls come every twenty-five minutes, so the token never expires between them."""
    for _ in range(4):
        before = (await in_process.connection()).access_token_expires_at
        in_process.clock.advance(1500)
        in_process.control.advance_clock(1500)
        await in_process.app.maintenance.run()
        after = await in_process.connection()
        assert before is not None
        assert after.access_token_expires_at is not None
        assert after.access_token_expires_at > before
        assert after.status is ConnectionStatus.CONNECTED
    assert (await in_process.create()).ticket.delivery.status is Delivery.DELIVERED


async def test_a_deleted_record_is_found_at_night(in_process: InProcess) -> None:
    ticket_id = (await in_process.create()).ticket.ticket_id
    for _ in range(2):
        await in_process.create()
    await in_process.app.maintenance.run()
    in_process.control.delete_record("incident", ticket_id)
    in_process.clock.advance(86_400)
    in_process.control.advance_clock(86_400)
    await in_process.app.maintenance.run()
    assert (await in_process.ticket(ticket_id)).phase is Phase.DELETED


async def test_a_synchronisation_asked_for_while_one_runs_follows_it(in_process: InProcess) -> None:
    maintenance, turns = in_process.app.maintenance, in_process.app.turns
    async with turns.taken(await turns.directory.get_entry(CONNECTION_ID)) as turn:
        assert turn is not None
        assert await maintenance.work.sync_now(await in_process.connection()) is None
    asked = await turns.directory.get_entry(CONNECTION_ID)
    assert asked.requested_at == in_process.clock()
    await maintenance.run()
    done = await turns.directory.get_entry(CONNECTION_ID)
    assert done.requested_at is None
    assert done.sync is not None
    assert done.sync.last_completed_at == in_process.clock()


async def test_two_timers_at_once_do_everything_once(in_process: InProcess) -> None:
    other = in_process.another()
    in_process.control.set_fault("rate_limited", method="POST", path=WRITES, remaining=1, retry_after_s=1)
    pending = (await in_process.create("pending")).ticket
    synced = (await in_process.create("synced")).ticket
    in_process.control.change_record("incident", synced.ticket_id, {"state": "2"}, as_user="agent.smith")
    in_process.clock.advance(1300)
    in_process.control.clear_requests()
    await asyncio.gather(in_process.app.maintenance.run(), other.maintenance.run())
    asked = [request["path"] for request in in_process.control.requests()]
    assert asked.count("/oauth_token.do") == 1
    writes = [request for request in in_process.control.requests(WRITES) if request["method"] == "POST"]
    assert len(writes) == 1
    assert len(in_process.records(pending.ticket_id)) == 1
    assert (await in_process.ticket(synced.ticket_id)).phase is Phase.IN_PROGRESS
    timeline = (await in_process.ticket(synced.ticket_id)).timeline
    assert [event.kind.value for event in timeline].count("state_changed") == 1
    summary = await in_process.app.tickets.get_summary(CONNECTION_ID)
    assert sum(summary.phase_counts(pending.content.kind).values()) == 2


async def test_people_who_press_retry_at_once_send_it_once(in_process: InProcess) -> None:
    others = [in_process.another() for _ in range(3)]
    in_process.control.set_fault("rate_limited", method="POST", path=WRITES, remaining=1)
    ticket = (await in_process.create()).ticket
    connection = await in_process.connection()
    with waiting():
        outcomes = await asyncio.gather(
            *(each.delivery.retry(connection, ticket) for each in (in_process.app, *others)), return_exceptions=True
        )
    sent = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert [outcome.delivery.status for outcome in sent] == [Delivery.DELIVERED]
    assert {getattr(outcome, "code", None) for outcome in outcomes} == {None, "delivery_under_way"}
    assert len(in_process.records(ticket.ticket_id)) == 1


async def test_the_same_request_on_four_instances_makes_one_ticket(in_process: InProcess) -> None:
    instances = [in_process.app, *(in_process.another() for _ in range(3))]
    creations = await asyncio.gather(*(in_process.create("at once", by=each) for each in instances * 3))
    assert len({creation.ticket.ticket_id for creation in creations}) == 1
    assert [creation.replayed for creation in creations].count(False) == 1
    assert {creation.ticket.delivery.status for creation in creations} == {Delivery.DELIVERED}
    assert len(in_process.records(creations[0].ticket.ticket_id)) == 1


async def test_a_vault_that_does_not_answer_postpones(in_process: InProcess) -> None:
    fresh = in_process.another()
    async with in_process.faulty_vault("unavailable"):
        creation = await in_process.create(by=fresh)
    assert creation.ticket.delivery.status is Delivery.PENDING
    assert creation.ticket.delivery.error_code == "storage_unavailable"
    await in_process.recover()
    assert (await in_process.ticket(creation.ticket.ticket_id)).delivery.status is Delivery.DELIVERED


async def test_what_waits_for_a_consent_goes_with_the_first_run_after_it(in_process: InProcess) -> None:
    in_process.control.revoke_tokens(user_name=in_process.user_name)
    ticket_ids = [(await in_process.create()).ticket.ticket_id for _ in range(2)]
    for _ in range(10):
        in_process.clock.advance(60)
        await in_process.app.maintenance.run()
    assert (await in_process.connection()).status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    await in_process.authorize()
    in_process.clock.advance(60)
    await in_process.app.maintenance.run()
    for ticket_id in ticket_ids:
        assert (await in_process.ticket(ticket_id)).delivery.status is Delivery.DELIVERED
        assert len(in_process.records(ticket_id)) == 1
