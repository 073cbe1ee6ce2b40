"""What receivers, programs and people see of reminders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Self
from zoneinfo import ZoneInfo

from pydantic import Field

from shared.reminders.links import Links
from shared.reminders.model import (
    Cause,
    CauseLine,
    Content,
    Figures,
    Message,
    MessageKind,
    MessageState,
    Receiver,
    Reminders,
    ResultCode,
    Said,
    SaidLine,
    TicketLine,
    Why,
)
from shared.views import View
from shared.words.language import Language, languages

SCHEMA_VERSION: Final = 1
"""Of the body of a signed webhook; a new member does not change it."""
_FALLBACK: Final = "en"
_COUNTED: Final = ("open", "overdue", "waiting", "not_fixed", "regressed", "refused")


def language_of(content: Content) -> Language:
    """Return the language of a message; English if this release does not know it."""
    known = languages()
    return known.get(content.language, known[_FALLBACK])


def said(content: Content, links: Links) -> Said:
    """Return a message in words of its language."""
    t, connection_id = language_of(content), content.connection_id
    tickets = tuple(SaidLine(ticket_words(each, content, t), links.ticket(each.ticket_id)) for each in content.tickets)
    where = [SaidLine(t("reminder.open.reminders"), links.reminders(connection_id))]
    if content.kind is not MessageKind.TEST:
        where.insert(0, SaidLine(t("reminder.open.tickets"), links.open_tickets(connection_id)))
    if any(each.cause is Cause.CONSENT_ENDS for each in content.causes):
        where.insert(0, SaidLine(t("reminder.open.connection"), links.connection(connection_id)))
    return Said(
        language=t.code,
        title=t(f"reminder.title.{content.kind}", name=content.connection_name),
        paragraphs=(
            *([SaidLine(t("reminder.test"))] if content.kind is MessageKind.TEST else ()),
            *(
                SaidLine(cause_words(each, content, t), links.cause(each.cause, connection_id))
                for each in content.causes
            ),
        ),
        facts=() if content.figures is None else tuple(_facts(content.figures, content.former, t)),
        tickets_title=t("reminder.most_urgent") if tickets else "",
        tickets=tickets,
        links=tuple(where),
    )


def cause_words(line: CauseLine, content: Content, t: Language) -> str:
    """Return a sentence about a cause."""
    if line.cause is not Cause.CONSENT_ENDS:
        return t(f"reminder.cause.{line.cause}", count=line.count)
    if line.until_at is None:
        return t("reminder.cause.consent_ended")
    return t("reminder.cause.consent_ends", at=_local(line.until_at, content))


def ticket_words(line: TicketLine, content: Content, t: Language) -> str:
    """Return a line about a ticket."""
    why: str
    if line.why is Why.OVERDUE:
        why = t.counted("reminder.why.overdue", line.days_late or 0)
    elif line.why is Why.DUE and line.due_at is not None:
        why = t("reminder.why.due", day=_last_day(line.due_at, content))
    else:
        why = t.get(f"reminder.why.{line.why}") or line.why.value
    return t("reminder.ticket", number=line.number or "–", name=line.name, why=why)


def _facts(figures: Figures, former: Figures | None, t: Language) -> Iterator[tuple[str, str]]:
    for name in _COUNTED:
        count = getattr(figures, name)
        change = None if former is None else count - getattr(former, name)
        yield t(f"reminder.figure.{name}"), _with_change(str(count), change)
    if former is not None:
        yield t("reminder.figure.new"), str(max(0, figures.created - former.created))
        yield t("reminder.figure.closed"), str(max(0, figures.finished - former.finished))
    if figures.points is not None:
        change = None if figures.points_before is None else figures.points - figures.points_before
        yield t("reminder.figure.points"), _with_change(_points(figures.points), change)


def _with_change(text: str, change: Decimal | int | None) -> str:
    if not change:
        return text
    return f"{text} ({'−' if change < 0 else '+'}{_points(abs(Decimal(change)))})"


def _points(value: Decimal) -> str:
    text = f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def _local(at: datetime, content: Content) -> str:
    return f"{at.astimezone(ZoneInfo(content.time_zone)):%Y-%m-%d %H:%M}"


def _last_day(due_at: datetime, content: Content) -> str:
    """Return the day at whose end, or during which, a ticket is due."""
    return f"{(due_at - timedelta(seconds=1)).astimezone(ZoneInfo(content.time_zone)):%Y-%m-%d}"


class EventConnection(View):
    """The connection that a message is about."""

    id: str
    name: str
    link: str


class EventCause(View):
    """A cause of an urgent message."""

    cause: Cause
    text: str
    count: int = Field(description="How many tickets it concerns; 0 for consent_ends.")
    until_at: datetime | None = Field(description="When the consent ends; null if it has ended, and for tickets.")
    link: str


class EventFigures(View):
    """The numbers of a digest, each with the number in the digest before; null for the first one."""

    name: str
    count: int
    former_count: int | None


class EventPoints(View):
    """Secure Score of the connection's tenants, as decimal texts."""

    now: str
    a_week_ago: str | None


class EventTicket(View):
    """A ticket in a message."""

    id: str
    number: str | None = Field(description="Its number in ServiceNow; null before it has one.")
    name: str
    why: Why
    due_at: datetime | None
    days_late: int | None
    link: str


