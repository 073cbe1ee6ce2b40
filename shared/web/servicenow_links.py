"""Addresses of lists and forms in ServiceNow, so that a person sees there what the connector cannot see.

A list takes an encoded query (ServiceNow §2.3). A form of a new record takes its first values in the same way.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from shared.check.findings import EXEMPTED_GROUP
from shared.connections.model import Connection
from shared.value_object import value_object

GRANT_PROPERTY: Final = "glide.oauth.inbound.client.credential.grant_type.enabled"
"""Without it, an instance refuses every request with client credentials (ServiceNow §1.4)."""
_STANDS_FOR_ITSELF: Final = re.compile(r"[\w.@+-][\w.@+ -]*")
"""The grammar has no escape; with a colon, a value could be a script."""


@value_object
class ServiceNowLinks:
    """Where to look in the instance of one connection.

    Attributes:
        client: The OAuth clients with the connection's client ID.
        user: The users with the integration user's name.
        new_user: The form for a new user with that name.
        exempted_group: The group whose members need no second factor.
        grant_property: The property that allows client credentials.
        new_grant_property: The form for that property, filled in.
        addresses: The rules that filter by IP address.
    """

    client: str
    user: str
    new_user: str
    exempted_group: str
    grant_property: str
    new_grant_property: str
    addresses: str


def servicenow_links(connection: Connection) -> ServiceNowLinks:
    """Return the addresses for a connection. A value that cannot be part of a query is left out: the list is longer."""
    instance = connection.instance
    user = {"user_name": connection.integration_user}
    allowed = {"name": GRANT_PROPERTY, "type": "boolean", "value": "true"}
    return ServiceNowLinks(
        client=_list(instance, "oauth_entity", {"client_id": connection.client_id}),
        user=_list(instance, "sys_user", user),
        new_user=_new(instance, "sys_user", user),
        exempted_group=_list(instance, "sys_user_group", {"name": EXEMPTED_GROUP}),
        grant_property=_list(instance, "sys_properties", {"name": GRANT_PROPERTY}),
        new_grant_property=_new(instance, "sys_properties", allowed),
        addresses=_list(instance, "ip_access", {}),
    )


def _list(instance: str, table: str, values: dict[str, str]) -> str:
    return _with_query(f"{instance}/{table}_list.do", values, "?")


def _new(instance: str, table: str, values: dict[str, str]) -> str:
    return _with_query(f"{instance}/{table}.do?sys_id=-1", values, "&")


def _with_query(address: str, values: dict[str, str], sign: str) -> str:
    conditions = [f"{column}={value}" for column, value in values.items() if _STANDS_FOR_ITSELF.fullmatch(value)]
    return f"{address}{sign}sysparm_query={quote('^'.join(conditions), safe='')}" if conditions else address
