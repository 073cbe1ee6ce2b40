"""Reads the catalogue and fills its gaps with values as they come on the wire (Microsoft Graph §1.2, §1.5)."""

import json
import random
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.graph.engine.catalogue import texts
from sandbox.graph.engine.control import Control, Measure

_FILE = Path(__file__).with_name("controls.json")

_MEASURES: Mapping[str, Measure] = {
    "AdminMFAV2": Measure.ADMINS,
    "BlockLegacyAuthentication": Measure.USERS,
    "MFARegistrationV2": Measure.USERS,
    "SelfServicePasswordReset": Measure.USERS,
    "SigninRiskPolicy": Measure.USERS,
    "UserRiskPolicy": Measure.USERS,
    "OneAdmin": Measure.GLOBAL_ADMINS,
    "RoleOverlap": Measure.GLOBAL_ADMINS,
    "exo_mailboxaudit": Measure.USERS,
    "exo_SPF_records_for_all_domains": Measure.DOMAINS,
}
_COSTS = ("Unknown",) * 14 + ("low",) * 3 + ("Medium",) * 3 + ("Low", "medium", "high", "Moderate")
_IMPACTS: tuple[str | None, ...] = (
    ("Unknown",) * 14 + (None, None) + ("low", "low", "high", "Moderate", "High", "medium", "Low", "moderate")
)
_RANKS = (10, 10, 10, 128, 128, 60, 61, 65, 67, 9, 35, 82)
_THREATS = (
    (),
    (),
    ("Account breach", "Data Exfiltration"),
    ("Account Breach", "Elevation of Privilege", "Malicious Insider"),
    ("Password cracking", "Account breach"),
    ("Data Deletion", "Data Spillage"),
)
_URLS: Mapping[str, str] = {
    "MDATP": "https://security.microsoft.com/security-recommendations",
    "MDO": "https://security.microsoft.com/threatpolicy",
    "AzureAD": "https://aka.ms/entra-secure-score",
    "MIP": "https://go.microsoft.com/fwlink/?linkid=2173085",
}


@cache
def catalogue() -> tuple[Control, ...]:
    """Return the 460 controls, sorted by id without regard to case."""
    rows = json.loads(_FILE.read_text(encoding="utf-8"))["controls"]
    return tuple(sorted((_control(row) for row in rows), key=lambda control: control.id.lower()))


@cache
def score_only() -> tuple[Control, ...]:
    """Return invented controls that appear among the scores but have no profile (Microsoft Graph §1.6)."""
    rows = [
        {"id": "mdo_legacyphishreport", "title": "mdo_legacyphishreport", "category": "Apps", "service": "MDO"},
        {"id": "spo_guestlinkexpiry", "title": "spo_guestlinkexpiry", "category": "Apps", "service": "SPO"},
        {"id": "scid_2150", "title": "scid_2150", "category": "Device", "service": "MDATP"},
    ]
    gaps = dict.fromkeys(("tier", "implementationCost", "userImpact", "rank", "actionType", "threats", "actionUrlHost"))
    return tuple(_control({**gaps, **row, "maxScore": 3}, is_listed=False) for row in rows)


def invented_control(control_id: str, title: str, service: str, *, max_score: float = 5) -> Control:
    """Return a new control as Microsoft would add it."""
    category = "Device" if service == "MDATP" else "Identity" if service in ("AzureAD", "Azure ATP") else "Apps"
    gaps = dict.fromkeys(("tier", "implementationCost", "userImpact", "rank", "actionType", "threats", "actionUrlHost"))
    row = {"id": control_id, "title": title, "category": category, "service": service, "maxScore": max_score}
    return _control({**gaps, **row})


def _control(row: Mapping[str, Any], *, is_listed: bool = True) -> Control:
    control_id, service, title = row["id"], row["service"], row["title"]
    noise = random.Random(control_id)  # noqa: S311 - a repeatable choice, no secret
    cost, impact = noise.choice(_COSTS), noise.choice(_IMPACTS)
    rank, threats = noise.choice(_RANKS), noise.choice(_THREATS)
    is_complete = row["actionType"] is not None
    return Control(
        id=control_id,
        title=title,
        category=row["category"],
        service=service,
        max_score=float(row["maxScore"]),
        tier=row["tier"] or "Core",
        implementation_cost=row["implementationCost"] or cost,
        user_impact=row["userImpact"] if is_complete or row["userImpact"] else impact,
        rank=row["rank"] or rank,
        threats=tuple(threats if row["threats"] is None else row["threats"]),
        action_type=row["actionType"] or "Config",
        action_url=_action_url(row["actionUrlHost"], service, control_id),
        remediation=texts.remediation(control_id, title, service),
        remediation_impact=texts.remediation_impact(control_id, service),
        description=texts.description(control_id, title, service),
        measure=_measure(control_id, service),
        platform=_platform(control_id, service),
        is_listed=is_listed,
    )


def _action_url(host: str | None, service: str, control_id: str) -> str:
    if host is None:
        return _URLS.get(service, "")
    if host in _URLS.get(service, ""):
        return _URLS[service]
    return f"https://{host}/{re.sub(r'[^a-z0-9]+', '-', control_id.lower())}"


def _measure(control_id: str, service: str) -> Measure:
    return Measure.DEVICES if service in ("MDATP", "Intune") else _MEASURES.get(control_id, Measure.SETTING)


def _platform(control_id: str, service: str) -> str:
    """Return the platform by the ranges of numbers in Microsoft Graph §1.5."""
    if service == "Intune":
        return "mobile"
    if service == "Azure ATP":
        return "domain_controllers"
    if service != "MDATP":
        return ""
    number = int(control_id.removeprefix("scid_")) if control_id.removeprefix("scid_").isdecimal() else 0
    if 5000 <= number < 6000:
        return "macos"
    if 6000 <= number < 7000:
        return "linux"
    return "network" if 10_000 <= number < 10_100 else "windows"
