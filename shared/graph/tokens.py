"""Access tokens for Microsoft Graph: the port that they come through, and what they say about themselves."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Final, Protocol

from shared.secret import Secret
from shared.value_object import value_object

_ROLES_AT_MOST: Final = 200


@value_object
class GraphToken:
    """An access token, with its claims (Microsoft Graph §2.2). Nobody has validated them: Microsoft Graph does.

    Attributes:
        tenant_id: ``tid``: the only tenant that it can read, lower case.
        roles: The app roles that it holds, sorted.
        expires_at: When it ends; None if it does not say.
    """

    secret: Secret
    tenant_id: str
    roles: tuple[str, ...]
    expires_at: datetime | None

    @classmethod
    def decoded(cls, text: str) -> GraphToken | None:
        """Return the token with its claims; None if it is not a JSON Web Token of a tenant."""
        try:
            payload = text.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (IndexError, ValueError, RecursionError):
            return None
        tenant_id = claims.get("tid") if isinstance(claims, dict) else None
        if not isinstance(tenant_id, str):
            return None
        roles = claims.get("roles")
        named = {role for role in roles if isinstance(role, str)} if isinstance(roles, list) else set()
        return cls(Secret(text), tenant_id.lower(), tuple(sorted(named)[:_ROLES_AT_MOST]), _time(claims.get("exp")))


class TenantTokens(Protocol):
    """Where access tokens for tenants come from; only the credential differs between tenants."""

    async def access_token(self, tenant_id: str) -> GraphToken:
        """Return a token for this tenant, and for no other one; it may have been in memory for hours.

        Raises:
            TenantRefused: There is none for this tenant; somebody has to change something.
            GraphUnavailable: There is none at present.
        """
        ...

    async def new_access_token(self, tenant_id: str, *, claims: str | None = None) -> GraphToken:
        """Return a token that was not in our memory. Raises as :meth:`access_token`.

        Args:
            claims: What Microsoft Graph demands of it, a JSON object; None for nothing. A managed identity cannot pass
                it on (Microsoft Graph §2.5).
        """
        ...


def _time(seconds: object) -> datetime | None:
    if not isinstance(seconds, int):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
