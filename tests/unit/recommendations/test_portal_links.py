from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.recommendations.portal_links import PORTAL_HOSTS, PortalLink, action_link, read_portal_link
from shared.recommendations.products import PRODUCTS, product_name
from tests.unit.recommendations import strategies as some

PORTAL = "https://security.microsoft.com"


def test_the_id_is_encoded() -> None:
    assert action_link(PORTAL, "11770.MDA a/b#c&d") == (
        f"{PORTAL}/securescore?viewid=actions&actionId=11770.MDA%20a%2Fb%23c%26d"
    )


@given(
    st.sampled_from(sorted(PORTAL_HOSTS)), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
)
def test_a_link_names_the_action_that_it_was_made_for(host: str, control_id: str) -> None:
    assert read_portal_link(action_link(f"https://{host}", control_id)) == PortalLink(None, control_id)


@pytest.mark.parametrize(
    ("text", "tenant_id", "control_id"),
    [
        (f"{PORTAL}/securescore?viewid=actions&actionId=scid_53", None, "scid_53"),
        (f"  <{PORTAL}/securescore?viewid=actions&actionId=scid_53>\n", None, "scid_53"),
        (f"{PORTAL}/securescore/?actionid=a%20b&viewid=actions#top", None, "a b"),
        (f"{PORTAL}/SecureScore?actionId=a+b", None, "a b"),
        (f"{PORTAL}/securescore?actionId=a&tid={some.TENANT.upper()}", some.TENANT, "a"),
        (f"{PORTAL}/securescore?actionId=a&tid=contoso.com", None, "a"),
        ("security.microsoft.us/securescore?actionId=a", None, "a"),
        ("https://SECURITY.APPS.MIL/securescore?actionId=a", None, "a"),
    ],
)
def test_a_pasted_link_is_understood(text: str, tenant_id: str | None, control_id: str) -> None:
    assert read_portal_link(text) == PortalLink(tenant_id, control_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scid_53",
        f"{PORTAL}/securescore?viewid=actions",
        f"{PORTAL}/securescore?viewid=actions&actionId=",
        f"{PORTAL}/incidents?actionId=a",
        "https://security.microsoft.com.example/securescore?actionId=a",
        "https://security.microsoft.com@evil.example/securescore?actionId=a",
        "javascript://security.microsoft.com/securescore?actionId=a",
        "https://[/securescore?actionId=a",
        f"{PORTAL}/securescore?actionId={'a' * 2000}",
    ],
)
def test_anything_else_is_no_link_to_an_action(text: str) -> None:
    assert read_portal_link(text) is None


@given(st.text(max_size=60))
def test_no_text_is_too_strange(text: str) -> None:
    found = read_portal_link(text)
    assert found is None or found.control_id


def test_products_have_names() -> None:
    assert product_name("MDO") == "Microsoft Defender for Office 365"
    assert product_name("ms teams") == product_name(" MS Teams ") == "Microsoft Teams"
    assert len(PRODUCTS) == len({code.casefold() for code in PRODUCTS})


@given(st.text(max_size=10))
def test_an_unknown_product_is_shown_as_received(service: str) -> None:
    assert product_name(f"new-{service}") == f"new-{service}"
