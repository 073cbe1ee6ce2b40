from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import TicketKind
from shared.connections.ports import ServiceNowUser
from shared.errors import AccessRefused, AccessTokenRefused, ConnectorError, ServiceNowUnavailable
from tests.unit.servicenow.support import CONNECTION, Reply, cell, error_reply, instance, json_reply, raw_reply

ME = "1" * 32
NAMED = json_reply({"result": {"user_sys_id": ME, "user_name": "m365.integration", "user_display_name": "M365"}})
NO_SUCH_API = error_reply(400, "Requested URI does not represent any resource", None)
QUERY_REFUSED = error_reply(
    403, "Insufficient rights to query records", "Field(s) present in the query do not have permission to be read"
)
BLOCKED = raw_reply(b"<html>Forbidden", 403)


def user_cells(sys_id: str = ME, user_name: str = "m365.integration", **changed: str) -> dict[str, object]:
    cells = {
        "sys_id": sys_id,
        "user_name": user_name,
        "email": "M365@contoso.com",
        "active": "true",
        "locked_out": "false",
        "time_zone": "US/Pacific",
        **changed,
    }
    return {name: cell(value) for name, value in cells.items()}


def users(*rows: dict[str, object], total: int | None = None) -> Reply:
    headers = {} if total is None else {"X-Total-Count": str(total)}
    return json_reply({"result": list(rows)}, 200, headers)


FULL = ServiceNowUser(ME, "m365.integration", "M365@contoso.com", True, False, "US/Pacific")


@pytest.mark.parametrize(
    ("named", "queried", "expected"),
    [
        (NAMED, users(user_cells(), total=1), FULL),
        (NAMED, users(user_cells()), FULL),
        (NO_SUCH_API, users(user_cells(), total=1), FULL),
        (json_reply({"result": {}}), users(user_cells()), FULL),
        (NAMED, QUERY_REFUSED, ServiceNowUser(ME, "m365.integration")),
        (NAMED, users(), ServiceNowUser(ME, "m365.integration")),
        (NAMED, users(user_cells("2" * 32, "admin"), user_cells()), ServiceNowUser(ME, "m365.integration")),
        (NAMED, users(user_cells("2" * 32, "admin"), total=600), ServiceNowUser(ME, "m365.integration")),
        (
            NAMED,
            users({"sys_id": cell(ME), "user_name": cell("m365.integration")}),
            ServiceNowUser(ME, "m365.integration"),
        ),
    ],
    ids=[
        "both agree",
        "not counted",
        "only the query",
        "empty session",
        "query refused",
        "own row hidden",
        "condition dropped, two rows",
        "condition dropped, one row visible",
        "fields hidden",
    ],
)
async def test_current_user(named: Reply, queried: Reply, expected: ServiceNowUser) -> None:
    peer = instance(named, queried)
    assert await peer.client().users.current_user(CONNECTION) == expected
    assert [request.url.path for request in peer.requests] == [
        "/api/now/ui/user/current_user",
        "/api/now/table/sys_user",
    ]
    assert peer.query() == "user_name=javascript:gs.getUserName()"
    assert peer.parameters()["sysparm_limit"] == "2"


@pytest.mark.parametrize(
    ("named", "queried", "code"),
    [
        (NAMED, users(user_cells("2" * 32, "admin"), total=1), "current_user_unknown"),
        (NAMED, users(user_cells(ME, "admin"), total=1), "current_user_unknown"),
        (NO_SUCH_API, users(user_cells("2" * 32, "admin"), user_cells()), "current_user_unknown"),
        (NO_SUCH_API, users(user_cells("2" * 32, "admin"), total=600), "current_user_unknown"),
        (NO_SUCH_API, users(), "current_user_unknown"),
        (NO_SUCH_API, QUERY_REFUSED, "query_refused"),
        (BLOCKED, BLOCKED, "ip_address_blocked"),
    ],
)
async def test_a_user_who_is_not_certain_is_refused(named: Reply, queried: Reply, code: str) -> None:
    with pytest.raises(AccessRefused) as caught:
        await instance(named, queried).client().users.current_user(CONNECTION)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (error_reply(401, "User Not Authenticated", None), AccessTokenRefused),
        (raw_reply(b"", 502), ServiceNowUnavailable),
    ],
)
async def test_no_answer_says_nothing_about_the_user(reply: Reply, error: type[ConnectorError]) -> None:
    with pytest.raises(error):
        await instance(reply).client().users.current_user(CONNECTION)
    with pytest.raises(error):
        await instance(NAMED, reply).client().users.current_user(CONNECTION)


def role(name: str, user: str = ME, state: str = "active") -> dict[str, object]:
    return {"user": cell(user), "role.name": cell(name), "state": cell(state)}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (users(role("itil"), role("sn_change_write"), total=2), {"itil", "sn_change_write"}),
        (users(role("itil"), role("admin", state="requested")), {"itil"}),
        (users(total=0), set()),
        (users(), set()),
        (users(total=3), None),
        (users(role("itil"), total=2), None),
        (users({"user": cell(ME)}, total=1), None),
        (users(role("admin", user="2" * 32), total=1), None),
        (QUERY_REFUSED, None),
        (error_reply(403, "User Not Authorized", "Failed API level ACL Validation"), None),
    ],
)
async def test_roles(reply: Reply, expected: set[str] | None) -> None:
    peer = instance(reply)
    roles = await peer.client().users.roles_of(CONNECTION, ME)
    assert (None if roles is None else roles.names) == expected
    assert peer.query() == f"user={ME}"


