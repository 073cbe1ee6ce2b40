"""Random faults: whatever happens to two hosts, nothing is lost, nothing is doubled, and all that is shown is true.

``make faults`` runs new schedules for some minutes; ``make faults SEED=…`` repeats one.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import get_args

import pytest

from sandbox.world import World
from tests.faults.gate import What
from tests.faults.invariants import violations
from tests.faults.schedule import Action, draw
from tests.faults.two_hosts import two_hosts
from tests.fixtures.whole_app import WholeApp

ALWAYS = 218
"""The seed of every run of the tests."""
LIMIT_S = 0 if os.environ.get("MINUTES") else 300
"""0 is no limit."""

pytestmark = pytest.mark.usefixtures("calm")


def seeds() -> Iterator[int]:
    """The requested seed, or new ones for some minutes, or by default always the same one."""
    if seed := os.environ.get("SEED"):
        yield int(seed)
    elif minutes := os.environ.get("MINUTES"):
        ends = time.monotonic() + 60 * float(minutes)
        while time.monotonic() < ends:
            yield random.SystemRandom().randrange(10**9)
    else:
        yield ALWAYS


def test_a_seed_always_gives_the_same_schedule() -> None:
    assert str(draw(7)) == str(draw(7))
    assert str(draw(7)) != str(draw(8))


def test_the_schedule_of_every_run_leaves_nothing_out() -> None:
    schedule = draw(ALWAYS)
    actions = {type(action) for turn in schedule.turns for _, action in turn}
    assert actions == set(get_args(Action.__value__))
    mishaps = {mishap.what for plan in schedule.plans.values() for mishap in plan.values()}
    assert mishaps == set(get_args(What.__value__)) - {"keep"}, "an answer that never comes takes too long"


@pytest.mark.timeout(LIMIT_S)
def test_every_schedule_ends_well(world: World, start_app: Callable[..., WholeApp]) -> None:
    failures: list[AssertionError] = []
    for seed in seeds():
        begun, schedule = time.monotonic(), draw(seed)
        again = f"Repeat it: make faults SEED={seed}\n{schedule}"
        try:
            with two_hosts(world, start_app, schedule) as there:
                met = there.suffer()
                found = violations(there)
        except Exception as error:
            error.add_note(again)
            raise
        took_s = time.monotonic() - begun
        print(f"seed {seed}: {len(found)} violations, {took_s:.0f} s, requests with mishaps: {met}", flush=True)
        if found:
            failures.append(AssertionError("\n".join([*found, again])))
            print(failures[-1], flush=True)
    if failures:
        raise ExceptionGroup("some schedules did not end well", failures)
