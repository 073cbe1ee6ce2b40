"""The caller of a request, as its bearer token shows it.

:data:`Authorize` is the one place where identity enters the API: whatever checks tokens returns a :class:`Caller`, or
raises a 401. Roles are compared by the API itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request

from sandbox.graph.engine.switches import Switches
from sandbox.graph.wire.errors import missing_role

READ_ROLES = ("SecurityEvents.Read.All", "SecurityEvents.ReadWrite.All")
"""Either one lets an application read Secure Score (Microsoft Graph §1.1)."""


@dataclass(frozen=True)
class Caller:
    """An application in a tenant, with the roles that its token grants."""

    tenant_id: str
    roles: frozenset[str]

    def require_any(self, roles: Iterable[str], switches: Switches) -> None:
        """Raise GraphError (403) if the token has none of these roles."""
        roles = tuple(roles)
        if not self.roles & set(roles):
            raise missing_role(switches, *roles)


type Authorize = Callable[[Request], Caller]
"""Returns the caller of a request. Raises :class:`sandbox.graph.wire.errors.GraphError` (401) for a bad token."""
