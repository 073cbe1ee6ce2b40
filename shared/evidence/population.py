"""Which tickets belong to a period, and what the evidence says about each. Pure: events in, items out.

The order in which events come does not matter, and an event that comes twice counts once. What happened after the
period is left out, so that the same question has the same answer later.

It takes two looks at the period: the first finds the tickets (:class:`Chosen`), the second collects their events
(:class:`Collected`), so that the memory depends on the answer and not on how much there is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from shared.errors import FixRequest
from shared.evidence.items import (
    EventEvidence,
    EvidenceItem,
    PointsMeasured,
    RecommendationEvidence,
    StateEvidence,
)
from shared.evidence.model import EvidenceEvent
from shared.evidence.requests import Basis, EvidenceQuestion

MOST_TICKETS: Final = 5_000
"""Tickets of one population."""
MOST_EVENTS: Final = 100_000
"""Events of one population; each takes about 1 kB of memory."""

CREATED: Final = "created"
LINKED: Final = "recommendation_linked"
UNLINKED: Final = "recommendation_unlinked"
OUTCOME: Final = "outcome"
ENDED: Final = frozenset({"resolved", "closed", "canceled", "deleted"})
"""Phases in which nobody works on a ticket any more."""
_NAMES_THE_RECORD: Final = frozenset({"delivered", "adopted"})
"""Other events can hold the number of another record."""
_OPEN: Final = "open"
_UNKNOWN: Final = "unknown"
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

type TicketKey = tuple[str, str]
"""Connection and ticket."""
type RecommendationKey = tuple[str, str]
"""Tenant and key."""


class Chosen:
    """The first look: the tickets that may belong to the population, and the recommendations they are for."""

    def __init__(self, question: EvidenceQuestion) -> None:
        self._question = question
        self.tickets: set[TicketKey] = set()
        self.recommendations: set[RecommendationKey] = set()

    def add(self, events: Iterable[EvidenceEvent]) -> None:
        """Look at events. Raises FixRequest (422 ``evidence_too_large``)."""
        for event in events:
            ticket = ticket_of(event)
            if ticket is None or not self._question.holds(event.at) or ticket[0] in self._question.excluded_ids:
                continue
            self.recommendations.update(recommendations_of(event))
            if self._is_wanted(event):
                self.tickets.add(ticket)
        if len(self.tickets) > MOST_TICKETS:
            raise FixRequest("evidence_too_large", status=422, variant="tickets", limit=MOST_TICKETS)

    def _is_wanted(self, event: EvidenceEvent) -> bool:
        wanted = self._question.tenant_id
        if wanted is not None and event.tenant_id is not None and event.tenant_id != wanted:
            return False
        if self._question.basis is Basis.CREATED:
            return event.kind == CREATED
        return event.details.get("phase") in ENDED


class Collected:
    """The second look: the events of the chosen tickets, and of the recommendations they are for."""

    def __init__(self, tickets: Collection[TicketKey], recommendations: Collection[RecommendationKey]) -> None:
        self._of_tickets: Mapping[TicketKey, dict[str, EvidenceEvent]] = {key: {} for key in tickets}
        self._recommendations = recommendations
        self._of_recommendations: dict[RecommendationKey, dict[str, EvidenceEvent]] = defaultdict(dict)
        self._without_creation = set(tickets)
        self._count = 0

    @property
    def is_creation_missing(self) -> bool:
        """Whether a ticket's creation is not among the events yet, so that older ones are needed."""
        return bool(self._without_creation)

    def add(self, events: Iterable[EvidenceEvent]) -> None:
        """Keep what belongs to the chosen tickets. Raises FixRequest (422 ``evidence_too_large``)."""
        for event in events:
            ticket = ticket_of(event)
            if ticket is not None:
                if ticket in self._of_tickets:
                    self._keep(self._of_tickets[ticket], event)
                    if event.kind == CREATED:
                        self._without_creation.discard(ticket)
                continue
            for recommendation in recommendations_of(event):
                if recommendation in self._recommendations:
                    self._keep(self._of_recommendations[recommendation], event)
        if self._count > MOST_EVENTS:
            raise FixRequest("evidence_too_large", status=422, variant="events", limit=MOST_EVENTS)

    def _keep(self, kept: dict[str, EvidenceEvent], event: EvidenceEvent) -> None:
        """Keep an event; of one that came twice, the earlier."""
        known = kept.get(event.event_id)
        if known is None:
            self._count += 1
        if known is None or event.at < known.at:
            kept[event.event_id] = event

    def items(self, question: EvidenceQuestion) -> Sequence[EvidenceItem]:
        """Return what the evidence says about each ticket of the population, the oldest first.

        A ticket that is for no stored recommendation has an item without recommendations.
        """
        found = []
        for key, events in self._of_tickets.items():
            until_then = [event for event in events.values() if event.at < question.end_at]
            item = self._item(key, sorted(until_then, key=_place), question)
            if item is not None:
                found.append(item)
        return sorted(found, key=lambda item: (item.requested_at or _LONG_AGO, item.ticket_id, item.connection_id))

    def _item(self, key: TicketKey, events: Sequence[EvidenceEvent], question: EvidenceQuestion) -> EvidenceItem | None:
        """Return a ticket's item; None if it does not belong to the population after all."""
        states = list(_states(events))
        closings = list(_closings(states))
        created = next((event for event in events if event.kind == CREATED), None)
        if question.basis is Basis.CREATED and (created is None or not question.holds(created.at)):
            return None
        if question.basis is Basis.CLOSED and not any(question.holds(at) for at in closings):
            return None
        recommendations = tuple(self._recommendation(each, events, question) for each in _recommendations(events))
        if question.tenant_id not in {None, *(each.tenant_id for each in recommendations)}:
            return None
        asked = {} if created is None else created.details
        connection_id, ticket_id = key
        return EvidenceItem(
            ticket_id=ticket_id,
            connection_id=connection_id,
            number=_last([event for event in events if event.kind in _NAMES_THE_RECORD], "number"),
            kind=asked.get("kind"),
            name=asked.get("name"),
            requester_id=asked.get("requester_id"),
            requester_name=asked.get("requester_name"),
            requested_at=None if created is None else created.at,
            text_sha256=asked.get("text_sha256"),
            phase=states[-1].phase if states else None,
            closed_at=closings[-1] if closings and states[-1].phase in ENDED else None,
            states=tuple(states),
            recommendations=recommendations,
            events=tuple(map(_shown, events)),
        )

    def _recommendation(
        self, key: RecommendationKey, events: Sequence[EvidenceEvent], question: EvidenceQuestion
    ) -> RecommendationEvidence:
        about = [event for event in events if key in recommendations_of(event)]
        links = [event for event in about if event.kind in {LINKED, UNLINKED}]
        linked = next((event for event in links if event.kind == LINKED), None)
        since = about[0].at
        outcomes = [event for event in about if event.kind == OUTCOME]
        outcome = outcomes[-1] if outcomes else None
        read = [
            event for event in self._of_recommendations.get(key, {}).values() if since <= event.at < question.end_at
        ]
        read.sort(key=_place)
        measured = sorted([*outcomes, *read], key=_place)
        before = None if linked is None else _points(linked)
        tenant_id, recommendation_id = key
        return RecommendationEvidence(
            tenant_id=tenant_id,
            recommendation_id=recommendation_id,
            source=_last([*read, *about], "source"),
            source_id=_last([*read, *about], "source_id"),
            linked_at=None if linked is None else linked.at,
            unlinked_at=links[-1].at if links and links[-1].kind == UNLINKED else None,
            before=before or _first_before(outcomes),
            after=next((points for event in reversed(measured) if (points := _points(event)) is not None), None),
            outcome=_without_outcome(events) if outcome is None else outcome.details.get("outcome", _UNKNOWN),
            reason=None if outcome is None else outcome.details.get("reason"),
            outcome_since=_since(outcomes),
            events=tuple(map(_shown, read)),
        )


