"""Lists end, lead nowhere else, and are read again when their addresses expire."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from shared.errors import GraphRequestRejected, GraphUnavailable
from shared.graph.lists import PAGES_AT_MOST, Listed
from tests.unit.graph.support import PROFILES, SCORES, TENANT_ID, Graph, error_reply, graph, page, raw_reply


def link(token: object) -> str:
    return f"{PROFILES}?$skiptoken={token}"


def usable(item: object) -> tuple[object | None, int]:
    return (item, 0) if item else (None, 1)


async def read_whole(peer: Graph) -> Listed[object]:
    return await peer.lists().whole(TENANT_ID, "secureScoreControlProfiles", usable)


async def test_a_list_is_read_to_its_end() -> None:
    peer = graph(page(1, 2, next_link=link("a")), page(next_link=link("b")), page(3, 0))
    assert await read_whole(peer) == Listed((1, 2, 3), received=4, skipped=1)
    assert peer.addresses == [PROFILES, link("a"), link("b")], "an empty page goes on, too"


async def test_an_empty_page_can_lead_to_the_list_itself() -> None:
    peer = graph(page(next_link=PROFILES), page(1))
    assert (await read_whole(peer)).entries == (1,)


async def test_one_partial_page_makes_it_incomplete() -> None:
    peer = graph(page(1, next_link=link("a"), status=206), page(2))
    assert (await read_whole(peer)).is_complete is False


async def test_a_part_does_not_go_on() -> None:
    peer = graph(page(1, next_link=f"{SCORES}?$top=1&$skiptoken=a"))
    assert (await peer.lists().part(TENANT_ID, "secureScores", usable, top=1)).entries == (1,)
    assert peer.addresses == [f"{SCORES}?$top=1"]
    await peer.lists().part(TENANT_ID, "secureScores", usable, top=5, skip=10)
    assert peer.addresses[-1] == f"{SCORES}?$top=5&$skip=10"


@pytest.mark.parametrize("again", [link("a"), link("b")])
async def test_a_page_that_leads_back(again: str) -> None:
    peer = graph(page(1, next_link=link("a")), page(2, next_link=link("b")), page(3, next_link=again))
    with pytest.raises(GraphUnavailable) as caught:
        await read_whole(peer)
    assert caught.value.code == "graph_list_endless"
    assert len(peer.requests) == 3


async def test_a_list_without_an_end() -> None:
    peer = graph(lambda _: page(1, next_link=link(len(peer.requests)))(_))  # type: ignore[operator]
    with pytest.raises(GraphUnavailable) as caught:
        await read_whole(peer)
    assert caught.value.code == "graph_list_endless"
    assert len(peer.requests) == PAGES_AT_MOST


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://graph.microsoft.us/v1.0/security/secureScoreControlProfiles?$skiptoken=a",
        "https://graph.microsoft.com.elsewhere.example/v1.0/",
        "https://graph.microsoft.com@elsewhere.example/",
        "https://graph.microsoft.com:444/v1.0/",
        "https://graph.microsoft.com\\@elsewhere.example/",
        "https://graph.microsoft.com/\\..\\\\elsewhere.example/",
        "http://graph.microsoft.com/v1.0/",
        "//elsewhere.example/",
        "/v1.0/security/secureScoreControlProfiles?$skiptoken=a",
        " https://graph.microsoft.com/v1.0/",
        f"{PROFILES}?a=\r\nHost: elsewhere.example",
        f"{PROFILES}?a=\0",
        f"{PROFILES}?a=é",
        f"{PROFILES}?a={'x' * 5000}",
        "javascript:alert(1)",
        "",
        7,
        [PROFILES],
    ],
)
async def test_a_link_that_leads_elsewhere_never_gets_the_token(elsewhere: object) -> None:
    peer = graph(page(1, next_link=elsewhere), page(2))
    with pytest.raises(GraphUnavailable) as caught:
        await read_whole(peer)
    assert caught.value.code == "graph_link_refused"
    assert [request.url.host for request in peer.requests] == ["graph.microsoft.com"]


async def test_an_expired_address_starts_the_list_again() -> None:
    peer = graph(page(1, 2, next_link=link("a")), error_reply(400), page(1, next_link=link("b")), page(2, 3))
    assert await read_whole(peer) == Listed((1, 2, 3), received=3)
    assert peer.addresses == [PROFILES, link("a"), PROFILES, link("b")]


async def test_but_only_once() -> None:
    peer = graph(*[page(1, next_link=link("a")), error_reply(400)] * 3)
    with pytest.raises(GraphRequestRejected) as caught:
        await read_whole(peer)
    assert caught.value.values["answered_status"] == 400
    assert len(peer.requests) == 4


async def test_a_first_page_that_is_rejected_is_not_asked_for_again() -> None:
    peer = graph(error_reply(400))
    with pytest.raises(GraphRequestRejected):
        await read_whole(peer)
    assert len(peer.requests) == 1


async def test_a_page_that_is_missing_is_no_expired_address() -> None:
    peer = graph(page(1, next_link=link("a")), error_reply(404))
    with pytest.raises(GraphRequestRejected) as caught:
        await read_whole(peer)
    assert caught.value.code == "secure_score_not_available"
    assert len(peer.requests) == 2


async def test_a_page_that_stumbles_is_repeated_alone() -> None:
    peer = graph(page(1, next_link=link("a")), raw_reply(b"<html>", 200), error_reply(503), page(2))
    assert (await read_whole(peer)).entries == (1, 2)
    assert peer.addresses == [PROFILES, link("a"), link("a"), link("a")]


async def test_a_token_that_ends_midway_is_replaced() -> None:
    peer = graph(page(1, next_link=link("a")), error_reply(401), page(2, next_link=link("b")), page(3))
    assert (await read_whole(peer)).entries == (1, 2, 3)
    assert peer.tokens.asked == ["new"]


async def test_another_cloud_has_its_own_origin() -> None:
    theirs = "https://dod-graph.microsoft.us"
    peer = graph(page(1, next_link=f"{theirs}/v1.0/x?$skiptoken=a"), page(2, next_link=link("b")))
    with pytest.raises(GraphUnavailable) as caught:
        await peer.lists(graph_url=theirs).whole(TENANT_ID, "secureScoreControlProfiles", usable)
    assert caught.value.code == "graph_link_refused"
    assert {request.url.host for request in peer.requests} == {"dod-graph.microsoft.us"}


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
async def test_a_claims_challenge_is_answered(encode: Callable[[bytes], bytes]) -> None:
    wanted = '{"access_token":{"nbf":{"essential":true,"value":"1764072000"},"why":{"value":"~~~???>>>"}}}'
    for encoded in (encode(wanted.encode()).decode(), encode(wanted.encode()).decode().rstrip("=")):
        peer = graph(error_reply(401, headers={"WWW-Authenticate": challenge(encoded)}), page(1))
        assert (await read_whole(peer)).entries == (1,)
        assert peer.tokens.claims == [wanted]


@pytest.mark.parametrize(
    "claims", ["", "x", "!", *(base64.b64encode(each).decode() for each in (b"7", b"[]", b"\xff", b"[" * 3000))]
)
async def test_a_challenge_that_makes_no_sense_only_gets_another_token(claims: str) -> None:
    peer = graph(error_reply(401, headers={"WWW-Authenticate": challenge(claims)}), page(1))
    assert (await read_whole(peer)).entries == (1,)
    assert peer.tokens.claims == [None]


def challenge(claims: str) -> str:
    return f'Bearer realm="", authorization_uri="https://login.example", error="insufficient_claims", claims="{claims}"'
