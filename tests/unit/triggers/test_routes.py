"""The host tries routes in the order of the functions' names (Functions host §R1)."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.triggers.openapi import TAGS, openapi_document, problems_of, tag_of
from shared.triggers.routes import methods_of, operations, own_address
from tests.registered import functions


@dataclass(frozen=True)
class Route:
    name: str
    path: str
    method: str

    @property
    def segments(self) -> list[str]:
        return self.path.strip("/").split("/")

    @property
    def literals(self) -> int:
        return sum(not segment.startswith("{") for segment in self.segments)


def routes() -> list[Route]:
    found = []
    for function in functions():
        trigger = function.get_trigger()
        found += [
            Route(str(function.get_function_name()), str(getattr(trigger, "route", "")), method.value)
            for method in getattr(trigger, "methods", None) or ()
        ]
    return found


def can_meet(one: Route, other: Route) -> bool:
    """Say whether an address fits both."""
    return (
        one.method == other.method
        and len(one.segments) == len(other.segments)
        and all(
            mine == theirs or mine.startswith("{") or theirs.startswith("{")
            for mine, theirs in zip(one.segments, other.segments, strict=True)
        )
    )


PAIRS = [pair for pair in itertools.combinations(routes(), 2) if can_meet(*pair)]


def test_there_are_addresses_that_fit_two_routes() -> None:
    assert {frozenset(route.name for route in pair) for pair in PAIRS} >= {frozenset({"count_tickets", "show_ticket"})}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name} and {pair[1].name}")
def test_the_literal_one_sorts_first(pair: tuple[Route, Route]) -> None:
    literal, general = sorted(pair, key=lambda route: -route.literals)
    assert literal.literals > general.literals, "no order can distinguish these"
    assert literal.name.lower() < general.name.lower()


def test_names_and_routes_are_unique() -> None:
    everything = routes()
    assert len({str(function.get_function_name()).lower() for function in functions()}) == len(functions())
    assert len({(route.path, route.method) for route in everything}) == len(everything)


def test_what_takes_every_other_address_sorts_last() -> None:
    """It would swallow each function whose name sorts after its own (Functions host §R55)."""
    catching = [each for each in functions() if getattr(each.get_trigger(), "route", None) == "{*path}"]
    assert [each.get_function_name() for each in catching] == ["unknown_address"]
    assert getattr(catching[0].get_trigger(), "methods", ()) is None
    assert max(functions(), key=lambda each: str(each.get_function_name()).lower()) is catching[0]


def test_head_is_served_wherever_get_is() -> None:
    everything = {(route.name, route.method) for route in routes()}
    assert {name for name, method in everything if method == "GET"} == {
        name for name, method in everything if method == "HEAD"
    }


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.method} {route.path}")
@settings(max_examples=10)
@given(st.text(st.characters(exclude_characters="/", exclude_categories=("Cs", "Cc")), min_size=1), st.booleans())
def test_every_route_is_known_by_its_addresses(route: Route, value: str, ends_with_a_slash: bool) -> None:
    address = re.sub(r"\{[^}]*\}", lambda _: value, route.path.strip("/")) + "/" * ends_with_a_slash
    assert {route.method, "OPTIONS"} <= set(methods_of(address))


@pytest.mark.parametrize("address", ["nothing", "api", "api//health", "api/health//", "xapi/health", "tickets-csv"])
def test_other_addresses_answer_no_method(address: str) -> None:
    assert methods_of(address) == ()


def test_the_order_of_declaration_does_not_matter() -> None:
    server = "https://connector.example.com"
    one, other = (json.dumps(openapi_document(each, server)) for each in (operations(), operations()[::-1]))
    assert one == other


def test_every_operation_is_described() -> None:
    document = openapi_document(operations(), "https://connector.example.com")
    paths = document["paths"]
    assert isinstance(paths, dict)
    described = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    api = {(f"/{route.path}", route.method) for route in routes() if route.path.startswith("api/")}
    assert described == {(path, method) for path, method in api if method != "HEAD"}
    assert {tag_of(operation) for operation in operations()} == set(TAGS)
    for operation in operations():
        assert paths[f"/{operation.path}"][operation.method.lower()]["tags"] == [tag_of(operation)]
        problems = problems_of(operation)
        assert (401 in problems) == (operation.roles is not None)
        assert all(len(codes) == len(set(codes)) for codes in problems.values())


def test_every_address_of_a_page_can_be_opened() -> None:
    """A reload, a bookmark or the sign-in makes a browser GET the address of a form."""
    pages = [route for route in routes() if not route.path.startswith("api/")]
    opened = {route.path.strip("/") for route in pages if route.method == "GET"}
    assert [route.path for route in pages if route.path.strip("/") not in opened] == []


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("/tickets?kind=incident&client_secret=hunter2&cursor=abc", "/tickets?kind=incident&cursor=abc"),
        ("/tickets?text=a%20%26%20b%3Dc&code=x", "/tickets?text=a%20%26%20b%3Dc"),
        ("/tickets?done=retried", "/tickets"),
        ("/tickets#client_secret=hunter2", "/tickets"),
        ("/ticketProvisioning?new&token=x", "/ticketProvisioning?new="),
        ("/api/oauth/authorize?connection_id=a&state=x", "/api/oauth/authorize?connection_id=a"),
        ("/api/oauth/callback?code=x&state=y", "/api/oauth/callback"),
        ("/configuration/contoso?x=" + "&x=" * 60, "/configuration/contoso"),
        ("/nowhere?client_secret=hunter2", "/"),
        ("//evil.example/tickets", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/tickets\n", "/"),
        ("", "/"),
    ],
)
def test_an_address_is_handed_on_with_nothing_but_what_its_page_knows(address: str, kept: str) -> None:
    assert own_address(address) == kept


@given(
    st.text(max_size=40) | st.builds("{}?{}".format, st.sampled_from(["/tickets", "/", "//x"]), st.text(max_size=40))
)
def test_an_address_that_is_handed_on_is_a_path_of_this_app(text: str) -> None:
    address = own_address(text)
    assert address == "/" or re.match(r"/[^/\\]", address)
    assert own_address(address) == address
    assert methods_of(address.partition("?")[0].removeprefix("/"))
