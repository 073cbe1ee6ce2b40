"""Requests with an access token: whose token it is, and what a refusal of it means.

The model is ``httpx.Auth``: see the 401, have the token renewed once, repeat what is safe to repeat. This is not an
``httpx.Auth``, because a renewal is a request to the same instance: it must neither wait for the turn that the refused
request holds nor use up that request's time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from shared.clock import Clock
from shared.connections.model import Connection
from shared.connections.ports import TokenSource
from shared.errors import AccessTokenRefused, NewAccessTokenRefused, ServiceNowUnavailable
from shared.outbound.answers import Answer
from shared.secret import Secret
from shared.service import service
from shared.servicenow.budgets import User
from shared.servicenow.transport import ServiceNowRequest, ServiceNowTransport


@service
class AuthorizedTransport:
    """Sends requests to connections' instances with their access tokens."""

    transport: ServiceNowTransport
    tokens: TokenSource

    @property
    def clock(self) -> Clock:
        """Our clock."""
        return self.transport.clock

    def with_token(self, token: Secret) -> AuthorizedTransport:
        """Return a transport that sends this token instead of the connection's. Its refusal is final."""
        return replace(self, tokens=GivenToken(token))

    async def read[Result](
        self, connection: Connection, request: ServiceNowRequest, interpret: Callable[[Answer], Result]
    ) -> Result:
        """Read as :meth:`ServiceNowTransport.read`; once more with another token when ServiceNow refuses the first.

        Raises:
            Reauthorize, TryLater: There is no access token.
            NewAccessTokenRefused: ServiceNow also refuses the token that it has just issued.
            ConnectorError: What :meth:`ServiceNowTransport.read` raises.
        """
        token = await self.tokens.access_token(connection)
        request = replace(request, user=self._user_of(connection))
        try:
            return await self.transport.read(replace(request, access_token=token), interpret)
        except AccessTokenRefused as error:
            refused = error
        renewed = await self.tokens.renewed_token(connection, token)
        if renewed is None:
            raise refused
        try:
            return await self.transport.read(replace(request, access_token=renewed), interpret)
        except AccessTokenRefused:
            raise NewAccessTokenRefused() from None

    async def send[Result](
        self,
        connection: Connection,
        request: ServiceNowRequest,
        interpret: Callable[[Answer], Result],
        *,
        send_by: datetime | None = None,
    ) -> Result:
        """Send as :meth:`ServiceNowTransport.send`, once.

        Args:
            connection: The connection whose access token is sent.
            request: The request.
            interpret: Reads the answer.
            send_by: Do not send it after this time, however long the access token took; None for no limit.

        Raises:
            Reauthorize, TryLater: There is no access token, or it came too late; nothing was sent.
            AccessTokenRefused: ServiceNow may have carried out a write anyway. Before sending it again, read first:
                this looks up the record and gets another token.
            ConnectorError: What :meth:`ServiceNowTransport.send` raises.
        """
        token = await self.tokens.access_token(connection)
        if send_by is not None and self.clock() > send_by:
            raise ServiceNowUnavailable(variant="too_slow")
        request = replace(request, access_token=token, user=self._user_of(connection))
        return await self.transport.send(request, interpret)

    def _user_of(self, connection: Connection) -> User | None:
        is_other_token = isinstance(self.tokens, GivenToken)
        return None if is_other_token else User(connection.instance, connection.integration_user)


@service
class GivenToken:
    """Implements :class:`shared.connections.ports.TokenSource` with one token."""

    token: Secret

    async def access_token(self, connection: Connection) -> Secret:
        """See the port."""
        return self.token

    async def renewed_token(self, connection: Connection, refused: Secret) -> None:
        """See the port."""
