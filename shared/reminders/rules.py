"""What is said when: weekly digests, urgent messages, quiet hours, repetitions. Pure.

A message is made once for one reason. So the rules compare what is true now with what was said last, and the caller
stores their result together with the messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from shared.clock import believed
from shared.connections.model import Connection, ConnectionStatus
from shared.reminders.model import (
    MESSAGE_LIFE_S,
    Cause,
    Figures,
    Message,
    MessageKind,
    MessageState,
    ReminderSettings,
    ReminderState,
    Reported,
)
from shared.value_object import value_object

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
CATCH_UP: Final = DAY
"""A digest that nobody could make in time is made up to this much later, and then no more until the next week."""
MORE_AFTER: Final = DAY
"""If a cause that was said gets worse, it is said again at the earliest after this time."""
REPEAT_AFTER: Final = WEEK
"""If a cause that was said is still there, it is said again after this time."""
URGENT_PER_DAY: Final = 5
"""Urgent messages of a connection within a day at most. The rest waits, and the digest has all of it."""
LOOK_EVERY: Final = DAY
"""A connection's reminders are looked at after this time, whatever its row in the directory says."""
CONSENT_STAGES: Final = (timedelta(days=14), timedelta(days=7), timedelta(days=3), timedelta(days=1), timedelta())
"""How long before its end the end of a consent becomes one stage more urgent."""
AT_ONCE: Final = frozenset({Cause.CONSENT_ENDS})
"""Causes that are said again as soon as they get worse."""
_WAITS_S: Final = (60.0, 180.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Seconds before the second attempt, before the third one, and so on."""


@value_object
class Plan:
    """What to make now.

    Attributes:
        digest_day: The day for which a digest is due; None if none is.
        causes: What an urgent message is about; empty if none is due.
        state: What was said, once the messages are stored.
        look_at: When to look again at the latest.
    """

    digest_day: str | None
    causes: tuple[Cause, ...]
    state: ReminderState
    look_at: datetime


def levels(connection: Connection, figures: Figures, now: datetime) -> Mapping[Cause, int]:
    """Return how bad each cause is: 0 if there is nothing to say, more if it is worse."""
    return {
        Cause.CONSENT_ENDS: consent_stage(connection, now),
        Cause.REGRESSION: figures.regressed,
        Cause.REFUSED: figures.refused,
        Cause.OVERDUE: figures.overdue,
    }


def consent_stage(connection: Connection, now: datetime) -> int:
    """Return how near the end of the consent is: 0 if it is far away, 5 if ServiceNow no longer accepts it."""
    if connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
        return len(CONSENT_STAGES)
    if connection.consent_ends_at is None:
        return 0
    left = connection.consent_ends_at - now
    return sum(left <= stage for stage in CONSENT_STAGES)


def plan(
    settings: ReminderSettings,
    state: ReminderState,
    present: Mapping[Cause, int],
    zone: ZoneInfo,
    now: datetime,
) -> Plan:
    """Return what to make now.

    Args:
        present: What :func:`levels` returns.
        zone: The connection's time zone.
    """
    reported = _still_true(state, present, now)
    recent = tuple(at for at in state.urgent_at if (seen := believed(at, now)) is not None and now - seen < DAY)
    quiet_until = quiet_until_at(settings, zone, now)
    day = _digest_due(settings, state, zone, now)
    news = tuple(cause for cause in settings.causes if _is_news(cause, present.get(cause, 0), reported.get(cause), now))
    look_at = {now + LOOK_EVERY, *_times(settings, reported, present, zone, now)}
    if not settings.receivers:
        day, news, look_at = None, (), {now + LOOK_EVERY}
    if quiet_until is not None and (day or news):
        day, news = None, ()
        look_at.add(quiet_until)
    if news and len(recent) >= URGENT_PER_DAY:
        news = ()
        look_at.add(recent[0] + DAY)
    said = reported | {cause: Reported(cause, present[cause], now) for cause in news}
    after = ReminderState(
        digest_day=day or state.digest_day,
        figures=state.figures,
        reported=tuple(said[cause] for cause in sorted(said)),
        urgent_at=(*recent, now) if news else recent,
        kept=state.kept,
        etag=state.etag,
    )
    return Plan(day, news, after, min(look_at))


def _still_true(state: ReminderState, present: Mapping[Cause, int], now: datetime) -> dict[Cause, Reported]:
    """Return what was said and is not over. What got better counts as said as it is now, so that worse is news."""
    return {
        each.cause: Reported(each.cause, min(each.level, level), each.at)
        for each in state.reported
        if (level := present.get(each.cause, 0)) > 0 and believed(each.at, now) is not None
    }


def _is_news(cause: Cause, level: int, reported: Reported | None, now: datetime) -> bool:
    if level <= 0:
        return False
    if reported is None or now - reported.at >= REPEAT_AFTER:
        return True
    return level > reported.level and (cause in AT_ONCE or now - reported.at >= MORE_AFTER)


def _times(
    settings: ReminderSettings,
    reported: Mapping[Cause, Reported],
    present: Mapping[Cause, int],
    zone: ZoneInfo,
    now: datetime,
) -> set[datetime]:
    """Return when something becomes due by itself."""
    times = {each.at + REPEAT_AFTER for each in reported.values()}
    times |= {each.at + MORE_AFTER for each in reported.values() if present[each.cause] > each.level}
    if settings.has_digest:
        day = _digest_day(settings, zone, now)
        times.add(_instant(day + WEEK, settings.digest_at, zone))
    return {at for at in times if at > now}


def _digest_due(settings: ReminderSettings, state: ReminderState, zone: ZoneInfo, now: datetime) -> str | None:
    """Return the day for which a digest is due; None if none is, or if it is too late for it."""
    if not settings.has_digest:
        return None
    day = _digest_day(settings, zone, now)
    at = _instant(day, settings.digest_at, zone)
    since_at = believed(settings.digest_since_at, now)
    is_late = now - at >= CATCH_UP
    is_from_before = since_at is not None and at < since_at
    # A day further ahead than time zones can differ was written with a wrong clock.
    is_made = state.digest_day is not None and day.isoformat() <= state.digest_day <= (day + WEEK).isoformat()
    return None if is_late or is_from_before or is_made else day.isoformat()


def _digest_day(settings: ReminderSettings, zone: ZoneInfo, now: datetime) -> date:
    """Return the last day whose digest's time has come."""
    today = now.astimezone(zone).date()
    day = today - timedelta(days=(today.isoweekday() - settings.digest_weekday) % 7)
    return day if _instant(day, settings.digest_at, zone) <= now else day - WEEK


def quiet_until_at(settings: ReminderSettings, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return when the quiet hours end; None if there are none now."""
    if settings.quiet_to is None or not _is_quiet(settings, zone, now):
        return None
    today = now.astimezone(zone).date()
    ends = (_instant(day, settings.quiet_to, zone, fold) for day in (today, today + DAY) for fold in (0, 1))
    return min(at for at in ends if at > now and not _is_quiet(settings, zone, at))


def _is_quiet(settings: ReminderSettings, zone: ZoneInfo, at: datetime) -> bool:
    if settings.quiet_from is None or settings.quiet_to is None:
        return False
    begins, ends = time.fromisoformat(settings.quiet_from), time.fromisoformat(settings.quiet_to)
    clock = at.astimezone(zone).time()
    return begins <= clock < ends if begins <= ends else clock >= begins or clock < ends


def _instant(day: date, clock: str, zone: ZoneInfo, fold: int = 0) -> datetime:
    """Return when a clock on the wall shows this time.

    A time that is left out when clocks go forward is that much later.

    Args:
        fold: 1 for the second of two such times, when clocks go back.
    """
    return datetime.combine(day, time.fromisoformat(clock).replace(fold=fold), zone).astimezone(UTC)


def seen(present: Mapping[Cause, int]) -> str:
    """Return what was true at the last look, as a text: if it changes, it is time to look again."""
    return " ".join(f"{cause}={present[cause]}" for cause in sorted(present) if present[cause])


def next_attempt_at(attempts: int, retry_after_s: float | None, now: datetime) -> datetime:
    """Return when a message may be sent again after a failure.

    Args:
        attempts: How often it was sent.
        retry_after_s: Seconds that the receiver asked us to wait.
    """
    wait_s = _WAITS_S[min(max(attempts, 1), len(_WAITS_S)) - 1]
    return now + timedelta(seconds=max(wait_s, retry_after_s or 0.0))


def is_given_up(message: Message, now: datetime) -> bool:
    """Whether a message that could not be delivered is not tried any more."""
    created_at = believed(message.content.created_at, now)
    return created_at is not None and (now - created_at).total_seconds() >= MESSAGE_LIFE_S


def failed_since_at(messages: Sequence[Message]) -> datetime | None:
    """Return when the message was made that a receiver did not take, if it has taken none since; None otherwise.

    A test message that is refused is no news: whoever sent it has seen that.

    Args:
        messages: Those of one connection, oldest first.
    """
    newest = {
        each.receiver: each
        for each in messages
        if each.state is MessageState.DELIVERED
        or (each.state is MessageState.GIVEN_UP and each.content.kind is not MessageKind.TEST)
    }
    failed = (each.content.created_at for each in newest.values() if each.state is MessageState.GIVEN_UP)
    return min(failed, default=None)


def is_attempt_due(message: Message, now: datetime) -> bool:
    """Whether a waiting message may be sent now; a time further ahead than we ever store counts as past."""
    at = believed(message.next_attempt_at, now, ahead=LOOK_EVERY)
    return at is None or at <= now
