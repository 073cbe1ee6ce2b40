"""HTTP API: about the service itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import datetime
from typing import Literal

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from shared.application import Application
from shared.connections.model import ConnectionStatus
from shared.errors import ConnectorError
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, route
from shared.triggers.openapi import openapi_document
from shared.triggers.principal import ANY_ROLE
from shared.triggers.routes import operations

blueprint = func.Blueprint()


class ConnectionHealthView(BaseModel):
    """The status of one connection."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    connection_id: str
    status: ConnectionStatus


class HealthView(BaseModel):
    """Says only that the service is alive."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    status: Literal["alive"] = "alive"


class UnreadableRowView(BaseModel):
    """A stored row that this release cannot read."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    table: str
    partition_key: str
    row_key: str
    seen_at: datetime = Field(description="When this instance of the app first met it.")


class StatusView(BaseModel):
    """How each part of the service is doing."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    storage: Literal["ok", "unavailable"]
    key_vault: Literal["ok", "unavailable"]
    connections: tuple[ConnectionHealthView, ...] | None = Field(description="Null while storage is unavailable.")
    unreadable_rows: tuple[UnreadableRowView, ...] = Field(
        description="Stored rows that were left out because this release cannot read them: all connections, and of "
        "other rows those that this instance of the app has met."
    )


@route(
    blueprint, "GET", "api/health", summary="Say whether the service is alive", roles=None, answers={200: HealthView}
)
async def check_health(call: Call) -> JsonAnswer:
    """Answer ``alive`` to anybody.

    The route is excluded from the platform's Authentication, so nobody can prove who they are here. The state of each
    part is in :func:`show_status`.
    """
    _ = call.application  # Without valid settings nothing is alive.
    return JsonAnswer(HealthView())


@route(
    blueprint,
    "GET",
    "api/status",
    summary="Say how storage, Key Vault and each connection do",
    roles=ANY_ROLE,
    answers={200: StatusView},
)
async def show_status(call: Call) -> JsonAnswer:
    """Answer with the current state."""
    app = call.application
    connections, vault, hidden = await asyncio.gather(
        _outcome(app.connection_store.list_connections()),
        _outcome(app.secret_store.get_secret("health-probe")),
        _outcome(app.sight.hidden()),
    )
    seen = () if isinstance(connections, ConnectorError) else [each.connection_id for each in connections]
    return JsonAnswer(
        StatusView(
            storage="unavailable" if isinstance(connections, ConnectorError) else "ok",
            key_vault="unavailable" if isinstance(vault, ConnectorError) else "ok",
            connections=None
            if isinstance(connections, ConnectorError)
            else tuple(
                ConnectionHealthView(connection_id=each.connection_id, status=each.status) for each in connections
            ),
            unreadable_rows=unreadable_rows(app, seen, is_limited=bool(hidden)),
        )
    )


def unreadable_rows(app: Application, seen_ids: Iterable[str], *, is_limited: bool) -> tuple[UnreadableRowView, ...]:
    """Return the rows that were left out, as far as the caller may see them.

    Args:
        seen_ids: The connections that the caller sees.
        is_limited: Whether any are hidden. Then only rows that are certainly about a seen one are shown.
    """
    seen = set(seen_ids)
    return tuple(
        UnreadableRowView(table=row.table, partition_key=row.partition_key, row_key=row.row_key, seen_at=row.seen_at)
        for row in app.rows.unreadable
        if not is_limited or {row.partition_key, row.row_key} & seen
    )


@route(
    blueprint,
    "GET",
    "api/openapi.json",
    summary="Describe this API",
    roles=ANY_ROLE,
    answers={200: None},
)
async def describe_api(call: Call) -> JsonAnswer:
    """Answer with the OpenAPI document."""
    return JsonAnswer(openapi_document(operations(), call.application.settings.public_base_url))


async def _outcome[Result](awaitable: Awaitable[Result]) -> Result | ConnectorError:
    try:
        return await awaitable
    except ConnectorError as error:
        return error
