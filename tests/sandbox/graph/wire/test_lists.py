"""Lists of scores and profiles: paging and query options (Microsoft Graph §1.3)."""

from urllib.parse import quote

import pytest

from tests.sandbox.graph.simulated import OTHER_TENANT, PROFILES, SCORES, TENANT, Simulated


def test_profiles_come_in_pages_sorted_without_regard_to_case(graph: Simulated) -> None:
    url, pages = PROFILES, []
    while url:
        body = graph.json(url)
        pages.append([profile["id"] for profile in body["value"]])
        url = body.get("@odata.nextLink", "")
        assert not url or url.startswith(f"https://graph.test{PROFILES}?$skiptoken=")
    assert [len(page) for page in pages] == [200, 200, 60]
    ids = [control_id for page in pages for control_id in page]
    assert ids == sorted(set(ids), key=str.lower)


def test_scores_come_newest_first_and_all_in_one_page(graph: Simulated) -> None:
    body = graph.json(SCORES)
    assert [score["id"] for score in body["value"]] == [f"{TENANT}_2026-11-{day}" for day in (24, 23, 22, 21, 20)]
    assert "@odata.nextLink" not in body
    assert body["@odata.context"] == "https://graph.test/v1.0/$metadata#security/secureScores"


def test_the_first_score_has_a_link_that_leads_through_all_days_one_by_one(graph: Simulated) -> None:
    url, days = f"{SCORES}?$top=1", []
    while url:
        body = graph.json(url)
        days += [score["createdDateTime"] for score in body["value"]]
        assert len(body["value"]) == 1
        url = body.get("@odata.nextLink", "")
        assert not url or "?$top=1&$skiptoken=" in url
    assert days == [f"2026-11-{day}T00:00:00Z" for day in (24, 23, 22, 21, 20)]


def test_skip_leaves_the_newest_scores_out(graph: Simulated) -> None:
    body = graph.json(f"{SCORES}?$top=2&$skip=3")
    assert [score["createdDateTime"][:10] for score in body["value"]] == ["2026-11-21", "2026-11-20"]
    assert "@odata.nextLink" not in body
    assert graph.json(f"{SCORES}?$skip=90")["value"] == []


def test_a_large_top_brings_all_profiles_at_once(graph: Simulated) -> None:
    body = graph.json(f"{PROFILES}?$top=999&$count=true")
    assert len(body["value"]) == body["@odata.count"] == 460
    assert "@odata.nextLink" not in body


@pytest.mark.parametrize(("oversize", "size"), [("clamped", 300), ("ignored", 200)])
def test_an_oversize_top(graph: Simulated, oversize: str, size: int) -> None:
    graph.control.set_switches({"profiles.largest_top": 300, "profiles.oversize_top": oversize})
    assert len(graph.json(f"{PROFILES}?$top=400")["value"]) == size


def test_an_oversize_top_may_be_refused(graph: Simulated) -> None:
    graph.control.set_switches({"profiles.largest_top": 300, "profiles.oversize_top": "refused"})
    assert graph.get(f"{PROFILES}?$top=400").status_code == 400


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("id eq 'scid_2012'", ["scid_2012"]),
        ("service eq 'MDATP' and id eq 'AdminMFAV2'", []),
        ("(id eq 'AdminMFAV2' or id eq 'scid_2012') and service eq 'MDATP'", ["scid_2012"]),
        ("id eq 'AdminMFAV2' or id eq 'scid_2012' and service eq 'none'", ["AdminMFAV2"]),
        ("maxScore eq 10 and rank eq 1", ["AdminMFAV2"]),
        ("title eq 'It''s not there'", []),
        ("deprecated eq true", []),
    ],
)
def test_filters(graph: Simulated, expression: str, ids: list[str]) -> None:
    body = graph.json(f"{PROFILES}?$filter={quote(expression)}&$count=true")
    assert [profile["id"] for profile in body["value"]] == ids
    assert body["@odata.count"] == len(ids)


