"""The token endpoint of every tenant, for client credentials (Microsoft Graph §2.5, §2.6).

The reference names the codes AADSTS700016, 7000112, 90002 and 700213, and 700236 for a foreign tenant's identity. The
other codes are those that Entra ID is generally known for; nothing in the reference contradicts them.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qsl

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import Clock
from sandbox.entra.directory import GRAPH_HOSTS, Application, Directories, FederatedCredential
from sandbox.managed_identity.tokens import InvalidTokenError, ManagedIdentity, TokenSigner, is_on_this_machine

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEFAULT = "/.default"
_HOUR = timedelta(seconds=3599)
"""What Entra ID means by it."""
_CERTIFICATE_ALGORITHMS = ["PS256", "RS256"]


class TokenRefusedError(Exception):
    """A token request that is refused.

    Attributes:
        status: Of the answer.
        error: The OAuth code.
        code: The number after ``AADSTS``.
        description: Says what is wrong.
    """

    def __init__(self, status: int, error: str, code: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that the next request gets, whatever it asks for.

    Attributes:
        status: 429 or 503, say.
        retry_after: The value of the header of that name, or ``None`` for none.
    """

    status: int
    retry_after: str | None = None


@dataclass
class TokenEndpoint:
    """Issues access tokens for Microsoft Graph.

    Attributes:
        directories: Who may have which.
        signer: Signs them, and checks the assertions of managed identities.
        clock: Entra ID's clock.
        lifetime: How long a token is valid.
        unauthorized_status: The status of AADSTS700016: sources say 400 or 401.
        failures: The next answers, in order; empty means none.
        requests: Every request so far: ``at``, ``tenant_id``, ``client_id``, ``claims``, ``status``.
    """

    directories: Directories
    signer: TokenSigner
    clock: Clock = field(default_factory=Clock)
    lifetime: timedelta = _HOUR
    unauthorized_status: int = 400
    failures: list[Failure] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)

    def reset(self) -> None:
        """Return to the beginning: no application, no failure, real time."""
        self.directories.clear()
        self.clock.reset()
        self.lifetime = _HOUR
        self.unauthorized_status = 400
        self.failures.clear()
        self.requests.clear()

    def routes(self) -> list[Route]:
        """Return the endpoint of every tenant."""
        return [Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"])]

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        tenant_id = request.path_params["tenant"]
        response = self._answer(tenant_id, form, request.headers.get("client-request-id"))
        self.requests.append(
            {
                "at": self.clock.now().isoformat(),
                "tenant_id": tenant_id,
                "client_id": form.get("client_id"),
                "claims": form.get("claims"),
                "status": response.status_code,
            }
        )
        return response

    def _answer(self, tenant_id: str, form: Mapping[str, str], correlation_id: str | None) -> Response:
        try:
            if self.failures:
                failure = self.failures.pop(0)
                refusal = TokenRefusedError(
                    failure.status, "temporarily_unavailable", 90033, "A transient error has occurred. Try again."
                )
                headers = {} if failure.retry_after is None else {"Retry-After": failure.retry_after}
                return self._refusal(refusal, correlation_id, headers)
            access_token = self._issue(tenant_id, form)
        except TokenRefusedError as refusal:
            return self._refusal(refusal, correlation_id, {})
        lifetime_s = int(self.lifetime.total_seconds())
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": lifetime_s,
                "ext_expires_in": lifetime_s,
                "access_token": access_token,
            }
        )

    def _issue(self, tenant_id: str, form: Mapping[str, str]) -> str:
        cloud = self.directories.cloud_of(tenant_id)
        if cloud is None:
            raise TokenRefusedError(400, "invalid_request", 90002, f"Tenant '{tenant_id}' not found.")
        if form.get("grant_type") != "client_credentials":
            raise TokenRefusedError(
                400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
            )
        client_id = form.get("client_id", "")
        there = self.directories.consents.get((tenant_id, client_id))
        application = self.directories.applications.get(client_id)
        if there is None or application is None:
            raise TokenRefusedError(
                self.unauthorized_status,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory '{tenant_id}'.",
            )
        if not there.enabled:
            raise TokenRefusedError(
                self.unauthorized_status, "unauthorized_client", 7000112, f"Application '{client_id}' is disabled."
            )
        self._authenticate(application, tenant_id, form)
        return self.signer.issue(
            ManagedIdentity(client_id, there.object_id),
            _resource(tenant_id, cloud, form.get("scope", "")),
            issued_at=self.clock.now(),
            lifetime=self.lifetime,
            roles=there.shown_roles(self.clock.now()),
            tenant_id=tenant_id,
        )

    def _authenticate(self, application: Application, tenant_id: str, form: Mapping[str, str]) -> None:
        if "client_secret" in form:
            self._check_secret(application, form["client_secret"])
        elif form.get("client_assertion_type") == _ASSERTION_TYPE and "client_assertion" in form:
            assertion = form["client_assertion"]
            if _claims_to_be(assertion, application):
                self._check_certificate(application, tenant_id, assertion)
            else:
                self._check_federation(application, assertion)
        else:
            raise _invalid_client(7000216, "'client_assertion' or 'client_secret' is required.")

    def _check_secret(self, application: Application, secret: str) -> None:
        for known, ends_at in application.secrets.items():
            if hmac.compare_digest(known.encode(), secret.encode()):
                if self.clock.now() >= ends_at:
                    raise _invalid_client(7000222, "The provided client secret keys are expired.")
                return
        raise _invalid_client(7000215, "Invalid client secret provided.")

    def _check_certificate(self, application: Application, tenant_id: str, assertion: str) -> None:
        for pem in application.certificates:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            key = certificate.public_key()
            if not isinstance(key, RSAPublicKey):
                raise TypeError("Entra ID takes certificates with RSA keys only")
            try:
                claims = jwt.decode(
                    assertion,
                    key,
                    algorithms=_CERTIFICATE_ALGORITHMS,
                    options={
                        "verify_aud": False,
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                        "require": ["aud", "exp"],
                    },
                )
            except jwt.InvalidTokenError:
                continue
            now = self.clock.now()
            own_end_at = certificate.not_valid_after_utc
            if now >= min(own_end_at, application.certificates_end_at or own_end_at):
                raise _invalid_client(700027, "The certificate used to sign the client assertion is expired.")
            if now.timestamp() >= claims["exp"]:
                raise _invalid_client(700024, "Client assertion is not within its valid time range.")
            if not str(claims.get("aud")).endswith(f"/{tenant_id}/oauth2/v2.0/token"):
                raise _invalid_client(700023, "Client assertion audience claim does not match.")
            return
        raise _invalid_client(700027, "The certificate with identifier used to sign the client assertion is unknown.")

    def _check_federation(self, application: Application, assertion: str) -> None:
        try:
            claims = self.signer.claims(assertion)
        except InvalidTokenError as error:
            raise _invalid_client(50027, "JWT token is invalid or malformed.") from error
        if self.clock.now().timestamp() >= claims["exp"]:
            raise _invalid_client(700024, "Client assertion is not within its valid time range.")
        if claims["tid"] != application.home_tenant_id:
            raise _invalid_client(700236, "The issuer belongs to another tenant than the application.")
        shown = FederatedCredential(claims["iss"], claims["sub"], claims["aud"])
        if shown not in application.federated_credentials:
            raise _invalid_client(
                700213,
                f"No matching federated identity record found for presented assertion subject '{shown.subject}'.",
            )

    def _refusal(self, refusal: TokenRefusedError, correlation_id: str | None, headers: Mapping[str, str]) -> Response:
        trace_id, correlation_id = str(uuid.uuid4()), correlation_id or str(uuid.uuid4())
        timestamp = f"{self.clock.now():%Y-%m-%d %H:%M:%SZ}"
        return JSONResponse(
            {
                "error": refusal.error,
                "error_description": (
                    f"AADSTS{refusal.code}: {refusal.description} Trace ID: {trace_id} "
                    f"Correlation ID: {correlation_id} Timestamp: {timestamp}"
                ),
                "error_codes": [refusal.code],
                "timestamp": timestamp,
                "trace_id": trace_id,
                "correlation_id": correlation_id,
                "error_uri": f"https://login.microsoftonline.com/error?code={refusal.code}",
            },
            refusal.status,
            headers=dict(headers),
        )


def _invalid_client(code: int, description: str) -> TokenRefusedError:
    return TokenRefusedError(401, "invalid_client", code, description)


def _claims_to_be(assertion: str, application: Application) -> bool:
    """Return whether an assertion names the application itself as its issuer, as one signed by its certificate does."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise _invalid_client(50027, "JWT token is invalid or malformed.") from error
    return bool(claims.get("iss") == claims.get("sub") == application.client_id)


def _resource(tenant_id: str, cloud: str, scope: str) -> str:
    if not scope.endswith(_DEFAULT):
        raise TokenRefusedError(
            400,
            "invalid_scope",
            1002012,
            f"The scope {scope} is not valid: it has to end in /.default.",
        )
    resource = scope.removesuffix(_DEFAULT)
    if resource.rstrip("/") != GRAPH_HOSTS[cloud] and not is_on_this_machine(resource):
        raise TokenRefusedError(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {resource} was not found in the tenant named {tenant_id}.",
        )
    return resource
