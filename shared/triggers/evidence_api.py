"""HTTP API: the evidence, in the formats that auditors' tools read."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import azure.functions as func

from shared.triggers.answers import JsonAnswer
from shared.triggers.evidence_parameters import EVIDENCE_PARAMETERS, read_question, without_excluded
from shared.triggers.front_door import Call, route
from shared.triggers.parameters import choice
from shared.triggers.principal import READERS
from shared.triggers.routes import model_of
from shared.words.language import Language

if TYPE_CHECKING:
    from shared.evidence.views import EvidenceView

blueprint = func.Blueprint()

_EVIDENCE: Final = model_of("shared.evidence.views", "EvidenceView")


class Format(StrEnum):
    """A format of the answer."""

    JSON = "json"
    CSV = "csv"
    JSONL = "jsonl"
    """JSON Lines."""
    OSCAL = "oscal"
    """NIST's OSCAL, assessment results."""


MEDIA_TYPES: Final = {
    Format.CSV: "text/csv",
    Format.JSONL: "application/x-ndjson",
    Format.OSCAL: "application/oscal.assessment-results+json",
}
_FILE_NAMES: Final = {
    Format.CSV: "evidence.csv",
    Format.JSONL: "evidence.jsonl",
    Format.OSCAL: "evidence.oscal.json",
}
_FORMAT: Final = choice("format", "json, the default, csv, jsonl (JSON Lines) or oscal (assessment results).", Format)


@route(
    blueprint,
    "GET",
    "api/evidence",
    summary="Export what became of the tickets of a period, or of a sample of them",
    roles=READERS,
    answers={200: _EVIDENCE},
    files=tuple(MEDIA_TYPES.values()),
    parameters=(*EVIDENCE_PARAMETERS, _FORMAT),
    problems={
        400: ("unknown_parameter", "invalid_parameter", "invalid_period", "invalid_tenant_id"),
        422: ("evidence_too_large",),
    },
)
async def export_evidence(call: Call) -> JsonAnswer | func.HttpResponse:
    """Answer with the population as it was at the end of the period, or with a sample that can be drawn again."""
    wanted = _FORMAT.read(call.query) or Format.JSON
    application = call.application
    question = read_question(call.query, application.clock())
    view = await application.evidence_search.answer(
        await without_excluded(question, call.query, application.connection_store)
    )
    if wanted is Format.JSON:
        return JsonAnswer(view)
    return func.HttpResponse(
        _file(view, wanted, application.settings.public_base_url, call.language),
        headers={
            "Content-Type": f"{MEDIA_TYPES[wanted]}; charset=utf-8" if wanted is Format.CSV else MEDIA_TYPES[wanted],
            "Content-Disposition": f'attachment; filename="{_FILE_NAMES[wanted]}"',
            "Cache-Control": "no-store",
            **({"Content-Language": call.language.code, "Vary": "Accept-Language"} if wanted is Format.CSV else {}),
        },
    )


def _file(view: EvidenceView, wanted: Format, base_url: str, t: Language) -> bytes:
    """Return an answer in another format; what writes it is loaded when it is first needed."""
    match wanted:
        case Format.CSV:
            from shared.web.evidence_csv import evidence_csv

            return evidence_csv(view, t)
        case Format.OSCAL:
            from shared.evidence.oscal import oscal_document

            return oscal_document(view, base_url)
        case _:
            from shared.evidence.json_lines import json_lines

            return json_lines(view)
