"""Names in a form's fields: what people type or choose, turned into the ``sys_id`` that a request needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.application import Application
from shared.connections.fixed_fields import LABEL_MAX_LENGTH
from shared.connections.model import Connection
from shared.connections.named_values import Unusable
from shared.error_codes import Code
from shared.errors import Fault
from shared.request_faults import refused
from shared.texts import one_line
from shared.value_object import value_object


@value_object
class Named:
    """A request with a ``sys_id`` wherever it had a name.

    Attributes:
        body: Its JSON value.
        names: What people call the records that were looked up, by ``sys_id``.
    """

    body: dict[str, Any]
    names: Mapping[str, str]


async def with_sys_ids(
    app: Application, connection: Connection, refusal: Code, body: dict[str, Any], tables: Mapping[str, str]
) -> Named:
    """Return a request with a ``sys_id`` wherever it has a name; all names are looked up at once.

    Args:
        app: The application.
        connection: The connection whose instance knows the names.
        refusal: Code of the refusal.
        body: The request's JSON value.
        tables: The table that a member refers to, by its JSON pointer.

    Raises:
        FixRequest: 422 with this code, and an entry for each name that does not belong to exactly one record.
    """
    faults: list[Fault] = []
    names: dict[str, str] = {}

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
                if found.label != found.value:
                    names[found.value] = one_line(found.label, LABEL_MAX_LENGTH)

    await asyncio.gather(*(resolve(pointer, table) for pointer, table in tables.items()))
    if faults:
        raise refused(refusal, faults)
    return Named(body, names)
