"""Faults and people's actions at random: the same seed gives the same schedule."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.faults.gate import Mishap, What

TURNS = 6
COMMENTS_PER_TURN = 2
COMMENTS = TURNS * COMMENTS_PER_TURN
RECOMMENDATIONS = 3
"""Recommendations that get tickets: few, so that requests for the same one meet."""
KEYS_PER_TURN = 3
KEYS = TURNS * KEYS_PER_TURN
WITHIN_S = 0.4
"""The actions of a turn begin within this real time; hours pass on the shifted clocks."""
MOST_LATE_S = 0.8
DAY_S = 86_400.0

type Host = Literal[0, 1]
HOSTS: tuple[Host, ...] = (0, 1)


@dataclass(frozen=True)
class Create:
    """A program asks for a ticket under a key."""

    host: Host
    key: int


@dataclass(frozen=True)
class Work:
    """An agent works on a record: ``which``, from 0 to 1, chooses the record, ``step`` the work."""

    which: float
    step: int


@dataclass(frozen=True)
class RunTimer:
    """A new minute begins on a host."""

    host: Host


@dataclass(frozen=True)
class PassTime:
    """Time passes for everybody."""

    seconds: float


@dataclass(frozen=True)
class KillHost:
    """A host and its worker end and restart."""

    host: Host


@dataclass(frozen=True)
class KillWorker:
    """A worker ends; its host starts another one."""

    host: Host


@dataclass(frozen=True)
class PauseHost:
    """A host is paused for some real seconds; the servers still have its requests, and its time goes on."""

    host: Host
    seconds: float


@dataclass(frozen=True)
class WrongDay:
    """A host's clock is a day ahead for one run of its timer."""

    host: Host


@dataclass(frozen=True)
class Revoke:
    """An administrator of ServiceNow revokes the access tokens, or all tokens."""

    everything: bool


@dataclass(frozen=True)
class Authorize:
    """An administrator authorizes the connection again."""

    host: Host


@dataclass(frozen=True)
class ReadTenant:
    """Somebody has the tenant read now."""

    host: Host


@dataclass(frozen=True)
class Recommend:
    """A program asks for a ticket for a recommendation, under no key."""

    host: Host
    which: int


@dataclass(frozen=True)
class Comment:
    """A program asks for a comment under a key; ``which``, from 0 to 1, chooses the ticket."""

    host: Host
    key: int
    which: float


@dataclass(frozen=True)
class Postpone:
    """A program asks for another due date."""

    host: Host
    which: float
    day: int


@dataclass(frozen=True)
class CloseOnPaper:
    """An agent resolves the open tickets for a recommendation, whatever was done about it."""

    which: int


@dataclass(frozen=True)
class Fix:
    """Somebody carries out a recommendation in Microsoft 365."""

    which: int


@dataclass(frozen=True)
class LeaveOut:
    """Microsoft leaves a product out of the next answers (206)."""

    answers: int


type Action = (
    Create
    | Work
    | RunTimer
    | PassTime
    | KillHost
    | KillWorker
    | PauseHost
    | WrongDay
    | Revoke
    | Authorize
    | ReadTenant
    | Recommend
    | Comment
    | Postpone
    | CloseOnPaper
    | Fix
    | LeaveOut
)
type Plan = Mapping[int, Mishap]
"""Mishaps by the number of their request."""


@dataclass(frozen=True)
class Schedule:
    """All that a run decides in advance.

    Attributes:
        turns: Actions at about the same time, with seconds after the turn's beginning; the next turn begins when all
            of them have ended or taken too long.
        plans: Mishaps on the way to ``storage``, ``vault``, ``servicenow`` and ``graph``.
        skew_s: How far the second host's clock is ahead of the first one's.
        refresh_token: The effect of a refresh on the refresh token (``simulator.oauth.refresh_token_on_refresh``).
        policy: What happens to a ticket that was not fixed.
        grant: How the connector gets its tokens.
    """

    seed: int
    turns: Sequence[Sequence[tuple[float, Action]]]
    plans: Mapping[str, Plan]
    skew_s: float
    refresh_token: str
    policy: str
    grant: str

    def __str__(self) -> str:
        plans = [
            f"{service}: " + ", ".join(f"{number} {_named(mishap)}" for number, mishap in plan.items())
            for service, plan in self.plans.items()
        ]
        turns = [
            f"turn {number}, {at_s:.2f} s: {action}"
            for number, turn in enumerate(self.turns, 1)
            for at_s, action in turn
        ]
        head = (
            f"seed {self.seed}, skew {self.skew_s:+.1f} s, {self.grant}, refresh token {self.refresh_token}, "
            f"policy {self.policy}"
        )
        return "\n".join([head, *plans, *turns])


_BUSY = (503, 503, 500, 502, 429)
_IN_FRONT = (302, 401, 403, 404)
"""The statuses that a proxy or gateway in front of ServiceNow answers with its own page."""