def test_the_link_of_a_filtered_page_keeps_the_filter(graph: Simulated) -> None:
    graph.control.set_switches({"profiles.page_size": 100})
    first = graph.json(f"{PROFILES}?$filter={quote("service eq 'MDATP'")}")
    second = graph.json(first["@odata.nextLink"])
    assert (len(first["value"]), len(second["value"])) == (100, 78)
    assert {profile["service"] for profile in (*first["value"], *second["value"])} == {"MDATP"}


@pytest.mark.parametrize(
    "query",
    [
        "$filter=id%20eq",
        "$filter=id%20gt%20'a'",
        "$filter=nothing%20eq%20'a'",
        "$filter=threats%20eq%20'a'",
        "$filter=(id%20eq%20'a'",
        "$filter=id%20eq%20'a')",
        "$filter=id%20eq%20'a",
        "$filter=id%20eq%20a",
        "$filter=",
        "$top=0",
        "$top=-1",
        "$top=all",
        "$skip=x",
        "$skiptoken=2f0c9f4e-7d1b-4c8a-9e55-000000000001",
        "$expand=threats",
        "$search=mfa",
        "$unknown=1",
        "$select=nothing",
        "$orderby=threats",
        "$orderby=id%20up",
    ],
)
def test_what_is_malformed_or_unknown_is_refused(graph: Simulated, query: str) -> None:
    response = graph.get(f"{PROFILES}?{query}")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "BadRequest"


def test_select_and_orderby(graph: Simulated) -> None:
    body = graph.json(f"{PROFILES}?$select=title,rank&$orderby=rank%20desc,id&$top=3")
    assert [set(profile) for profile in body["value"]] == [{"id", "title", "rank"}] * 3
    assert [profile["rank"] for profile in body["value"]] == [128, 128, 128]
    graph.control.set_switches({"odata.select_and_orderby": "refused"})
    assert graph.get(f"{PROFILES}?$select=title").status_code == 400
    assert graph.get(f"{PROFILES}?$orderby=rank").status_code == 400


def test_a_link_works_again_until_it_expires(graph: Simulated) -> None:
    link = graph.json(PROFILES)["@odata.nextLink"]
    assert graph.json(link)["value"] == graph.json(link)["value"]
    graph.control.advance(hours=1.1)
    assert graph.get(link).status_code == 400


def test_a_link_works_for_its_own_tenant_and_list_only(graph: Simulated) -> None:
    link = graph.json(PROFILES)["@odata.nextLink"]
    assert graph.get(link, tenant_id=OTHER_TENANT).status_code == 400
    assert graph.get(link.replace(PROFILES, SCORES)).status_code == 400


def test_single_items(graph: Simulated) -> None:
    profile = graph.json(f"{PROFILES}/11770.MDA_Google_EnableTwoFactorAuth")
    assert profile["id"] == "11770.MDA_Google_EnableTwoFactorAuth"
    assert profile["@odata.context"].endswith("#security/secureScoreControlProfiles/$entity")
    newest = graph.newest()
    score = graph.json(f"{SCORES}/{newest['id']}")
    assert {name: score[name] for name in newest} == newest
    for unknown in (f"{PROFILES}/adminmfav2", f"{SCORES}/{OTHER_TENANT}_2026-11-24", "/v1.0/security/else"):
        assert graph.get(unknown).status_code == 404


def test_beta_answers_alike(graph: Simulated) -> None:
    assert graph.json(f"{SCORES}?$top=1".replace("v1.0", "beta"))["value"] == [graph.newest()]


def test_other_verbs_are_not_supported(graph: Simulated) -> None:
    assert graph.client.post(SCORES, headers=graph.get(SCORES).request.headers).status_code == 405


def test_titles_may_follow_the_language(graph: Simulated) -> None:
    path = f"{PROFILES}/AdminMFAV2"
    plain = graph.get(path, **{"Accept-Language": "ja-JP,en;q=0.5"}).json()["title"]
    graph.control.set_switches({"texts.follow_accept_language": True})
    assert graph.get(path, **{"Accept-Language": "ja-JP,en;q=0.5"}).json()["title"] == f"[ja] {plain}"
    assert graph.get(path, **{"Accept-Language": "en-US"}).json()["title"] == plain
