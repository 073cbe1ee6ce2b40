"""The control API's handlers for tenants: what people do there, and what Microsoft does (Microsoft Graph §S, 5)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from starlette.requests import Request

from sandbox.graph.engine.catalogue.catalogue import invented_control
from sandbox.graph.engine.disposition import State
from sandbox.graph.engine.population import Population
from sandbox.graph.engine.tenant import Tenant
from sandbox.graph.engine.world import World
from sandbox.graph.stage.seed.tenants import Plan, tenant_of_plan

type Json = dict[str, Any]


class TenantsControl:
    """Everything below `/tenants`. A control is named in the body, since ids may hold any character."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handlers(self) -> dict[tuple[str, str], Callable[[Request, Json], object]]:
        """Return the handlers of its paths."""
        one = "/tenants/{tenant_id}"
        return {
            ("GET", "/tenants"): self._list,
            ("POST", "/tenants"): self._add,
            ("GET", one): self._show,
            ("GET", f"{one}/controls"): self._list_controls,
            ("POST", f"{one}/share"): self._set_share,
            ("POST", f"{one}/decide"): self._decide,
            ("POST", f"{one}/grow"): self._grow,
            ("POST", f"{one}/licences"): self._change_licences,
            ("POST", f"{one}/missing-days"): self._miss_day,
            ("POST", f"{one}/controls/add"): self._add_control,
            ("POST", f"{one}/controls/change"): self._change_control,
            ("POST", f"{one}/controls/remove"): self._remove_control,
            ("POST", f"{one}/controls/rename"): self._rename_control,
        }

    def _tenant(self, request: Request) -> Tenant:
        return self._world.tenant(request.path_params["tenant_id"])

    def _list(self, _: Request, __: Json) -> object:
        return {"tenants": [_shown(tenant) for tenant in self._world.tenants().values()]}

    def _add(self, _: Request, body: Json) -> object:
        population = Population(**body.pop("population", {}))
        plan = Plan(**body, population=population)
        self._world.add(tenant_of_plan(plan, self._world))
        return _shown(self._world.tenant(plan.tenant_id))

    def _show(self, request: Request, _: Json) -> object:
        return _shown(self._tenant(request))

    def _list_controls(self, request: Request, _: Json) -> object:
        tenant = self._tenant(request)
        newest = tenant.snapshots[-1].scores if tenant.snapshots else ()
        scores = {score.control_id: score for score in newest}
        return {"controls": [_shown_control(tenant, control_id, scores) for control_id in tenant.controls]}

    def _set_share(self, request: Request, body: Json) -> object:
        tenant, control_id = self._tenant(request), body["control"]
        compliant, total = tenant.truth(control_id)
        present = compliant / total if total else 1.0
        share = (present + 1) / 2 if body["share"] == "half" else float(body["share"])
        tenant.set_share(control_id, share, self._world.clock.now())
        compliant, total = tenant.truth(control_id)
        return {"compliant": compliant, "total": total}

    def _decide(self, request: Request, body: Json) -> object:
        control_id, state = body.pop("control"), State(body.pop("state"))
        self._world.decide(request.path_params["tenant_id"], control_id, state, **body)
        return {}

    def _grow(self, request: Request, body: Json) -> object:
        tenant = self._tenant(request)
        grown = tenant.population.now.grown(**{"devices": {}, **body})
        tenant.grow(grown, self._world.clock.now())
        return _shown(tenant)

    def _change_licences(self, request: Request, body: Json) -> object:
        tenant = self._tenant(request)
        for name in body.get("add", ()):
            tenant.add_licence(name, self._world.clock.now())
        for name in body.get("remove", ()):
            tenant.remove_licence(name)
        return _shown(tenant)

    def _miss_day(self, request: Request, body: Json) -> object:
        tenant = self._tenant(request)
        day = date.fromisoformat(body["day"])
        tenant.missing_days.add(day)
        kept = [snapshot for snapshot in tenant.snapshots if snapshot.day != day]
        tenant.snapshots.clear()
        tenant.snapshots.extend(kept)
        return _shown(tenant)

    def _add_control(self, request: Request, body: Json) -> object:
        control = invented_control(
            body["control"], body["title"], body["service"], max_score=float(body.get("max_score", 5))
        )
        self._tenant(request).add_control(control, self._world.clock.now())
        return asdict(control)

    def _change_control(self, request: Request, body: Json) -> object:
        return asdict(self._tenant(request).change_control(body["control"], **body["changes"]))

    def _remove_control(self, request: Request, body: Json) -> object:
        self._tenant(request).remove_control(body["control"])
        return {}

    def _rename_control(self, request: Request, body: Json) -> object:
        self._tenant(request).rename_control(body["control"], *body["to"])
        return {}


def _shown(tenant: Tenant) -> Json:
    newest = tenant.snapshots[-1] if tenant.snapshots else None
    return {
        "id": tenant.id,
        "name": tenant.name,
        "cloud": tenant.cloud,
        "licences": sorted(tenant.licences),
        "population": asdict(tenant.population.now),
        "profiles": len(tenant.profiles()),
        "days": [snapshot.day.isoformat() for snapshot in tenant.snapshots],
        "newest": None
        if newest is None
        else {
            "id": newest.id,
            "current_score": newest.current_score,
            "max_score": newest.max_score,
            "controls": len(newest.scores),
        },
    }


def _shown_control(tenant: Tenant, control_id: str, scores: Mapping[str, Any]) -> Json:
    control, score = tenant.controls[control_id], scores.get(control_id)
    compliant, total = tenant.truth(control_id)
    return {
        "id": control_id,
        "title": control.title,
        "service": control.service,
        "measure": control.measure,
        "max_score": control.max_score,
        "compliant": compliant,
        "total": total,
        "score": None if score is None else score.score,
        "last_synced": None if score is None else score.last_synced_at.isoformat(),
    }