def draw(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    chance = random.Random(seed)
    refresh_token = chance.choice(["same", "same", "omitted", "rotated"])
    # Losing a rotated token means losing the consent, unavoidably. So such schedules lose no answer of ServiceNow and
    # kill nothing.
    careful = refresh_token == "rotated"
    turns: list[Sequence[tuple[float, Action]]] = []
    for turn in range(TURNS):
        actions: list[Action] = [RunTimer(_host(chance)) for _ in range(chance.choice([1, 1, 2]))]
        for key in range(turn * KEYS_PER_TURN, (turn + 1) * KEYS_PER_TURN):
            actions += [Create(_host(chance), key) for _ in range(chance.choice([1, 1, 2, 3]))]
        if turn > 0:
            actions += [Create(_host(chance), chance.randrange(turn * KEYS_PER_TURN)) for _ in range(2)]
            actions += [Work(chance.random(), chance.randrange(4)) for _ in range(chance.randrange(4))]
            comments = range(turn * COMMENTS_PER_TURN, (turn + 1) * COMMENTS_PER_TURN)
            actions += [
                Comment(_host(chance), key, chance.random())
                for key in comments
                for _ in range(chance.choice([1, 1, 2]))
            ]
            actions += [Postpone(_host(chance), chance.random(), chance.randrange(1, 28))]
        actions += [CloseOnPaper(chance.randrange(RECOMMENDATIONS)) for _ in range(chance.choice([0, 1]))]
        actions += [Fix(chance.randrange(RECOMMENDATIONS)) for _ in range(chance.choice([0, 0, 0, 1]))]
        actions += [Recommend(_host(chance), chance.randrange(RECOMMENDATIONS)) for _ in range(2)]
        actions += [ReadTenant(_host(chance)) for _ in range(chance.choice([0, 1, 2]))]
        if chance.random() < 0.3:
            actions.append(LeaveOut(chance.choice([1, 2, 4])))
        if chance.random() < 0.8:
            actions.append(PassTime(chance.choice([70.0, 160.0, 700.0, 1300.0, 3700.0, DAY_S])))
        actions += _incidents(chance, careful=careful)
        timed = [(round(chance.uniform(0, WITHIN_S), 2), action) for action in actions]
        turns.append(sorted(timed, key=lambda pair: pair[0]))
    before: Sequence[What] = ["refuse", "refuse_connection", "delay", "delay_answer"]
    unclear: Sequence[What] = ["lose", "lose_connection", "cut", "late"]
    everything = [*before, *unclear]
    return Schedule(
        seed,
        turns,
        {
            "storage": _plan(chance, everything, among=900, gap=chance.choice([8, 20, 60])),
            "vault": _plan(chance, everything, among=60, gap=chance.choice([3, 8, 20])),
            "servicenow": _plan(
                chance,
                before if careful else everything,
                among=120,
                gap=chance.choice([3, 6, 15]),
                statuses=(*_BUSY, *_IN_FRONT),
            ),
            "graph": _plan(chance, everything, among=60, gap=chance.choice([3, 6, 15]), statuses=(*_BUSY, *_IN_FRONT)),
        },
        skew_s=round(chance.uniform(-8, 8), 1),
        refresh_token=refresh_token,
        policy=chance.choice(["note_only", "reopen", "new_ticket", "new_ticket"]),
        grant=chance.choice(["authorization_code", "authorization_code", "client_credentials"]),
    )


def _incidents(chance: random.Random, *, careful: bool) -> Sequence[Action]:
    """Return the events for the hosts and the consent in a turn."""
    wanted: Sequence[tuple[float, Action]] = [
        (0.2, PauseHost(_host(chance), round(chance.uniform(0.2, 1.5), 2))),
        (0.1, Revoke(everything=False)),
        (0.05, WrongDay(_host(chance))),
        *(
            ()
            if careful
            else (
                (0.15, KillHost(_host(chance))),
                (0.1, KillWorker(_host(chance))),
                (0.1, Revoke(everything=True)),
                (0.2, Authorize(_host(chance))),
            )
        ),
    ]
    return [action for probability, action in wanted if chance.random() < probability]


def _host(chance: random.Random) -> Host:
    return 1 if chance.random() < 0.5 else 0


def _plan(
    chance: random.Random, kinds: Sequence[What], *, among: int, gap: float, statuses: Sequence[int] = _BUSY
) -> Plan:
    """Return mishaps for the first requests, in groups: a failing service fails more than once."""
    plan: dict[int, Mishap] = {}
    number = 0
    while (number := number + 1 + int(chance.expovariate(1 / gap))) <= among:
        what = chance.choice(kinds)
        for _ in range(chance.choice([1, 1, 1, 2, 4, 8])):
            late = what in {"delay", "delay_answer", "late"}
            seconds = round(chance.uniform(0.05, MOST_LATE_S), 2) if late else 0.0
            plan[number] = Mishap(what, seconds, chance.choice(statuses))
            number += 1
    return plan


def _named(mishap: Mishap) -> str:
    more: dict[str, Any] = {"delay": mishap.seconds, "delay_answer": mishap.seconds, "late": mishap.seconds}
    more["refuse"] = mishap.status
    return f"{mishap.what} {more[mishap.what]}" if mishap.what in more else mishap.what
