"""Checks the bearer tokens that the sandbox's identity endpoints sign (Microsoft Graph §2.6, §S, 18)."""

from functools import cached_property
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from starlette.requests import Request

from sandbox.graph.engine.world import World
from sandbox.graph.wire.caller import GRAPH_HOSTS, Caller
from sandbox.graph.wire.errors import invalid_token


class BearerTokens:
    """An :data:`sandbox.graph.wire.caller.Authorize` for JWTs with `aud`, `tid`, `roles` and `exp`.

    A token is good for its tenant alone. Its audience is that tenant's cloud, or the address of the simulator itself.
    """

    def __init__(self, world: World, token_key: Path) -> None:
        self._world = world
        self._token_key = token_key

    @cached_property
    def _public_key(self) -> RSAPublicKey:
        key = load_pem_private_key(self._token_key.read_bytes(), password=None).public_key()
        assert isinstance(key, RSAPublicKey)
        return key

    def __call__(self, request: Request) -> Caller:
        """Return the caller of a request. Raises GraphError (401)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise invalid_token("Access token is empty.")
        try:
            claims = jwt.decode(
                token.strip(),
                self._public_key,
                algorithms=["RS256"],
                options={"verify_aud": False, "verify_exp": False, "require": ["aud", "exp", "tid"]},
            )
        except jwt.InvalidTokenError as error:
            raise invalid_token("CompactToken parsing failed with error code: 80049217") from error
        if claims["exp"] <= self._world.clock.now().timestamp():
            raise invalid_token("Lifetime validation failed, the token is expired.")
        tenant_id = str(claims["tid"])
        if tenant_id not in self._world:
            raise invalid_token("Access token validation failure. Invalid tenant.")
        own = {GRAPH_HOSTS[self._world.tenant(tenant_id).cloud], f"{request.url.scheme}://{request.url.netloc}"}
        if str(claims["aud"]).rstrip("/") not in own:
            raise invalid_token("Access token validation failure. Invalid audience.")
        return Caller(tenant_id, frozenset(claims.get("roles", ())))
