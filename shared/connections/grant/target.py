"""What tokens are for: they are accepted only for the instance, client, user and grant for which they were asked."""

from __future__ import annotations

from typing import TypedDict

from shared.connections.model import Connection, Grant, is_same_user
from shared.connections.ports import AuthorizationTarget, ServiceNowUser
from shared.errors import FixConfiguration


def target_of(connection: Connection) -> AuthorizationTarget:
    """Return what an authorization of the connection is for."""
    return AuthorizationTarget(connection.instance, connection.client_id, connection.integration_user)


def is_same_target(one: AuthorizationTarget, other: AuthorizationTarget) -> bool:
    """Whether tokens for one are tokens for the other."""
    return (one.instance, one.client_id) == (other.instance, other.client_id) and is_same_user(
        one.integration_user, other.integration_user
    )


def has_same_target(one: Connection, other: Connection) -> bool:
    """Whether tokens that were asked for with one state of a connection may be kept with another state of it."""
    return (
        one.grant is other.grant
        and one.renamed_from == other.renamed_from
        and is_same_target(target_of(one), target_of(other))
    )


class WayBack(TypedDict, total=False):
    """Those of :class:`shared.errors.Values` that say how to try again."""

    variant: str
    connection_id: str
    log_out_first: bool


def way_back(connection: Connection, *, log_out_first: bool = False) -> WayBack:
    """Return what an error says about trying again: which authorization begins again, or that nobody has to consent.

    Args:
        connection: The connection whose tokens are refused.
        log_out_first: Whether ServiceNow should first sign out the browser's present user.
    """
    if connection.grant is Grant.CLIENT_CREDENTIALS:
        return {"variant": connection.grant.value}
    again: WayBack = {"connection_id": connection.connection_id}
    return {**again, "log_out_first": True} if log_out_first else again


def wrong_user(connection: Connection, user: ServiceNowUser) -> FixConfiguration:
    """Return the error for tokens that are somebody else's."""
    return FixConfiguration(
        "authorization_wrong_user",
        status=403,
        signed_in_user=user.user_name,
        integration_user=connection.integration_user,
        **way_back(connection, log_out_first=True),
    )
