"""The outbox: nothing is lost and nothing is doubled, whenever a host dies or an answer is lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_names import signing_secret_name, teams_address_name, webhook_address_name
from shared.connections.model import Connection
from shared.errors import AskedAgainTooSoon, StorageUnavailable
from shared.reminders.configure import REMINDER_SECRETS
from shared.reminders.model import (
    Cause,
    MessageKind,
    MessageState,
    Receiver,
    Reminders,
    ReminderSettings,
    Result,
    ResultCode,
)
from shared.reminders.turn import ATTEMPT_S, KEPT_MESSAGES, TEST_AGAIN_AFTER, Look, ReminderTurn
from shared.secret import Secret
from shared.tickets.deliver import failed
from tests.memory.clock import ManualClock
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.message_sender import MemorySender, no_points
from tests.memory.reminder_store import MemoryReminderStore
from tests.memory.secret_store import MemorySecretStore, Version
from tests.memory.steps import Stage, Step, at_once
from tests.memory.ticket_store import MemoryTicketStore
from tests.unit.tickets.examples import CONNECTION_ID, new_ticket

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
CONNECTION = Connection(CONNECTION_ID, "Contoso", "https://contoso.service-now.com", "id", "m365")
WAIT_S = TEST_AGAIN_AFTER.total_seconds()
BOTH = (Receiver.TEAMS, Receiver.WEBHOOK)
SETTINGS = ReminderSettings(receivers=BOTH, has_digest=False, secrets_renew_at=NOW + timedelta(days=50))
CONSENT_ENDS = replace(CONNECTION, consent_ends_at=NOW + timedelta(days=5))


@dataclass
class Setting:
    """A connection's turn in memory."""

    step: Step = at_once
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    connection: Connection = CONSENT_ENDS

    def __post_init__(self) -> None:
        self.store = MemoryReminderStore(self.step)
        self.store.stored[CONNECTION_ID] = Reminders(SETTINGS)
        self.secrets = MemorySecretStore()
        for name in (teams_address_name, webhook_address_name, signing_secret_name):
            self.secrets.versions[name(CONNECTION_ID)] = [Version("v0", Secret("https://receiver.example/"), None)]
        self.sender = MemorySender(self.step)
        self.tickets = MemoryTicketStore()
        self.leases = MemoryLeaseStore(self.clock)

    def turn(self) -> ReminderTurn:
        """Return the turn as a new host has it."""
        return ReminderTurn(
            store=self.store,
            secrets=self.secrets,
            sender=self.sender,
            tickets=self.tickets,
            points=no_points,
            lease=Lease(self.leases, REMINDER_SECRETS),
            clock=self.clock,
            secret_lifetime=timedelta(days=90),
        )

    async def look(self) -> Look:
        summary = await self.tickets.get_summary(CONNECTION_ID)
        return await self.turn().look(self.connection, summary, self.clock() + timedelta(seconds=45))

    async def looks(self, *, until: datetime) -> None:
        """Look whenever it is due."""
        while self.clock() < until:
            look = await self.look()
            self.clock.now = max(look.due_at, self.clock() + timedelta(seconds=30))

    @property
    def states(self) -> list[MessageState]:
        return [each.state for each in self.store.stored[CONNECTION_ID].messages]


async def test_each_receiver_gets_one_message_with_the_same_id() -> None:
    setting = Setting()
    await setting.look()
    await setting.look()
    teams, webhook = setting.sender.sent
    assert (teams.receiver, webhook.receiver) == BOTH
    assert teams.message_id == webhook.message_id
    assert [each.cause for each in teams.content.causes] == [Cause.CONSENT_ENDS]
    assert setting.states == [MessageState.DELIVERED] * 2


async def test_tickets_that_servicenow_refused_are_named() -> None:
    setting = Setting(connection=CONNECTION)
    ticket = await setting.tickets.create_ticket(new_ticket(NOW))
    await setting.tickets.update_ticket(ticket, failed(ticket, StorageUnavailable(), NOW, unknown=False))
    await setting.look()
    content = setting.sender.sent[0].content
    assert [(each.cause, each.count) for each in content.causes] == [(Cause.REFUSED, 1)]
    assert [each.ticket_id for each in content.tickets] == [ticket.ticket_id]


