"""Answers of the HTTP API: JSON, and problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, NotRequired

import azure.functions as func
from pydantic import BaseModel, Field

from shared.errors import ConnectorError, ProblemMembers, TryLater
from shared.triggers.request_bodies import JSON_TYPE
from shared.words.error_words import ErrorWords, words_of
from shared.words.language import FALLBACK, Language

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A successful answer.

    Attributes:
        body: A model, a JSON value, or None for an answer without a body.
    """

    body: BaseModel | Mapping[str, object] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_response(self) -> func.HttpResponse:
        """Return the answer in the shape the Functions host takes."""
        headers = {"Cache-Control": "no-store", **self.headers}
        if self.body is None:
            return func.HttpResponse(status_code=self.status, headers=headers)
        text = (
            self.body.model_dump_json()
            if isinstance(self.body, BaseModel)
            else json.dumps(self.body, ensure_ascii=False)
        )
        return func.HttpResponse(text.encode(), status_code=self.status, headers={"Content-Type": JSON_TYPE, **headers})


class ProblemView(ProblemMembers):
    """A problem document (RFC 9457)."""

    title: str
    status: int
    code: Annotated[str, Field(description="Stable; docs/api.md lists every code.")]
    detail: Annotated[str, Field(description="What happened and what was kept.")]
    next_step: NotRequired[Annotated[str, Field(description="What to do next.")]]
    request_id: Annotated[str, Field(description="Finds the request in the log.")]


def problem(error: ConnectorError, request_id: str, language: Language) -> func.HttpResponse:
    """Return the problem document of an error in a language.

    Args:
        request_id: Finds the request in the log.
    """
    words = words_of(error, language)
    if language.code == FALLBACK:
        words = ErrorWords(error.message, error.next_step)
    document = {
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": words.message,
        "request_id": request_id,
        **({"next_step": words.next_step} if words.next_step else {}),
        **error.extra,
    }
    return func.HttpResponse(
        json.dumps(document, ensure_ascii=False).encode(),
        status_code=error.status,
        headers={
            "Content-Type": PROBLEM_TYPE,
            "Content-Language": language.code,
            "Cache-Control": "no-store",
            "Vary": "Accept-Language",
            **problem_headers(error),
        },
    )


def problem_headers(error: ConnectorError) -> Mapping[str, str]:
    """Return the headers that go with an error, whether a page or a problem document shows it."""
    headers = {}
    if isinstance(error, TryLater) and error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if (methods := error.extra.get("allowed_methods")) is not None:
        headers["Allow"] = ", ".join(methods)
    return headers
