"""The evidence as OSCAL assessment results, NIST's format for what an assessment found (OSCAL 1.2.3).

It is written for programs, so it is in English whatever the reader's language. Ids are derived from what they name, and
times are those of the events: the same answer always makes the same bytes. What people have written is in properties
only, because OSCAL reads titles and descriptions as Markdown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

from shared import product
from shared.evidence.items import EventEvidence, EvidenceItem, PointsMeasured, RecommendationEvidence
from shared.evidence.requests import EvidenceQuestion
from shared.evidence.views import EvidenceView

MEDIA_TYPE: Final = "application/oscal.assessment-results+json"
OSCAL_VERSION: Final = "1.2.3"
NAMESPACE: Final = "urn:servicenow-tickets-for-microsoft-365"
"""Of our properties; OSCAL keeps names without a namespace for itself."""

SATISFIED: Final = frozenset({"verified"})
"""Outcomes that prove that a recommendation was carried out."""
FAILED: Final = frozenset({"not_fixed", "partly", "regressed", "not_done"})
"""Outcomes that prove, or say, that it was not; any other outcome proves nothing."""

_IDS: Final = UUID("6b1d3c5e-2a9f-5c0e-9d37-8e4b7a10c2f6")
_TOOL: Final = str(uuid5(_IDS, "tool"))
_PLATFORM: Final = str(uuid5(_IDS, "platform"))
_PLAN: Final = str(uuid5(_IDS, "plan"))
_NOT_IN_A_TOKEN: Final = re.compile(r"[^A-Za-z0-9._-]")

type Json = Mapping[str, object]


def oscal_document(view: EvidenceView, base_url: str) -> bytes:
    """Return an answer as an OSCAL document.

    Args:
        base_url: The connector's own address, for links to tickets.
    """
    content = _content(view, base_url)
    # OSCAL: a document whose content changes gets another UUID.
    document_id = uuid5(_IDS, json.dumps(content, sort_keys=True))
    document = {"assessment-results": {"uuid": str(document_id), **content}}
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _content(view: EvidenceView, base_url: str) -> Json:
    return {
        "metadata": {
            "title": "What became of tickets for Microsoft 365 recommendations",
            "last-modified": _time(_last_modified(view)),
            "version": "1",
            "oscal-version": OSCAL_VERSION,
            "remarks": "The last modification is the newest event that the document holds.",
        },
        "import-ap": {"href": f"#{_PLAN}"},
        "results": [_result(view, base_url)],
        "back-matter": {
            "resources": [
                {
                    "uuid": _PLAN,
                    "title": "How the connector assesses recommendations",
                    "description": "There is no assessment plan in OSCAL. The connector compares Microsoft's own "
                    "measurements of each recommendation before and after its ticket; docs/verification.md and "
                    "docs/evidence.md of its release describe how, and what it does not prove.",
                    "rlinks": [{"href": base_url}],
                }
            ]
        },
    }


def _result(view: EvidenceView, base_url: str) -> Json:
    question = EvidenceQuestion(view.since, view.until)
    linked = [(item, each) for item in view.items for each in item.recommendations if each.unlinked_at is None]
    control_ids = sorted({_control_id(each) for _, each in linked})
    parts = {
        "basis": view.basis.value,
        "tenant_id": view.tenant_id,
        "population": str(view.population),
        "other_tickets": str(view.other_tickets),
        "excluded_connections": str(view.excluded_connections),
        "sample": None if view.sample is None else str(view.sample),
        "seed": view.seed,
    }
    about = json.dumps([view.since.isoformat(), view.until.isoformat(), parts])
    return {
        "uuid": str(uuid5(_IDS, f"result\n{about}")),
        "title": "Tickets for recommendations in the period, as they were at its end",
        "description": "One observation for each ticket, one finding for each recommendation of a ticket.",
        "start": _time(question.begin_at),
        "end": _time(question.end_at),
        "props": _props(parts),
        "local-definitions": _local_definitions(item for item, _ in linked),
        "reviewed-controls": {"control-selections": [_selection(control_ids)]},
        **_unless_empty("observations", [_observation(item, base_url) for item in view.items]),
        **_unless_empty("findings", [_finding(item, each) for item, each in linked]),
    }


def _selection(control_ids: Sequence[str]) -> Json:
    return {
        "description": "Microsoft's recommendations to which the tickets are linked.",
        **(
            {"include-controls": [{"control-id": each} for each in control_ids]} if control_ids else {"include-all": {}}
        ),
    }


def _local_definitions(items: Iterable[EvidenceItem]) -> Json:
    tenants = sorted({each.tenant_id for item in items for each in item.recommendations})
    return {
        **_unless_empty(
            "components",
            [
                {
                    "uuid": _tenant_uuid(tenant_id),
                    "type": "service",
                    "title": "A Microsoft 365 tenant",
                    "description": "What is measured.",
                    "props": _props({"tenant_id": tenant_id}),
                    "status": {"state": "operational"},
                }
                for tenant_id in tenants
            ],
        ),
        "assessment-assets": {
            "components": [
                {
                    "uuid": _TOOL,
                    "type": "software",
                    "title": product.NAME,
                    "description": "Makes tickets of recommendations and compares measurements.",
                    "status": {"state": "operational"},
                }
            ],
            "assessment-platforms": [{"uuid": _PLATFORM, "uses-components": [{"component-uuid": _TOOL}]}],
        },
    }


def _observation(item: EvidenceItem, base_url: str) -> Json:
    told = {
        "ticket_id": item.ticket_id,
        "connection_id": item.connection_id,
        "number": item.number,
        "kind": item.kind,
        "name": item.name,
        "requester_id": item.requester_id,
        "requester_name": item.requester_name,
        "requested_at": _time_or_none(item.requested_at),
        "text_sha256": item.text_sha256,
        "phase": item.phase,
        "closed_at": _time_or_none(item.closed_at),
    }
    tenants = sorted({each.tenant_id for each in item.recommendations})
    return {
        "uuid": _observation_uuid(item),
        "title": "A ticket",
        "description": "What happened to the ticket by the end of the period.",
        "props": _props(told),
        "methods": ["EXAMINE"],
        "types": ["control-objective"],
        "origins": [{"actors": [{"type": "tool", "actor-uuid": _TOOL}]}],
        **_unless_empty("subjects", [{"subject-uuid": _tenant_uuid(each), "type": "component"} for each in tenants]),
        "relevant-evidence": [
            {"href": f"{base_url}/tickets/{item.ticket_id}", "description": "The ticket in the connector."},
            *(evidence for each in item.recommendations for evidence in _measurements(each)),
            *(_event(each) for each in item.events),
            *(_event(each) for one in item.recommendations for each in one.events),
        ],
        "collected": _time(_newest(item) or _LONG_AGO),
    }


def _measurements(recommendation: RecommendationEvidence) -> Iterable[Json]:
    named = {"recommendation_id": recommendation.recommendation_id, "source_id": recommendation.source_id}
    for description, measured in (
        ("Points before the ticket.", recommendation.before),
        ("Points after the ticket.", recommendation.after),
    ):
        if measured is not None:
            yield {"description": description, "props": _props({**named, **_points(measured)})}


def _points(measured: PointsMeasured) -> Mapping[str, str | None]:
    return {
        "points": f"{measured.points:g}",
        "max_points": None if measured.max_points is None else f"{measured.max_points:g}",
        "measured_at": _time_or_none(measured.measured_at),
    }


def _event(event: EventEvidence) -> Json:
    return {
        "description": "An event.",
        "props": _props({"event": event.kind, "at": _time(event.at), **event.details}),
    }


def _finding(item: EvidenceItem, recommendation: RecommendationEvidence) -> Json:
    outcome = recommendation.outcome
    reason = "pass" if outcome in SATISFIED else "fail" if outcome in FAILED else "other"
    about = [item.connection_id, item.ticket_id, recommendation.tenant_id, recommendation.recommendation_id]
    return {
        "uuid": str(uuid5(_IDS, f"finding\n{json.dumps(about)}")),
        "title": "What became of a recommendation",
        "description": _SAID[reason],
        "props": _props(
            {
                "source": recommendation.source,
                "source_id": recommendation.source_id,
                "tenant_id": recommendation.tenant_id,
                "outcome": outcome,
                "reason": recommendation.reason,
                "outcome_since": _time_or_none(recommendation.outcome_since),
            }
        ),
        "target": {
            "type": "objective-id",
            "target-id": _objective_id(recommendation),
            "status": {"state": "satisfied" if outcome in SATISFIED else "not-satisfied", "reason": reason},
        },
        "related-observations": [{"observation-uuid": _observation_uuid(item)}],
    }


_SAID: Final = {
    "pass": "A later measurement shows full points, and the one before the ticket did not.",
    "fail": "A measurement shows less than full points after the ticket, or the ticket was closed without a fix.",
    "other": "Nothing proves that it was carried out; the property outcome says how far it has come.",
}


def _control_id(recommendation: RecommendationEvidence) -> str:
    return f"recommendation-{_NOT_IN_A_TOKEN.sub('_', recommendation.recommendation_id)}"


def _objective_id(recommendation: RecommendationEvidence) -> str:
    return f"{_control_id(recommendation)}_obj"


def _observation_uuid(item: EvidenceItem) -> str:
    return str(uuid5(_IDS, f"observation\n{json.dumps([item.connection_id, item.ticket_id])}"))


def _tenant_uuid(tenant_id: str) -> str:
    return str(uuid5(_IDS, f"tenant\n{tenant_id}"))


def _props(values: Mapping[str, str | None]) -> Sequence[Json]:
    """Return properties, without those that have no value."""
    lines = ((name, _line(value)) for name, value in values.items() if value is not None)
    return [{"name": _token(name), "ns": NAMESPACE, "value": line} for name, line in lines if line]


def _line(text: str) -> str:
    """Return a text as one line without blanks around it, as OSCAL wants a property's value."""
    return " ".join(text.replace("\ufeff", " ").split())


def _token(name: str) -> str:
    token = _NOT_IN_A_TOKEN.sub("_", name)
    return token if token[:1].isalpha() else f"_{token}"


def _unless_empty(name: str, values: Sequence[Json]) -> Json:
    """Return a member, or nothing: OSCAL has no empty lists."""
    return {name: values} if values else {}


_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _newest(item: EvidenceItem) -> datetime | None:
    events = [*item.events, *(event for each in item.recommendations for event in each.events)]
    return max((event.at for event in events), default=None)


def _last_modified(view: EvidenceView) -> datetime:
    newest = [at for item in view.items if (at := _newest(item)) is not None]
    return max(newest, default=EvidenceQuestion(view.since, view.until).begin_at)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _time_or_none(at: datetime | None) -> str | None:
    return None if at is None else _time(at)