async def test_a_digest_comes_each_week_with_what_changed() -> None:
    setting = Setting(connection=CONNECTION)
    setting.store.stored[CONNECTION_ID] = Reminders(replace(SETTINGS, has_digest=True, receivers=(Receiver.TEAMS,)))
    await setting.looks(until=NOW + timedelta(days=6))
    await setting.tickets.create_ticket(new_ticket(NOW))
    await setting.looks(until=NOW + timedelta(days=15))
    first, second = (each.content for each in setting.sender.sent)
    assert (first.kind, first.former) == (MessageKind.DIGEST, None)
    assert second.former == first.figures
    assert second.figures is not None
    assert second.figures.created == 1


@pytest.mark.parametrize("kill_after", range(17))
def test_a_host_that_dies_at_any_step_loses_nothing_and_repeats_with_the_same_id(kill_after: int) -> None:
    stage = Stage()
    setting = Setting(stage.step)
    actor = stage.start("host", setting.look())
    stage.go_on(actor.number, kill_after)
    stage.kill(actor)
    setting.clock.advance(ATTEMPT_S + 1)
    stage.run(setting.look())
    stage.close()
    assert setting.states == [MessageState.DELIVERED] * 2
    assert len({each.message_id for each in setting.sender.sent}) == 1
    for receiver in BOTH:
        assert 1 <= sum(each.receiver is receiver for each in setting.sender.sent) <= 2


def test_a_dying_host_is_killed_at_every_step() -> None:
    stage = Stage()
    actor = stage.start("host", Setting(stage.step).look())
    stage.go_on(actor.number, 16)
    assert not actor.task.done()
    stage.go_on(actor.number, 1)
    assert actor.task.done()
    stage.close()


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(1, 4)), max_size=12))
def test_two_hosts_make_a_message_once_and_never_send_it_at_the_same_time(course: list[tuple[int, int]]) -> None:
    stage = Stage()
    setting = Setting(stage.step)
    actors = [stage.start(str(number), setting.look()) for number in range(2)]
    for number, steps in course:
        stage.go_on(actors[number].number, steps)
    for actor in actors:
        while not actor.task.done():
            stage.go_on(actor.number, 1)
    stage.close()
    assert sorted(each.receiver for each in setting.sender.sent) == sorted(BOTH)


async def test_a_lost_answer_repeats_the_message_with_the_same_id() -> None:
    setting = Setting()
    setting.sender.results.extend([None, Result(ResultCode.THROTTLED, 429, 900.0)])
    look = await setting.look()
    assert look.due_at == NOW + timedelta(seconds=60)
    await setting.looks(until=NOW + timedelta(minutes=16))
    assert setting.states == [MessageState.DELIVERED] * 2
    assert sorted(each.receiver for each in setting.sender.sent) == [Receiver.TEAMS, Receiver.TEAMS, Receiver.WEBHOOK]
    assert len({each.message_id for each in setting.sender.sent}) == 1


async def test_a_message_that_nobody_takes_is_given_up_after_a_day_with_its_reason() -> None:
    setting = Setting()
    setting.sender.results.extend([Result(ResultCode.GONE, 410)] * 100)
    await setting.looks(until=NOW + timedelta(days=1, hours=3))
    messages = setting.store.stored[CONNECTION_ID].messages
    assert {(each.state, each.code, each.status) for each in messages} == {
        (MessageState.GIVEN_UP, ResultCode.GONE, 410)
    }
    assert all(10 <= each.attempts <= 25 for each in messages)
    assert (await setting.look()).failed_at == NOW
    setting.sender.results.clear()
    await setting.turn().test(CONNECTION)
    assert (await setting.look()).failed_at is None


async def test_a_message_whose_address_is_gone_is_given_up_at_once() -> None:
    setting = Setting()
    await setting.secrets.remove_secret(teams_address_name(CONNECTION_ID))
    await setting.look()
    assert setting.states == [MessageState.GIVEN_UP, MessageState.DELIVERED]


