"""The id of a new connection, so that people need not think of one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from shared.connections.model import Connection, is_same_user

_LONGEST_NAME: Final = 32
"""Leaves room for a number in the 40 characters of an id."""


def connection_id_for(instance: str, client_id: str, integration_user: str, known: Iterable[Connection]) -> str:
    """Return the id for a connection: the instance's name, with a number if that is taken.

    Saving the same connection twice gives the same id. A removed connection to the same instance is used again, so that
    its tickets live on.

    Args:
        instance: Normalised base URL.
        known: All connections, removed ones included.
    """
    by_id = {each.connection_id: each for each in known}
    label = (urlsplit(instance).hostname or "").partition(".")[0]
    name = re.sub(r"[^a-z0-9-]", "-", label)[:_LONGEST_NAME].strip("-") or "servicenow"
    for number in itertools.count(1):
        connection_id = name if number == 1 else f"{name}-{number}"
        found = by_id.get(connection_id)
        if found is None or _is_the_same(found, instance, client_id, integration_user):
            return connection_id
    raise AssertionError("there is always another number")


def _is_the_same(found: Connection, instance: str, client_id: str, integration_user: str) -> bool:
    if found.instance != instance:
        return False
    same_account = found.client_id == client_id and is_same_user(found.integration_user, integration_user)
    return found.is_removed or same_account