async def test_roles_do_not_hide_a_blocked_address() -> None:
    with pytest.raises(AccessRefused):
        await instance(BLOCKED).client().users.roles_of(CONNECTION, ME)


ADA: dict[str, object] = {"sys_id": cell("a" * 32), "email": cell("Ada@Contoso.com"), "active": cell("true")}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (users(ADA, total=1), "a" * 32),
        (users(ADA), "a" * 32),
        (users(ADA, total=2), None),
        (users(ADA, ADA), None),
        (users(), None),
        (users({**ADA, "email": cell("other@contoso.com")}), None),
        (users({**ADA, "active": cell("false")}), None),
        (users({"sys_id": cell("a" * 32)}), None),
        (QUERY_REFUSED, None),
    ],
    ids=[
        "one",
        "not counted",
        "a second one hidden",
        "two",
        "none",
        "another address",
        "inactive",
        "unreadable",
        "refused",
    ],
)
async def test_find_user_by_email(reply: Reply, expected: str | None) -> None:
    peer = instance(reply)
    assert await peer.client().users.find_user_by_email(CONNECTION, "ada@contoso.COM") == expected
    assert peer.query() == "emailINada@contoso.COM,ada@contoso.com^active=true"


async def test_a_letter_that_only_looks_the_same_is_another_address() -> None:
    """A database may take the Kelvin sign for a K, as lower case in Unicode does."""
    peer = instance(users({**ADA, "email": cell("\u212aim@contoso.com")}, total=1))
    assert await peer.client().users.find_user_by_email(CONNECTION, "kim@contoso.com") is None


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@contoso.com^ORactive=true",
        "ada@contoso.com,eve@contoso.com",
        "a@b@c",
        "javascript:gs.getUserID()@x",
        "ada @contoso.com",
        "ada@contoso.com\nx",
        '"ada^"@contoso.com',
        "ада@contoso.com",
        "a" * 100 + "@contoso.com",
    ],
)
async def test_what_is_no_plain_address_is_not_asked_for(email: str) -> None:
    peer = instance()
    assert await peer.client().users.find_user_by_email(CONNECTION, email) is None
    assert not peer.requests


@given(st.one_of(st.text(max_size=40), st.emails(), st.from_regex(r"\A.{1,9}@.{1,9}\.com\Z")))
async def test_no_address_changes_the_question(email: str) -> None:
    peer = instance(users())
    assert await peer.client().users.find_user_by_email(CONNECTION, email) is None
    for index in range(len(peer.requests)):
        asked, active = peer.query(index).split("^")
        spellings = asked.removeprefix("emailIN").split(",")
        assert spellings in ([email.strip()], [email.strip(), email.strip().lower()])
        assert active == "active=true"
        assert "javascript:" not in asked.lower()


async def test_a_blocked_address_is_reported() -> None:
    with pytest.raises(AccessRefused):
        await instance(BLOCKED).client().users.find_user_by_email(CONNECTION, "ada@contoso.com")


BY_TIME = (
    "correlation_idSTARTSWITHm365:^sys_updated_on=2000-01-01 00:00:00^sys_id>" + "0" * 32 + "^NQ"
    "correlation_idSTARTSWITHm365:^sys_updated_on>2000-01-01 00:00:00^ORDERBYsys_updated_on^ORDERBYsys_id"
)
BY_SYS_ID = "sys_idIN" + "0" * 32
NO_TABLE = error_reply(400, "Invalid table change_request", None)


@pytest.mark.parametrize(
    ("replies", "asked", "expected"),
    [
        ([users(), users()], [("change_request", BY_TIME), ("task", BY_TIME)], True),
        (
            [QUERY_REFUSED, users(), QUERY_REFUSED, users()],
            [("change_request", BY_TIME), ("change_request", BY_SYS_ID), ("task", BY_TIME), ("task", BY_SYS_ID)],
            True,
        ),
        ([QUERY_REFUSED], [("change_request", BY_TIME), ("change_request", BY_SYS_ID)], False),
        (
            [users(), QUERY_REFUSED],
            [("change_request", BY_TIME), ("task", BY_TIME), ("task", BY_SYS_ID)],
            False,
        ),
        ([NO_TABLE], [("change_request", BY_TIME), ("change_request", BY_SYS_ID)], False),
    ],
)
async def test_may_read(replies: list[Reply], asked: list[tuple[str, str]], expected: bool) -> None:
    peer = instance(*replies)
    assert await peer.client().users.may_read(CONNECTION, TicketKind.CHANGE) is expected
    assert [
        (request.url.path.removeprefix("/api/now/table/"), peer.query(index))
        for index, request in enumerate(peer.requests)
    ] == asked


async def test_may_read_says_that_the_whole_api_is_refused() -> None:
    with pytest.raises(AccessRefused):
        await instance(BLOCKED).client().users.may_read(CONNECTION, TicketKind.INCIDENT)
    with pytest.raises(ServiceNowUnavailable):
        await instance(raw_reply(b"", 502)).client().users.may_read(CONNECTION, TicketKind.INCIDENT)
