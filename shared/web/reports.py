"""The sections of the page of reports: a sentence, a chart, and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
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
    """

    columns: Sequence[str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str | int]]


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


def weeks_section(report: Report, t: Language) -> Section:
    """Return how many tickets were opened and closed in each week."""

    def parts(opened: int, closed: int) -> Sequence[Part]:
        return (
            Part(t("reports.opened"), opened, "phase-new"),
            Part(t("reports.closed"), closed, "phase-closed pale"),
        )

    totals = sum(week.opened for week in report.weeks), sum(week.closed for week in report.weeks)
    return Section(
        ReportTable.WEEKS,
        says=t("reports.weeks.says", weeks=len(report.weeks), opened=totals[0], closed=totals[1]),
        key=parts(*totals),
        table=weeks_table(report, t),
        columns=columns([(week.monday.isoformat(), parts(week.opened, week.closed)) for week in report.weeks]),
    )


def weeks_table(report: Report, t: Language) -> Table:
    """Return the weeks, newest first."""
    return Table(
        ("week_from", "opened", "closed"),
        (t("reports.week"), t("reports.opened"), t("reports.closed")),
        [(week.monday.isoformat(), week.opened, week.closed) for week in reversed(report.weeks)],
    )


def ages_section(report: Report, overdue_address: str, t: Language) -> Section:
    """Return how old the open tickets are, and how many of each age are overdue.

    Args:
        overdue_address: The list of all overdue ones.
    """

    def parts(count: int, overdue: int, address: str | None = None) -> Sequence[Part]:
        return (
            Part(t("count.overdue"), overdue, "tone-bad", address),
            Part(t("reports.not_overdue"), count - overdue, "tone-info pale"),
        )

    count, overdue = sum(each.count for each in report.ages), sum(each.overdue for each in report.ages)
    return Section(
        ReportTable.AGES,
        says=t("reports.ages.says", count=count, overdue=overdue),
        key=parts(count, overdue, overdue_address),
        table=ages_table(report, t),
        bars=rows([(days_name(each, t), parts(each.count, each.overdue)) for each in report.ages]),
    )


def ages_table(report: Report, t: Language) -> Table:
    """Return the ages, youngest first."""
    return Table(
        ("age_days", "open", "overdue"),
        (t("reports.age"), t("count.open"), t("count.overdue")),
        [(days_name(each, t), each.count, each.overdue) for each in report.ages],
    )


def proofs_section(report: Report, verified_address: str, t: Language) -> Section:
    """Return how long verified tickets took until their proof.

    Args:
        verified_address: The list of all verified ones.
    """

    def part(count: int, address: str | None = None) -> Part:
        return Part(t("ticket_outcome.verified"), count, "tone-good", address)

    count = sum(each.count for each in report.proofs)
    return Section(
        ReportTable.PROOFS,
        says=t("reports.proofs.none")
        if report.median is None
        else t("reports.proofs.says", count=count, median=_at_most(*report.median, t)),
        key=[part(count, verified_address)],
        table=proofs_table(report, t),
        bars=rows([(days_name(each, t), [part(each.count)]) for each in report.proofs]),
    )


def proofs_table(report: Report, t: Language) -> Table:
    """Return the durations, shortest first."""
    return Table(
        ("days", "verified"),
        (t("reports.duration"), t("ticket_outcome.verified")),
        [(days_name(each, t), each.count) for each in report.proofs],
    )


def points_table(values: Sequence[tuple[date, Decimal]], t: Language) -> Table:
    """Return a tenant's Secure Score in percent, newest first."""
    return Table(
        ("day", "percent"),
        (t("chart.day"), t("chart.value.percent")),
        [(day.isoformat(), points(percent)) for day, percent in reversed(values)],
    )


def days_name(days: Days, t: Language) -> str:
    """Return the name of a range of days."""
    if days.longest is None:
        return t("reports.days.over", days=days.shortest - 1)
    return t("reports.days", shortest=days.shortest, longest=days.longest)


def _at_most(shortest: int, longest: int | None, t: Language) -> str:
    if longest is None:
        return t("reports.days.over", days=shortest - 1)
    return t("reports.days.one", days=longest) if shortest == longest else t("reports.days.about", days=longest)
