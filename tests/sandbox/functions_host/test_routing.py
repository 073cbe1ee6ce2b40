"""Which function a request reaches (Functions host §1)."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.functions_host.apps import routed
from tests.sandbox.functions_host.conftest import StartHost, Wire


def reached(wire: Wire, path: str, method: str = "GET") -> tuple[str, dict[str, str]] | int:
    """Return the function and route parameters for a path below /api, or the status of an empty answer."""
    status, answer = wire.ask(f"{method} /api/{path} HTTP/1.1")
    head, _, body = answer.partition("\r\n\r\n")
    if status != 200:
        assert "Content-Length: 0" in head
        assert body == ""
        return status
    seen = json.loads(body.split("\r\n")[1])
    return seen["function"], seen["route_params"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("l/new", ("a_rest", {"rest": "new"})),
        ("l/5", ("a_rest", {"rest": "5"})),
        ("l/a/b", ("a_rest", {"rest": "a/b"})),
        ("m/new", ("lit", {})),
        ("m/5", ("lit_p", {"x": "5"})),
        ("m/a/b", ("lit_rest", {"rest": "a/b"})),
        ("i2/5", ("i_any", {"x": "5"})),
    ],
)
def test_first_function_by_name_wins_without_precedence(routes: Wire, path: str, expected: object) -> None:
    """§R1, §R2."""
    assert reached(routes, path) == expected


def test_method_falls_through_to_a_later_route(routes: Wire) -> None:
    """§R3, §R6."""
    assert reached(routes, "sm") == ("sm_get", {})
    assert reached(routes, "sm", "POST") == ("sm_post", {})
    assert reached(routes, "sp/7") == ("sp_get", {"id": "7"})
    assert reached(routes, "sp/7", "POST") == ("sp_post", {"other": "7"})
    assert reached(routes, "sm", "PUT") == 404


def test_overlapping_methods_on_one_route_lose_the_later_function(routes: Wire) -> None:
    """§R4, §R5, §X3."""
    assert reached(routes, "over") == ("over_a", {})
    assert reached(routes, "over", "POST") == 404
    assert reached(routes, "anything") == ("over_c", {})
    assert reached(routes, "ov/1") == ("ov_x", {"x": "1"})
    assert "The route specified conflicts with the route defined by function 'over_a'." in routes.process.text()


def test_routes_that_begin_like_the_hosts_own_are_refused(routes: Wire) -> None:
    """§R23."""
    assert reached(routes, "administration") == 404
    assert reached(routes, "runtimes/x") == 404
    assert routes.process.text().count("The specified route conflicts with one or more built in routes.") == 2


def test_unlisted_method_is_404_and_never_405(routes: Wire) -> None:
    """§R6, §R28."""
    status, answer = routes.ask("POST /api/only HTTP/1.1")
    assert status == 404
    assert "allow" not in answer.lower()
    assert reached(routes, "nothing/here") == 404
    assert reached(routes, "") == 404
    assert routes.ask("GET /api HTTP/1.1")[0] == 404
    assert routes.ask("GET /function_app.py HTTP/1.1")[0] == 404


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_head_and_options_are_not_implied(routes: Wire, method: str) -> None:
    """§R7, §R8."""
    status, answer = routes.ask(f"{method} /api/only HTTP/1.1", "Host: h", "Origin: https://o.example")
    assert status == 404
    assert "access-control" not in answer.lower()


def test_head_is_served_without_body_or_length_where_listed(routes: Wire) -> None:
    """§R7."""
    status, answer = routes.ask("HEAD /api/all HTTP/1.1")
    head, _, body = answer.partition("\r\n\r\n")
    assert status == 200
    assert "application/json" in head
    assert "content-length" not in head.lower()
    assert body == ""


@pytest.mark.parametrize("method", ["GET", "PROPFIND", "TRACE", "CONNECT", "FOO", "OPTIONS", "get"])
def test_every_method_reaches_a_function_that_lists_none(routes: Wire, method: str) -> None:
    """§R9."""
    _, answer = routes.ask(f"{method} /api/all HTTP/1.1")
    assert f'"method": "{method.upper()}"' in answer


def test_lower_case_method_matches_a_listed_one(routes: Wire) -> None:
    """§R9."""
    assert reached(routes, "only", "get") == ("only_get", {})


def test_function_name_is_the_route_where_there_is_none(routes: Wire) -> None:
    """§R10."""
    assert reached(routes, "namedroute") == ("NamedRoute", {})
    assert reached(routes, "empty_route") == ("empty_route", {})


def test_paths_match_whatever_their_case_and_values_keep_it(routes: Wire) -> None:
    """§R11."""
    status, answer = routes.ask("GET /API/P/AbC HTTP/1.1")
    assert status == 200
    assert '"url": "http://h/API/P/AbC"' in answer
    assert '"x": "AbC"' in answer


def test_one_trailing_slash_is_ignored(routes: Wire) -> None:
    """§R12."""
    assert reached(routes, "only/") == ("only_get", {})
    assert reached(routes, "p/a/") == ("p", {"x": "a"})
    assert '"url": "http://h/api/p/a/"' in routes.ask("GET /api/p/a/ HTTP/1.1")[1]


def test_double_slashes_are_not_folded(routes: Wire) -> None:
    """§R13."""
    assert reached(routes, "/p/a") == 404
    assert routes.ask("GET //api/p/a HTTP/1.1")[0] == 404
    assert reached(routes, "p//a") == 404
    assert reached(routes, "r/a//b") == ("r", {"rest": "a//b"})
    assert reached(routes, "r/a/") == ("r", {"rest": "a/"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("p", 404),
        ("p/", 404),
        ("o", ("optional", {})),
        ("o/", ("optional", {})),
        ("r", ("r", {})),
        ("r/", ("r", {})),
        ("d", ("default", {"x": "hello"})),
        ("d/x", ("default", {"x": "x"})),
        ("mi", ("maybe_int", {})),
        ("mi/5", ("maybe_int", {"x": "5"})),
        ("mi/a", 404),
        ("ss/a/b", ("double_star", {"rest": "a/b"})),
        ("mix/a-b-c.d.e", ("mixed", {"a": "a-b", "b": "c.d", "ext": "e"})),
    ],
)
def test_absent_optional_parameters_are_left_out(routes: Wire, path: str, expected: object) -> None:
    """§R14 to §R16, §R19, §R21, §R22."""
    assert reached(routes, path) == expected


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("int/5", True),
        ("int/-5", True),
        ("int/05", True),
        ("int/+5", True),
        ("int/a", False),
        ("int/99999999999", False),
        ("guid/6816f79c-c0a8-0164-01c5-a33be04be441", True),
        ("guid/6816f79cc0a8016401c5a33be04be441", True),
        ("guid/6816f79c", False),
        ("bool/TRUE", True),
        ("bool/1", False),
        ("alpha/ab", True),
        ("alpha/a1", False),
        ("len/abc", True),
        ("len/ab", False),
        ("regex/AB", True),
        ("regex/abcd", False),
    ],
)
def test_constraints_decide_a_match_and_values_stay_text(routes: Wire, path: str, matches: bool) -> None:
    """§R17 to §R20."""
    found = reached(routes, path)
    if matches:
        assert isinstance(found, tuple)
        assert found[1] == {"x": path.partition("/")[2]}
    else:
        assert found == 404


def test_literal_text_is_compared_with_the_decoded_path(routes: Wire) -> None:
    """§R26, §R27."""
    assert reached(routes, "with%20space") == ("spaced", {})
    assert reached(routes, "%E6%97%A5%E6%9C%AC") == ("japanese", {})
    assert reached(routes, "pc%2520x") == ("percent", {})
    assert reached(routes, "pc%20x") == 404
    assert reached(routes, "%25NAME%25/x") == ("setting", {})


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("a%20b", "a b"),
        ("%20", " "),
        ("a+b", "a+b"),
        ("a%2Fb", "a%2Fb"),
        ("a%252Fb", "a%2Fb"),
        ("a%25b", "a%b"),
        ("%E6%97%A5", "日"),
        ("%ff", "%ff"),
        ("%zz", "%zz"),
        ("%", "%"),
        ("a;b=1", "a;b=1"),
        ("a%3Bb", "a;b"),
        ("a:b", "a:b"),
        ("a@b", "a@b"),
        ("a'b", "a'b"),
        ("~", "~"),
        ("a%3Fb", "a?b"),
        ("a%23b", "a#b"),
        ("a%5Cb", "a\\b"),
        ("a\\b", "a\\b"),
        ("a%22b", 'a"b'),
        ("%7Bx%7D", "{x}"),
        ("a%09b", "a\tb"),
        ("a%0d%0aX:1", "a\r\nX:1"),
    ],
)
def test_parameters_are_decoded_except_slashes(routes: Wire, sent: str, seen: str) -> None:
    """§R30 to §R38."""
    assert reached(routes, f"p/{sent}") == ("p", {"x": seen})


def test_slash_stays_encoded_in_a_catch_all_too(routes: Wire) -> None:
    """§R32."""
    assert reached(routes, "r/a%2Fb/c") == ("r", {"rest": "a%2Fb/c"})


def test_nul_and_raw_bytes_in_a_path_are_400_and_close(routes: Wire) -> None:
    """§R39."""
    for target in ("/api/p/%00", "/api/p/é"):
        status, answer = routes.ask(f"GET {target} HTTP/1.1")
        assert status == 400
        assert "Content-Length: 0" in answer
        assert "X-Custom" not in answer


def test_dot_segments_are_resolved_before_routing(routes: Wire) -> None:
    """§R40."""
    assert reached(routes, "p/../all") == ("all_methods", {})
    assert reached(routes, "r/%2e%2e/all") == ("all_methods", {})
    assert reached(routes, "./all") == ("all_methods", {})
    assert reached(routes, "p/..") == 404


def test_absolute_form_must_agree_with_host(routes: Wire) -> None:
    """§R41."""
    assert routes.ask("GET http://h/api/all HTTP/1.1")[0] == 200
    assert routes.ask("GET http://other/api/all HTTP/1.1")[0] == 400


def test_fragment_is_no_part_of_a_path_and_kept_in_a_query(routes: Wire) -> None:
    """§R42."""
    assert routes.ask("GET /api/all#frag HTTP/1.1")[0] == 404
    answer = routes.ask("GET /api/all?a=b#c HTTP/1.1")[1]
    assert '"url": "http://h/api/all?a=b%23c"' in answer
    assert '"params": {"a": "b#c"}' in answer


def test_asterisk_form(routes: Wire) -> None:
    """§R43."""
    assert routes.ask("GET * HTTP/1.1")[0] == 405
    assert routes.ask("OPTIONS * HTTP/1.1")[0] == 404


@pytest.mark.parametrize(
    "route", ["u/{x", "v/{x}/{x}", "w/{x:nope}", "q?x=1", "a/{*r}/b", "/lead/x", "a/{x:regex([)}", "{x}{y}/b"]
)
async def test_malformed_route_puts_the_whole_host_in_error(host_of: StartHost, route: str) -> None:
    """§R24, §R25, §X5."""
    _, client = await host_of(routed(("bad", route, None), ("good", "good", None)))
    for path in ("/api/good", "/", "/nothing"):
        answer = await client.get(path)
        assert (answer.status_code, answer.text) == (503, "Function host is not running.")
    assert (await client.get("/admin/host/ping")).status_code == 200


async def test_names_that_differ_only_in_case_put_the_whole_host_in_error(host_of: StartHost) -> None:
    """§X4."""
    host, client = await host_of(routed(("ok", "a", None), ("OK", "b", None)))
    assert (await client.get("/api/a")).status_code == 503
    assert host.errors == ("Sequence contains more than one matching element: ok, OK",)


async def test_root_is_the_home_page_until_a_function_takes_it(host_of: StartHost) -> None:
    """§R51, §R56."""
    _, client = await host_of(routed(("one", "one", None)), {"extensions": {"http": {"routePrefix": ""}}})
    for method in ("GET", "HEAD", "POST"):
        answer = await client.request(method, "/")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html"
        assert int(answer.headers["content-length"]) > 100
    assert (await client.get("/one")).status_code == 200
    assert (await client.get("/api/one")).status_code == 404
    for path in ("/favicon.ico", "/robots.txt", "/.well-known/x", "/.auth/me"):
        assert (await client.get(path)).status_code == 404


async def test_home_page_can_be_turned_off(host_of: StartHost) -> None:
    """§R52."""
    _, client = await host_of(routed(("one", "one", None)), environment={"AzureWebJobsDisableHomepage": "true"})
    answer = await client.get("/")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("route", ["/", "{*path}", "{page?}"])
async def test_function_takes_the_root(host_of: StartHost, route: str) -> None:
    """§R53, §R54."""
    _, client = await host_of(routed(("root", route, None)), {"extensions": {"http": {"routePrefix": ""}}})
    answer = (await client.get("/")).json()
    assert (answer["function"], answer["route_params"]) == ("root", {})


async def test_catch_all_swallows_what_sorts_later_but_not_the_hosts_own_paths(host_of: StartHost) -> None:
    """§R55, §R56."""
    text = routed(("any", "{*path}", None), ("before", "before", None), ("Also", "also", None))
    _, client = await host_of(text, {"extensions": {"http": {"routePrefix": ""}}})
    reached_by = {path: (await client.get(path)).json()["function"] for path in ("/before", "/also", "/admin/zzz")}
    assert reached_by == {"/before": "any", "/also": "Also", "/admin/zzz": "any"}
    for path in ("/admin", "/runtime/foo", "/.auth/me", "/favicon.ico"):
        assert (await client.get(path)).json()["function"] == "any"
    assert (await client.get("/admin/host/ping")).content == b""
    assert (await client.get("http://h//")).status_code == 404


async def test_one_function_with_an_unknown_trigger_is_left_out(host_of: StartHost) -> None:
    """§X3."""
    queue = '\n@app.queue_trigger(arg_name="m", queue_name="q", connection="c")\ndef queued(m: str) -> None: ...\n'
    host, client = await host_of(routed(("one", "one", None)) + queue)
    assert (await client.get("/api/one")).status_code == 200
    assert list(host.table.in_error or ()) == ["queued"]
