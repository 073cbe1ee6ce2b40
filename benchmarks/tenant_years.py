"""A simulated year of a tenant: what is really in place, what Microsoft shows of it, and what the rules say about it.

The engine of the simulated Graph holds the hidden truth. Its JSON goes through the connector's decoding, joining and
comparing with what is stored, as in a reading, but without HTTP and storage. Everything follows from a seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sandbox.clock import Clock
from sandbox.graph.engine.catalogue.catalogue import catalogue
from sandbox.graph.engine.control import Control, Measure
from sandbox.graph.engine.disposition import State, StateUpdate
from sandbox.graph.engine.population import Population
from sandbox.graph.engine.tenant import History, Tenant
from sandbox.graph.engine.world import World
from sandbox.graph.wire.secure_score.representation import profile, secure_score
from shared.graph.decoding import SecureScoreDecoder
from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.ports import Reading
from shared.recommendations.reading.changes import changes_of
from shared.recommendations.reading.joining import joined, snapshot_of
from shared.recommendations.reading.secure_score import ControlProfile, SecureScore
from shared.recommendations.statuses import has_full_points
from shared.recommendations.verification import assessed, new_verification
from shared.recommendations.verifying.observations import ObservedTenant, Reach, observed_tenant
from shared.recommendations.verifying.waiting_times import WaitingTimes
from shared.tickets.outcome_events import changed_items
from shared.tickets.outcomes import Measurement, RecommendationOutcome, Verification, closed, reopened, with_closing

TENANT_ID: Final = "11111111-aaaa-4bbb-8ccc-000000000001"
CONTROLS: Final = (
    "AdminMFAV2",
    "MFARegistrationV2",
    "meeting_pstnusersbypasslobby_v1",
    "mdo_safeattachments",
    "exo_mailboxaudit",
    "scid_2012",
)
"""Of Entra (measured weekly), Teams (monthly) and others (daily); settings, users, administrators and devices."""
LICENCES: Final = ("entra_p1", "teams", "defender_for_office_p1", "exchange", "defender_for_endpoint_p2")
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: Final = 365
WAITS: Final = WaitingTimes()


@dataclass(frozen=True, slots=True)
class Truth:
    """How much of a control is really in place."""

    count: int
    total: int

    @property
    def is_fixed(self) -> bool:
        """Whether all of it is."""
        return self.count >= self.total


@dataclass(frozen=True, slots=True)
class Saying:
    """An outcome at the moment when the rules came to it, beside the truth.

    Attributes:
        item: What the rules say.
        before: What they said until then.
        measured: The truth when Microsoft made the measurement that decided, by the engine's own clock; None if no
            measurement did.
        reference: The truth at the measurement that decided before; None if none did.
        now: The truth at the time of the saying; None if the control is gone.
    """

    item: RecommendationOutcome
    before: RecommendationOutcome
    measured: Truth | None
    reference: Truth | None
    now: Truth | None


@dataclass(slots=True)
class _Ticket:
    control_id: str
    verification: Verification

    @property
    def is_open(self) -> bool:
        return self.verification.closing is None


class TenantYear:
    """One tenant for a year; :meth:`sayings` runs it.

    Attributes:
        tickets_made: How many tickets were made so far.
    """

    def __init__(self, seed: int) -> None:
        self.tickets_made = 0
        self._random = random.Random(seed)
        self._clock = Clock.stopped_at(START)
        self._world = World(self._clock)
        self._set_switches()
        pick = self._random
        population = Population(
            users=pick.randint(5, 300), admins=pick.randint(2, 9), devices={"windows": pick.randint(5, 200)}
        )
        self._tenant = Tenant(
            id=TENANT_ID,
            name="Contoso",
            cloud="global",
            seed=str(seed),
            licences=set(LICENCES),
            population=History(START - timedelta(days=40), population),
            next_day=START.date(),
        )
        for control in _controls():
            share = pick.choice((0, 0, 0.3, 0.8, 1))
            self._tenant.add_control(control, START - timedelta(days=40), share=share)
        self._world.add(self._tenant)
        self._true: dict[str, History[int]] = dict(self._tenant.compliant)
        """The truth about each control, also while it is gone."""
        self._kept: dict[str, Control] = dict(self._tenant.controls)
        self._measured_at: dict[tuple[str | None, str, float], datetime] = {}
        """When the points of a control in a snapshot were really measured; answers leave it out at times."""
        self._profiles: dict[str, tuple[Control, Sequence[StateUpdate], ControlProfile]] = {}
        """What was decoded already, with what it was decoded from: most of it is the same every day."""
        self._stored: dict[str, ImprovementAction] = {}
        self._snapshot: SecureScore | None = None
        self._tickets: list[_Ticket] = []
        self._unreadable_until = START
        self._later: list[tuple[datetime, Callable[[], None]]] = []
        """What is planned."""

    def _set_switches(self) -> None:
        """Choose what the reference leaves open."""
        pick, switches = self._random, self._world.switches
        switches["snapshot.hour"] = pick.randrange(24)
        switches["snapshot.revised_at_hour"] = pick.choice((0, 0, 23))
        switches["signals.on_change"] = pick.random() < 0.7
        switches["state_updates.order"] = pick.choice(("appended", "newest_first", "replaced"))
        switches["state_updates.appear_at_once"] = pick.random() < 0.7
        switches["disposition.lag_hours"] = pick.choice((24, 24, 168))
        switches["disposition.ignored_gives_points"] = pick.random() < 0.5
        switches["disposition.reviewed_stays"] = pick.random() < 0.5

    def sayings(self) -> Iterator[Saying]:
        """Let the year pass, and return everything that the rules say."""
        for day in range(DAYS):
            begin = START + timedelta(days=day)
            read_at = self._some_time(begin)
            events = [(self._some_time(begin), event) for event in self._events_of_the_day()]
            events += self._due(begin + timedelta(days=1))
            events.sort(key=lambda each: each[0])
            for at, event in events:
                if at <= read_at:
                    self._at(at, event)
            self._clock.set(read_at)
            yield from self._read(read_at)
            for at, event in events:
                if at > read_at:
                    self._at(at, event)

    def _at(self, at: datetime, event: Callable[[], None]) -> None:
        self._clock.set(max(at, self._clock.now()))
        self._world.tenant(TENANT_ID)  # Snapshots that are due show the state before the event.
        event()

    def _some_time(self, day: datetime) -> datetime:
        return day + timedelta(minutes=self._random.randrange(24 * 60))

    # What happens in the tenant

    def _events_of_the_day(self) -> Iterator[Callable[[], None]]:
        pick = self._random
        for control_id in CONTROLS:
            for chance, event in (
                (0.004, self._break),
                (0.004, self._decide),
                (0.002, self._change_maximum),
                (0.001, self._retire_or_bring_back),
            ):
                if pick.random() < chance:
                    yield lambda event=event, control_id=control_id: event(control_id)  # type: ignore[misc]
        for chance, happening in (
            (0.03, self._grow),
            (0.004, self._lose_or_buy_a_licence),
            (0.03, self._miss_a_snapshot),
            (0.01, self._become_unreadable),
        ):
            if pick.random() < chance:
                yield happening

    def _is_there(self, control_id: str) -> bool:
        return control_id in self._tenant.controls

    def _set_share(self, control_id: str, share: float) -> None:
        if self._is_there(control_id):
            self._tenant.set_share(control_id, share, self._clock.now())

    def _break(self, control_id: str) -> None:
        self._set_share(control_id, self._random.choice((0, 0.5, 0.9)))

    def _decide(self, control_id: str) -> None:
        """Set a disposition, and withdraw it some day: perhaps after hours."""
        if not self._is_there(control_id):
            return
        is_device = self._tenant.control(control_id).measure is Measure.DEVICES
        states = (State.THIRD_PARTY,) if is_device else (State.THIRD_PARTY, State.REVIEWED, State.IGNORED)
        self._world.decide(TENANT_ID, control_id, self._random.choice(states))
        withdrawn_at = self._clock.now() + timedelta(hours=self._random.choice((5, 20, 60, 400, 2000)))
        self._later.append((withdrawn_at, lambda: self._withdraw(control_id)))

    def _withdraw(self, control_id: str) -> None:
        if self._is_there(control_id):
            self._world.decide(TENANT_ID, control_id, State.DEFAULT)

    def _change_maximum(self, control_id: str) -> None:
        if self._is_there(control_id):
            self._tenant.change_control(control_id, max_score=float(self._random.choice((3, 5, 8, 10, 12))))

    def _retire_or_bring_back(self, control_id: str) -> None:
        if self._is_there(control_id):
            self._kept[control_id] = self._tenant.control(control_id)
            self._tenant.remove_control(control_id)
            return
        now, old = self._clock.now(), self._true[control_id]
        self._tenant.add_control(self._kept[control_id], now)
        self._tenant.compliant[control_id].set(now, min(old.now, self._total(control_id, now)))
        new = self._tenant.compliant[control_id]
        self._true[control_id] = _continued(old, new)
        self._tenant.compliant[control_id] = self._true[control_id]

    def _grow(self) -> None:
        pick, now = self._random, self._tenant.population.now
        more = pick.choice((1, 5, 20))
        grown = now.grown(users=more, admins=pick.choice((0, 0, 1)), devices={"windows": more})
        self._tenant.grow(grown, self._clock.now())

    def _lose_or_buy_a_licence(self) -> None:
        name = self._random.choice(LICENCES)
        if name in self._tenant.licences:
            self._tenant.remove_licence(name)
        else:
            self._tenant.licences.add(name)

    def _miss_a_snapshot(self) -> None:
        self._tenant.missing_days.add(self._tenant.next_day)

    def _become_unreadable(self) -> None:
        self._unreadable_until = self._clock.now() + timedelta(days=self._random.choice((1, 3, 12)))

    def _total(self, control_id: str, at: datetime) -> int:
        population = self._tenant.population.at(at)
        assert population is not None
        return population.total(self._kept[control_id])

    # What people do with tickets

    def _due(self, until: datetime) -> list[tuple[datetime, Callable[[], None]]]:
        due = [each for each in self._later if each[0] < until]
        self._later[:] = [each for each in self._later if each[0] >= until]
        return due

    def _make_tickets(self, tenant: ObservedTenant, now: datetime) -> None:
        pick = self._random
        for control_id in CONTROLS:
            action = self._stored.get(control_id)
            has_open = any(each.control_id == control_id and each.is_open for each in self._tickets)
            if action is None or has_open or pick.random() > (0.002 if has_full_points(action) else 0.04):
                continue
            self._tickets = [each for each in self._tickets if each.control_id != control_id]
            ticket = _Ticket(control_id, new_verification([action.reference], [tenant], now))
            self._tickets.append(ticket)
            self.tickets_made += 1
            self._plan(ticket, now)

    def _plan(self, ticket: _Ticket, now: datetime) -> None:
        """Decide what becomes of a ticket: fixed or not, closed honestly, on paper, too early, or never."""
        pick, control_id = self._random, ticket.control_id
        if pick.random() < 0.6:
            fixed_at = now + timedelta(hours=pick.choice((3, 30, 100, 400, 900)))
            self._later.append((fixed_at, lambda: self._set_share(control_id, pick.choice((1, 1, 1, 0.95, 0.6)))))
        if pick.random() < 0.9:
            closed_at = now + timedelta(hours=pick.choice((4, 50, 120, 420, 1000)))
            self._later.append((closed_at, lambda: self._close(ticket)))
            if pick.random() < 0.1:
                self._later.append((closed_at + timedelta(days=pick.randint(1, 40)), lambda: self._reopen(ticket)))

    def _close(self, ticket: _Ticket) -> None:
        """Close it; ServiceNow's clock may be wrong."""
        at, pick = self._clock.now(), self._random
        ticket.verification = closed(ticket.verification, at + timedelta(minutes=3), claims_fix=pick.random() < 0.85)
        closing = ticket.verification.closing
        assert closing is not None
        said_at = at + pick.choice((timedelta(), timedelta(), timedelta(hours=9), timedelta(hours=-9)))
        read = replace(closing, closed_at=said_at, is_read=True)
        ticket.verification = with_closing(ticket.verification, read, at + timedelta(minutes=3))

    def _reopen(self, ticket: _Ticket) -> None:
        if not ticket.is_open:
            ticket.verification = reopened(ticket.verification, self._clock.now())

    # What the connector does

    def _read(self, now: datetime) -> Iterator[Saying]:
        if now < self._unreadable_until:
            reach, is_complete = Reach.UNREADABLE, False
        else:
            reach, is_complete = Reach.READABLE, self._random.random() > 0.03
            self._store(now, is_complete=is_complete)
        snapshot = self._snapshot if is_complete else None
        tenant = observed_tenant(
            TENANT_ID,
            self._stored.values(),
            None if snapshot is None else snapshot.snapshot_id,
            None if snapshot is None else snapshot.day,
            reach=reach,
        )
        for ticket in self._tickets:
            before = ticket.verification
            ticket.verification = assessed(before, tenant, now, WAITS)
            if ticket.verification is not before:
                yield from self._said(ticket, before, now)
        self._make_tickets(tenant, now)

    def _store(self, now: datetime, *, is_complete: bool) -> None:
        """Read what Graph says now, and store what it changes."""
        tenant, switches = self._world.tenant(TENANT_ID), self._world.switches
        omitted = "" if is_complete else self._random.choice(("AzureAD", "MDO", "MDATP"))
        profiles = [self._profile(control) for control in tenant.profiles() if control.service != omitted]
        self._snapshot = None
        if tenant.snapshots:
            newest = tenant.snapshots[-1]
            for score in newest.scores:
                self._measured_at[newest.id, score.control_id, score.score] = score.last_synced_at
            shown = newest.without_service(omitted) if omitted else newest
            score_now, _ = SecureScoreDecoder(TENANT_ID).score(_received(secure_score(shown, switches, is_newest=True)))
            assert score_now is not None
            self._snapshot = self._with_wrong_times(score_now, now)
        actions, texts = joined(TENANT_ID, profiles, self._snapshot)
        reading = Reading(
            SourceName.SECURE_SCORE,
            is_complete,
            actions,
            texts,
            None if self._snapshot is None else snapshot_of(self._snapshot),
        )
        for row in changes_of(list(self._stored.values()), reading, now).rows:
            self._stored[row.source_id] = row

    def _profile(self, control: Control) -> ControlProfile:
        """Return a control of the catalogue as the connector decodes it."""
        updates = self._world.shown_state_updates(self._tenant, control.id)
        if (known := self._profiles.get(control.id)) is not None and known[0] is control and known[1] == updates:
            return known[2]
        item = profile(control, TENANT_ID, updates, self._world.switches, "en")
        decoded, _ = SecureScoreDecoder(TENANT_ID).profile(_received(item))
        assert decoded is not None
        self._profiles[control.id] = control, updates, decoded
        return decoded

    def _with_wrong_times(self, score: SecureScore, now: datetime) -> SecureScore:
        """Return a score in which times of measurement are missing on some days, or in the future."""
        chance = self._random.random()
        if chance > 0.15:
            return score
        wrong = None if chance > 0.03 else now + timedelta(days=2)
        return replace(score, controls=[replace(each, measured_at=wrong) for each in score.controls])

    # The truth

    def _said(self, ticket: _Ticket, before: Verification, now: datetime) -> Iterator[Saying]:
        for change in changed_items(before, ticket.verification):
            assert change.before is not None
            yield Saying(
                item=change.after,
                before=change.before,
                measured=self._truth_measured(ticket.control_id, change.after.deciding),
                reference=self._truth_measured(ticket.control_id, change.before.deciding or change.before.proof),
                now=self._truth(ticket.control_id, now) if self._is_there(ticket.control_id) else None,
            )

    def _truth_measured(self, control_id: str, measurement: Measurement | None) -> Truth | None:
        if measurement is None:
            return None
        measured_at = measurement.measured_at
        if measured_at is None:
            assert measurement.points is not None
            measured_at = self._measured_at[measurement.snapshot_id, control_id, float(measurement.points)]
        return self._truth(control_id, measured_at)

    def _truth(self, control_id: str, at: datetime) -> Truth:
        count = self._true[control_id].at(at)
        assert count is not None
        return Truth(count, self._total(control_id, at))


def _controls() -> list[Control]:
    """Return the controls, without their long texts: they change no outcome and take time."""
    by_id = {control.id: control for control in catalogue()}
    return [replace(by_id[each], remediation="", remediation_impact="", description="") for each in CONTROLS]


def _continued(old: History[int], new: History[int]) -> History[int]:
    """Return a history with the changes of another one, which is newer."""
    continued = old.copy()
    for at in new.changed_at:
        value = new.at(at)
        assert value is not None
        continued.set(at, value)
    return continued


def _received(item: object) -> object:
    """Return an item as it comes off the wire."""
    return json.loads(json.dumps(item), parse_float=str)
