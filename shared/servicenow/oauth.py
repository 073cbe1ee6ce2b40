"""ServiceNow's OAuth endpoints (ServiceNow §1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeGuard
from urllib.parse import urlencode

from shared.connections.model import Connection
from shared.connections.ports import TokenSet
from shared.error_codes import Code
from shared.errors import AnswerIncomplete, ConnectorError, NotTheApi, Reauthorize, ServiceNowUnavailable
from shared.log import log_context
from shared.outbound.answers import Answer
from shared.secret import Secret
from shared.service import service
from shared.servicenow.answers import common_error
from shared.servicenow.transport import ServiceNowRequest, ServiceNowTransport

DEFAULT_ACCESS_TOKEN_LIFETIME_S: Final = 1800
"""ServiceNow's default (ServiceNow §1.5), for an answer that does not say."""
REVOCATION_PATHS: Final = ("/oauth_revoke_token.do", "/oauth_revoke.do")
"""The documentation names both; which of them an instance serves is not certain (ServiceNow §1.1)."""

_REFUSALS: Final = frozenset(
    {
        "server_error",
        "access_denied",
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""The token endpoint's own codes for a refusal: the generic document (ServiceNow §1.6) and RFC 6749, 5.2. Any
other answer, such as a page, a text or a gateway's document, says nothing about the consent."""
_REST_API_ONLY: Final = frozenset(range(400, 500)) - {403, 408, 429}
"""Statuses that mean something in front of the REST API and nothing here."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
"""What fits an Authorization header."""


@service
class ServiceNowOAuth:
    """Implements :class:`shared.connections.ports.AuthorizationServer`.

    Every parameter goes in the body, the client secret included: new instances ignore the query string (ServiceNow
    §1.4), and an address ends up in logs. No request is repeated here; that is the caller's decision.
    """

    transport: ServiceNowTransport

    def authorization_url(
        self, connection: Connection, *, redirect_uri: str, state: str, code_challenge: str, log_out_first: bool = False
    ) -> str:
        """Return where to send the browser; ``log_out_first`` asks ServiceNow to sign the browser's user out."""
        parameters = {
            "response_type": "code",
            "client_id": connection.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if log_out_first:
            parameters["logoutfirst"] = "true"
        return f"{connection.instance}/oauth_auth.do?{urlencode(parameters)}"

    async def exchange_code(
        self, connection: Connection, client_secret: Secret, *, redirect_uri: str, code: Secret, code_verifier: Secret
    ) -> TokenSet:
        """Exchange the code; the secret is sent besides the verifier, since PKCE depends on the release.

        Raises:
            Reauthorize: Code ``authorization_code_refused``: the token endpoint itself refuses.
            TryLater, FixConfiguration: No token endpoint answered.
        """
        granted = {"code": code.reveal(), "redirect_uri": redirect_uri, "code_verifier": code_verifier.reveal()}
        form = _token_request("authorization_code", connection, client_secret, granted)
        return await self._tokens(connection, form, "authorization_code_refused")

    async def refresh(self, connection: Connection, client_secret: Secret, refresh_token: Secret) -> TokenSet:
        """Get a new access token.

        Raises:
            Reauthorize: Code ``refresh_token_refused``: the token endpoint itself refuses.
            TryLater, FixConfiguration: No token endpoint answered.
        """
        form = _token_request("refresh_token", connection, client_secret, {"refresh_token": refresh_token.reveal()})
        return await self._tokens(connection, form, "refresh_token_refused")

    async def client_credentials(self, connection: Connection, client_secret: Secret) -> TokenSet:
        """Get an access token of the user that ServiceNow's administrator entered in the OAuth client.

        No scope is asked for: the client's own scopes apply in any case (ServiceNow §1.7).

        Raises:
            Reauthorize: Code ``client_credentials_refused``: the token endpoint itself refuses.
            TryLater, FixConfiguration: No token endpoint answered.
        """
        form = _token_request("client_credentials", connection, client_secret, {})
        return await self._tokens(connection, form, "client_credentials_refused")

    async def revoke(self, connection: Connection, token: Secret) -> None:
        """Revoke an access or refresh token; both known paths are tried.

        Raises ServiceNowUnavailable when neither answers.
        """
        form = Secret(urlencode({"token": token.reveal()}))
        for path in REVOCATION_PATHS:
            request = ServiceNowRequest(
                method="POST", url=f"{connection.instance}{path}", subject="oauth_revoke", form=form
            )
            try:
                with log_context(connection_id=connection.connection_id):
                    await self.transport.send(request, _revoked)
            except ConnectorError:
                continue
            return
        raise ServiceNowUnavailable("revocation_failed")

    async def _tokens(self, connection: Connection, form: Secret, refused_code: Code) -> TokenSet:
        request = ServiceNowRequest(
            method="POST", url=f"{connection.instance}/oauth_token.do", subject="oauth_token", form=form
        )
        with log_context(connection_id=connection.connection_id):
            return await self.transport.send(request, lambda answer: self._token_set(answer, refused_code))

    def _token_set(self, answer: Answer, refused_code: Code) -> TokenSet:
        error = common_error(answer, writing=False, now=self.transport.clock())
        if error is not None and answer.status not in _REST_API_ONLY:
            raise error
        document = answer.document() if answer.is_json else None
        if document is not None and str(document.get("error")) in _REFUSALS:
            raise _refused(refused_code)
        if answer.status >= 400 or (document is not None and "error" in document):
            raise NotTheApi(variant="token_endpoint", answered_status=answer.status)
        if document is None:
            raise AnswerIncomplete()
        # An empty refresh token is an omitted one.
        access_token, refresh_token = document.get("access_token"), document.get("refresh_token") or None
        if not _is_token(access_token) or not (refresh_token is None or _is_token(refresh_token)):
            raise AnswerIncomplete()
        return TokenSet(
            access_token=Secret(access_token),
            refresh_token=Secret(refresh_token) if refresh_token is not None else None,
            expires_in_s=_lifetime_s(document.get("expires_in")),
        )


def _token_request(
    grant_type: str, connection: Connection, client_secret: Secret, granted: Mapping[str, str]
) -> Secret:
    """Return the form that asks for tokens (RFC 6749, 4.1.3, 4.4.2 and 6; the secret in the body: 2.3.1)."""
    client = {"client_id": connection.client_id, "client_secret": client_secret.reveal()}
    return Secret(urlencode({"grant_type": grant_type, **client, **granted}))


def _revoked(answer: Answer) -> None:
    """Accept an answer of a revocation endpoint; a page comes from something else, even with status 200."""
    if answer.status < 300 and (answer.media_type != "text/html" or not answer.body):
        return
    if answer.status in {400, 401} and answer.is_json:
        return  # The token is not known any more: there is nothing left to revoke.
    raise ServiceNowUnavailable("revocation_failed")


def _is_token(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _lifetime_s(value: object) -> int:
    """Read ``expires_in``: a number, or a number as text."""
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) and int(text) > 0 else DEFAULT_ACCESS_TOKEN_LIFETIME_S


def _refused(code: Code) -> Reauthorize:
    """Return the one error for ServiceNow's one generic 401, which has a dozen causes (ServiceNow §1.6)."""
    return Reauthorize(code)
