"""IP Address Access Control: refuses addresses before anything else sees a request (ServiceNow §7)."""

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.servicenow.engine.data.records import Records

type _Range = tuple[str, str, str]
"""Type (`allow` or `deny`), first address and last address of a rule."""

REFUSAL = (
    "<html><head><title>Access restricted</title></head>"
    "<body><h1>Access to this instance is restricted</h1></body></html>"
)
"""The body of the 403 (inferred)."""


class AddressFilter:
    """Answers 403 to a request from a denied address. A rule that allows an address beats one that denies it."""

    def __init__(self, app: ASGIApp, records: Records) -> None:
        self._app = app
        self._records = records

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it. The control API is not part of the instance."""
        is_ours = scope["type"] != "http" or scope["path"].startswith("/control/")
        rules = [] if is_ours else self._rules()
        if any(_is_denied(address, rules) for address in (_chain(scope) if rules else ())):
            await HTMLResponse(REFUSAL, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _rules(self) -> list[_Range]:
        return self._records.execute(
            """SELECT "type", "range_start", "range_end" FROM "ip_access" WHERE "active" = 'true'"""
        )


def _chain(scope: Scope) -> Iterable[str]:
    """Return the caller's address and those that were forwarded."""
    forwarded = Headers(scope=scope).get("x-forwarded-for", "").split(",")
    client = scope["client"]
    return (address for each in (*forwarded, client[0] if client else "") if (address := each.strip()))


def _is_denied(address: str, rules: Sequence[_Range]) -> bool:
    kinds = {kind for kind, first, last in rules if _is_within(address, first, last)}
    return "deny" in kinds and "allow" not in kinds


def _is_within(address: str, first: str, last: str) -> bool:
    try:
        return ipaddress.IPv4Address(first) <= ipaddress.IPv4Address(address) <= ipaddress.IPv4Address(last)
    except ValueError:
        return False
