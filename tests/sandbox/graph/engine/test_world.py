"""Days pass, people change things, and the score follows late (Microsoft Graph §S, 1 to 5)."""

from datetime import date, datetime, timedelta

import pytest

from tests.sandbox.graph.simulated import OTHER_TENANT, PROFILES, SCORES, SMALL, START, TENANT, Simulated, simulated

SETTING = "mdo_safedocuments"
USERS = "MFARegistrationV2"
DEVICES = "scid_5090"


def days_until(graph: Simulated, control: str, score: float) -> int:
    """Let days pass until a control has its points; return their number."""
    for day in range(40):
        if graph.score_of(control)["score"] == score:
            return day
        graph.control.advance(days=1)
    raise AssertionError(f"{control} never got {score} points")


def settled(graph: Simulated, control: str, *, share: float) -> None:
    """Bring a control to a state, and wait until Microsoft has measured it."""
    graph.control.undo(TENANT, control, share=share)
    graph.control.advance(days=4)


@pytest.mark.parametrize("control", [SETTING, USERS, DEVICES, "meeting_autoadmitusers_v1"])
def test_a_fix_is_seen_days_later_with_the_time_of_its_measurement(graph: Simulated, control: str) -> None:
    settled(graph, control, share=0)
    assert graph.score_of(control)["score"] == 0
    fixed_at = graph.control.now()
    graph.control.fix(TENANT, control)
    assert graph.score_of(control)["score"] == 0
    full = graph.control.controls(TENANT)[control]["max_score"]
    assert 1 <= days_until(graph, control, full) <= 3
    seen = graph.score_of(control)
    assert seen["scoreInPercentage"] == 100
    assert fixed_at <= datetime.fromisoformat(seen["lastSynced"]) < graph.control.now()


def test_half_a_fix_gives_points_only_where_objects_are_counted(graph: Simulated) -> None:
    for control in (SETTING, USERS, DEVICES):
        graph.control.undo(TENANT, control)
        graph.control.half_fix(TENANT, control)
    graph.control.advance(days=4)
    assert (graph.score_of(SETTING)["score"], graph.score_of(SETTING)["on"]) == (0, "false")
    users = graph.score_of(USERS)
    assert (users["score"], users["count"], users["total"]) == (4.5, "100", "200")
    assert graph.score_of(DEVICES)["score"] == 4


def test_what_was_undone_loses_its_points(graph: Simulated) -> None:
    settled(graph, DEVICES, share=1)
    graph.control.undo(TENANT, DEVICES, share=0.5)
    assert days_until(graph, DEVICES, 4) in (1, 2, 3)


def test_new_users_and_devices_dilute_the_points(graph: Simulated) -> None:
    settled(graph, USERS, share=1)
    settled(graph, DEVICES, share=1)
    graph.control.grow(TENANT, users=100, devices={"macos": 20})
    graph.control.advance(days=8)
    users = graph.score_of(USERS)
    assert (users["score"], users["count"], users["total"]) == (6, "200", "300")
    assert (graph.score_of(DEVICES)["count"], graph.score_of(DEVICES)["score"]) == ("100", 6.67)


def test_users_who_leave_are_those_without_protection_first(graph: Simulated) -> None:
    settled(graph, USERS, share=0.5)
    graph.control.grow(TENANT, users=-50)
    graph.control.advance(days=8)
    assert (graph.score_of(USERS)["count"], graph.score_of(USERS)["total"]) == ("100", "150")
    graph.control.grow(TENANT, users=-100)
    graph.control.advance(days=8)
    assert (graph.score_of(USERS)["count"], graph.score_of(USERS)["total"]) == ("50", "50")


def test_nobody_of_nobody_is_everybody(graph: Simulated) -> None:
    graph.control.undo(TENANT, USERS)
    graph.control.grow(TENANT, users=-200)
    graph.control.advance(days=8)
    users = graph.score_of(USERS)
    assert (users["count"], users["total"], users["scoreInPercentage"], users["score"]) == ("0", "0", 100, 9)


def test_a_removed_licence_leaves_profiles_without_scores(graph: Simulated) -> None:
    graph.control.remove_licence(TENANT, "teams")
    assert "HasEXOP2" in graph.newest()["enabledServices"]
    graph.control.advance(days=1)
    names = {score["controlName"] for score in graph.newest()["controlScores"]}
    assert not any(name.startswith("meeting_") for name in names)
    assert "meeting_autoadmitusers_v1" in graph.profiles()


def test_a_connected_application_and_the_first_device_bring_scores(graph: Simulated) -> None:
    before = {score["controlName"] for score in graph.newest()["controlScores"]}
    graph.control.add_licence(TENANT, "MDA_GitHub")
    graph.control.grow(TENANT, devices={"linux": 3})
    graph.control.advance(days=3)
    added = {score["controlName"] for score in graph.newest()["controlScores"]} - before
    assert len({name for name in added if name.startswith("MDA_GitHub")}) == 10
    assert {"scid_6090", "scid_6001"} <= added


def test_a_snapshot_appears_at_its_hour(graph: Simulated) -> None:
    graph.control.advance(hours=14.9)  # 02:54
    assert graph.newest()["id"] == f"{TENANT}_2026-11-24"
    graph.control.advance(hours=0.2)
    assert graph.newest()["id"] == f"{TENANT}_2026-11-25"
    graph.control.set_switches({"snapshot.hour": 20})
    graph.control.advance(days=1)
    assert graph.newest()["id"] == f"{TENANT}_2026-11-25"
    graph.control.advance(hours=17)
    assert graph.newest()["id"] == f"{TENANT}_2026-11-26"


