"""The evidence as a table for a spreadsheet: a row for each recommendation of each ticket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from shared.evidence.items import EvidenceItem, PointsMeasured, RecommendationEvidence
from shared.evidence.views import EvidenceView
from shared.web.csv_export import csv_table, headings
from shared.words.language import Language

EVIDENCE_COLUMNS: Final = (
    "ticket_id",
    "connection_id",
    "number",
    "kind",
    "name",
    "requester_id",
    "requester_name",
    "requested_at",
    "text_sha256",
    "phase",
    "closed_at",
    "states",
    "updates",
    "tenant_id",
    "recommendation_id",
    "source",
    "source_id",
    "linked_at",
    "unlinked_at",
    "points_before",
    "max_points_before",
    "measured_before_at",
    "points_after",
    "max_points_after",
    "measured_after_at",
    "outcome",
    "reason",
    "outcome_since",
)
_UPDATES: Final = ("update_", "followed_up")
"""How the kinds of events begin that say what was changed in ServiceNow, by a person or a policy."""


def evidence_csv(view: EvidenceView, t: Language) -> bytes:
    """Return an answer as CSV, under headings in a language."""
    rows = ([*_ticket(item), *_recommendation(each)] for item in view.items for each in item.recommendations)
    return csv_table(headings(EVIDENCE_COLUMNS, t), rows)


def _ticket(item: EvidenceItem) -> Sequence[str]:
    return (
        item.ticket_id,
        item.connection_id,
        item.number or "",
        item.kind or "",
        item.name or "",
        item.requester_id or "",
        item.requester_name or "",
        _time(item.requested_at),
        item.text_sha256 or "",
        item.phase or "",
        _time(item.closed_at),
        "; ".join(f"{state.phase} {_time(state.at)}" for state in item.states),
        "; ".join(_updates(item)),
    )


def _updates(item: EvidenceItem) -> Iterator[str]:
    for event in item.events:
        if event.kind.startswith(_UPDATES):
            yield f"{event.kind} {_time(event.at)}"


def _recommendation(each: RecommendationEvidence) -> Sequence[str]:
    return (
        each.tenant_id,
        each.recommendation_id,
        each.source or "",
        each.source_id or "",
        _time(each.linked_at),
        _time(each.unlinked_at),
        *_points(each.before),
        *_points(each.after),
        each.outcome,
        each.reason or "",
        _time(each.outcome_since),
    )


def _points(measured: PointsMeasured | None) -> Sequence[str]:
    if measured is None:
        return "", "", ""
    return _figure(measured.points), _figure(measured.max_points), _time(measured.measured_at)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _time(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()
