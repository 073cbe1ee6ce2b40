"""Item 13, and the cookie trap: what happens to a client with a cookie jar."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import pytest

from tests.sandbox.servicenow.simulator import Simulated, simulated

TABLE = "/api/now/table/incident"


@pytest.fixture
def simulator() -> Iterator[Simulated]:
    with simulated() as world:
        yield world


def test_item_13_an_answer_sets_the_real_cookies(simulator: Simulated) -> None:
    response = simulator.api(simulator.tokens()["access_token"])
    cookies = {line.split("=")[0]: line for line in response.headers.get_list("set-cookie")}
    assert cookies.keys() == {
        "JSESSIONID",
        "glide_user",
        "glide_user_session",
        "glide_user_route",
        "glide_node_id_for_js",
        "glide_session_store",
    }
    assert cookies["glide_user"].startswith("glide_user=; Max-Age=0")
    assert cookies["glide_user_session"].startswith("glide_user_session=; Max-Age=0")
    assert "Max-Age=1800" in cookies["glide_session_store"]
    assert "Secure" not in cookies["JSESSIONID"], "a jar would drop it over plain HTTP and hide the trap"


def test_item_13_over_tls_the_cookies_are_secure(simulator: Simulated) -> None:
    with httpx.Client(base_url="https://instance.test", transport=simulator.transport) as client:
        assert "; Secure" in client.get(TABLE).headers["set-cookie"]


def test_headers_of_an_ordinary_answer(simulator: Simulated) -> None:
    headers = simulator.api(simulator.tokens()["access_token"]).headers
    assert headers["server"] == "snow_adc"
    assert headers["x-is-logged-in"] == "true"
    assert headers["cache-control"] == "no-cache,no-store,must-revalidate,max-age=-1"
    assert headers["x-transaction-id"]
    assert headers["server-timing"].startswith("t;desc=")
    assert simulator.api().headers["x-is-logged-in"] == "false"


def test_cookies_outlive_the_token_where_the_instance_lets_them(simulator: Simulated) -> None:
    simulator.instance.properties["glide.authenticate.oauth.post.token.expiration.cookie_auth.disabled"] = False
    tokens = simulator.tokens()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    with simulator.client() as client:
        assert client.get(TABLE, headers=bearer).status_code == 200
        simulator.send("GET", "/oauth_revoke_token.do", params={"token": tokens["access_token"]})
        assert client.get(TABLE, headers=bearer).status_code == 200, "the jar hides that the token is dead"
        client.cookies.clear()
        assert client.get(TABLE, headers=bearer).status_code == 401


def test_by_default_cookies_die_with_the_token(simulator: Simulated) -> None:
    access_token = simulator.tokens()["access_token"]
    with simulator.client() as client:
        assert client.get(TABLE, headers={"Authorization": f"Bearer {access_token}"}).status_code == 200
        assert client.get(TABLE).status_code == 200
        simulator.send("GET", "/oauth_revoke_token.do", params={"token": access_token})
        assert client.get(TABLE).status_code == 401


def test_cookies_of_a_deactivated_user_are_worthless(simulator: Simulated) -> None:
    with simulator.client() as client:
        assert client.get(TABLE, auth=("agent", "correct horse")).status_code == 200
        assert client.get(TABLE).status_code == 200
        simulator.change_user("agent", active="false")
        assert client.get(TABLE).status_code == 401


def test_made_up_cookies_are_ignored(simulator: Simulated) -> None:
    for cookie in ("JSESSIONID=" + "A" * 32, "=;;", "JSESSIONID"):
        assert simulator.send("GET", TABLE, headers={"Cookie": cookie}).status_code == 401


async def in_parallel(simulator: Simulated, count: int, jar: CookieJar | None) -> Counter[int]:
    transport = httpx.ASGITransport(simulator.app)
    async with httpx.AsyncClient(transport=transport, base_url=simulator.url, cookies=jar) as client:
        credentials = ("agent", "correct horse")
        assert (await client.get(TABLE, auth=credentials)).status_code == 200
        responses = await asyncio.gather(*(client.post(TABLE, json={}, auth=credentials) for _ in range(count)))
        return Counter(response.status_code for response in responses)


def test_more_than_ten_waiting_in_one_session_get_202_and_never_run(simulator: Simulated) -> None:
    before = simulator.instance.records.count("incident")
    assert asyncio.run(in_parallel(simulator, 100, jar=None)) == {201: 11, 202: 89}
    assert simulator.instance.records.count("incident") - before == 11


def test_without_cookies_everything_runs(simulator: Simulated) -> None:
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    assert asyncio.run(in_parallel(simulator, 100, no_cookies)) == {201: 100}
