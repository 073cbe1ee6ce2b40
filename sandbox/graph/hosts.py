"""What the connector and its users meet of Microsoft, on one origin: Graph, Entra ID, and the pages of two portals.

Each is a host of its own in reality. Faults and the request record belong to Graph alone.
"""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.compliance_manager.pages import ComplianceManager
from sandbox.entra.consent_page import ConsentPage
from sandbox.entra.control import control_routes as entra_control_routes
from sandbox.entra.directory import Directories
from sandbox.entra.token_endpoint import TokenEndpoint
from sandbox.graph.app import create_app
from sandbox.graph.engine.world import World
from sandbox.graph.wire.bearer import BearerTokens
from sandbox.graph.wire.portal.pages import DefenderPortal
from sandbox.managed_identity.tokens import TENANT_ID, TokenSigner


def token_endpoint_for(world: World, signer: TokenSigner) -> TokenEndpoint:
    """Return the token endpoint of a world's tenants."""

    def cloud_of(tenant_id: str) -> str | None:
        return world.tenant(tenant_id).cloud if tenant_id in world else None

    return TokenEndpoint(Directories(cloud_of), signer)


def create_hosts(world: World, issuer: TokenEndpoint, plant: Callable[[World], None]) -> Starlette:
    """Return all hosts as one web application.

    Args:
        world: The tenants.
        issuer: Their token endpoint.
        plant: Fills the world again when the control API resets it.
    """
    consent_page = ConsentPage(issuer)

    def reset(emptied: World) -> None:
        issuer.reset()
        consent_page.reset()
        plant(emptied)

    return Starlette(
        routes=[
            *issuer.routes(),
            *consent_page.routes(),
            *entra_control_routes(issuer, consent_page),
            *DefenderPortal(world, TENANT_ID).routes(),
            *ComplianceManager().routes(),
            Mount("/", create_app(world, BearerTokens(issuer), reset)),
        ]
    )
