"""Names in a form's fields: what people type or choose, turned into the ``sys_id`` that a request needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.application import Application
from shared.connections.model import Connection
from shared.connections.named_values import Unusable
from shared.error_codes import Code
from shared.errors import Fault
from shared.request_faults import refused


async def with_sys_ids(
    app: Application, connection: Connection, refusal: Code, body: dict[str, Any], tables: Mapping[str, str]
) -> dict[str, Any]:
    """Return a request's JSON value with a ``sys_id`` wherever it has a name; all names are looked up at once.

    Args:
        app: The application.
        connection: The connection whose instance knows the names.
        refusal: Code of the refusal.
        body: The request.
        tables: The table that a member refers to, by its JSON pointer.

    Raises:
        FixRequest: 422 with this code, and an entry for each name that does not belong to exactly one record.
    """
    faults: list[Fault] = []

    async def resolve(pointer: str, table: str) -> None:
        *path, member = pointer.strip("/").split("/")
        place = body
        for name in path:
            place = place[name]
        if text := place.get(member):
            found = await app.named_values.record(connection, table, text)
            if isinstance(found, Unusable):
                faults.append(found.at(pointer))
            else:
                place[member] = found.value

    await asyncio.gather(*(resolve(pointer, table) for pointer, table in tables.items()))
    if faults:
        raise refused(refusal, faults)
    return body
