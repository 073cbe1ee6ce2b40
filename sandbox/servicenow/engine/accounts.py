"""Who may sign in, and how: users with their passwords, OAuth clients with their secrets."""

import hmac

from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.instance import Instance

INTERNAL_ROLE = "snc_internal"
"""With the explicit roles plug-in, everybody who works in the instance needs it (ServiceNow §6)."""


def find_user(instance: Instance, user_name: str) -> Row | None:
    """Return the `sys_user` row of that name."""
    return _find(instance, "sys_user", "user_name", user_name)


def find_client(instance: Instance, client_id: str) -> Row | None:
    """Return the active `oauth_entity` row of that client id."""
    client = _find(instance, "oauth_entity", "client_id", client_id)
    return client if client is not None and client["active"] == "true" else None


def user_with_password(instance: Instance, user_name: str, password: str) -> Row | None:
    """Return the user if the password is right; this checks nothing else."""
    user = find_user(instance, user_name)
    return user if user is not None and is_secret(user["user_password"], password) else None


def is_secret(kept: str, given: str) -> bool:
    """Compare a stored password or secret with a given one; an empty one never matches."""
    return kept != "" and hmac.compare_digest(kept.encode(), given.encode())


def may_call(user: Row) -> bool:
    """Say whether API calls may run as this user."""
    return user["active"] == "true" and user["locked_out"] != "true"


def may_sign_in(user: Row) -> bool:
    """Say whether the user may log in to pages: web-service-only users may not (ServiceNow §1.2)."""
    return may_call(user) and user["web_service_access_only"] != "true"


def may_hold_tokens(instance: Instance, user: Row) -> bool:
    """Say whether a token call for this user succeeds (ServiceNow §1.3, §1.6)."""
    if not may_call(user) or user["password_needs_reset"] == "true":
        return False
    caller = instance.caller_of(user["sys_id"])
    if caller is None or caller.is_admin:
        return caller is not None
    if instance.properties.flag("simulator.explicit_roles.active") and INTERNAL_ROLE not in caller.roles:
        return False
    return instance.properties.flag("simulator.acl.oauth_credential_for_users")


def _find(instance: Instance, table: str, column: str, value: str) -> Row | None:
    ids = instance.records.ids_holding(table, column, value)
    return instance.records.get(table, ids[0]) if ids else None
