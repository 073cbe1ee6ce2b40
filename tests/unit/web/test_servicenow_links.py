"""Addresses of lists and forms in ServiceNow."""

from __future__ import annotations

from dataclasses import asdict, replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import Connection
from shared.web.servicenow_links import servicenow_links

CONNECTION = Connection(
    connection_id="contoso",
    display_name="Contoso",
    instance="https://contoso.service-now.com",
    client_id="0123abcd",
    integration_user="m365.connector",
)


def test_they_lead_to_the_very_record() -> None:
    links = servicenow_links(CONNECTION)
    instance = CONNECTION.instance
    assert links.client == f"{instance}/oauth_entity_list.do?sysparm_query=client_id%3D0123abcd"
    assert links.user == f"{instance}/sys_user_list.do?sysparm_query=user_name%3Dm365.connector"
    assert links.new_user == f"{instance}/sys_user.do?sys_id=-1&sysparm_query=user_name%3Dm365.connector"
    assert links.addresses == f"{instance}/ip_access_list.do"
    wanted = "name=glide.oauth.inbound.client.credential.grant_type.enabled^type=boolean^value=true"
    assert parse_qs(urlsplit(links.new_grant_property).query) == {"sys_id": ["-1"], "sysparm_query": [wanted]}


@pytest.mark.parametrize("name", ["a^ORactive=true", "javascript:gs.log(1)", " x", "a,b", "", "a\n"])
def test_a_value_that_would_change_the_query_is_left_out(name: str) -> None:
    links = servicenow_links(replace(CONNECTION, integration_user=name, client_id=name or "^"))
    assert links.user == f"{CONNECTION.instance}/sys_user_list.do"
    assert links.new_user == f"{CONNECTION.instance}/sys_user.do?sys_id=-1"
    assert links.client == f"{CONNECTION.instance}/oauth_entity_list.do"


@given(st.text())
def test_whatever_the_name_is_there_is_one_condition_about_it(name: str) -> None:
    for address in asdict(servicenow_links(replace(CONNECTION, integration_user=name))).values():
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}" == CONNECTION.instance
        [query] = parse_qs(parts.query).get("sysparm_query", [""])
        assert "javascript:" not in query
        assert query.count("^") == (2 if "enabled^" in query else 0)
