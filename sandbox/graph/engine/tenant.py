"""A tenant: its licences and objects, the true state of its controls, and what Microsoft has measured of it."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from operator import itemgetter
from typing import Literal

from sandbox.graph.engine.catalogue.catalogue import catalogue
from sandbox.graph.engine.control import Control, Measure
from sandbox.graph.engine.disposition import State, StateUpdate, ratio_with
from sandbox.graph.engine.licences import flags_of, licence, services_of
from sandbox.graph.engine.population import Population
from sandbox.graph.engine.signals import newest_measurement
from sandbox.graph.engine.snapshot import ControlScore, Snapshot
from sandbox.graph.engine.status_text import status_template, status_text

Cloud = Literal["global", "us_government_l4", "us_government_l5", "china"]

DAYS_KEPT = 90
"""Snapshots of a tenant (Microsoft Graph §1.4)."""


class History[Value]:
    """A value and what it was before."""

    def __init__(self, since: datetime, value: Value) -> None:
        self._changes: list[tuple[datetime, Value]] = [(since, value)]

    @property
    def now(self) -> Value:
        """The latest value."""
        return self._changes[-1][1]

    @property
    def changed_at(self) -> list[datetime]:
        """When it got each of its values, the first one included."""
        return [at for at, _ in self._changes]

    def at(self, moment: datetime) -> Value | None:
        """Return the value at a moment, or `None` before the first one."""
        position = bisect_right(self._changes, moment, key=itemgetter(0))
        return self._changes[position - 1][1] if position else None

    def set(self, at: datetime, value: Value) -> None:
        """Change the value at a moment that is not before the last change."""
        self._changes.append((at, value))

    def copy(self) -> "History[Value]":
        """Return a copy that changes by itself."""
        copied = History(*self._changes[0])
        copied._changes = list(self._changes)
        return copied


@dataclass
class Tenant:
    """A tenant of Microsoft 365.

    Attributes:
        id: Its GUID.
        name: Its name; Secure Score does not show it.
        cloud: The cloud that it lives in.
        seed: Makes its measurements repeatable.
        licences: Names of :data:`sandbox.graph.engine.licences.LICENCES` and connected applications.
        population: Its objects, past and present.
        next_day: The first day without a snapshot.
        controls: Its catalogue by id; maxima and texts may differ between tenants.
        compliant: For each control the number of compliant objects: the hidden truth, past and present.
        state_updates: For each control that people decided about, their decisions, oldest first.
        snapshots: What Secure Score shows, oldest first.
        missing_days: Days on which no snapshot appears.
        revised_day: The day whose snapshot has already changed its content.
    """

    id: str
    name: str
    cloud: Cloud
    seed: str
    licences: set[str]
    population: History[Population]
    next_day: date
    controls: dict[str, Control] = field(default_factory=dict)
    compliant: dict[str, History[int]] = field(default_factory=dict)
    state_updates: dict[str, list[StateUpdate]] = field(default_factory=dict)
    snapshots: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=DAYS_KEPT))
    missing_days: set[date] = field(default_factory=set)
    revised_day: date = date.min

    def control(self, control_id: str) -> Control:
        """Return a control of its catalogue. Raises KeyError if there is none."""
        return self.controls[control_id]

    def profiles(self) -> list[Control]:
        """Return the listed controls, sorted by id without regard to case (Microsoft Graph §1.3)."""
        listed = (control for control in self.controls.values() if control.is_listed)
        return sorted(listed, key=lambda control: control.id.lower())

    def truth(self, control_id: str) -> tuple[int, int]:
        """Return the compliant objects and all objects of a control at present."""
        return self.compliant[control_id].now, self.population.now.total(self.controls[control_id])

    # What people do

    def set_share(self, control_id: str, share: float, at: datetime) -> None:
        """Set how much of a control is really in place, from 0 to 1."""
        if not 0 <= share <= 1:
            raise ValueError("a share is between 0 and 1")
        total = self.population.now.total(self.controls[control_id])
        self.compliant[control_id].set(at, round(total * share))

    def decide(self, control_id: str, update: StateUpdate) -> None:
        """Add a decision about a control. Raises KeyError if there is no such control."""
        if control_id not in self.controls:
            raise KeyError(control_id)
        self.state_updates.setdefault(control_id, []).append(update)

    def grow(self, population: Population, at: datetime) -> None:
        """Replace the objects. New ones do not comply; those that leave are the non-compliant ones first."""
        self.population.set(at, population)
        for control_id, compliant in self.compliant.items():
            total = population.total(self.controls[control_id])
            if compliant.now > total:
                compliant.set(at, total)

    def add_licence(self, name: str, at: datetime) -> None:
        """Add a licence, and the controls of its services that the tenant does not list yet."""
        services = licence(name).services
        self.licences.add(name)
        for control in catalogue():
            if control.service in services and control.id not in self.controls:
                self.add_control(control, at)

    def remove_licence(self, name: str) -> None:
        """Remove a licence. Its controls stay listed. Raises KeyError if the tenant does not have it."""
        self.licences.remove(name)

    # What Microsoft does

    def add_control(self, control: Control, at: datetime, *, share: float = 0) -> None:
        """Add a control to the catalogue. Raises ValueError if its id is taken."""
        if control.id in self.controls:
            raise ValueError(f"{control.id} exists")
        self.controls[control.id] = control
        self.compliant[control.id] = History(at, round(self.population.now.total(control) * share))

    def remove_control(self, control_id: str) -> None:
        """Remove a control without a trace: it is not marked as deprecated first (Microsoft Graph §6)."""
        del self.controls[control_id]
        del self.compliant[control_id]
        self.state_updates.pop(control_id, None)

    def change_control(self, control_id: str, **changes: object) -> Control:
        """Change what the catalogue says of a control, such as `max_score`, `title` or `deprecated`."""
        if unknown := changes.keys() - _CHANGEABLE:
            raise ValueError(f"unknown or fixed: {', '.join(sorted(unknown))}")
        changed = replace(self.controls[control_id], **changes)  # type: ignore[arg-type]
        self.controls[control_id] = changed
        return changed

    def rename_control(self, control_id: str, *new_ids: str) -> None:
        """Give a control another id, or split it into several, each with the state of the first."""
        control, compliant = self.controls[control_id], self.compliant[control_id]
        updates = self.state_updates.get(control_id, [])
        if taken := set(new_ids) & self.controls.keys():
            raise ValueError(f"{', '.join(sorted(taken))} exists")
        self.remove_control(control_id)
        for new_id in new_ids:
            self.controls[new_id] = replace(control, id=new_id)
            self.compliant[new_id] = compliant.copy()
            self.state_updates[new_id] = list(updates)

    # What Secure Score shows

    def take_snapshot(self, day: date, at: datetime, *, with_changes: bool, ignored_gives_points: bool) -> Snapshot:
        """Return the snapshot of a day as it is at `at`.

        Args:
            day: The day in its id.
            at: When it is taken; only older measurements are in it.
            with_changes: Whether a change brings a measurement of its own.
            ignored_gives_points: Whether an accepted risk keeps its measured points.
        """
        scores = (
            self._score(control, at, with_changes=with_changes, ignored_gives_points=ignored_gives_points)
            for control in self._scored()
        )
        return Snapshot(
            tenant_id=self.id,
            day=day,
            enabled_services=flags_of(self.licences),
            scores=tuple(score for score in scores if score is not None),
            user_count=self.population.now.users,
        )

    def _scored(self) -> Iterable[Control]:
        services = services_of(self.licences)
        return (
            control
            for control in self.controls.values()
            if control.service in services and self.population.now.has_objects_for(control)
        )

    def _score(
        self, control: Control, at: datetime, *, with_changes: bool, ignored_gives_points: bool
    ) -> ControlScore | None:
        compliant = self.compliant[control.id]
        measured_at = newest_measurement(
            control.service,
            f"{self.seed}/{control.id}",
            shown_at=at,
            changed_at=compliant.changed_at if with_changes else (),
        )
        count, population = compliant.at(measured_at), self.population.at(measured_at)
        if count is None or population is None:
            return None
        total = population.total(control)
        ratio = count / total if total else 1.0
        is_on = ratio == 1
        if not control.measure.gives_partial_points:
            ratio = float(is_on)
        if control.measure is Measure.GLOBAL_ADMINS:
            count = 3 if is_on else 1
        ratio = ratio_with(self._state(control.id, at), ratio, ignored_gives_points=ignored_gives_points)
        shows_count = control.measure is not Measure.SETTING
        return ControlScore(
            control_id=control.id,
            category=control.category,
            service=control.service,
            score=round(control.max_score * ratio, 2),
            max_score=control.max_score,
            percentage=round(ratio * 100, 2),
            status=status_text(control, count=count, total=total, is_on=is_on),
            status_template=status_template(control),
            description=control.description,
            count=count if shows_count else None,
            total=total if control.measure.gives_partial_points else None,
            is_on=None if shows_count else is_on,
            last_synced_at=measured_at,
        )

    def _state(self, control_id: str, at: datetime) -> State:
        """Return the state that counts at a moment."""
        updates = self.state_updates.get(control_id, ())
        return next((update.state for update in reversed(updates) if update.effective_at <= at), State.DEFAULT)


_CHANGEABLE = frozenset(
    {
        "title",
        "category",
        "service",
        "max_score",
        "tier",
        "implementation_cost",
        "user_impact",
        "rank",
        "threats",
        "action_url",
        "remediation",
        "remediation_impact",
        "description",
        "deprecated",
        "is_listed",
    }
)
