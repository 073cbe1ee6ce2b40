"""The evidence as JSON Lines: a line for the question, then one for each ticket."""

from __future__ import annotations

from typing import Final

from pydantic_core import to_json

from shared.evidence.views import EvidenceView

MEDIA_TYPE: Final = "application/x-ndjson"


def json_lines(view: EvidenceView) -> bytes:
    """Return an answer line by line."""
    question = view.model_dump(exclude={"items"})
    return b"".join(to_json(each) + b"\n" for each in (question, *view.items))
