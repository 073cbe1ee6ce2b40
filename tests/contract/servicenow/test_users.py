"""Who is who (ServiceNow §6)."""

from __future__ import annotations

import pytest

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.access import AccessRule
from sandbox.servicenow.stage.control.client import ControlClient
from shared.connections.model import Connection, TicketKind
from shared.errors import AccessRefused, AccessTokenRefused
from tests.contract.servicenow.conftest import ROLES, USER, Registered
from tests.fixtures.servicenow import WholeClient

ADMIN_ONLY = frozenset({"admin"})
ACCESS_SCOPES = "oauth_entity_auth_scope_mapping"


@pytest.mark.usefixtures("either_text_comparison")
async def test_current_user(client: WholeClient, connection: Connection, registered: Registered) -> None:
    user = await client.users.current_user(connection)
    assert (user.sys_id, user.user_name) == (registered.user_sys_id, USER)
    assert (user.email, user.active, user.locked_out) == ("m365@contoso.example", True, False)
    assert user.time_zone == "Asia/Tokyo"


async def test_current_user_where_the_query_answers_nothing_certain(
    client: WholeClient, connection: Connection, registered: Registered, instance: Instance
) -> None:
    instance.access.add(AccessRule("sys_user", "query_match", ADMIN_ONLY, field="user_name"))
    user = await client.users.current_user(connection)
    assert (user.sys_id, user.email) == (registered.user_sys_id, None)


async def test_current_user_of_a_dead_token(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.revoke_tokens()
    with pytest.raises(AccessTokenRefused):
        await client.users.current_user(connection)


async def test_roles_are_refused_to_ordinary_users(
    client: WholeClient, connection: Connection, registered: Registered, control: ControlClient
) -> None:
    assert await client.users.roles_of(connection, registered.user_sys_id) is None
    control.set_properties({"simulator.acl.sys_user_has_role_for_admin_only": False})
    roles = await client.users.roles_of(connection, registered.user_sys_id)
    assert roles is not None
    assert set(ROLES) <= roles.names
    assert "admin" not in roles.names
    assert not roles.missing


@pytest.mark.usefixtures("either_text_comparison")
async def test_find_user_by_email(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    ada = control.create_user("ada", email="ada@contoso.example")["sys_id"]
    control.create_user("ada.former", email="ada@contoso.example", active=False)
    assert await client.users.find_user_by_email(connection, "Ada@Contoso.example") == ada
    assert await client.users.find_user_by_email(connection, "nobody@contoso.example") is None
    control.create_user("ada.twin", email="ada@contoso.example")
    assert await client.users.find_user_by_email(connection, "ada@contoso.example") is None


async def test_find_user_by_email_where_case_does_not_matter(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    ada = control.create_user("ada", email="Ada@Contoso.example")["sys_id"]
    assert await client.users.find_user_by_email(connection, "ada@contoso.EXAMPLE") == ada


async def test_find_user_by_email_where_addresses_may_not_be_read(
    client: WholeClient, connection: Connection, control: ControlClient, instance: Instance
) -> None:
    control.create_user("ada", email="ada@contoso.example")
    instance.access.add(AccessRule("sys_user", "read", ADMIN_ONLY, field="email"))
    assert await client.users.find_user_by_email(connection, "ada@contoso.example") is None


@pytest.mark.parametrize("kind", TicketKind)
async def test_may_read(client: WholeClient, connection: Connection, kind: TicketKind, instance: Instance) -> None:
    assert await client.users.may_read(connection, kind)
    instance.access.add(AccessRule("task", "query_range", ADMIN_ONLY, field="sys_updated_on"))
    assert await client.users.may_read(connection, kind), "asked by sys_id instead"
    instance.access.add(AccessRule("task", "query_match", ADMIN_ONLY, field="sys_id"))
    assert not await client.users.may_read(connection, kind)


async def test_may_not_read_without_a_role(client: WholeClient, connection: Connection, control: ControlClient) -> None:
    control.set_properties({"simulator.unreadable_table": "forbidden"})
    control.change_user(USER, roles=["sn_incident_write"])
    assert not await client.users.may_read(connection, TicketKind.CHANGE)


async def test_a_blocked_address_is_reported(
    client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_fault("address_blocked", remaining=None)
    with pytest.raises(AccessRefused) as caught:
        await client.users.may_read(connection, TicketKind.INCIDENT)
    assert caught.value.code == "ip_address_blocked"
