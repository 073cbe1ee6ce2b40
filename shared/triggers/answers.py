"""Answers of the HTTP API: JSON, and problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, NotRequired, TypedDict

import azure.functions as func
from pydantic import BaseModel, Field
from pydantic_core import to_json

from shared.errors import ConnectorError, TryLater
from shared.triggers.addresses import way_to_authorize
from shared.triggers.request_bodies import JSON_TYPE
from shared.value_object import value_object
from shared.words.error_words import fault_words, words_of
from shared.words.language import Language

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PROBLEM_TYPE = "application/problem+json"
_VALUES_SHOWN: Final = frozenset(
    {
        "allowed_methods",
        "connection_ids",
        "integration_user",
        "number",
        "reason",
        "recommendation_id",
        "signed_in_user",
        "tenant_ids",
        "ticket_id",
        "ticket_ids",
        "too_long_by",
    }
)
"""Values of errors that are members of problem documents as they are."""


@value_object
class JsonAnswer:
    """A successful answer.

    Attributes:
        body: A model, a dataclass, a JSON value, or None for an answer without a body.
        language: The language of the words in the body; None where it holds none.
    """

    body: BaseModel | DataclassInstance | Mapping[str, object] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    language: Language | None = None

    def to_response(self) -> func.HttpResponse:
        """Return the answer in the shape the Functions host takes."""
        headers = {"Cache-Control": "no-store", **self.headers}
        if self.language is not None:
            headers |= {"Content-Language": self.language.code, "Vary": "Accept-Language"}
        if self.body is None:
            return func.HttpResponse(status_code=self.status, headers=headers)
        return func.HttpResponse(
            to_json(self.body), status_code=self.status, headers={"Content-Type": JSON_TYPE, **headers}
        )


class FaultView(TypedDict):
    """What is wrong with one value of a request's body."""

    pointer: Annotated[str, Field(description="JSON pointer (RFC 6901) to the value.")]
    code: Annotated[str, Field(description="Stable name of what is wrong.")]
    detail: Annotated[str, Field(description="What is wrong with it, without the value itself.")]


class ProblemView(TypedDict):
    """A problem document (RFC 9457)."""

    title: str
    status: int
    code: Annotated[str, Field(description="Stable; docs/api.md lists every code.")]
    detail: Annotated[str, Field(description="What happened and what was kept.")]
    next_step: NotRequired[Annotated[str, Field(description="What to do next.")]]
    request_id: Annotated[str, Field(description="Finds the request in the log.")]
    allowed_methods: NotRequired[Annotated[Sequence[str], Field(description="Methods that the address answers.")]]
    authorize_path: NotRequired[Annotated[str, Field(description="Path that begins the authorization again.")]]
    connection_ids: NotRequired[
        Annotated[Sequence[str], Field(description="Connections of which the request has to name one.")]
    ]
    errors: NotRequired[Annotated[Sequence[FaultView], Field(description="Faults of the body.")]]
    integration_user: NotRequired[Annotated[str, Field(description="ServiceNow user who has to consent.")]]
    number: NotRequired[Annotated[str, Field(description="Number of the ticket in ServiceNow.")]]
    recommendation_id: NotRequired[Annotated[str, Field(description="The recommendation that it is about.")]]
    reason: NotRequired[Annotated[str, Field(description="Code of the error behind this one.")]]
    retry: NotRequired[Annotated[str, Field(description="Path that sends the ticket again.")]]
    signed_in_user: NotRequired[Annotated[str, Field(description="ServiceNow user who consented instead.")]]
    tenant_ids: NotRequired[Annotated[Sequence[str], Field(description="Tenants; the request has to name one.")]]
    ticket_id: NotRequired[Annotated[str, Field(description="The ticket that is kept.")]]
    ticket_ids: NotRequired[Annotated[Sequence[str], Field(description="Tickets that are not there.")]]
    too_long_by: NotRequired[Annotated[int, Field(description="Characters by which the description is too long.")]]


def problem(error: ConnectorError, request_id: str, language: Language) -> func.HttpResponse:
    """Return the problem document of an error in a language.

    Args:
        request_id: Finds the request in the log.
    """
    words = words_of(error, language)
    document = {
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": words.message,
        "request_id": request_id,
        **({"next_step": words.next_step} if words.next_step else {}),
        **_members(error, language),
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


def _members(error: ConnectorError, language: Language) -> Mapping[str, object]:
    """Return the members of a problem document other than its words."""
    values = error.values
    members: dict[str, object] = {name: value for name, value in values.items() if name in _VALUES_SHOWN}
    if (faults := values.get("errors")) is not None:
        members["errors"] = [
            {"pointer": each["pointer"], "code": each["code"], "detail": fault_words(each, language)} for each in faults
        ]
    if (path := way_to_authorize(error)) is not None:
        members["authorize_path"] = path
    if (ticket_id := values.get("ticket_id")) is not None:
        members["retry"] = f"/api/tickets/{ticket_id}/retry"
    return members


def problem_headers(error: ConnectorError) -> Mapping[str, str]:
    """Return the headers of an error, for a page or a problem document."""
    headers = {}
    if isinstance(error, TryLater) and error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if (methods := error.values.get("allowed_methods")) is not None:
        headers["Allow"] = ", ".join(methods)
    return headers
