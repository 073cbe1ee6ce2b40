"""Reading Secure Score from the simulated Graph, with each switch that reading can meet."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest

from sandbox.graph.stage.seed.tenants import Plan
from shared.errors import ConnectorError, GraphThrottled, GraphUnavailable
from shared.graph.lists import PAGES_AT_MOST
from shared.recommendations.model import Presence
from shared.recommendations.ports import Reading
from tests.contract.graph.conftest import FEW, OTHER, Reader
from tests.sandbox.graph.simulated import OTHER_TENANT, SMALL, START, TENANT


def measured(reading: Reading) -> dict[str, tuple[object, ...]]:
    """What a reading says about each control, without texts."""
    return {
        action.source_id: (
            action.presence,
            action.points,
            action.max_points,
            action.count,
            action.total,
            action.is_on,
            action.measured_at,
            action.disposition,
            action.title,
        )
        for action in reading.actions
    }


class TestReading:
    async def test_what_microsoft_shows_is_read(self, reader: Reader) -> None:
        reader.plant(*SMALL)
        reader.control.set_switches({"profiles.page_size": 200})
        reading = await reader.read()
        tenant = reader.world.tenant(TENANT)
        newest = tenant.snapshots[-1]
        assert reading.is_complete
        assert reading.snapshot is not None
        assert reading.snapshot.snapshot_id == newest.id
        assert reading.snapshot.day == START.date()
        listed = {control.id for control in tenant.profiles()}
        scored = {score.control_id: score for score in newest.scores}
        presences = {
            **dict.fromkeys(listed, Presence.PROFILE_ONLY),
            **dict.fromkeys(scored, Presence.SCORE_ONLY),
            **dict.fromkeys(listed & scored.keys(), Presence.BOTH),
        }
        assert {action.source_id: action.presence for action in reading.actions} == presences
        assert set(presences.values()) == set(Presence)
        for action in reading.actions:
            if (score := scored.get(action.source_id)) is not None:
                assert action.points == Decimal(str(score.score))
                assert (action.count, action.total, action.is_on) == (score.count, score.total, score.is_on)
                assert action.measured_at == score.last_synced_at.replace(microsecond=0)
        total = sum((action.points or Decimal(0) for action in reading.actions), Decimal(0))
        assert abs(total - reading.snapshot.score) < Decimal("0.01")
        assert {text.strip() != "" for text in reading.texts.values()} == {True}

    async def test_460_controls_are_4_requests(self, reader: Reader) -> None:
        reader.plant(*SMALL)
        reader.control.set_switches({"profiles.page_size": 200})
        reading = await reader.read()
        requests = reader.control.requests()
        assert len([action for action in reading.actions if action.presence is not Presence.SCORE_ONLY]) == 460
        assert [request["path"].rpartition("/")[2] for request in requests] == [
            "secureScoreControlProfiles",
            "secureScoreControlProfiles",
            "secureScoreControlProfiles",
            "secureScores",
        ]
        assert max(request["in_flight"] for request in requests) == 1
        ids = {request["headers"]["client-request-id"] for request in requests}
        assert len(ids) == 4
        assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)
        assert len({request["connection"] for request in requests}) == 4

    async def test_many_readings_at_once_stay_within_the_limit_of_the_tenant(self, reader: Reader) -> None:
        reader.control.set_switches({"answers.latency_ms": 5})
        await asyncio.gather(*(reader.read(OTHER_TENANT) for _ in range(8)))
        assert set(reader.statuses()) == {200}
        assert max(request["in_flight"] for request in reader.control.requests()) <= 4

    async def test_history(self, reader: Reader) -> None:
        reader.plant(replace(OTHER, days=90))
        days = [snapshot.day for snapshot in reader.world.tenant(OTHER_TENANT).snapshots]
        reader.control.miss_day(OTHER_TENANT, days[40])
        reading = await reader.read(OTHER_TENANT, with_history=True)
        assert [snapshot.day for snapshot in reading.history] == [*days[:40], *days[41:-1]]
        assert len(reader.control.requests("secureScores$")) == 11
        newest, before = reading.snapshot, reading.history[-1]
        assert newest is not None
        assert before.controls.keys() == newest.controls.keys()

    async def test_a_new_tenant_has_nothing_yet(self, reader: Reader) -> None:
        reader.plant(replace(FEW, days=0))
        reading = await reader.read(with_history=True)
        assert (reading.snapshot, list(reading.actions), list(reading.history)) == (None, [], [])
        reader.control.set_switches({"first_day.profiles": "listed"})
        listed = await reader.read()
        assert {action.presence for action in listed.actions} == {Presence.PROFILE_ONLY}

    async def test_a_title_equal_to_the_id_and_a_changed_maximum(self, reader: Reader) -> None:
        reader.control.change_control(TENANT, "AdminMFAV2", title="AdminMFAV2", max_score=4.0)
        (action,) = (each for each in (await reader.read()).actions if each.source_id == "AdminMFAV2")
        assert (action.title, action.max_points) == ("AdminMFAV2", Decimal(10)), "the newest points are still of 10"
        reader.control.advance(days=1)
        (action,) = (each for each in (await reader.read()).actions if each.source_id == "AdminMFAV2")
        assert action.max_points == Decimal(4)

    async def test_the_cloud_in_china_has_no_secure_score(self, reader: Reader) -> None:
        reader.plant(Plan(tenant_id=TENANT, name="Wide World Importers", cloud="china", days=0))
        reader.tokens.audience = "https://microsoftgraph.chinacloudapi.cn"
        with pytest.raises(ConnectorError) as caught:
            await reader.read()
        assert caught.value.code == "secure_score_not_available"

    async def test_a_token_that_has_ended_is_replaced(self, reader: Reader) -> None:
        reader.tokens.is_over = True
        assert (await reader.read()).is_complete
        assert reader.tokens.renewed == [TENANT]
        assert reader.statuses() == [401, 200, 200, 200, 200]

    async def test_a_tenant_that_has_revoked_its_tokens_says_what_a_new_one_needs(self, reader: Reader) -> None:
        await reader.read()  # From now on, no token is issued anew: the reader's are remembered.
        with httpx.Client(base_url=reader.control.base_url, verify=False, trust_env=False) as entra:
            entra.post("/control/entra/clock", json={"advance_s": 600}).raise_for_status()
            entra.post(f"/control/entra/tenants/{TENANT}/revocation").raise_for_status()
        with pytest.raises(ConnectorError) as caught:
            await reader.read()
        assert caught.value.code == "graph_token_refused"
        [claims] = reader.tokens.claims
        assert claims is not None
        assert json.loads(claims)["access_token"]["nbf"]["essential"] is True

    async def test_a_token_of_another_cloud(self, reader: Reader) -> None:
        reader.tokens.audience = "https://graph.microsoft.us"
        with pytest.raises(ConnectorError) as caught:
            await reader.read()
        assert caught.value.code == "graph_token_refused"
        assert reader.statuses() == [401, 401]


class TestSwitches:
    @pytest.mark.parametrize(
        ("switch", "value"),
        [
            ("scores.averages", "empty"),
            ("scores.averages", "minus_one"),
            ("scores.undocumented_fields", True),
            ("scores.active_users", 2_000_000_000),
            ("profiles.page_size", 999),
            ("profiles.page_size", 1),
            ("odata.select_and_orderby", "refused"),
            ("odata.expand_and_search", "ignored"),
            ("texts.follow_accept_language", True),
            ("profiles.extra_properties", False),
            ("answers.gzip", False),
        ],
    )
    async def test_a_reading_does_not_depend_on_it(self, reader: Reader, switch: str, value: bool | int | str) -> None:
        before = measured(await reader.read())
        reader.control.set_switches({switch: value})
        assert measured(await reader.read()) == before

    @pytest.mark.parametrize(("form", "asked"), [("seconds", 10), ("date", 10), ("none", None), ("zero", 0)])
    async def test_too_many_requests(self, reader: Reader, form: str, asked: int | None) -> None:
        reader.control.set_switches({"throttling.scores_per_minute": 1, "throttling.retry_after": form})
        await reader.read()
        with pytest.raises(GraphThrottled) as caught:
            await reader.read()
        assert caught.value.retry_after_s == (None if asked is None else pytest.approx(asked, abs=1))

    @pytest.mark.parametrize("spelling", ["innerError", "innererror"])
    @pytest.mark.parametrize(
        ("code", "meaning"),
        [
            ("Forbidden", "graph_permission_missing"),
            ("InsufficientGraphPermissions", "graph_permission_missing"),
            ("", "graph_permission_missing"),
            ("UnknownError", "graph_access_blocked"),
        ],
    )
    async def test_a_permission_that_is_gone(self, reader: Reader, spelling: str, code: str, meaning: str) -> None:
        reader.control.set_switches({"errors.inner_error": spelling, "errors.forbidden_code": code})
        reader.control.set_fault("missing_role", remaining=None)
        with pytest.raises(ConnectorError) as caught:
            await reader.read()
        assert caught.value.code == meaning

    async def test_addresses_of_pages_that_end_at_once(self, reader: Reader) -> None:
        reader.control.set_switches({"skiptoken.life_s": -1})
        with pytest.raises(ConnectorError) as caught:
            await reader.read()
        assert caught.value.code == "graph_request_rejected"
        assert reader.statuses() == [200, 400, 200, 400]

    async def test_a_snapshot_that_changes_during_the_day(self, reader: Reader) -> None:
        reader.control.set_switches({"snapshot.revised_at_hour": 15})
        first = await reader.read()
        reader.control.advance(hours=6)
        second = await reader.read()
        assert first.snapshot is not None
        assert second.snapshot is not None
        assert second.snapshot.snapshot_id == first.snapshot.snapshot_id


class TestFaults:
    @pytest.mark.parametrize(
        "kind",
        [
            "throttled",
            "unavailable",
            "locked",
            "broken_connection",
            "internal_error",
            "bad_gateway",
            "gateway_timeout",
            "forbidden_page",
            "nul_bytes",
            "cut_off_json",
            "empty_page",
            "slow",
            "slow_body",
        ],
    )
    async def test_a_stumble_is_overcome(self, reader: Reader, kind: str) -> None:
        before = measured(await reader.read())
        reader.control.set_fault(kind, retry_after_s=1, delay_s=0.02)
        reading = await reader.read()
        assert measured(reading) == before
        assert reading.is_complete

    @pytest.mark.parametrize(
        ("kind", "code", "requests"),
        [
            ("throttled", "graph_throttled", 1),
            ("unavailable", "graph_throttled", 1),
            ("locked", "graph_throttled", 1),
            ("broken_connection", "graph_throttled", 3),
            ("gateway_timeout", "graph_throttled", 3),
            ("internal_error", "graph_unavailable", 3),
            ("bad_gateway", "graph_unavailable", 3),
            ("nul_bytes", "graph_unavailable", 3),
            ("cut_off_json", "graph_answer_unusable", 3),
            ("forbidden_page", "graph_access_blocked", 3),
            ("unknown_error", "secure_score_not_available", 1),
            ("tenant_not_deployed", "secure_score_not_available", 1),
            ("host_not_found", "secure_score_not_available", 1),
            ("error_without_error", "graph_request_rejected", 1),
            ("empty_code", "graph_request_rejected", 1),
            ("inner_error_in_lower_case", "graph_request_rejected", 1),
            ("same_next_link", "graph_list_endless", 2),
            ("endless_pages", "graph_list_endless", PAGES_AT_MOST),
            ("foreign_next_link", "graph_link_refused", 1),
        ],
    )
    async def test_what_lasts_is_a_clear_error(self, reader: Reader, kind: str, code: str, requests: int) -> None:
        reader.control.set_fault(kind, remaining=None, delay_s=0)
        with pytest.raises(ConnectorError) as caught:
            await reader.read()
        assert caught.value.code == code
        assert len(reader.control.requests()) == requests

    async def test_the_wait_that_was_asked_for_reaches_the_caller(self, reader: Reader) -> None:
        reader.control.set_fault("unavailable", retry_after="date", retry_after_s=600)
        with pytest.raises(GraphThrottled) as caught:
            await reader.read()
        assert caught.value.retry_after_s == pytest.approx(600, abs=1)

    @pytest.mark.parametrize("path", ["secureScores$", "secureScoreControlProfiles$"])
    async def test_a_partial_answer_concludes_nothing(self, reader: Reader, path: str) -> None:
        whole = measured(await reader.read())
        reader.control.set_fault("partial", path=path, remaining=None)
        reading = await reader.read()
        assert not reading.is_complete
        assert measured(reading) != whole

    async def test_the_score_is_cut_off_after_the_catalogue_was_read(self, reader: Reader) -> None:
        reader.control.set_fault("cut_off_json", path="secureScores$", remaining=None)
        with pytest.raises(GraphUnavailable) as caught:
            await reader.read()
        assert caught.value.code == "graph_answer_unusable"
