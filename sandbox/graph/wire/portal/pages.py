"""`/securescore` of the Defender portal: the recommended actions of a tenant, or one of them (Microsoft Graph §7)."""

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.graph.engine.control import Control
from sandbox.graph.engine.snapshot import ControlScore
from sandbox.graph.engine.tenant import Tenant
from sandbox.graph.engine.world import World

_TEMPLATES = Environment(
    loader=PackageLoader("sandbox.graph.wire.portal", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Row:
    """An action as the portal shows it; `score` is `None` if nothing is measured for it."""

    control: Control
    score: ControlScore | None

    @property
    def points(self) -> str:
        """Points achieved, as in `5/8`."""
        return "–" if self.score is None else f"{self.score.score:g}/{self.score.max_score:g}"

    @property
    def status(self) -> str:
        """The portal's word for a control that nobody has given another status (Microsoft Graph §1.7)."""
        if self.score is None:
            return "Not measured"
        return "Completed" if self.score.score >= self.score.max_score else "To address"


class DefenderPortal:
    """The pages for a world.

    Args:
        world: Its tenants.
        home_tenant_id: The tenant of whoever follows a link that names no other one with `tid`.
    """

    def __init__(self, world: World, home_tenant_id: str) -> None:
        self._world = world
        self._home_tenant_id = home_tenant_id

    def routes(self) -> list[Route]:
        """Return the page's route."""
        return [Route("/securescore", self._page, methods=["GET"])]

    async def _page(self, request: Request) -> Response:
        tenant_id = request.query_params.get("tid", self._home_tenant_id)
        if tenant_id not in self._world:
            return _rendered("missing.html", 404, what=f"tenant {tenant_id}")
        tenant = self._world.tenant(tenant_id)
        rows = {row.control.id: row for row in _rows(tenant)}
        action_id = request.query_params.get("actionId")
        if action_id is None:
            return _rendered("actions.html", tenant=tenant, rows=list(rows.values()))
        if action_id not in rows:
            return _rendered("missing.html", 404, what=f"action {action_id}")
        return _rendered("action.html", tenant=tenant, row=rows[action_id])


def _rows(tenant: Tenant) -> list[Row]:
    newest = tenant.snapshots[-1].scores if tenant.snapshots else ()
    scores = {score.control_id: score for score in newest}
    return [Row(control, scores.get(control.id)) for control in tenant.profiles()]


def _rendered(template: str, status: int = 200, **values: object) -> Response:
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status)
