"""Lists of Microsoft Graph, read within bounds (Microsoft Graph §1.3).

A list goes on at the address that its page names. That address gets the access token, so it must be Microsoft Graph's;
and a list that names the same address twice, or never ends, is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from shared.errors import GraphRequestRejected, GraphTokenRefused, GraphUnavailable
from shared.graph.answers import ClaimsDemanded, Page
from shared.graph.tokens import TenantTokens
from shared.graph.transport import GraphRequest, GraphTransport, ListName
from shared.service import service
from shared.value_object import value_object

PAGES_AT_MOST: Final = 50
"""A page of the catalogue has 200 controls, and there are fewer than 500."""

_LINK_MAX_LENGTH: Final = 4096

type Decode[Entry] = Callable[[object], tuple[Entry | None, int]]
"""Returns an entry (None if it is not usable), and how many parts of it were skipped, itself included."""


@value_object
class Listed[Entry]:
    """What was read of a list.

    Attributes:
        received: How many entries came, usable or not.
        skipped: How many entries, or parts of entries, were not usable.
        is_complete: False if a provider did not answer, so that entries can be missing.
    """

    entries: tuple[Entry, ...] = ()
    received: int = 0
    skipped: int = 0
    is_complete: bool = True

    def __add__(self, other: Listed[Entry]) -> Listed[Entry]:
        return Listed(
            self.entries + other.entries,
            self.received + other.received,
            self.skipped + other.skipped,
            self.is_complete and other.is_complete,
        )


@service
class GraphLists:
    """Reads lists of tenants with their access tokens."""

    transport: GraphTransport
    tokens: TenantTokens
    graph_url: str

    async def part[Entry](
        self, tenant_id: str, list_name: ListName, decode: Decode[Entry], *, top: int, skip: int = 0
    ) -> Listed[Entry]:
        """Read some entries of a list; where it goes on is ignored.

        Args:
            top: How many to ask for; Microsoft Graph may return another number.
            skip: How many to leave out at its beginning.

        Raises:
            ConnectorError: As :meth:`GraphTransport.read`, or there is no access token.
        """
        parameters = {"$top": str(top)} | ({"$skip": str(skip)} if skip else {})
        listed, _ = await self._read(tenant_id, list_name, self._address(list_name), decode, parameters)
        return listed

    async def whole[Entry](self, tenant_id: str, list_name: ListName, decode: Decode[Entry]) -> Listed[Entry]:
        """Read a list to its end; once more from its beginning if Microsoft Graph no longer knows a page's address.

        Raises:
            GraphUnavailable: The list does not end, or it goes on outside Microsoft Graph.
            ConnectorError: As :meth:`part`.
        """
        try:
            return await self._followed(tenant_id, list_name, decode)
        except _LinkExpired:
            pass
        try:
            return await self._followed(tenant_id, list_name, decode)
        except _LinkExpired as expired:
            rejected = expired.rejected
        raise rejected

    async def _followed[Entry](self, tenant_id: str, list_name: ListName, decode: Decode[Entry]) -> Listed[Entry]:
        address = self._address(list_name)
        links: set[str] = set()
        listed: Listed[Entry] = Listed()
        while len(links) < PAGES_AT_MOST:
            try:
                part, next_link = await self._read(tenant_id, list_name, address, decode)
            except GraphRequestRejected as error:
                if not links or error.values.get("answered_status") != 400:
                    raise
                raise _LinkExpired(error) from None
            listed += part
            if next_link is None:
                return listed
            address = self._checked(next_link)
            if address in links:
                break
            links.add(address)
        raise GraphUnavailable("graph_list_endless")

    async def _read[Entry](
        self,
        tenant_id: str,
        list_name: ListName,
        address: str,
        decode: Decode[Entry],
        parameters: Mapping[str, str] | None = None,
    ) -> tuple[Listed[Entry], object]:
        """Read one page; once more with a new access token when Microsoft Graph refuses the first.

        The new token has the claims that Microsoft Graph demands for it, if it does.
        """

        def interpret(page: Page) -> tuple[Listed[Entry], object]:
            decoded = [decode(item) for item in page.items]
            entries = tuple(entry for entry, _ in decoded if entry is not None)
            skipped = sum(skipped for _, skipped in decoded)
            return Listed(entries, len(page.items), skipped, page.is_complete), page.next_link

        request = GraphRequest(
            method="GET", url=address, parameters=parameters or {}, tenant_id=tenant_id, list_name=list_name
        )
        token = await self.tokens.access_token(tenant_id)
        try:
            return await self.transport.read(replace(request, access_token=token.secret), interpret)
        except GraphTokenRefused as refused:
            claims = refused.claims if isinstance(refused, ClaimsDemanded) else None
        token = await self.tokens.new_access_token(tenant_id, claims=claims)
        return await self.transport.read(replace(request, access_token=token.secret), interpret)

    def _address(self, list_name: ListName) -> str:
        return list_address(self.graph_url, list_name)

    def _checked(self, link: object) -> str:
        """Return where the list goes on, if a request to it goes to Microsoft Graph, however the address is parsed."""
        is_ours = isinstance(link, str) and link.startswith(f"{self.graph_url}/") and len(link) <= _LINK_MAX_LENGTH
        if not isinstance(link, str) or not is_ours or not link.isascii() or not link.isprintable() or "\\" in link:
            raise GraphUnavailable("graph_link_refused")
        return link


class _LinkExpired(Exception):
    """Microsoft Graph rejects an address that it gave for the next page: its ``$skiptoken`` has expired."""

    def __init__(self, rejected: GraphRequestRejected) -> None:
        super().__init__()
        self.rejected = rejected


def list_address(graph_url: str, list_name: ListName) -> str:
    """Return where Microsoft Graph has a list."""
    return f"{graph_url}/v1.0/security/{list_name}"
