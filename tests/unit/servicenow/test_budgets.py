"""What hosts learn from answers about an instance's rate-limit rules, and how they share it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.connections.request_budget import Pause, RequestBudget, RuleUse
from shared.errors import RequestBudgetSpent, StorageUnavailable
from shared.outbound.answers import Answer
from shared.servicenow.budgets import RequestBudgets, User
from shared.waiting_person import waiting
from tests.memory.clock import ManualClock
from tests.memory.request_budget_store import MemoryRequestBudgetStore
from tests.memory.steps import at_once

START = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
RESET = datetime(2026, 3, 1, 13, tzinfo=UTC)
USER = User("https://contoso.service-now.com", "m365.connector")
SORT = "GET task"


def answer(status: int = 200, **headers: str) -> Answer:
    usual = {"limit": "60", "reset": str(int(RESET.timestamp())), "rule": "rule"}
    given = {f"x-ratelimit-{name}": value for name, value in (usual | headers).items() if name in usual}
    others = {name.replace("_", "-"): value for name, value in headers.items() if name not in usual}
    return Answer(status, given | others, b"", None)


class Hosts:
    """Some hosts of the app that share a store."""

    def __init__(self, count: int = 2) -> None:
        self.clock, self.store = ManualClock(START), MemoryRequestBudgetStore()
        self.hosts = [RequestBudgets(self.store, self.clock) for _ in range(count)]

    async def used(self, host: int, count: int) -> None:
        for _ in range(count):
            self.hosts[host].learn(USER, SORT, answer())
        self.clock.advance(15)
        await self.hosts[host].share(USER)

    def admits(self, host: int, sort: str = SORT, user: User = USER) -> bool:
        try:
            self.hosts[host].admit(user, sort)
        except RequestBudgetSpent as error:
            assert error.retry_after_s is not None
            assert error.retry_after_s > 0
            return False
        return True


async def test_what_one_host_has_used_the_other_does_not_use_again() -> None:
    hosts = Hosts()
    await hosts.used(0, 27)
    assert hosts.admits(0), "48 are for background work, and half of the hour and a tenth are over"
    await hosts.used(1, 3)
    assert not hosts.admits(1)
    assert hosts.admits(0), "it does not know yet"
    await hosts.used(0, 1)
    assert not hosts.admits(0)
    assert hosts.store.stored[USER].uses["rule"].used == 31


async def test_whoever_waits_is_let_through() -> None:
    hosts = Hosts(1)
    await hosts.used(0, 59)
    assert not hosts.admits(0)
    with waiting():
        assert hosts.admits(0)


async def test_only_what_the_rule_counts_waits() -> None:
    hosts = Hosts(1)
    await hosts.used(0, 60)
    assert hosts.admits(0, "POST incident")
    assert hosts.admits(0, user=User(USER.instance, "another"))
    hosts.clock.now = RESET + timedelta(seconds=1)
    assert hosts.admits(0), "a new hour"


async def test_a_refusal_holds_back_every_host_until_servicenow_says() -> None:
    hosts = Hosts()
    hosts.hosts[0].learn(USER, SORT, answer(429, retry_after="100"))
    await hosts.hosts[0].share(USER)
    await hosts.used(1, 1)
    hosts.clock.now = START + timedelta(seconds=99)
    assert not hosts.admits(0)
    assert not hosts.admits(1)
    hosts.clock.now = START + timedelta(seconds=101)
    assert hosts.admits(1)


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [({}, 30), ({"retry-after": "1800"}, 1800), ({"x-ratelimit-rule": "", "retry-after": "7"}, 7)],
)
async def test_a_refusal_without_a_rule_holds_back_all_background_work_of_the_user(
    headers: dict[str, str], pause_s: int
) -> None:
    hosts = Hosts()
    for host in (0, 1):
        hosts.hosts[host].learn(USER, SORT, Answer(429, headers, b"", None))
        await hosts.hosts[host].share(USER)
        hosts.clock.advance(1)
    hosts.clock.now = START + timedelta(seconds=pause_s - 1)
    assert not any(hosts.admits(host, sort) for host in (0, 1) for sort in (SORT, "POST incident"))
    assert hosts.admits(0, user=User(USER.instance, "another"))
    with waiting():
        assert hosts.admits(0), "whoever waits may try"
    hosts.clock.advance(3)
    assert hosts.admits(0)
    assert hosts.admits(1)


async def test_hosts_together_pause_longer_each_time_they_are_refused() -> None:
    hosts = Hosts(3)
    lengths = []
    for turn in range(9):
        host = hosts.hosts[turn % 3]
        host.learn(USER, SORT, Answer(429, {}, b"", None))
        await host.share(USER)
        pause = hosts.store.stored[USER].pause
        assert pause is not None
        lengths.append(round((pause.until - hosts.clock()).total_seconds()))
        hosts.clock.now = pause.until + timedelta(seconds=1)
    assert lengths == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


async def test_the_pause_of_a_wrong_clock_gives_way_to_a_believable_one() -> None:
    hosts = Hosts(1)
    wrong = Pause(START + timedelta(days=300), timedelta(minutes=1))
    await hosts.store.save(*USER, RequestBudget(pause=wrong))
    hosts.hosts[0].learn(USER, SORT, Answer(429, {"retry-after": "100"}, b"", None))
    await hosts.hosts[0].share(USER)
    pause = timedelta(seconds=100)
    assert hosts.store.stored[USER].pause == Pause(START + pause, pause)


async def test_a_pause_is_shared_although_counts_have_just_been() -> None:
    hosts = Hosts(1)
    await hosts.used(0, 1)
    hosts.hosts[0].learn(USER, SORT, Answer(429, {}, b"", None))
    await hosts.hosts[0].share(USER)
    assert hosts.store.stored[USER].pause is not None


@pytest.mark.parametrize("broken", [{"limit": "0"}, {"limit": "many"}, {"reset": "9" * 15}, {"reset": "-"}])
async def test_headers_that_make_no_sense_limit_nothing(broken: dict[str, str]) -> None:
    hosts = Hosts(1)
    for _ in range(100):
        hosts.hosts[0].learn(USER, SORT, answer(200, **broken))
    await hosts.hosts[0].share(USER)
    assert hosts.admits(0)
    assert hosts.store.stored == {}


async def test_a_hostile_instance_fills_no_memory() -> None:
    hosts = Hosts(1)
    for number in range(1_000):
        hosts.hosts[0].learn(USER, f"GET {number}", answer(rule=str(number) * 100))
    await hosts.hosts[0].share(USER)
    assert len(hosts.store.stored[USER].uses) <= 50


async def test_counts_wait_while_storage_does_not_answer() -> None:
    hosts = Hosts(1)

    async def no_answer(_name: str) -> None:
        raise StorageUnavailable()

    hosts.store.step = no_answer
    await hosts.used(0, 10)
    assert hosts.store.stored == {}
    hosts.store.step = at_once
    await hosts.used(0, 1)
    assert hosts.store.stored[USER].uses["rule"] == RuleUse(60, RESET, 11)


async def test_what_is_learned_while_a_host_shares_is_not_forgotten() -> None:
    hosts = Hosts(1)

    async def refused_meanwhile(name: str) -> None:
        if name == "save budget":
            hosts.hosts[0].learn(USER, SORT, answer(429, retry_after="100"))

    hosts.hosts[0].learn(USER, SORT, answer())
    hosts.store.step = refused_meanwhile
    await hosts.hosts[0].share(USER)
    assert not hosts.admits(0)
    hosts.store.step = at_once
    await hosts.used(0, 0)
    assert hosts.store.stored[USER].uses["rule"].used == 2
