from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.settings import Settings
from shared.triggers.principal import HEADER, MAX_HEADER_LENGTH, Principal, Role, read_principal

OBJECT_ID = "7d1f2c9e-0000-4000-8000-000000000001"
CLAIMS = [
    ("http://schemas.microsoft.com/identity/claims/objectidentifier", OBJECT_ID),
    ("name", "Aiko Tanaka"),
    ("preferred_username", "aiko@contoso.com"),
    ("roles", "Tickets.Create"),
]


def settings(enabled: str | None = "True") -> Settings:
    environment = {
        "PUBLIC_BASE_URL": "https://connector.example.com",
        "KEY_VAULT_URL": "https://vault.example.com",
        "TABLES_URL": "https://tables.example.com",
    }
    return Settings.from_environment(environment | ({"WEBSITE_AUTH_ENABLED": enabled} if enabled is not None else {}))


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def principal_of(*claims: tuple[str, str], **more: Any) -> Principal | None:
    document = {"auth_typ": "aad", "claims": [{"typ": typ, "val": val} for typ, val in claims], **more}
    return read_principal({HEADER: encoded(document)}, settings())


def test_a_person() -> None:
    assert principal_of(*CLAIMS) == Principal(
        object_id=OBJECT_ID,
        name="Aiko Tanaka",
        email="aiko@contoso.com",
        roles=frozenset({Role.TICKETS_CREATE, Role.TICKETS_READ}),
        is_application=False,
    )


@pytest.mark.parametrize("enabled", [None, "", "False", "false", "0"])
def test_nobody_is_believed_while_authentication_is_off(enabled: str | None) -> None:
    document = {"claims": [{"typ": typ, "val": val} for typ, val in CLAIMS]}
    assert read_principal({HEADER: encoded(document)}, settings(enabled)) is None


@pytest.mark.parametrize("enabled", ["True", "true", "1"])
def test_authentication_is_on(enabled: str) -> None:
    document = {"claims": [{"typ": typ, "val": val} for typ, val in CLAIMS]}
    assert read_principal({HEADER: encoded(document)}, settings(enabled)) is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["claims", "typ", "val", "role_typ"]), inner)
    ),
    max_leaves=8,
)


@given(st.text() | st.binary().map(lambda value: base64.b64encode(value).decode()) | json_values.map(encoded))
def test_garbage_is_nobody(header: str) -> None:
    assert read_principal({HEADER: header}, settings()) is None


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(base64.b64encode(b"[" * 20_000).decode(), id="deeply nested"),
        pytest.param(encoded({"claims": [{"typ": "oid", "val": "x" * MAX_HEADER_LENGTH}]}), id="too long"),
        pytest.param(encoded({"claims": [{"typ": "oid", "val": OBJECT_ID}]})[:-7], id="cut off"),
        pytest.param(encoded({"claims": [{"typ": "oid"}]}), id="claim without a value"),
        pytest.param(encoded({"claims": {"oid": OBJECT_ID}}), id="claims of another shape"),
        pytest.param(encoded({"claims": [{"typ": "oid", "val": ""}]}), id="empty object id"),
        pytest.param(encoded({"claims": [{"typ": "name", "val": "Nobody"}]}), id="no object id"),
        pytest.param(encoded({"userId": OBJECT_ID, "userRoles": ["Tickets.Create"]}), id="static web apps' form"),
    ],
)
def test_unreadable_principals_are_nobody(header: str) -> None:
    assert read_principal({HEADER: header}, settings()) is None


def test_no_header_is_nobody() -> None:
    assert read_principal({}, settings()) is None
    assert read_principal({HEADER: ""}, settings()) is None


def test_roles_that_are_not_ours_count_for_nothing() -> None:
    principal = principal_of(CLAIMS[0], ("roles", "Owner"), ("roles", "tickets.create"), ("groups", "Tickets.Create"))
    assert principal is not None
    assert principal.roles == frozenset()
    assert not principal.has_any(frozenset(Role))


def test_the_claim_that_names_the_roles() -> None:
    principal = principal_of(CLAIMS[0], ("my-roles", "Connections.Manage"), role_typ="my-roles")
    assert principal is not None
    assert principal.roles == {Role.CONNECTIONS_MANAGE}


def test_an_application() -> None:
    principal = principal_of(("oid", OBJECT_ID), ("idtyp", "app"), ("roles", "Tickets.Create"))
    assert principal is not None
    assert principal.is_application
    assert not principal.groups
    assert (principal.name, principal.email) == (OBJECT_ID, None)


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ([("azp", "c-1")], "Application c-1"),
        ([("appid", "c-1")], "Application c-1"),
        ([("azp", "c-1"), ("app_displayname", "Portal")], "Portal"),
        ([("azp", "c-1"), ("app_displayname", "")], "Application c-1"),
        ([("azp", "")], OBJECT_ID),
    ],
)
def test_an_application_is_shown_by_its_own_name(claims: list[tuple[str, str]], name: str) -> None:
    principal = principal_of(("oid", OBJECT_ID), ("idtyp", "app"), *claims)
    assert principal is not None
    assert principal.requester.name == name


def test_a_person_is_not_shown_by_the_name_of_the_application_they_use() -> None:
    principal = principal_of(*CLAIMS, ("azp", "c-1"), ("app_displayname", "Portal"))
    assert principal is not None
    assert principal.name == "Aiko Tanaka"


