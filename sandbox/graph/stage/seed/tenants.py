"""Five tenants: full licences, a smaller plan, free, brand new, and one of the China cloud (Microsoft Graph §S, 1)."""

import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sandbox.graph.engine.catalogue.catalogue import catalogue, score_only
from sandbox.graph.engine.control import Control
from sandbox.graph.engine.licences import services_of
from sandbox.graph.engine.population import Population
from sandbox.graph.engine.tenant import DAYS_KEPT, Cloud, History, Tenant
from sandbox.graph.engine.world import World
from sandbox.managed_identity.tokens import TENANT_ID

E5 = TENANT_ID
"""The tenant of the sandbox's managed identity: 460 profiles, about 230 scores."""
BUSINESS_PREMIUM = "7d3c1b52-40a8-4f1e-8d27-5b9e6a0c3f11"
"""All profiles, but no device is assessed."""
FREE = "c0a5f1e3-92b7-4d68-a1f4-3e8b7d2c9a05"
"""16 controls with a maximum of 64 points."""
NEW = "e4b81d97-5c26-4a3f-b90e-1f7a2d6c8b34"
"""Created today: no snapshot yet."""
CHINA = "a96e2c70-1b4d-4e85-93d8-6c0f5a7b2e19"
"""A tenant of 21Vianet's cloud, where Secure Score does not exist."""

_FREE_MAXIMA: Mapping[str, float] = {
    "AdminMFAV2": 10,
    "BlockLegacyAuthentication": 8,
    "exo_mailtipsenabled": 3,
    "IntegratedApps": 4,
    "mdo_autoforwardingmode": 1,
    "mdo_bulkthreshold": 1,
    "meeting_anonymousstartmeeting_v1": 1,
    "meeting_externalrequestcontrol_v1": 1,
    "meeting_pstnusersbypasslobby_v1": 1,
    "MFARegistrationV2": 9,
    "OneAdmin": 1,
    "PWAgePolicyNew": 8,
    "RoleOverlap": 1,
    "SelfServicePasswordReset": 1,
    "SigninRiskPolicy": 7,
    "UserRiskPolicy": 7,
}
_NEED_ENTRA_P2 = frozenset({"SigninRiskPolicy", "UserRiskPolicy"})
"""Listed in every tenant, but without points where the licence is missing (Microsoft Graph §6)."""
_MEASURED_BEFORE = timedelta(days=40)
"""Longer than any cadence, so that each control is in the first snapshot."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to make a tenant.

    Attributes:
        maturity: Share of the controls that are in place, about.
        days: Days of history.
        maxima: Its only controls with their maxima, or empty for the whole catalogue.
    """

    tenant_id: str
    name: str
    cloud: Cloud = "global"
    licences: Collection[str] = ()
    population: Population = field(default_factory=Population)
    maturity: float = 0.4
    days: int = DAYS_KEPT
    maxima: Mapping[str, float] = field(default_factory=dict)


PLANS: tuple[Plan, ...] = (
    Plan(
        tenant_id=E5,
        name="Contoso",
        licences=(
            "defender_for_cloud_apps",
            "defender_for_endpoint_p2",
            "defender_for_identity",
            "defender_for_office_p2",
            "entra_p2",
            "exchange",
            "intune",
            "office",
            "purview_p2",
            "sharepoint",
            "teams",
        ),
        population=Population(users=200, admins=6, domains=3, devices={"windows": 180}),
    ),
    Plan(
        tenant_id=BUSINESS_PREMIUM,
        name="Fabrikam",
        licences=(
            "defender_for_business",
            "defender_for_office_p1",
            "entra_p1",
            "exchange",
            "intune",
            "office",
            "purview_p1",
            "sharepoint",
            "teams",
        ),
        population=Population(users=45, admins=2, domains=1, devices={"windows": 40, "mobile": 25}),
        maturity=0.3,
    ),
    Plan(
        tenant_id=FREE,
        name="Tailspin Toys",
        licences=("entra_free", "exchange", "exchange_online_protection", "sharepoint", "teams"),
        population=Population(users=8, admins=1, domains=1),
        maturity=0.25,
        maxima=_FREE_MAXIMA,
    ),
    Plan(
        tenant_id=NEW,
        name="Adventure Works",
        licences=("entra_p1", "exchange", "sharepoint", "teams"),
        population=Population(users=1, admins=1, domains=1),
        maturity=0,
        days=0,
    ),
    Plan(tenant_id=CHINA, name="Wide World Importers", cloud="china", days=0),
)


def plant(world: World, plans: Iterable[Plan] = PLANS, *, seed: int = 1) -> None:
    """Replace all tenants of `world` by those of `plans`; the same seed gives the same tenants."""
    world.clear()
    for plan in plans:
        world.add(tenant_of_plan(plan, world, seed=seed))


def tenant_of_plan(plan: Plan, world: World, *, seed: int = 1) -> Tenant:
    """Return the tenant that a plan describes, with its history until the present of `world`; it does not join it."""
    now = world.clock.now()
    newest_day = (now - timedelta(hours=world.switches.number("snapshot.hour"))).date()
    first_day = newest_day - timedelta(days=plan.days - 1)
    since = datetime.combine(first_day, now.timetz().replace(hour=0, minute=0, second=0, microsecond=0))
    tenant = Tenant(
        id=plan.tenant_id,
        name=plan.name,
        cloud=plan.cloud,
        seed=f"{seed}/{plan.tenant_id}",
        licences=set(plan.licences),
        population=History(since - _MEASURED_BEFORE if plan.days else now, plan.population),
        next_day=first_day,
    )
    if plan.cloud == "china":
        return tenant
    measured = services_of(plan.licences) if plan.days else frozenset[str]()
    for control in _controls(plan):
        if control.service in measured and not _is_out_of_reach(control, plan):
            _add_with_past(tenant, control, plan.maturity, since, now)
        else:
            tenant.add_control(control, tenant.population.changed_at[0])
    return tenant


def _controls(plan: Plan) -> list[Control]:
    if plan.maxima:
        return [
            replace(control, max_score=float(plan.maxima[control.id]))
            for control in catalogue()
            if control.id in plan.maxima
        ]
    return [*catalogue(), *score_only()]


def _is_out_of_reach(control: Control, plan: Plan) -> bool:
    return control.id in _NEED_ENTRA_P2 and "entra_p2" not in plan.licences


def _add_with_past(tenant: Tenant, control: Control, maturity: float, since: datetime, now: datetime) -> None:
    """Add a control with its state at the beginning and, for some, the time at which somebody changed it."""
    noise = random.Random(f"{tenant.seed}/{control.id}/state")  # noqa: S311 - a repeatable choice, no secret
    is_in_place = noise.random() < maturity
    share = 1.0 if is_in_place else noise.choice((0, 0, 0.2, 0.55, 0.8))
    tenant.add_control(control, since - _MEASURED_BEFORE, share=share)
    if noise.random() < 0.12:
        changed_at = since + (now - since) * noise.uniform(0.1, 0.9)
        later = 1.0 if not is_in_place else noise.choice((0, 0.6))
        tenant.set_share(control.id, later, changed_at.replace(microsecond=0))
