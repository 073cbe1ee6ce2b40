"""Profiles and scores as they come, with their unevenness (Microsoft Graph §1.2, §1.4, §1.6)."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest

from sandbox.graph.engine.catalogue.texts import DEVICE_REMEDIATION
from sandbox.graph.stage.seed.tenants import BUSINESS_PREMIUM, CHINA, E5, FREE, NEW
from tests.sandbox.graph.simulated import PROFILES, SCORES, Simulated, bearer, token


def test_full_licences_have_460_profiles_and_about_230_scores(seeded: Simulated) -> None:
    profiles = seeded.profiles(tenant_id=E5)
    scored = {score["controlName"] for score in seeded.newest(tenant_id=E5)["controlScores"]}
    assert len(profiles) == 460
    assert 215 <= len(scored) <= 245
    assert len(scored - profiles.keys()) == 3
    assert len(seeded.json(SCORES, tenant_id=E5)["value"]) == 90


def test_business_premium_has_no_device_assessment(seeded: Simulated) -> None:
    services = {profile["service"] for profile in seeded.profiles(tenant_id=BUSINESS_PREMIUM).values()}
    categories = {score["controlCategory"] for score in seeded.newest(tenant_id=BUSINESS_PREMIUM)["controlScores"]}
    assert "MDATP" in services
    assert "Device" not in categories


def test_the_free_tenant_has_16_controls_and_64_points(seeded: Simulated) -> None:
    newest = seeded.newest(tenant_id=FREE)
    assert (len(newest["controlScores"]), newest["maxScore"]) == (16, 64)
    assert len(seeded.profiles(tenant_id=FREE)) == 16


def test_a_new_tenant_has_nothing_yet(seeded: Simulated) -> None:
    assert seeded.json(SCORES, tenant_id=NEW)["value"] == []
    assert seeded.json(PROFILES, tenant_id=NEW)["value"] == []


def test_the_china_cloud_has_no_secure_score(seeded: Simulated) -> None:
    china = token(CHINA, audience="https://microsoftgraph.chinacloudapi.cn")
    for path in (SCORES, PROFILES, f"{PROFILES}/AdminMFAV2"):
        assert seeded.client.get(path, headers=bearer(china)).status_code == 404


def test_sums(seeded: Simulated) -> None:
    for tenant_id in (E5, BUSINESS_PREMIUM, FREE):
        for score in seeded.json(f"{SCORES}?$top=3", tenant_id=tenant_id)["value"]:
            points = sum(Decimal(str(control["score"])) for control in score["controlScores"])
            assert points == Decimal(str(score["currentScore"]))
        newest, profiles = seeded.newest(tenant_id=tenant_id), seeded.profiles(tenant_id=tenant_id)
        listed = sum(
            profiles[control["controlName"]]["maxScore"]
            for control in newest["controlScores"]
            if control["controlName"] in profiles
        )
        assert 0 <= newest["maxScore"] - listed <= 9  # those without a profile: three of at most 3 points


def test_only_the_newest_score_is_rich(seeded: Simulated) -> None:
    newest, *older = seeded.json(SCORES, tenant_id=E5)["value"]
    rich, thin = (
        {name for score in scores for name in score} for scores in (newest["controlScores"], older[0]["controlScores"])
    )
    assert rich - thin == {"lastSynced", "count", "total", "on", "evaluationRing"}
    assert all(control["lastSynced"] for control in newest["controlScores"])
    for score in older:
        assert {control["description"] for control in score["controlScores"]} == {None}
    admins = [
        next(control for control in score["controlScores"] if control["controlName"] == "OneAdmin")
        for score in (newest, older[0])
    ]
    assert admins[0]["implementationStatus"] in (
        "You currently have 1 global admins.",
        "You currently have 3 global admins.",
    )
    assert admins[1]["implementationStatus"] == "You currently have  global admins."


def test_the_score_moves_over_the_days(seeded: Simulated) -> None:
    points = [score["currentScore"] for score in seeded.json(SCORES, tenant_id=E5)["value"]]
    assert sum(earlier != later for earlier, later in pairwise(points)) > 10


def test_types_and_values_are_uneven(seeded: Simulated) -> None:
    profiles = list(seeded.profiles(tenant_id=E5).values())
    scores = seeded.newest(tenant_id=E5)["controlScores"]
    assert {type(profile["maxScore"]) for profile in profiles} == {int, float}
    assert {"low", "Low", "Unknown", "Moderate", "medium", "Medium"} <= {
        profile["implementationCost"] for profile in profiles
    }
    assert {"high", "High", "Unknown", None} <= {profile["userImpact"] for profile in profiles}
    assert {"Account breach", "Account Breach"} <= {threat for profile in profiles for threat in profile["threats"]}
    assert any(profile["remediation"].startswith("\n") for profile in profiles)
    assert any('href="/' in profile["remediation"] for profile in profiles)
    assert any('href="http:' in profile["remediation"] for profile in profiles)
    assert any("&nbsp;" in profile["remediation"] for profile in profiles)
    assert {profile["remediationImpact"] is None for profile in profiles} == {True, False}
    assert {type(score["count"]) for score in scores if "count" in score} == {str}
    assert {score["on"] for score in scores if "on" in score} == {"true", "false"}
    assert any(not float(score["score"]).is_integer() for score in scores)
    assert max(Counter(profile["title"] for profile in profiles).values()) > 1


def test_all_device_controls_have_the_same_steps(seeded: Simulated) -> None:
    devices = [profile for profile in seeded.profiles(tenant_id=E5).values() if profile["controlCategory"] == "Device"]
    assert {profile["remediation"] for profile in devices} == {DEVICE_REMEDIATION}
    assert len(devices) == 178


@pytest.mark.parametrize(("form", "averages"), [("present", 2), ("empty", 0), ("minus_one", 2)])
def test_averages(graph: Simulated, form: str, averages: int) -> None:
    graph.control.set_switches({"scores.averages": form})
    found = graph.newest()["averageComparativeScores"]
    assert len(found) == averages
    assert all((average["averageScore"] == -1) is (form == "minus_one") for average in found)
    assert all(0 < average["averageScore"] < 100 for average in found if form == "present")
    assert not found or found[1]["SeatSizeRangeLowerValue"] == "101"


def test_fields_that_nobody_declared(graph: Simulated) -> None:
    assert "evaluationRing" in graph.profiles()["AdminMFAV2"]
    graph.control.set_switches({"profiles.extra_properties": False, "scores.undocumented_fields": True})
    assert "evaluationRing" not in graph.profiles()["AdminMFAV2"]
    assert graph.score_of("AdminMFAV2")["IsApplicable"] == "true"


def test_the_same_seed_gives_the_same_answers(seeded: Simulated) -> None:
    from tests.sandbox.graph.simulated import simulated

    with simulated() as again:
        path = f"{SCORES}?$skip=89"
        assert again.json(path, tenant_id=FREE) == seeded.json(path, tenant_id=FREE)
        assert again.newest(tenant_id=FREE) == seeded.newest(tenant_id=FREE)
