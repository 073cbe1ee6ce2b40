"""Pages of a list, and the tokens that lead from one to the next (Microsoft Graph §1.3)."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.graph.engine.switches import Switches
from sandbox.graph.wire.errors import bad_request


@dataclass(frozen=True)
class _Position:
    tenant_id: str
    resource: str
    offset: int
    made_at: datetime


@dataclass
class SkipTokens:
    """The `$skiptoken`s that were given out: each leads one tenant into one list."""

    clock: Clock
    switches: Switches
    _positions: dict[str, _Position] = field(default_factory=dict)

    def issue(self, tenant_id: str, resource: str, offset: int) -> str:
        """Return a token that leads to an offset."""
        token = str(uuid.uuid4())
        self._positions[token] = _Position(tenant_id, resource, offset, self.clock.now())
        return token

    def offset(self, token: str, tenant_id: str, resource: str) -> int:
        """Return where a token leads; it may be used again until it expires.

        Raises GraphError (400) if it is unknown, expired, or belongs to another tenant or list.
        """
        position = self._positions.get(token)
        life = timedelta(seconds=self.switches.number("skiptoken.life_s"))
        if (
            position is None
            or (position.tenant_id, position.resource) != (tenant_id, resource)
            or self.clock.now() - position.made_at > life
        ):
            raise bad_request("The $skiptoken is invalid or has expired.")
        return position.offset

    def clear(self) -> None:
        """Forget every token."""
        self._positions.clear()