def test_90_days_are_kept(graph: Simulated) -> None:
    graph.control.advance(days=100)
    days = [score["createdDateTime"][:10] for score in graph.json(SCORES, tenant_id=OTHER_TENANT)["value"]]
    assert len(days) == 90
    assert date.fromisoformat(days[0]) - date.fromisoformat(days[-1]) == timedelta(days=89)


def test_days_can_be_missing(graph: Simulated) -> None:
    graph.control.miss_day(TENANT, date(2026, 11, 22))
    graph.control.miss_day(TENANT, date(2026, 11, 25))
    graph.control.advance(days=2)
    days = [score["createdDateTime"][8:10] for score in graph.json(SCORES)["value"]]
    assert days == ["26", "24", "23", "21", "20"]


def test_a_snapshot_can_change_later_in_the_day(graph: Simulated) -> None:
    settled(graph, SETTING, share=0)
    graph.control.set_switches({"snapshot.revised_at_hour": 22})
    graph.control.fix(TENANT, SETTING)
    graph.control.advance(hours=16)
    early = graph.newest()
    graph.control.advance(hours=19)
    late = graph.newest()
    assert early["id"] == late["id"]
    assert early["currentScore"] < late["currentScore"]
    graph.control.change_control(TENANT, SETTING, max_score=1)
    assert graph.newest() == late


def test_snapshots_change_in_their_day_however_time_passes(graph: Simulated) -> None:
    settled(graph, SETTING, share=0)
    graph.control.set_switches({"snapshot.revised_at_hour": 22})
    graph.control.fix(TENANT, SETTING)
    graph.control.advance(days=2)  # from the 28th to the 30th, with the changes of both days between
    day = graph.json(f"{SCORES}?$top=1&$skip=1")["value"][0]
    assert day["id"].endswith("-29")
    assert next(score["score"] for score in day["controlScores"] if score["controlName"] == SETTING) == 5


def test_a_snapshot_that_was_taken_does_not_change(graph: Simulated) -> None:
    before = graph.newest()
    graph.control.change_control(TENANT, USERS, max_score=10)
    graph.control.fix(TENANT, USERS)
    graph.control.grow(TENANT, users=100)
    assert graph.newest() == before


def test_the_catalogue_changes(graph: Simulated) -> None:
    graph.control.change_control(TENANT, USERS, max_score=10, title=USERS, deprecated=True)
    graph.control.add_control(TENANT, "mdo_new rule/#1", title="Turn on the new rule", service="MDO", max_score=3)
    graph.control.rename_control(TENANT, SETTING, f"{SETTING}_v2")
    graph.control.rename_control(TENANT, "exo_mailtipsenabled", "1.exo_mailtipsenabled", "2.exo_mailtipsenabled")
    graph.control.remove_control(TENANT, DEVICES)
    profiles = graph.profiles()
    assert (profiles[USERS]["maxScore"], profiles[USERS]["title"], profiles[USERS]["deprecated"]) == (10, USERS, True)
    assert not {SETTING, DEVICES, "exo_mailtipsenabled"} & profiles.keys()
    assert {f"{SETTING}_v2", "1.exo_mailtipsenabled", "2.exo_mailtipsenabled"} <= profiles.keys()
    assert graph.json(f"{PROFILES}/mdo_new%20rule%2F%231")["title"] == "Turn on the new rule"
    assert graph.score_of(DEVICES)
    graph.control.advance(days=3)
    names = {score["controlName"] for score in graph.newest()["controlScores"]}
    assert DEVICES not in names
    assert {f"{SETTING}_v2", "1.exo_mailtipsenabled", "mdo_new rule/#1"} <= names


def test_the_first_day_of_a_tenant(graph: Simulated) -> None:
    new = "44444444-aaaa-4bbb-8ccc-000000000004"
    graph.control.add_tenant(new, "New", licences=["entra_free"], population={"users": 1, "admins": 1}, days=0)
    assert graph.json(PROFILES, tenant_id=new)["value"] == []
    graph.control.set_switches({"first_day.profiles": "listed"})
    assert len(graph.profiles(tenant_id=new)) == 460
    assert graph.json(SCORES, tenant_id=new)["value"] == []
    graph.control.advance(days=3)
    assert 0 < len(graph.newest(tenant_id=new)["controlScores"]) <= 22


def test_points_that_a_licence_forbids(graph: Simulated) -> None:
    """Risk policies are listed and scored in a tenant with Entra ID P1, without points (Microsoft Graph §6)."""
    newest = graph.newest(tenant_id=OTHER_TENANT)
    scores = {score["controlName"]: score["score"] for score in newest["controlScores"]}
    assert (scores["UserRiskPolicy"], scores["SigninRiskPolicy"]) == (0, 0)


@pytest.mark.parametrize(("hour", "newest"), [(2, "23"), (4, "24")])
def test_the_history_ends_with_the_newest_day_that_is_due(hour: int, newest: str) -> None:
    with simulated(SMALL, at=START.replace(hour=hour)) as graph:
        days = [score["createdDateTime"][8:10] for score in graph.json(SCORES)["value"]]
    assert (len(days), days[0]) == (5, newest)


def test_the_parts_of_a_split_control_are_fixed_one_by_one(graph: Simulated) -> None:
    settled(graph, SETTING, share=0)
    graph.control.rename_control(TENANT, SETTING, "1.part", "2.part")
    graph.control.fix(TENANT, "1.part")
    graph.control.advance(days=3)
    assert (graph.score_of("1.part")["score"], graph.score_of("2.part")["score"]) == (5, 0)