def ticket_of(event: EvidenceEvent) -> TicketKey | None:
    """Return the ticket that an event is about; None for one of a recommendation."""
    if event.connection_id is None or event.ticket_id is None:
        return None
    return event.connection_id, event.ticket_id


def recommendations_of(event: EvidenceEvent) -> Sequence[RecommendationKey]:
    """Return the recommendations that an event is about; none if it does not say of which tenant they are.

    An event that names one is about that one, whatever else its ticket is for.
    """
    tenant_id = event.details.get("tenant_id", event.tenant_id)
    keys = [event.details["key"]] if "key" in event.details else event.keys
    return [] if tenant_id is None else [(tenant_id, key) for key in keys]


def _recommendations(events: Iterable[EvidenceEvent]) -> Sequence[RecommendationKey]:
    """Return the recommendations of a ticket in the order of their tenants and keys."""
    return sorted({key for event in events for key in recommendations_of(event)})


def _place(event: EvidenceEvent) -> tuple[datetime, bool, str]:
    """Return an event's place among others: by time; of one write, the creation first."""
    return event.at, event.kind != CREATED, event.event_id


def _states(events: Iterable[EvidenceEvent]) -> Iterator[StateEvidence]:
    last: tuple[str, str | None] | None = None
    for event in events:
        phase, details = event.details.get("phase"), event.details
        if phase is None:
            continue
        state = details.get("to_label") or details.get("to") or details.get("label") or details.get("state")
        if (phase, state) != last:
            yield StateEvidence(event.at, phase, state)
        last = phase, state


