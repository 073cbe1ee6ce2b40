"""Vaults on the wire: the data plane's routes, the 401 challenge, paging, and the control API under ``/sandbox``.

Every vault has its own port; in Azure it has its own host name.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.key_vault.faults import KINDS, Fault
from sandbox.key_vault.vault import RECOVERABLE_DAYS, DeletedSecret, KeyVaultError, Secret, Vault, Version
from sandbox.managed_identity.tokens import TENANT_ID, InvalidAudienceError, InvalidTokenError, TokenSigner

RESOURCE = "https://vault.azure.net"
CHALLENGE = f'Bearer authorization="https://login.microsoftonline.com/{TENANT_ID}", resource="{RESOURCE}"'
_MAXIMUM_PAGE = 25

type Handler = Callable[[Vault, Request], Awaitable[Response]]


@dataclass
class Endpoint:
    """A vault and what surrounds it.

    Attributes:
        vault: The vault.
        faults: Faults that wait for matching requests.
        requests: Every request so far, without values.
    """

    vault: Vault
    faults: list[Fault] = field(default_factory=list)
    requests: list[dict[str, object]] = field(default_factory=list)


def create_app(endpoints: Mapping[int, Endpoint], signer: TokenSigner) -> Starlette:
    """Return the vaults as one web application.

    Args:
        endpoints: The vaults, by the port on which each listens.
        signer: Checks access tokens.
    """

    def secured(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            endpoint = _meant(endpoints, request)
            principal_id: str | None = None
            try:
                principal_id = _authenticate(signer, request)
                fault = _fault(endpoint, request)
                if fault is not None:
                    response = _error(KINDS[fault.kind])
                    if fault.retry_after_s is not None:
                        response.headers["Retry-After"] = str(fault.retry_after_s)
                else:
                    _require_api_version(request)
                    response = await handler(endpoint.vault, request)
            except KeyVaultError as error:
                response = _error(error)
            response.headers["x-ms-keyvault-region"] = "sandbox"
            response.headers["x-ms-request-id"] = str(uuid.uuid4())
            endpoint.requests.append(
                {
                    "at": datetime.now(UTC).isoformat(),
                    "method": request.method,
                    "path": request.url.path,
                    "status": response.status_code,
                    "principal_id": principal_id,
                }
            )
            return response

        return answer

    def data(path: str, method: str, handler: Handler) -> Route:
        return Route(path, secured(handler), methods=[method])

    return Starlette(
        routes=[
            data("/secrets", "GET", _list_secrets),
            data("/secrets/{name}", "PUT", _set_secret),
            data("/secrets/{name}", "DELETE", _delete_secret),
            data("/secrets/{name}/versions", "GET", _list_versions),
            # A client that names no version sends an empty last segment.
            *(data(path, "GET", _get_secret) for path in ("/secrets/{name}", "/secrets/{name}/{version:path}")),
            *(data(path, "PATCH", _update_secret) for path in ("/secrets/{name}", "/secrets/{name}/{version:path}")),
            data("/deletedsecrets", "GET", _list_deleted_secrets),
            data("/deletedsecrets/{name}", "GET", _get_deleted_secret),
            data("/deletedsecrets/{name}", "DELETE", _purge_deleted_secret),
            data("/deletedsecrets/{name}/recover", "POST", _recover_deleted_secret),
            *_control(endpoints),
        ]
    )


def _meant(endpoints: Mapping[int, Endpoint], request: Request) -> Endpoint:
    return endpoints[request.scope["server"][1]]


def _authenticate(signer: TokenSigner, request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise KeyVaultError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
    try:
        return signer.principal(token, audience=RESOURCE)
    except InvalidAudienceError as error:
        raise KeyVaultError(
            401, "Unauthorized", f"AKV10022: Invalid audience. Expected {RESOURCE}, found: {error.audience}."
        ) from error
    except InvalidTokenError as error:
        raise KeyVaultError(401, "Unauthorized", f"Error validating token: {error}.") from error


def _fault(endpoint: Endpoint, request: Request) -> Fault | None:
    return next((fault for fault in endpoint.faults if fault.takes(request.method, request.url.path)), None)


def _require_api_version(request: Request) -> None:
    if not request.query_params.get("api-version"):
        raise KeyVaultError(400, "BadParameter", "api-version must be specified")


def _error(error: KeyVaultError) -> Response:
    body: dict[str, object] = {"code": error.code, "message": error.message}
    if error.inner_code:
        body["innererror"] = {"code": error.inner_code}
    headers = {"WWW-Authenticate": CHALLENGE} if error.status == 401 else {}
    return JSONResponse({"error": body}, status_code=error.status, headers=headers)


async def _body(request: Request) -> Mapping[str, object]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, Mapping):
        raise KeyVaultError(400, "BadParameter", "The request body is not a JSON object.")
    return body


def _item(vault: Vault, secret: Secret, version: Version, *, versioned: bool = True) -> dict[str, Any]:
    attributes: dict[str, object] = {
        "enabled": version.enabled,
        "created": int(version.created_at.timestamp()),
        "updated": int(version.updated_at.timestamp()),
        "recoveryLevel": vault.recovery_level,
        "recoverableDays": RECOVERABLE_DAYS,
    }
    if version.not_before is not None:
        attributes["nbf"] = version.not_before
    if version.expires is not None:
        attributes["exp"] = version.expires
    item: dict[str, Any] = {
        "id": f"{vault.url}/secrets/{secret.name}" + (f"/{version.id}" if versioned else ""),
        "attributes": attributes,
    }
    if version.content_type is not None:
        item["contentType"] = version.content_type
    if version.tags:
        item["tags"] = version.tags
    return item


def _deleted_item(vault: Vault, deleted: DeletedSecret, *, versioned: bool = True) -> dict[str, Any]:
    return _item(vault, deleted.secret, deleted.secret.current, versioned=versioned) | {
        "recoveryId": f"{vault.url}/deletedsecrets/{deleted.secret.name}",
        "deletedDate": int(deleted.deleted_at.timestamp()),
        "scheduledPurgeDate": int(deleted.purged_at.timestamp()),
    }


def _page(vault: Vault, request: Request, items: Sequence[dict[str, Any]]) -> Response:
    size = int(request.query_params.get("maxresults", _MAXIMUM_PAGE))
    if not 1 <= size <= _MAXIMUM_PAGE:
        raise KeyVaultError(400, "BadParameter", f"maxresults must be between 1 and {_MAXIMUM_PAGE}")
    start = int(request.query_params.get("$skiptoken", 0))
    end = start + size
    following = request.url.include_query_params(**{"$skiptoken": end, "maxresults": size})
    next_link = f"{vault.url}{following.path}?{following.query}" if end < len(items) else None
    return JSONResponse({"value": items[start:end], "nextLink": next_link})


async def _set_secret(vault: Vault, request: Request) -> Response:
    secret, version = vault.set_secret(request.path_params["name"], await _body(request))
    return JSONResponse({"value": version.value} | _item(vault, secret, version))


async def _get_secret(vault: Vault, request: Request) -> Response:
    secret, version = vault.get_secret(request.path_params["name"], request.path_params.get("version", ""))
    return JSONResponse({"value": version.value} | _item(vault, secret, version))


async def _update_secret(vault: Vault, request: Request) -> Response:
    name, version_id = request.path_params["name"], request.path_params.get("version", "")
    return JSONResponse(_item(vault, *vault.update_secret(name, version_id, await _body(request))))


async def _delete_secret(vault: Vault, request: Request) -> Response:
    return JSONResponse(_deleted_item(vault, vault.delete_secret(request.path_params["name"])))


async def _list_secrets(vault: Vault, request: Request) -> Response:
    items = [_item(vault, secret, version, versioned=False) for secret, version in vault.list_secrets()]
    return _page(vault, request, items)


async def _list_versions(vault: Vault, request: Request) -> Response:
    versions = vault.list_versions(request.path_params["name"])
    return _page(vault, request, [_item(vault, secret, version) for secret, version in versions])


async def _get_deleted_secret(vault: Vault, request: Request) -> Response:
    return JSONResponse(_deleted_item(vault, vault.get_deleted_secret(request.path_params["name"])))


async def _list_deleted_secrets(vault: Vault, request: Request) -> Response:
    items = [_deleted_item(vault, deleted, versioned=False) for deleted in vault.list_deleted_secrets()]
    return _page(vault, request, items)


async def _recover_deleted_secret(vault: Vault, request: Request) -> Response:
    return JSONResponse(_item(vault, *vault.recover_deleted_secret(request.path_params["name"])))


async def _purge_deleted_secret(vault: Vault, request: Request) -> Response:
    vault.purge_deleted_secret(request.path_params["name"])
    return Response(status_code=204)


def _control(endpoints: Mapping[int, Endpoint]) -> list[Route]:
    async def faults(request: Request) -> Response:
        waiting = _meant(endpoints, request).faults
        if request.method == "POST":
            wanted = await request.json()
            if wanted.get("kind") not in KINDS:
                return JSONResponse({"error": f"kind is one of {', '.join(KINDS)}"}, status_code=400)
            waiting.append(Fault(**wanted))
        elif request.method == "DELETE":
            waiting.clear()
        return JSONResponse([asdict(fault) for fault in waiting])

    async def requests(request: Request) -> Response:
        log = _meant(endpoints, request).requests
        if request.method == "DELETE":
            log.clear()
        return JSONResponse(log)

    async def settings(request: Request) -> Response:
        vault = _meant(endpoints, request).vault
        wanted = await request.json()
        if "purge_protection" in wanted:
            vault.purge_protection = bool(wanted["purge_protection"])
        if "governance_policy" in wanted:
            vault.governance_policy = bool(wanted["governance_policy"])
        if "gives_out_expired" in wanted:
            vault.gives_out_expired = bool(wanted["gives_out_expired"])
        if "transition_s" in wanted:
            vault.transition = timedelta(seconds=wanted["transition_s"])
        return JSONResponse(
            {
                "purge_protection": vault.purge_protection,
                "governance_policy": vault.governance_policy,
                "gives_out_expired": vault.gives_out_expired,
                "transition_s": vault.transition.total_seconds(),
            }
        )

    return [
        Route("/sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/sandbox/requests", requests, methods=["GET", "DELETE"]),
        Route("/sandbox/settings", settings, methods=["PATCH"]),
    ]
