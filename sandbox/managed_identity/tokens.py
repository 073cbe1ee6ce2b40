"""Access tokens as Microsoft Entra ID issues them to managed identities, signed with the sandbox's key."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

TENANT_ID = "2f1d9a5e-6f0c-4b6e-9a57-0d5c1b6e7a10"
"""The sandbox's Entra tenant."""
SYSTEM_ASSIGNED = "6a2c7b1e-0d5f-4a3b-8c9d-1e2f3a4b5c6d"
"""Client id of the sandbox app's system-assigned identity."""
TOKEN_EXCHANGE = "api://AzureADTokenExchange"
"""The audience of a token that an application shows instead of a secret (Microsoft Graph §2.5)."""
GRAPH = "https://graph.microsoft.com"
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_ALGORITHM = "RS256"


def is_on_this_machine(resource: str) -> bool:
    """Return whether it is an origin on this machine, where the sandbox has its own Microsoft Graph."""
    return urlsplit(resource).hostname in _LOOPBACK


def is_graph(resource: str) -> bool:
    """Return whether it is Microsoft Graph, the real one or the sandbox's.

    >>> is_graph("http://127.0.0.1:8082"), is_graph("https://graph.microsoft.us")
    (True, False)
    """
    return resource.rstrip("/") == GRAPH or is_on_this_machine(resource)


def issuer_of(tenant_id: str, resource: str) -> str:
    """Return who issues a tenant's tokens for a resource."""
    if resource == TOKEN_EXCHANGE:
        return f"https://login.microsoftonline.com/{tenant_id}/v2.0"
    return f"https://sts.windows.net/{tenant_id}/"


@dataclass(frozen=True)
class ManagedIdentity:
    """An identity of the app; every application has the same two ids in a tenant.

    Attributes:
        client_id: Selects a user-assigned identity in a request.
        principal_id: Its object id in the tenant; roles are assigned to this id.
    """

    client_id: str
    principal_id: str

    @classmethod
    def of(cls, client_id: str) -> ManagedIdentity:
        """Return the identity for a client id; the same client id always gives the same principal id."""
        return cls(client_id, str(uuid.uuid5(uuid.NAMESPACE_URL, client_id)))


class InvalidTokenError(Exception):
    """An access token is refused; the text says why, without the token."""


class InvalidAudienceError(InvalidTokenError):
    """An access token is valid for another audience only.

    Attributes:
        audience: The token's audience.
    """

    def __init__(self, audience: str) -> None:
        super().__init__(f"the token is for {audience}")
        self.audience = audience


@dataclass(frozen=True)
class TokenSigner:
    """Issues and checks access tokens.

    Attributes:
        key_file: RSA private key, PEM.
    """

    key_file: Path

    @property
    def _key(self) -> RSAPrivateKey:
        return _read_key(self.key_file.read_bytes())

    def issue(
        self,
        identity: ManagedIdentity,
        resource: str,
        *,
        issued_at: datetime,
        lifetime: timedelta,
        roles: Collection[str] = (),
        tenant_id: str = TENANT_ID,
    ) -> str:
        """Return a token that lets an identity use a resource, valid from five minutes before ``issued_at``.

        Without ``roles`` it has no such claim.
        """
        issuer = issuer_of(tenant_id, resource)
        claims = {
            "aud": resource,
            "iss": issuer,
            "iat": issued_at,
            "nbf": issued_at - timedelta(minutes=5),
            "exp": issued_at + lifetime,
            "appid": identity.client_id,
            "appidacr": "2",
            "idp": issuer,
            "idtyp": "app",
            "oid": identity.principal_id,
            "sub": identity.principal_id,
            "tid": tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        if roles:
            claims["roles"] = sorted(roles)
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": "sandbox"})

    def claims(self, token: str) -> Mapping[str, Any]:
        """Return what a token says, whoever it is for and whether or not its time has come or passed.

        Raises:
            InvalidTokenError: It is not one of ours.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[_ALGORITHM],
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "require": ["aud", "exp", "iat", "iss", "nbf", "oid", "sub", "tid"],
                },
            )
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error
        return claims

    def principal(self, token: str, *, audience: str) -> str:
        """Return the principal id of a valid token for ``audience``.

        Raises:
            InvalidAudienceError: It is for another audience.
            InvalidTokenError: It is not one of ours, has expired, or is not valid yet.
        """
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[_ALGORITHM],
                issuer=issuer_of(TENANT_ID, audience),
                options={"verify_aud": False, "require": ["aud", "exp", "nbf", "oid"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error
        if claims["aud"] != audience:
            raise InvalidAudienceError(str(claims["aud"]))
        return str(claims["oid"])


@cache
def _read_key(pem: bytes) -> RSAPrivateKey:
    """Return the key; checking its numbers takes as long as a hundred signatures."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("the file does not hold an RSA key")
    return key
