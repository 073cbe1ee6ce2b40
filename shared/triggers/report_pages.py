"""Pages: reports about tickets and points, and their tables for a spreadsheet."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import azure.functions as func

from shared.connections.lookup import connections_by_id
from shared.connections.model import TicketKind
from shared.errors import FixRequest
from shared.recommendations.overview import percent_of
from shared.tickets.reports import Report, report
from shared.triggers.front_door import Call, page
from shared.triggers.links import CONNECTION, NotUnderstood, link_words, list_address, misunderstood, read_choice
from shared.triggers.principal import READERS
from shared.value_object import value_object
from shared.web.charts import Part, edges_around, line
from shared.web.csv_export import csv_table
from shared.web.reports import (
    ReportTable,
    Table,
    ages_section,
    points_table,
    proofs_section,
    weeks_section,
)

blueprint = func.Blueprint()

WEEKS: Final = ("12", "26")
"""How many weeks a report goes back; the first is the usual one."""
TENANT: Final = "tenant_id"
FIELDS: Final = ("weeks", "kind", CONNECTION, TENANT)
TABLE: Final = "table"
PERCENT_STEP: Final = 5
SECTIONS: Final = {
    ReportTable.WEEKS: weeks_section,
    ReportTable.AGES: ages_section,
    ReportTable.PROOFS: proofs_section,
}
"""The sections about tickets, in their order."""


@value_object
class Asked:
    """What the address asks for.

    Attributes:
        chosen: Every field's value; empty if unused, as sent if not understood.
        connections: Id and name of every connection.
        excluded: Ids of those that count only if they are chosen.
        removed: Ids of those whose open tickets count only if they are chosen.
        tenants: Name of each tenant by id.
    """

    chosen: Mapping[str, str]
    connections: Sequence[tuple[str, str]]
    excluded: Collection[str]
    removed: Collection[str]
    tenants: Mapping[str, str]
    not_understood: Sequence[NotUnderstood]

    @property
    def weeks(self) -> int:
        """How many weeks it goes back."""
        return int(self.chosen["weeks"])

    @property
    def kinds(self) -> Sequence[TicketKind]:
        """The kinds that count."""
        return [kind for kind in TicketKind if self.chosen["kind"] in {"", kind.value}]

    @property
    def connection_ids(self) -> Sequence[str]:
        """The connections whose tickets count."""
        if chosen := self.chosen[CONNECTION]:
            return [each for each, _ in self.connections if each == chosen]
        return [each for each, _ in self.connections if each not in self.excluded]

    def list_address(self, **chosen: str) -> str:
        """Return the address of the list of the report's tickets, with further parameters."""
        return list_address(**chosen, **{name: self.chosen[name] for name in ("kind", CONNECTION)})


@page(blueprint, "GET", "reports", roles=READERS, kept=FIELDS)
async def reports_page(call: Call) -> func.HttpResponse:
    """Show how many tickets were opened and closed, how old open ones are, how long proofs took, and the points."""
    t, asked = call.language, await _asked(call, ())
    if asked.not_understood:
        words = [link_words(each, t) for each in asked.not_understood]
        return call.page("reports.html", status=400, not_understood=words, chosen=asked.chosen)
    found, percent = await asyncio.gather(_report(call, asked), _percent(call, asked))
    bottom, top = edges_around((value for _, value in percent), step=PERCENT_STEP, highest=100)
    query = urlencode({name: value for name, value in asked.chosen.items() if value})
    return call.page(
        "reports.html",
        not_understood=(),
        chosen=asked.chosen,
        sections=[section(found, asked.list_address, t) for section in SECTIONS.values()],
        is_empty=found.is_empty,
        is_complete=found.is_complete,
        percent=line(percent, bottom=bottom, top=top),
        files={each.value: f"/reports.csv?{query}&{TABLE}={each}" for each in ReportTable},
        weeks=[(each, t("reports.last_weeks", weeks=each)) for each in WEEKS],
        kinds=[(kind, t(f"kind.{kind}")) for kind in TicketKind],
        connections=asked.connections,
        tenants=sorted(asked.tenants.items(), key=lambda each: each[1].casefold()),
    )


@page(blueprint, "GET", "reports.csv", roles=READERS, kept=(*FIELDS, TABLE))
async def export_report(call: Call) -> func.HttpResponse:
    """Answer with one table of the same report as a file. Raises FixRequest."""
    asked = await _asked(call, (TABLE,))
    wanted = read_choice(ReportTable, "report_table", call.query.get(TABLE, ""))
    if asked.not_understood or wanted is None:
        parameter = asked.not_understood[0].parameter if asked.not_understood else TABLE
        raise FixRequest("invalid_parameter", variant="filter", parameter=parameter)
    table = await _table(call, asked, wanted)
    return func.HttpResponse(
        csv_table(table.columns, [[_cell_text(cell) for cell in row] for row in table.rows]),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="report-{wanted}.csv"',
            "Cache-Control": "no-store",
        },
    )


def _cell_text(cell: str | Part) -> str:
    """Return a cell of a file: a number, or words of ours, which no line of a page can tear apart there."""
    return str(cell.count) if isinstance(cell, Part) else cell.replace("\u00a0", " ")


async def _table(call: Call, asked: Asked, wanted: ReportTable) -> Table:
    t = call.language
    if wanted is ReportTable.POINTS:
        return points_table(await _percent(call, asked), t)
    found = await _report(call, asked)
    return SECTIONS[wanted](found, asked.list_address, t).table


async def _asked(call: Call, others: Sequence[str]) -> Asked:
    """Read the address.

    Args:
        others: Names of its further parameters.
    """
    app = call.application
    connections, tenants = await asyncio.gather(connections_by_id(app.connection_store), app.tenants.list_tenants())
    names = {each.tenant_id: each.name for each in tenants}
    chosen = {name: call.query.get(name, "").strip() for name in FIELDS}
    kind = read_choice(TicketKind, "kind", chosen["kind"])
    chosen["kind"] = chosen["kind"] if kind is None else kind.value
    chosen["weeks"] = chosen["weeks"] or WEEKS[0]
    chosen[TENANT] = chosen[TENANT] or next(iter(names), "")
    known = {"weeks": WEEKS, "kind": set(TicketKind), CONNECTION: connections, TENANT: names}
    not_understood = [
        misunderstood(name, chosen[name]) for name in FIELDS if chosen[name] and chosen[name] not in known[name]
    ]
    not_understood += [
        misunderstood(name, value, "parameter")
        for name, value in call.query.items()
        if name not in FIELDS and name not in others
    ]
    listed = [(each.connection_id, each.display_name) for each in connections.values()]
    excluded = {each.connection_id for each in connections.values() if each.is_excluded}
    removed = {each.connection_id for each in connections.values() if each.is_removed}
    return Asked(chosen, listed, excluded, removed, names, not_understood)


async def _report(call: Call, asked: Asked) -> Report:
    current = await call.application.tickets.list_current(asked.connection_ids)
    return report(current, asked.kinds, asked.weeks, call.now, () if asked.chosen[CONNECTION] else asked.removed)


async def _percent(call: Call, asked: Asked) -> Sequence[tuple[date, Decimal]]:
    """Return the chosen tenant's Secure Score in percent, oldest first; nothing without a tenant."""
    if not asked.chosen[TENANT]:
        return []
    since = (call.now - timedelta(weeks=asked.weeks)).date()
    snapshots = await call.application.recommendations.list_snapshots(asked.chosen[TENANT], since=since)
    return sorted((each.day, percent_of(each.score, each.max_score)) for each in snapshots)