def test_a_user_name_that_is_no_address_is_no_address() -> None:
    principal = principal_of(("oid", OBJECT_ID), ("preferred_username", "+81 3 1234"), ("upn", "aiko@contoso.com"))
    assert principal is not None
    assert principal.email == "aiko@contoso.com"
    assert principal.requester.email == "aiko@contoso.com"
    assert principal.requester.id == OBJECT_ID


GROUP = "0b1e6d3c-6a53-4f7e-9a7e-00000000000A"
GROUP_CLAIMS = [
    "groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groupsid",
]


@pytest.mark.parametrize("claim", GROUP_CLAIMS)
def test_groups_are_object_ids_in_lower_case(claim: str) -> None:
    caller = principal_of(*CLAIMS, (claim, GROUP), (claim, "Domain Admins"), (claim, ""), ("wids", OBJECT_ID))
    assert caller is not None
    assert caller.groups == {GROUP.lower()}
    assert not caller.has_too_many_groups


@pytest.mark.parametrize("claim", GROUP_CLAIMS)
def test_a_token_with_as_many_groups_as_it_can_name(claim: str) -> None:
    groups = [f"0b1e6d3c-6a53-4f7e-9a7e-{number:012}" for number in range(200)]
    caller = principal_of(*CLAIMS, *((claim, group) for group in groups))
    assert caller is not None
    assert caller.groups == set(groups)


@pytest.mark.parametrize(
    ("claim", "value", "has_too_many"),
    [
        ("hasgroups", "true", True),
        ("hasgroups", "True", True),
        ("hasgroups", "false", False),
        ("_claim_names", '{"groups":"src1"}', True),
        ("_claim_names", '{\r\n  "groups": "src1"\r\n}', True),
        ("_claim_names", r"{\"groups\":\"src1\"}", True),
        ("_claim_names", "{'wids': 'src2', 'groups': 'src1'}", True),
        ("_claim_names", "groups=src1", True),
        ("_claim_names.groups", "src1", True),
        ("_claim_names", '{"wids":"src1"}', False),
        ("_claim_names", '{"hasgroupsource":"src1"}', False),
        ("_claim_sources", '{"src1":{"endpoint":"https://graph.windows.net/getMemberObjects"}}', True),
        ("_claim_sources.src1", "https://graph.windows.net/getMemberObjects", True),
    ],
)
def test_more_groups_than_a_token_can_name(claim: str, value: str, has_too_many: bool) -> None:
    caller = principal_of(*CLAIMS, (claim, value))
    assert caller is not None
    assert caller.groups == frozenset()
    assert caller.has_too_many_groups is has_too_many


def test_other_claims_of_which_there_are_too_many_are_not_groups() -> None:
    elsewhere = [("_claim_names", '{"wids":"src1"}'), ("_claim_sources", '{"src1":{"endpoint":"https://example"}}')]
    caller = principal_of(*CLAIMS, *elsewhere, ("groups", GROUP))
    assert caller is not None
    assert not caller.has_too_many_groups


EMAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"


@pytest.mark.parametrize(
    ("claims", "address"),
    [
        ([("email", "ceo@contoso.com"), ("preferred_username", "eve@evil.example")], "eve@evil.example"),
        ([(EMAIL, "ceo@contoso.com"), (UPN, "eve@evil.example")], "eve@evil.example"),
        ([("email", "ceo@contoso.com"), ("xms_edov", "0"), ("upn", "eve@evil.example")], "eve@evil.example"),
        ([("email", "ceo@contoso.com")], None),
        ([("email", "ceo@contoso.com"), ("preferred_username", "+81 3 1234")], None),
        (
            [("email", "aiko.t@contoso.com"), ("xms_edov", "1"), ("upn", "aiko@contoso.com")],
            "aiko.t@contoso.com",
        ),
        ([(EMAIL, "aiko.t@contoso.com"), ("xms_edov", "True")], "aiko.t@contoso.com"),
        ([("xms_edov", "1"), ("preferred_username", "aiko@contoso.com")], "aiko@contoso.com"),
        ([("upn", "ada_partner.example#EXT#@contoso.onmicrosoft.com")], "ada@partner.example"),
        ([("preferred_username", "Ada_B_partner.example#ext#@contoso.onmicrosoft.com")], "Ada_B@partner.example"),
    ],
)
def test_the_address_is_one_that_the_caller_cannot_choose(claims: list[tuple[str, str]], address: str | None) -> None:
    """Entra ID does not check the claim ``email``: a guest's own tenant may say anything there."""
    principal = principal_of(("oid", OBJECT_ID), *claims)
    assert principal is not None
    assert principal.email == address


@given(st.permutations([("email", "ceo@contoso.com"), ("upn", "eve@evil.example"), ("name", "Eve")]))
def test_the_order_of_the_claims_does_not_matter(claims: list[tuple[str, str]]) -> None:
    principal = principal_of(("oid", OBJECT_ID), *claims)
    assert principal is not None
    assert principal.email == "eve@evil.example"


@pytest.mark.parametrize("claim", ["tid", "http://schemas.microsoft.com/identity/claims/tenantid"])
@pytest.mark.parametrize(
    ("value", "tenant_id"),
    [
        ("11111111-AAAA-4bbb-8ccc-000000000001", "11111111-aaaa-4bbb-8ccc-000000000001"),
        ("contoso.com", None),
    ],
)
def test_the_tenant_is_a_guid_in_lower_case(claim: str, value: str, tenant_id: str | None) -> None:
    caller = principal_of(*CLAIMS, (claim, value))
    assert caller is not None
    assert caller.tenant_id == tenant_id
