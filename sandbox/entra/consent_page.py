"""The page on which an administrator lets an application into a tenant (Microsoft Graph §2.4; §S, 16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.entra.directory import GRAPH_HOSTS, Application, Directories
from sandbox.entra.token_endpoint import TokenEndpoint

ANY_TENANT = "organizations"
"""Instead of a tenant in the address: that of whoever signs in."""
_DELAY = timedelta(seconds=30)


class ConsentRefusedError(Exception):
    """Entra ID shows an error page and sends nobody back; the text says why."""


@dataclass
class ConsentPage:
    """Asks whoever opens it for the consent of their tenant.

    Nobody signs in here: the form asks whether its reader is an administrator, and of which tenant.

    Attributes:
        issuer: Issues the tokens, and knows the applications.
        delay: How long tokens do not show the new roles.
        granted: The roles that a consent grants; None means those that the application asks for.
    """

    issuer: TokenEndpoint
    delay: timedelta = _DELAY
    granted: Sequence[str] | None = None

    @property
    def directories(self) -> Directories:
        """The applications and the tenants."""
        return self.issuer.directories

    def reset(self) -> None:
        """Return to the beginning."""
        self.delay = _DELAY
        self.granted = None

    def routes(self) -> list[Route]:
        """Return the page, and where its form goes."""
        path = "/{tenant}/v2.0/adminconsent"
        return [Route(path, self._show, methods=["GET"]), Route(path, self._decide, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        try:
            application = self._application(request.path_params["tenant"], request.query_params)
        except ConsentRefusedError as refused:
            return _page("Sorry, but we’re having trouble signing you in.", f"<p>{escape(str(refused))}</p>", 400)
        tenant_id = request.path_params["tenant"]
        field = (
            '<label>Your tenant <input name="tenant_id" required></label>'
            if tenant_id == ANY_TENANT
            else f"<p>Tenant <code>{escape(tenant_id)}</code></p>"
        )
        roles = "".join(f"<li><code>{escape(role)}</code></li>" for role in application.required_roles)
        buttons = "".join(
            f'<button name="decision" value="{value}">{text}</button> '
            for value, text in (
                ("accept", "Accept"),
                ("cancel", "Cancel"),
                ("not_administrator", "I am not an administrator"),
            )
        )
        body = f'<p>This app would like to:</p><ul>{roles}</ul><form method="post">{field}<p>{buttons}</p></form>'
        return _page("Permissions requested: review for your organization", body)

    async def _decide(self, request: Request) -> Response:
        query = request.query_params
        try:
            application = self._application(request.path_params["tenant"], query)
        except ConsentRefusedError as refused:
            return _page("Sorry, but we’re having trouble signing you in.", f"<p>{escape(str(refused))}</p>", 400)
        form = dict(parse_qsl((await request.body()).decode()))
        decision, tenant_id = form.get("decision"), request.path_params["tenant"]
        tenant_id = form.get("tenant_id", "") if tenant_id == ANY_TENANT else tenant_id
        if decision == "not_administrator":
            return _page("Need admin approval", "<p>Ask an administrator to grant permission to this app.</p>")
        answer = {"admin_consent": "True", "state": query.get("state", "")}
        if decision != "accept":
            # Microsoft says that there is a consent, with refusals, too.
            answer |= {
                "error": "consent_required",
                "error_description": "AADSTS65004: User declined to consent to access the app.",
            }
            return _back(query["redirect_uri"], answer)
        roles = application.required_roles if self.granted is None else self.granted
        try:
            self.directories.consent(
                tenant_id, application.client_id, *roles, shown_from=self.issuer.clock.now() + self.delay
            )
        except KeyError:
            return _page("Sorry, but we’re having trouble signing you in.", "<p>AADSTS90002</p>", 400)
        scopes = " ".join(f"{GRAPH_HOSTS['global']}/{role}" for role in roles)
        return _back(query["redirect_uri"], answer | {"tenant": tenant_id, "scope": scopes})

    def _application(self, tenant_id: str, query: Mapping[str, str]) -> Application:
        application = self.directories.applications.get(query.get("client_id", ""))
        if tenant_id != ANY_TENANT and self.directories.cloud_of(tenant_id) is None:
            raise ConsentRefusedError(f"AADSTS90002: Tenant '{tenant_id}' not found.")
        if application is None:
            raise ConsentRefusedError("AADSTS700016: The application was not found.")
        if query.get("redirect_uri") not in application.redirect_uris:
            raise ConsentRefusedError("AADSTS50011: The redirect URI does not match those of the application.")
        if not query.get("scope", "").endswith("/.default"):
            raise ConsentRefusedError("AADSTS70011: Application permissions come only with /.default.")
        return application


def _back(address: str, answer: Mapping[str, str]) -> Response:
    return RedirectResponse(f"{address}?{urlencode(answer)}", 302)


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="en"><title>{escape(title)}</title><h1>{escape(title)}</h1>{body}</html>', status
    )
