"""The evidence over the API and on its page."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest

from shared.errors import FixRequest
from shared.evidence.find import EvidenceSearch
from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.recommendations.model import ImprovementAction, SourceName
from shared.tenants.model import Tenant
from shared.tickets.outcomes import Outcome
from shared.triggers.answers import JsonAnswer
from shared.triggers.evidence_api import export_evidence
from shared.triggers.evidence_pages import evidence_page
from shared.triggers.front_door import Call, Handler
from shared.triggers.routes import ROUTES, read_query
from shared.web.evidence_csv import EVIDENCE_COLUMNS
from shared.web.outcome_tones import outcome_tone
from shared.words.language import languages
from tests.memory.clock import ManualClock
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.evidence_store import MemoryEvidenceStore
from tests.memory.recommendation_store import MemoryRecommendationStore
from tests.memory.tenant_store import MemoryTenantStore
from tests.unit.evidence.examples import OTHER_TENANT, TENANT, created, day, decided, moved, of_ticket, story
from tests.unit.tickets.examples import a_connection
from tests.unit.triggers.page_calls import READER, URL, text_of

MARCH = "since=2026-03-01&until=2026-03-31"


class CountingStore(MemoryEvidenceStore):
    """An evidence store that remembers for which times it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[datetime, datetime]] = []

    async def list_events(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[EvidenceEvent]]:
        """See the port."""
        self.asked.append((since, until))
        async for events in super().list_events(since, until):
            yield events


