"""Addresses of the list of recommendations: what they ask for, and what is not understood."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.recommendations.listing import Filters, GroupColumn, SortColumn
from shared.recommendations.model import ActionStatus, SourceName
from shared.recommendations.portal_links import PortalLink, action_link
from shared.triggers.links import link_words
from shared.triggers.recommendation_links import (
    ACTION_PARAMETERS,
    LIST_PARAMETERS,
    asked_action,
    of_one_source,
    read_recommendations_link,
)
from shared.words.language import languages

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
OTHER = "11111111-aaaa-4bbb-8ccc-000000000002"


def test_an_address_without_parameters_shows_everything_by_points_to_gain() -> None:
    link = read_recommendations_link({}, [TENANT])
    assert link.filters == Filters()
    assert (link.sort, link.is_descending, link.group) == (SortColumn.POINTS_TO_GAIN, True, None)


@pytest.mark.parametrize(
    ("asked", "sources", "expected"),
    [
        ("", list(SourceName), SourceName.SECURE_SCORE),
        ("all", list(SourceName), None),
        ("All", list(SourceName), None),
        ("compliance_manager", list(SourceName), SourceName.COMPLIANCE_MANAGER),
        ("", [SourceName.COMPLIANCE_MANAGER], None),
        ("", [], None),
    ],
)
def test_points_of_different_sources_are_mixed_only_on_request(
    asked: str, sources: list[SourceName], expected: SourceName | None
) -> None:
    link = of_one_source(read_recommendations_link({"source": asked}, []), sources)
    assert not link.not_understood
    assert link.filters.source is expected
    # What the page shows as chosen is what its links ask for.
    again = read_recommendations_link(link.chosen, [])
    assert again.filters == link.filters


def test_every_filter_is_read() -> None:
    query = {
        "tenant_id": TENANT.upper(),
        "text": " mfa ",
        "category": "identity",
        "product": "AzureAD",
        "status": "Risk accepted",
        "source": "Secure Score",
        "has_ticket": "false",
        "min_points": "2,5",
        "quick_wins": "true",
        "hidden": "true",
        "regulation": "GDPR",
        "owner": "Anna",
        "sort": "title",
        "order": "descending",
        "group": "product",
    }
    link = read_recommendations_link(query, [TENANT])
    assert link.not_understood == ()
    assert link.chosen["tenant_id"] == TENANT
    assert link.filters == Filters(
        text="mfa",
        category="identity",
        product="AzureAD",
        status=ActionStatus.RISK_ACCEPTED,
        has_ticket=False,
        min_points=Decimal("2.5"),
        is_quick_win=True,
        source=SourceName.SECURE_SCORE,
        regulation="GDPR",
        owner="Anna",
        shows_hidden=True,
    )
    assert (link.sort, link.is_descending, link.group) == (SortColumn.TITLE, True, GroupColumn.PRODUCT)


@pytest.mark.parametrize(
    ("parameter", "value", "reason"),
    [
        ("tenant_id", OTHER, "tenant"),
        ("status", "urgent", "value"),
        ("has_ticket", "maybe", "value"),
        ("min_points", "many", "value"),
        ("min_points", "-1", "value"),
        ("quick_wins", "1", "value"),
        ("hidden", "1", "value"),
        ("sort", "colour", "value"),
        ("order", "random", "value"),
        ("group", "colour", "value"),
        ("colour", "red", "parameter"),
    ],
)
def test_what_is_not_understood_is_said(parameter: str, value: str, reason: str) -> None:
    link = read_recommendations_link({parameter: value}, [TENANT])
    (said,) = link.not_understood
    assert (said.parameter, said.value, said.reason) == (parameter, value, reason)
    for t in languages().values():
        assert value in link_words(said, t) or reason == "parameter"


@given(st.dictionaries(st.sampled_from([*LIST_PARAMETERS, *ACTION_PARAMETERS]), st.text(max_size=20)))
def test_no_address_makes_trouble(query: dict[str, str]) -> None:
    link = read_recommendations_link(query, [TENANT])
    asked_action(query)
    if any(value.strip() for name, value in query.items() if name == "tenant_id"):
        assert link.not_understood, "another tenant's name never means all"


@pytest.mark.parametrize("column", SortColumn)
def test_each_column_has_an_order_of_its_own(column: SortColumn) -> None:
    biggest_first = {SortColumn.POINTS, SortColumn.POINTS_TO_GAIN, SortColumn.MEASURED_AT}
    assert read_recommendations_link({"sort": column}, ()).is_descending == (column in biggest_first)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({"actionId": "scid_25", "viewid": "actions"}, PortalLink(None, "scid_25")),
        ({"actionId": "scid_25", "tid": TENANT.upper()}, PortalLink(TENANT, "scid_25")),
        ({"text": action_link("https://security.microsoft.com", "11770.MDA x/#")}, PortalLink(None, "11770.MDA x/#")),
        ({"text": "https://elsewhere.example/securescore?actionId=scid_25"}, None),
        ({"text": "scid_25"}, None),
        ({}, None),
    ],
)
def test_an_address_or_a_pasted_link_names_one(query: dict[str, str], asked: PortalLink | None) -> None:
    assert asked_action(query) == asked
