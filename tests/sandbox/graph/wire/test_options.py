"""Query strings as they arrive (Microsoft Graph §1.3)."""

import pytest

from sandbox.graph.engine.switches import Switches
from sandbox.graph.wire.errors import GraphError
from sandbox.graph.wire.odata.filter import Item
from sandbox.graph.wire.odata.options import read_options

NAMES = frozenset({"id", "rank"})


@pytest.mark.parametrize("query", ["$filter=id eq 'a'", '$filter=id%20eq%20"a"', "$filter=id%20eq%20'ä'"])
def test_a_filter_that_is_not_encoded_is_refused(query: str) -> None:
    with pytest.raises(GraphError, match="not encoded"):
        read_options(query, NAMES, NAMES, Switches())


@pytest.mark.parametrize(
    "query", ["$filter=id%20eq%20'a'", "%24filter=id+eq+%27a%27", "$top=3&$filter=id%20eq%20%27a%27"]
)
def test_encoded_forms(query: str) -> None:
    options = read_options(query, NAMES, NAMES, Switches())
    assert options.applied([{"id": "a"}, {"id": "b"}]) == [{"id": "a"}]


def test_a_link_repeats_all_but_the_position() -> None:
    options = read_options("$top=2&$skip=4&$skiptoken=x&$filter=id%20eq%20'a'", NAMES, NAMES, Switches())
    assert options.kept == ("$top=2", "$filter=id%20eq%20'a'")
    assert (options.top, options.skip, options.skip_token) == (2, 4, "x")


def test_expand_and_search_may_be_ignored() -> None:
    switches = Switches()
    switches["odata.expand_and_search"] = "ignored"
    assert read_options("$expand=x&$search=y", NAMES, NAMES, switches).kept == ("$expand=x", "$search=y")


def test_nulls_come_first_and_ties_stay() -> None:
    options = read_options("$orderby=rank,id%20desc", NAMES, NAMES, Switches())
    items: list[Item] = [{"id": "a", "rank": 2}, {"id": "b", "rank": None}, {"id": "c", "rank": 2}]
    assert [item["id"] for item in options.applied(items)] == ["b", "c", "a"]
