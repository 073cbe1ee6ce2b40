"""The sections of the page of reports: a sentence, a chart, and the table behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from shared.tickets.reports import Days, Report
from shared.value_object import value_object
from shared.web.charts import Columns, Part, Row, columns, rows
from shared.web.html import points
from shared.words.language import Language


class ReportTable(StrEnum):
    """The tables of the page, each also as a file."""

    WEEKS = "weeks"
    AGES = "ages"
    PROOFS = "proofs"
    POINTS = "points"


@value_object
class Table:
    """What a chart shows, as a table.

    Attributes:
        columns: Names for programs, one for each heading.
        rows: A cell is a text, or a part whose count and list it shows.
    """

    columns: Sequence[str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str | Part]]


@value_object
class Section:
    """A part of the page.

    Attributes:
        says: What the chart shows, in a sentence.
        key: What the chart's styles mean, with the counts over all rows.
        columns: The chart, where it is one of columns; otherwise ``bars`` is.
    """

    name: ReportTable
    says: str
    key: Sequence[Part]
    table: Table
    columns: Columns | None = None
    bars: Sequence[Row] = ()


type ListAddress = Callable[..., str]
"""Returns the address of the list of the report's tickets, with further parameters."""


def weeks_section(report: Report, list_address: ListAddress, t: Language) -> Section:
    """Return how many tickets were opened and closed in each week; in the table, the newest is first."""

    def parts(opened: int, closed: int, first: date, last: date) -> Sequence[Part]:
        days = {"from": first.isoformat(), "to": (last + timedelta(days=6)).isoformat()}
        opened_then = list_address(**{f"opened_{end}": day for end, day in days.items()})
        closed_then = list_address(**{f"closed_{end}": day for end, day in days.items()})
        return (
            Part(t("reports.opened"), opened, "phase-new", opened_then),
            Part(t("reports.closed"), closed, "phase-closed pale", closed_then),
        )

    weeks = [
        (week.monday.isoformat(), parts(week.opened, week.closed, week.monday, week.monday)) for week in report.weeks
    ]
    opened, closed = sum(week.opened for week in report.weeks), sum(week.closed for week in report.weeks)
    return Section(
        ReportTable.WEEKS,
        says=t("reports.weeks.says", weeks=len(weeks), opened=opened, closed=closed),
        key=parts(opened, closed, report.weeks[0].monday, report.weeks[-1].monday),
        table=Table(
            ("week_from", "opened", "closed"),
            (t("reports.week"), t("reports.opened"), t("reports.closed")),
            [(name, *counted) for name, counted in reversed(weeks)],
        ),
        columns=columns(weeks),
    )


def ages_section(report: Report, list_address: ListAddress, t: Language) -> Section:
    """Return how old the open tickets are, and how many of each age are overdue."""

    def parts(count: int, overdue: int, **ages: str) -> Sequence[Part]:
        return (
            Part(t("count.overdue"), overdue, "tone-bad", list_address(show="overdue", **ages)),
            Part(
                t("reports.not_overdue"),
                count - overdue,
                "tone-info pale",
                list_address(show="not_overdue", **ages),
            ),
        )

    bars = []
    for each in report.ages:
        ages = _ends("age", each)
        whole = Part(_days_name(each, t), each.count, "", list_address(show="open", **ages))
        bars.append((whole, parts(each.count, each.overdue, **ages)))
    count, overdue = sum(each.count for each in report.ages), sum(each.overdue for each in report.ages)
    return Section(
        ReportTable.AGES,
        says=t("reports.ages.says", count=count, overdue=overdue),
        key=parts(count, overdue),
        table=Table(
            ("age_days", "open", "overdue"),
            (t("reports.age"), t("count.open"), t("count.overdue")),
            [(whole.name, whole, late) for whole, (late, _) in bars],
        ),
        bars=rows(bars),
    )


def proofs_section(report: Report, list_address: ListAddress, t: Language) -> Section:
    """Return how long verified tickets took until their proof."""

    def part(count: int, **days: str) -> Part:
        return Part(t("ticket_outcome.verified"), count, "tone-good", list_address(**days))

    bars = []
    for each in report.proofs:
        proven = part(each.count, **_ends("proof_days", each))
        bars.append((replace(proven, name=_days_name(each, t)), [proven]))
    count = sum(each.count for each in report.proofs)
    return Section(
        ReportTable.PROOFS,
        says=t("reports.proofs.none")
        if report.median is None
        else t("reports.proofs.says", count=count, median=_at_most(*report.median, t)),
        key=[part(count, proof_days_from="0")],
        table=Table(
            ("days", "verified"),
            (t("reports.duration"), t("ticket_outcome.verified")),
            [(whole.name, whole) for whole, _ in bars],
        ),
        bars=rows(bars),
    )


def points_table(values: Sequence[tuple[date, Decimal]], t: Language) -> Table:
    """Return a tenant's Secure Score in percent, newest first."""
    return Table(
        ("day", "percent"),
        (t("chart.day"), t("chart.value.percent")),
        [(day.isoformat(), points(percent)) for day, percent in reversed(values)],
    )


def _ends(name: str, days: Days) -> Mapping[str, str]:
    """Return the parameters of the list that ask for a range of days."""
    return {f"{name}_from": str(days.shortest), f"{name}_to": "" if days.longest is None else str(days.longest)}


def _days_name(days: Days, t: Language) -> str:
    if days.longest is None:
        return t("reports.days.over", days=days.shortest - 1)
    return t("reports.days", shortest=days.shortest, longest=days.longest)


def _at_most(shortest: int, longest: int | None, t: Language) -> str:
    if longest is None:
        return t("reports.days.over", days=shortest - 1)
    return t("reports.days.one", days=longest) if shortest == longest else t("reports.days.about", days=longest)
