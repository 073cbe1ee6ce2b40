"""The text for an administrator of ServiceNow."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from shared.connections.model import Connection, Grant, TicketKind
from shared.web.instructions import SetUp, administrator_instructions
from shared.web.servicenow_links import servicenow_links
from shared.words.language import languages
from tests.english import ENGLISH

SET_UP = SetUp(
    redirect_uri="https://connector.example/api/oauth/callback",
    instance="https://contoso.service-now.com",
    integration_user="svc.m365",
    creating_roles={TicketKind.INCIDENT: ("itil", "sn_incident_write"), TicketKind.CHANGE: ("itil", "sn_change_write")},
    egress_addresses=("192.0.2.7",),
)
PROPERTY = "glide.oauth.inbound.client.credential.grant_type.enabled"
EVERYBODY_NEEDS = (SET_UP.instance, "svc.m365", "itil or sn_incident_write", "snc_internal", "192.0.2.7")


def test_a_consent_needs_a_redirect_address_and_a_second_factor() -> None:
    text = administrator_instructions(ENGLISH, Grant.AUTHORIZATION_CODE, SET_UP)
    for needed in (*EVERYBODY_NEEDS, SET_UP.redirect_uri, "MFA Exempted User Group", "8,640,000"):
        assert needed is not None
        assert needed in text
    assert PROPERTY not in text
    assert "the user’s password" in text, "somebody has to sign in with it"


def test_client_credentials_need_a_property_and_a_user_of_the_client() -> None:
    text = administrator_instructions(ENGLISH, Grant.CLIENT_CREDENTIALS, SET_UP)
    for needed in (*EVERYBODY_NEEDS, PROPERTY, "OAuth Application User", "useraccount", "Client Credentials"):
        assert needed is not None
        assert needed in text
    assert SET_UP.redirect_uri not in text
    assert text.count(PROPERTY) == 2, "whichever page registers the client"
    assert "password" not in text
    assert "MFA Exempted User Group" not in text


def test_before_anything_is_entered_it_suggests_a_user() -> None:
    empty = SetUp(SET_UP.redirect_uri, None, None, SET_UP.creating_roles, ())
    text = administrator_instructions(ENGLISH, Grant.AUTHORIZATION_CODE, empty)
    assert "User ID: m365.connector" in text
    assert "None" not in text
    assert "EGRESS_ADDRESSES" in text


def test_once_the_instance_is_known_the_text_leads_to_its_forms() -> None:
    connection = Connection("contoso", "Contoso", "https://contoso.service-now.com", "client", "svc.m365")
    known = replace(SET_UP, links=servicenow_links(connection))
    text = administrator_instructions(ENGLISH, Grant.CLIENT_CREDENTIALS, known)
    assert "https://contoso.service-now.com/sys_user.do?sys_id=-1" in text
    assert "https://contoso.service-now.com/sys_properties.do?sys_id=-1" in text
    assert "https://contoso.service-now.com/ip_access_list.do" in text
    assert "sys_properties" not in administrator_instructions(ENGLISH, Grant.AUTHORIZATION_CODE, known)


@pytest.mark.parametrize("grant", list(Grant))
@pytest.mark.parametrize("language", sorted(languages()))
def test_it_is_plain_text_in_each_language(language: str, grant: Grant) -> None:
    text = administrator_instructions(languages()[language], grant, SET_UP)
    assert not re.search(r"<[a-z/]|&[a-z]+;|\{[a-z]+\}", text)
    assert [line[0] for line in text.splitlines() if re.match(r"\d\. ", line)] == ["1", "2", "3", "4"]