class Auditor:
    """Asks the app."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, events: Sequence[EvidenceEvent]) -> None:
        clock = ManualClock(datetime(2026, 6, 1, tzinfo=UTC))
        self.store = CountingStore()
        self.store.batches = {
            str(place): EvidenceBatch(str(place), each.at, (each,)) for place, each in enumerate(events)
        }
        self.connections = MemoryConnectionStore()
        self.lists = 0
        self.recommendations = MemoryRecommendationStore(step=self._count)
        self.application = SimpleNamespace(
            clock=clock,
            settings=SimpleNamespace(public_base_url=URL, evidence_retention_days=1095),
            tenants=MemoryTenantStore(Tenant(TENANT, "Contoso")),
            recommendations=self.recommendations,
            connection_store=self.connections,
            evidence_search=EvidenceSearch(self.store, timedelta(days=1095), asyncio.Semaphore(1), clock),
        )
        monkeypatch.setattr("shared.triggers.front_door.application", lambda: self.application)

    async def _count(self, name: str) -> None:
        self.lists += name == "list_actions"

    async def ask(self, query: str, handler: Handler = export_evidence, language: str = "en") -> Any:
        [route] = [each for each in ROUTES if each.name == handler.__name__]
        url = f"{URL}/{route.path}?{query}"
        request = func.HttpRequest(method="GET", url=url, body=b"")
        return await handler(
            Call(route, request, "request", languages()[language], caller=READER, query=read_query(url))
        )

    async def json(self, query: str) -> Any:
        answer = await self.ask(query)
        assert isinstance(answer, JsonAnswer)
        return json.loads(answer.to_response().get_body())

    async def page(self, query: str, language: str = "en") -> tuple[int, str]:
        answer = await self.ask(query, evidence_page, language)
        return answer.status_code, text_of(answer)


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch) -> Auditor:
    return Auditor(monkeypatch, story())


async def test_the_answer_says_what_was_asked_and_how_long_evidence_is_kept(auditor: Auditor) -> None:
    answer = await auditor.json(MARCH)
    assert {name: value for name, value in answer.items() if name != "items"} == {
        "since": "2026-03-01",
        "until": "2026-03-31",
        "basis": "created",
        "tenant_id": None,
        "final": True,
        "retention_days": 1095,
        "population": 3,
        "other_tickets": 0,
        "excluded_connections": 0,
        "sample": None,
        "seed": None,
    }
    assert [item["number"] for item in answer["items"]] == ["INC1", "INC2", "INC3"]
    assert answer["items"][0]["recommendations"][0]["after"] == {
        "points": 10.0,
        "max_points": 10.0,
        "measured_at": "2026-03-11T12:00:00Z",
    }


async def test_a_sample_names_its_seed_and_is_drawn_again(auditor: Auditor) -> None:
    one = await auditor.json(f"{MARCH}&sample=2&seed=audit")
    assert (one["sample"], one["seed"], one["population"], len(one["items"])) == (2, "audit", 3, 2)
    assert one == await auditor.json(f"{MARCH}&sample=2&seed=audit")
    assert (await auditor.json(f"{MARCH}&sample=2"))["seed"] == "2026-03-01/2026-03-31"


async def test_the_answer_about_a_period_that_is_not_over_is_not_final(auditor: Auditor) -> None:
    assert not (await auditor.json("since=2026-05-01"))["final"]
    assert not (await auditor.json("since=2026-05-01&until=2026-05-31"))["final"]
    assert (await auditor.json("since=2026-05-01&until=2026-05-30"))["final"]


async def test_closed_tickets_are_traced_back_to_their_creation_and_no_further(auditor: Auditor) -> None:
    answer = await auditor.json(f"{MARCH}&basis=closed")
    assert [item["requested_at"] is not None for item in answer["items"]] == [True, True, True]
    oldest = min(since for since, _ in auditor.store.asked)
    assert oldest == datetime(2026, 3, 1, tzinfo=UTC) - timedelta(days=31)


async def test_a_creation_that_is_no_longer_kept_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = Auditor(monkeypatch, [moved(1, day(3), "closed")])
    [item] = (await auditor.json(f"{MARCH}&basis=closed"))["items"]
    assert item["requested_at"] is None
    assert min(since for since, _ in auditor.store.asked) == auditor.application.clock() - timedelta(days=1095)


async def test_a_ticket_without_recommendations_is_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = Auditor(monkeypatch, [*story(), of_ticket(9, "created", day(2), keys=(), tenant_id=None)])
    answer = await auditor.json(MARCH)
    assert (answer["population"], answer["other_tickets"]) == (3, 1)


async def test_an_excluded_customer_is_there_only_if_it_is_asked_for(auditor: Auditor) -> None:
    one, another = "excluded-customer", a_connection(connection_id="contoso")
    events = created(7, day(4), keys=(1,))
    auditor.store.batches["more"] = EvidenceBatch("more", day(4), tuple(replace(e, connection_id=one) for e in events))
    for each in (another, a_connection(connection_id=one, is_excluded=True)):
        await auditor.connections.create_connection(each)

    async def counts(query: str) -> tuple[int, int]:
        answer = await auditor.json(f"{MARCH}{query}")
        return answer["population"], answer["excluded_connections"]

    assert await counts("") == (3, 1)
    assert await counts("&excluded=true") == (4, 0)
    assert await counts(f"&tenant_id={TENANT}") == (4, 0)
    t = languages()["en"]
    (_, without), (_, including) = await auditor.page(MARCH), await auditor.page(f"{MARCH}&excluded=true")
    assert (t("evidence.excluded.one", count=1) in without, t("evidence.excluded.hidden") in without) == (True, True)
    assert (t("evidence.excluded.one", count=1) in including, t("evidence.excluded.hidden") in including) == (
        False,
        True,
    )
    assert "excluded=true&amp;format=oscal" in including


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("since=2026-03-31&until=2026-03-01", "invalid_period"),
        ("since=2020-01-01", "invalid_period"),
        ("until=2027-01-01", "invalid_period"),
        ("since=20260301", "invalid_parameter"),
        ("since=2026-02-30", "invalid_parameter"),
        ("basis=deleted", "invalid_parameter"),
        ("sample=0", "invalid_parameter"),
        ("sample=1001", "invalid_parameter"),
        (f"seed={'x' * 101}", "invalid_parameter"),
        ("tenant_id=contoso", "invalid_tenant_id"),
        ("format=pdf", "invalid_parameter"),
        ("excluded=perhaps", "invalid_parameter"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_read(auditor: Auditor, query: str, code: str) -> None:
    with pytest.raises(FixRequest) as refused:
        await auditor.ask(query)
    assert (refused.value.code, auditor.store.asked) == (code, [])


async def test_each_format_has_its_type_and_its_tickets(auditor: Auditor) -> None:
    answers = {each: await auditor.ask(f"{MARCH}&format={each}") for each in ("csv", "jsonl", "oscal")}
    assert {each: answer.headers["Content-Type"] for each, answer in answers.items()} == {
        "csv": "text/csv; charset=utf-8",
        "jsonl": "application/x-ndjson",
        "oscal": "application/oscal.assessment-results+json",
    }
    assert all(answer.headers["Content-Disposition"].startswith("attachment") for answer in answers.values())
    question, *items = map(json.loads, answers["jsonl"].get_body().splitlines())
    assert (question["population"], [item["number"] for item in items]) == (3, ["INC1", "INC2", "INC3"])
    [result] = json.loads(answers["oscal"].get_body())["assessment-results"]["results"]
    assert (len(result["observations"]), len(result["findings"])) == (3, 4)
    rows = list(csv.DictReader(io.StringIO(answers["csv"].get_body().decode("utf-8-sig"))))
    assert list(rows[0]) == list(EVIDENCE_COLUMNS)
    assert [(row["number"], row["source_id"], row["outcome"], row["points_before"]) for row in rows] == [
        ("INC1", "Control1", "verified", "3"),
        ("INC2", "Control2", "not_fixed", "3"),
        ("INC2", "Control3", "unknown", "3"),
        ("INC3", "Control1", "open", "3"),
    ]
    assert rows[0]["states"].split("; ")[-1] == "closed 2026-03-17T12:00:00+00:00"


async def test_no_cell_of_the_evidence_begins_with_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    [first, *others] = created(1, day(2))
    details = {**first.details, "requester_name": "=HYPERLINK(1)", "name": "harmless;@SUM(1)"}
    planted = EvidenceEvent(
        first.kind, first.at, first.connection_id, first.ticket_id, first.tenant_id, first.keys, details
    )
    auditor = Auditor(monkeypatch, [planted, *others])
    answer = await auditor.ask(f"{MARCH}&format=csv")
    [row] = csv.DictReader(io.StringIO(answer.get_body().decode("utf-8-sig")))
    assert (row["requester_name"], row["name"]) == ("'=HYPERLINK(1)", "harmless;'@SUM(1)")


@pytest.mark.parametrize("language", languages())
async def test_the_page_shows_each_recommendation_and_offers_the_files(auditor: Auditor, language: str) -> None:
    status, text = await auditor.page(f"{MARCH}&sample=&seed=&basis=created", language)
    t = languages()[language]
    assert status == 200
    for shown in ("INC1", "Control3", "Megan Bowen", t("ticket_outcome.verified"), t("evidence.retention", days=1095)):
        assert shown in text
    address = "/api/evidence?since=2026-03-01&amp;until=2026-03-31&amp;basis=created&amp;format=oscal"
    assert f'href="{address}"' in text


async def test_the_page_names_the_recommendations_that_are_still_there_with_one_list_for_each_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    action = ImprovementAction(tenant_id=TENANT, source=SourceName.SECURE_SCORE, source_id="scid_103", title="Use MFA")
    here = of_ticket(1, "created", day(2), requester_id="megan")
    here = replace(here, keys=(action.key,))
    elsewhere = of_ticket(2, "created", day(2), tenant_id=OTHER_TENANT, requester_id="megan")
    auditor = Auditor(monkeypatch, [here, *created(3, day(2)), elsewhere])
    auditor.recommendations.actions[TENANT][action.key] = action
    _, text = await auditor.page(MARCH)
    assert f'<a href="/recommendations/{action.key}?tenant_id={TENANT}">Use MFA</a>' in text
    assert "Control1" in text
    assert auditor.lists == 1, "the other tenant was removed"


@pytest.mark.parametrize("outcome", [*Outcome, "of_another_release"])
async def test_outcomes_have_the_colours_that_they_have_on_tickets(
    monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    auditor = Auditor(monkeypatch, [*created(1, day(2)), decided(1, day(3), outcome)])
    _, text = await auditor.page(MARCH)
    assert f'<span class="badge {outcome_tone(outcome)}">{languages()["en"].named("ticket_outcome", outcome)}' in text


async def test_the_page_keeps_a_sample_in_the_addresses_of_its_files(auditor: Auditor) -> None:
    _, text = await auditor.page(f"{MARCH}&sample=1&seed=a%26b")
    assert "sample=1&amp;seed=a%26b&amp;format=csv" in text


async def test_the_page_says_what_is_wrong_with_a_period(auditor: Auditor) -> None:
    status, text = await auditor.page("since=2020-01-01")
    assert status == 400
    assert "longer than 366 days" in text
    assert "format=csv" not in text


async def test_the_page_shows_a_hundred_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = Auditor(monkeypatch, [event for number in range(1, 102) for event in created(number, day(2))])
    _, text = await auditor.page(MARCH)
    assert text.count('<td class="number"') == 100
    assert "first 100 tickets" in text
