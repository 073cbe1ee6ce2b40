"""The OpenAPI document, generated from the declared operations and the models they use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from shared import product
from shared.triggers.answers import PROBLEM_TYPE, ProblemView
from shared.triggers.parameters import PATH_PARAMETERS
from shared.triggers.request_bodies import JSON_TYPE, MULTIPART_TYPE, FormBody
from shared.triggers.routes import SAFE_METHODS, Route

VERSION: Final = "1.0.0"
ALWAYS: Final[Mapping[int, tuple[str, ...]]] = {
    400: ("invalid_query", "unknown_parameter"),
    413: ("request_too_large",),
    500: ("internal_error", "settings_invalid"),
    503: ("storage_unavailable",),
}
"""Problems that every operation can answer with."""
WITH_ROLES: Final[Mapping[int, tuple[str, ...]]] = {401: ("not_signed_in",), 403: ("role_missing", "groups_unknown")}
ON_WRITES: Final[Mapping[int, tuple[str, ...]]] = {403: ("cross_site_request",)}
TAGS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Tickets": ("Tickets and where they stand.", ("api/tickets",)),
    "Recommendations": ("What Microsoft recommends to a tenant.", ("api/recommendations",)),
    "Evidence": ("What happened, for auditors.", ("api/evidence",)),
    "Connections": (
        "ServiceNow instances, their settings and their checks.",
        ("api/connections", "api/connection-imports"),
    ),
    "Customers": ("All customers at a glance.", ("api/portfolio",)),
    "Tenants": ("Microsoft 365 tenants whose recommendations are read.", ("api/tenants",)),
    "Authorization": ("The consent of the integration user, in a browser.", ("api/oauth/",)),
    "Service": ("The service itself.", ("api/attention", "api/health", "api/status", "api/openapi.json")),
}
"""What each tag stands for, and how the paths of its operations begin."""


def tag_of(operation: Route) -> str:
    """Return the tag under which an operation is listed. Raises StopIteration if no tag covers its path."""
    return next(tag for tag, (_, beginnings) in TAGS.items() if operation.path.startswith(beginnings))


def problems_of(operation: Route) -> dict[int, tuple[str, ...]]:
    """Return every problem code that an operation can answer with, by status."""
    parts = [ALWAYS, operation.problems]
    if operation.roles is not None:
        parts.append(WITH_ROLES)
    if operation.method not in SAFE_METHODS:
        parts.append(ON_WRITES)
    together: dict[int, tuple[str, ...]] = {}
    for part in parts:
        for status, codes in part.items():
            together[status] = tuple(dict.fromkeys((*together.get(status, ()), *codes)))
    return dict(sorted(together.items()))


def openapi_document(operations: Iterable[Route], server: str) -> dict[str, object]:
    """Return the OpenAPI 3.1 document of the operations."""
    operations = sorted(operations, key=_place)
    models: dict[tuple[type, JsonSchemaMode], None] = {(ProblemView, "serialization"): None}
    for each in operations:
        for model in each.body_models:
            models[model, "validation"] = None
        for answer in each.answer_models.values():
            if answer is not None:
                models[answer, "serialization"] = None
    references, definitions = TypeAdapter.json_schemas(
        [(model, mode, TypeAdapter(model)) for model, mode in models], ref_template="#/components/schemas/{model}"
    )
    schemas = dict(definitions.get("$defs", {}))
    paths: dict[str, dict[str, object]] = {}
    for each in operations:
        paths.setdefault("/" + _plain_path(each.path), {})[each.method.lower()] = _operation(each, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": product.NAME,
            "version": VERSION,
            "description": "Creates ServiceNow tickets from Microsoft 365 security "
            "recommendations and shows where they stand. HEAD answers as GET does, without a body. A method that a "
            "path does not have gets 405 (method_not_allowed) with Allow, any other path 404 (page_not_found). "
            "Sentences are in English unless Accept-Language names another language that the connector has; "
            "Content-Language says which. Codes are stable, sentences are not.",
        },
        "servers": [{"url": server}],
        "tags": [{"name": tag, "description": description} for tag, (description, _) in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "entra": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "App Service Authentication with Entra ID; browsers use its session cookie. Without "
                    "a token it redirects (302) to the sign-in, whatever the path; a token that is not valid is 401.",
                }
            },
        },
    }


def _place(operation: Route) -> tuple[int, str, str]:
    """Return an operation's place in the document, independent of the order of imports."""
    return list(TAGS).index(tag_of(operation)), operation.path, operation.method


def _plain_path(path: str) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", r"{\1}", path)


def _operation(operation: Route, references: Mapping[Any, Any]) -> dict[str, object]:
    document: dict[str, object] = {
        "operationId": operation.name,
        "tags": [tag_of(operation)],
        "summary": operation.summary,
        "responses": {
            **{
                str(status): _response(
                    HTTPStatus(status).phrase, JSON_TYPE, references.get((model, "serialization")), operation.files
                )
                for status, model in operation.answer_models.items()
            },
            **{
                str(status): _response(
                    f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
                    PROBLEM_TYPE,
                    references[ProblemView, "serialization"],
                )
                for status, codes in problems_of(operation).items()
            },
        },
    }
    if operation.roles is not None:
        document["security"] = [{"entra": []}]
        document["description"] = f"Needs one of the app roles: {', '.join(sorted(operation.roles))}."
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": dict(PATH_PARAMETERS[name])}
        for name in re.findall(r"\{(\w+)", operation.path)
    ]
    parameters += [
        {
            "name": each.name,
            "in": each.place,
            "required": each.required,
            "description": each.description,
            "schema": dict(each.schema),
        }
        for each in operation.parameters
    ]
    if parameters:
        document["parameters"] = parameters
    if operation.body is not None:
        document["requestBody"] = {
            "required": operation.body_required,
            "content": _body(operation, references),
        }
    return document


def _body(operation: Route, references: Mapping[Any, Any]) -> dict[str, object]:
    if isinstance(operation.body, FormBody):
        files = {name: {"type": "string", "format": "binary"} for name in sorted(operation.body.files)}
        return {MULTIPART_TYPE: {"schema": {"type": "object", "properties": files, "required": list(files)}}}
    first, *others = (references[model, "validation"] for model in operation.body_models)
    return {JSON_TYPE: {"schema": {"anyOf": [first, *others]} if others else first}}


def _response(
    description: str, content_type: str, schema: object | None, files: Iterable[str] = ()
) -> dict[str, object]:
    if schema is None:
        return {"description": description}
    content: dict[str, object] = {content_type: {"schema": schema}}
    return {"description": description, "content": {**content, **{each: {} for each in files}}}