async def test_quiet_hours_hold_back_what_waits_too() -> None:
    setting = Setting()
    setting.sender.results.extend([Result(ResultCode.FAILED, 502)] * 2)
    await setting.look()
    stored = setting.store.stored[CONNECTION_ID]
    setting.store.stored[CONNECTION_ID] = replace(
        stored, settings=replace(stored.settings, quiet_from="10:00", quiet_to="12:00")
    )
    setting.clock.advance(600)
    assert (await setting.look()).due_at == NOW + timedelta(hours=2)
    assert setting.sender.sent == []
    await setting.looks(until=NOW + timedelta(hours=3))
    assert len(setting.sender.sent) == 2


async def test_a_test_message_is_sent_at_once_even_in_quiet_hours() -> None:
    setting = Setting()
    stored = setting.store.stored[CONNECTION_ID]
    quiet = replace(stored.settings, quiet_from="00:00", quiet_to="23:59")
    setting.store.stored[CONNECTION_ID] = replace(stored, settings=quiet)
    setting.sender.results.append(Result(ResultCode.SIGNATURE_REFUSED, 401))
    tested = await setting.turn().test(CONNECTION)
    assert [(each.state, each.code) for each in tested] == [
        (MessageState.GIVEN_UP, ResultCode.SIGNATURE_REFUSED),
        (MessageState.DELIVERED, ResultCode.ACCEPTED),
    ]
    assert [each.content.kind for each in setting.sender.sent] == [MessageKind.TEST]


def test_of_a_storm_of_clicks_on_two_hosts_one_is_sent() -> None:
    stage = Stage()
    try:
        setting = Setting(stage.step)
        actors = [stage.start(f"host {each}", setting.turn().test(CONNECTION)) for each in range(4)]
        for _ in range(40):
            for actor in actors:
                stage.go_on(actor.number, 1)
        stage.raise_unless((AskedAgainTooSoon,))
        assert len(setting.sender.sent) == len(BOTH)
    finally:
        stage.close()


async def test_the_next_test_has_to_wait() -> None:
    setting = Setting()
    await setting.turn().test(CONNECTION)
    setting.clock.advance(WAIT_S - 3.5)
    with pytest.raises(AskedAgainTooSoon) as refused:
        await setting.turn().test(CONNECTION)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 4)
    setting.clock.advance(4)
    await setting.turn().test(CONNECTION)
    assert len(setting.sender.sent) == 4


async def test_only_the_last_messages_are_kept() -> None:
    setting = Setting()
    for _ in range(KEPT_MESSAGES):
        await setting.turn().test(CONNECTION)
        setting.clock.advance(WAIT_S)
    await setting.look()
    assert len(setting.store.stored[CONNECTION_ID].messages) == KEPT_MESSAGES + 2


async def test_many_test_messages_between_two_looks_stop_no_reminder() -> None:
    setting = Setting()
    for _ in range(60):
        await setting.turn().test(CONNECTION)
        setting.clock.advance(WAIT_S)
    await setting.looks(until=setting.clock() + timedelta(days=8))
    assert len(setting.store.stored[CONNECTION_ID].messages) <= KEPT_MESSAGES + 4
    assert {each.content.kind for each in setting.sender.sent} > {MessageKind.TEST}


async def test_secrets_are_written_again_before_their_versions_end() -> None:
    setting = Setting()
    setting.clock.advance(51 * 86_400)
    await setting.look()
    assert all(len(versions) == 2 for versions in setting.secrets.versions.values())
    await setting.look()
    assert all(len(versions) == 2 for versions in setting.secrets.versions.values())


async def test_a_turn_writes_no_old_secret_again_while_somebody_changes_them() -> None:
    setting = Setting()
    setting.clock.advance(51 * 86_400)
    async with Lease(setting.leases, REMINDER_SECRETS).held(CONNECTION_ID):
        await setting.look()
    assert all(len(versions) == 1 for versions in setting.secrets.versions.values())
    await setting.look()
    assert all(len(versions) == 2 for versions in setting.secrets.versions.values())


async def test_a_connection_without_reminders_costs_one_read_a_day() -> None:
    setting = Setting()
    setting.store.stored.clear()
    look = await setting.look()
    assert (look.due_at, look.sent) == (NOW + timedelta(days=1), 0)
    assert setting.store.stored == {}