def _closings(states: Sequence[StateEvidence]) -> Iterator[datetime]:
    """Return when a ticket was ended; that a resolved incident is closed some days later is no second end."""
    if states and states[0].phase in ENDED:
        yield states[0].at
    for before, after in pairwise(states):
        if after.phase in ENDED and before.phase not in ENDED:
            yield after.at


def _without_outcome(events: Sequence[EvidenceEvent]) -> str:
    """Return the outcome of a recommendation of which no event says one: of an ended ticket, nobody knows it."""
    return _UNKNOWN if _last(events, "phase") in ENDED else _OPEN


def _since(outcomes: Sequence[EvidenceEvent]) -> datetime | None:
    """Return since when the last outcome has been what it is."""
    since = None
    for event in reversed(outcomes):
        if event.details.get("outcome") != outcomes[-1].details.get("outcome"):
            break
        since = event.at
    return since


def _first_before(outcomes: Iterable[EvidenceEvent]) -> PointsMeasured | None:
    found = (_measured(event, "points_before", "max_points_before", "measured_before_at") for event in outcomes)
    return next((points for points in found if points is not None), None)


def _points(event: EvidenceEvent) -> PointsMeasured | None:
    return _measured(event, "points", "max_points", "measured_at")


def _measured(event: EvidenceEvent, points: str, max_points: str, measured_at: str) -> PointsMeasured | None:
    """Return the measurement that these details hold; None if they have no points."""
    value = _number(event.details.get(points))
    if value is None:
        return None
    return PointsMeasured(value, _number(event.details.get(max_points)), _time(event.details.get(measured_at)))


def _number(text: str | None) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        return None
    return value if value is not None and abs(value) < float("inf") else None


def _time(text: str | None) -> datetime | None:
    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _last(events: Sequence[EvidenceEvent], name: str) -> str | None:
    return next((event.details[name] for event in reversed(events) if name in event.details), None)


def _shown(event: EvidenceEvent) -> EventEvidence:
    return EventEvidence(event.at, event.kind, dict(sorted(event.details.items())))
