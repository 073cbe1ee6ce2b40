"""The words of a ticket's timeline, in a person's language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from shared.tickets.model import EventKind, TimelineEvent
from shared.tickets.updates.model import UpdateKind
from shared.tickets.updates.ports import NoFollowUp
from shared.tickets.updates.texts import POLICY_PREFIX
from shared.web.html import last_day, moment, points
from shared.words.error_words import words_of
from shared.words.language import Language
from shared.words.sentences import sentences

_TEXTS: Final = {"short_description": "ticket.name", "description": "ticket.description"}
"""What people call a text, by its field in ServiceNow."""


type Titles = Mapping[str, str]
"""Titles of the recommendations that a ticket is for, by the source's own id."""


def event_words(
    event: TimelineEvent, t: Language, *, state_names: Mapping[str, str], time_zone: str, titles: Titles
) -> str:
    """Return one line of the timeline.

    Args:
        state_names: The connection's own names of states, by raw value.
        time_zone: The connection's, in which a due date ends with its day.
        titles: An outcome names no recommendation if it is the only one of the ticket.
    """
    details = defaultdict(str, event.details)
    if event.kind is EventKind.OUTCOME:
        return sentences(*_outcome(details, t, titles))
    if (said := _TOLD_BY.get(event.kind)) is not None:
        return sentences(*said(event, details, t, time_zone))
    match event.kind:
        case EventKind.STATE_CHANGED:
            before = state_names.get(details["from"]) or details["from_label"] or details["from"]
            after = state_names.get(details["to"]) or details["to_label"] or details["to"]
        case EventKind.FOUND_AGAIN:
            before, after = "", state_names.get(details["state"]) or details["label"] or details["state"]
        case EventKind.DUE_DATE_CHANGED:
            before, after = "", _due_date(details["to"], t, time_zone)
        case _:
            before, after = details["from"], details["to"]
    message = "" if event.failure is None else words_of(event.failure, t).message
    lost = ", ".join(f"{t(name)} {details[field]}" for field, name in _TEXTS.items() if details[field])
    if event.kind not in set(EventKind):
        return t("event.other", kind=event.kind.value)
    return t(
        f"event.{event.kind}",
        number=details["number"],
        before=before,
        after=after,
        message=message,
        lost=lost,
        recommendation=_recommendation(details, titles),
    )


type _Details = Mapping[str, str]
type _Sentences = Iterable[str | None]


def _outcome(details: _Details, t: Language, titles: Titles) -> _Sentences:
    """Yield what became of a recommendation, why, and its points now and before the ticket."""
    outcome, reason = details["outcome"], details["reason"]
    said = t.named("ticket_outcome", outcome)
    if titles.keys() == {details["source_id"]}:
        yield t("event.outcome", outcome=said)
    else:
        yield t("event.outcome.named", recommendation=_recommendation(details, titles), outcome=said)
    if reason:
        yield t.filled(f"outcome_text.{outcome}.{reason}", {})
    if details["points"]:
        now = {"points": _points(details["points"]), "max": _points(details["max_points"])}
        measured = _time(details["measured_at"])
        yield t("event.outcome.now", measured=measured, **now) if measured else t("event.outcome.now_undated", **now)
    if details["points_before"]:
        before = {"points": _points(details["points_before"]), "max": _points(details["max_points_before"])}
        yield t("event.outcome.before", **before)


def _update(event: TimelineEvent, details: _Details, t: Language, time_zone: str) -> _Sentences:
    """Yield what happened to a change that somebody, or a policy, asked for."""
    message = "" if event.failure is None else words_of(event.failure, t).message
    what = t.named("update_kind", details["update_kind"])
    if event.kind is EventKind.UPDATE_ASKED:
        what = what_is_asked(details["update_kind"], details["due_at"], t, time_zone)
    who = who_asked(details["by_id"], details["by_name"], t)
    yield t(f"event.{event.kind}", who=who, what=what, message=message)
    if details["instead"]:
        yield t("event.update_refused.instead")
    if details["not_read_back"]:
        yield t("event.update_sent.not_read_back")


def _followed_up(event: TimelineEvent, details: _Details, t: Language, time_zone: str) -> _Sentences:
    """Yield which ticket a policy made, if it made one."""
    if details["number"]:
        yield t("event.followed_up", number=details["number"])
    elif details["follow_up_id"]:
        yield t("event.followed_up.later")
    elif details["open_number"]:
        yield t("event.followed_up.open_elsewhere.named", number=details["open_number"])
    elif details["open_id"]:
        yield t("event.followed_up.open_elsewhere")
    else:
        yield t.named("event.followed_up", details["why_none"] or NoFollowUp.NOT_NEEDED)


_TOLD_BY: Final[Mapping[EventKind, Callable[[TimelineEvent, _Details, Language, str], _Sentences]]] = {
    EventKind.UPDATE_ASKED: _update,
    EventKind.UPDATE_SENT: _update,
    EventKind.UPDATE_REFUSED: _update,
    EventKind.UPDATE_UNCERTAIN: _update,
    EventKind.UPDATE_DISCARDED: _update,
    EventKind.FOLLOWED_UP: _followed_up,
}
"""What says the events that take several sentences."""


def what_is_asked(kind: str, due_at: str | None, t: Language, time_zone: str) -> str:
    """Return what an update is to change.

    Args:
        due_at: The wanted due date in ISO 8601, for an update of that kind.
        time_zone: The connection's, in which a due date ends with its day.
    """
    if kind != UpdateKind.DUE_DATE:
        return t.named("update_kind", kind)
    return (
        t("update_kind.due_date.to", date=_due_date(due_at, t, time_zone)) if due_at else t("update_kind.due_date.none")
    )


def who_asked(by_id: str, by_name: str | None, t: Language) -> str:
    """Return who asked: a person's name, or the policy's in the reader's language."""
    if by_name:
        return by_name
    if not by_id.startswith(POLICY_PREFIX):
        return t("event.who.somebody")
    return t.get(f"event.who.{by_id.removeprefix(POLICY_PREFIX)}") or t("event.who.policy")


def _recommendation(details: _Details, titles: Titles) -> str:
    """Return the title of the recommendation that an event is about; the source's id if its title is not known."""
    return titles.get(details["source_id"]) or details["source_id"]


def _points(text: str) -> str:
    try:
        return points(Decimal(text))
    except ArithmeticError:
        return text or "?"


def _time(text: str) -> str:
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:
        return text


def _due_date(text: str, t: Language, time_zone: str) -> str:
    if not text:
        return t("ticket.no_due_date")
    try:
        due_at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return last_day(due_at, time_zone) or moment(due_at)