class EventData(View):
    """What a message says."""

    schema_version: int = Field(description="1. New members do not change it.")
    id: str = Field(description="The same as webhook-id, also when the message is repeated.")
    kind: MessageKind
    created_at: datetime
    language: str = Field(description="Of the texts.")
    title: str
    connection: EventConnection
    causes: tuple[EventCause, ...] = Field(description="What an urgent message is about; else empty.")
    figures: tuple[EventFigures, ...] = Field(description="The numbers of a digest; else empty.")
    new: int | None = Field(description="Tickets made since the digest before; null for the first one.")
    closed: int | None = Field(description="Tickets finished since the digest before; null for the first one.")
    points: EventPoints | None
    tickets: tuple[EventTicket, ...] = Field(description="The most urgent tickets, at most five.")


class ReminderEvent(View):
    """The body of a signed webhook (Webhooks §W8)."""

    type: str = Field(description="reminder.digest, reminder.urgent or reminder.test.")
    timestamp: datetime = Field(description="When the message was made; repeated messages keep it.")
    data: EventData

    @classmethod
    def of(cls, message: Message, links: Links) -> Self:
        """Return a message as the receiver sees it."""
        content, t = message.content, language_of(message.content)
        figures, former = content.figures, content.former
        data = EventData(
            schema_version=SCHEMA_VERSION,
            id=message.message_id,
            kind=content.kind,
            created_at=content.created_at,
            language=t.code,
            title=t(f"reminder.title.{content.kind}", name=content.connection_name),
            connection=EventConnection(
                id=content.connection_id, name=content.connection_name, link=links.connection(content.connection_id)
            ),
            causes=tuple(
                EventCause(
                    cause=each.cause,
                    text=cause_words(each, content, t),
                    count=each.count,
                    until_at=each.until_at,
                    link=links.cause(each.cause, content.connection_id),
                )
                for each in content.causes
            ),
            figures=tuple(
                EventFigures(
                    name=name,
                    count=getattr(figures, name),
                    former_count=None if former is None else getattr(former, name),
                )
                for name in (_COUNTED if figures is not None else ())
            ),
            new=None if figures is None or former is None else max(0, figures.created - former.created),
            closed=None if figures is None or former is None else max(0, figures.finished - former.finished),
            points=None
            if figures is None or figures.points is None
            else EventPoints(
                now=_points(figures.points),
                a_week_ago=None if figures.points_before is None else _points(figures.points_before),
            ),
            tickets=tuple(
                EventTicket(
                    id=each.ticket_id,
                    number=each.number,
                    name=each.name,
                    why=each.why,
                    due_at=each.due_at,
                    days_late=each.days_late,
                    link=links.ticket(each.ticket_id),
                )
                for each in content.tickets
            ),
        )
        return cls(type=f"reminder.{content.kind}", timestamp=content.created_at, data=data)


class ReceiverView(View):
    """What became of a message at a receiver."""

    id: str
    receiver: Receiver
    kind: MessageKind
    created_at: datetime
    state: MessageState
    attempts: int
    next_attempt_at: datetime | None
    code: ResultCode | None = Field(description="What the last attempt showed; null before there was one.")
    status: int | None = Field(description="HTTP status of the last answer.")

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return a message without its content."""
        return cls(
            id=message.message_id,
            receiver=message.receiver,
            kind=message.content.kind,
            created_at=message.content.created_at,
            state=message.state,
            attempts=message.attempts,
            next_attempt_at=message.next_attempt_at,
            code=message.code,
            status=message.status,
        )


class DigestView(View):
    """When the weekly digest is sent."""

    weekday: int = Field(description="ISO weekday: 1 is Monday, 7 is Sunday.")
    at: str = Field(description="Local time HH:MM in the connection's time zone.")


class QuietHoursView(View):
    """When nothing is sent."""

    begin_at: str = Field(description="Local time HH:MM in the connection's time zone.")
    end_at: str


class RemindersView(View):
    """A connection's reminders. Addresses and the signing secret are never shown."""

    connection_id: str
    time_zone: str
    has_teams_address: bool
    has_webhook_address: bool
    digest: DigestView | None
    urgent: tuple[Cause, ...]
    quiet_hours: QuietHoursView | None
    messages: tuple[ReceiverView, ...] = Field(description="Waiting and last ones, newest first.")
    new_signing_secret: str | None = Field(
        default=None, description="A signing secret that was made by this request. It is never shown again."
    )

    @classmethod
    def of(
        cls, connection_id: str, time_zone: str, reminders: Reminders, new_signing_secret: str | None = None
    ) -> Self:
        """Return what is stored."""
        settings = reminders.settings
        quiet = settings.quiet_from, settings.quiet_to
        return cls(
            connection_id=connection_id,
            time_zone=time_zone,
            has_teams_address=Receiver.TEAMS in settings.receivers,
            has_webhook_address=Receiver.WEBHOOK in settings.receivers,
            digest=DigestView(weekday=settings.digest_weekday, at=settings.digest_at) if settings.has_digest else None,
            urgent=tuple(each for each in settings.causes if each in set(Cause)),
            quiet_hours=None
            if quiet[0] is None or quiet[1] is None
            else QuietHoursView(begin_at=quiet[0], end_at=quiet[1]),
            messages=tuple(ReceiverView.of(each) for each in reversed(reminders.messages)),
            new_signing_secret=new_signing_secret,
        )


class TestMessagesView(View):
    """What became of test messages."""

    messages: tuple[ReceiverView, ...] = Field(description="One for each receiver; none without an address.")
