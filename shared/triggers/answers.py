"""Answers of the HTTP API: JSON, and problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import azure.functions as func
from pydantic import BaseModel

from shared.errors import ConnectorError, TryLater

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
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


def problem(error: ConnectorError, request_id: str) -> func.HttpResponse:
    """Return the problem document of an error.

    Args:
        request_id: Finds the request in the log.
    """
    document: dict[str, object] = {
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": error.message,
        "request_id": request_id,
        **({"next_step": error.next_step} if error.next_step else {}),
        **error.extra,
    }
    headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store"}
    if isinstance(error, TryLater) and error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return func.HttpResponse(
        json.dumps(document, ensure_ascii=False).encode(), status_code=error.status, headers=headers
    )
