"""What the instance says about its columns, whatever it lets an ordinary user read."""

from __future__ import annotations

import pytest

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.access import ADMIN_ONLY, AccessRule
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from shared.connections.model import Connection, TicketKind
from shared.connections.options import Choice
from tests.contract.servicenow.conftest import USER
from tests.fixtures.servicenow import WholeClient

INCIDENT = TicketKind.INCIDENT
SOURCES = ["interface", "dictionary"]


@pytest.fixture
def source(instance: Instance, control: ControlClient, connection: Connection, request: pytest.FixtureRequest) -> str:
    """Only this source is open to the integration user."""
    with instance.records.transaction():
        instance.choices.plant()
        for table in ("task", "incident"):
            rows = [column.entry(table) for column in instance.dictionary.tables[table].columns]
            instance.records.insert_many("sys_dictionary", rows)
    if request.param == "dictionary":
        control.set_properties({"simulator.metadata_apis": False})
        control.change_user(USER, roles=["itil", "personalize_dictionary"])
    return str(request.param)


@pytest.mark.parametrize("source", SOURCES, indirect=True)
async def test_columns_with_inherited_ones_and_choices(
    source: str, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.define_column("incident", "u_cost_center", column_label="Cost center", mandatory=True, max_length=10)
    columns = await client.columns.columns(connection, INCIDENT)
    assert columns is not None
    assert (columns["u_cost_center"].label, columns["u_cost_center"].mandatory) == ("Cost center", True)
    assert columns["u_cost_center"].max_length == 10
    assert (columns["short_description"].max_length, columns["short_description"].mandatory) == (160, False)
    assert (columns["caller_id"].reference, columns["caller_id"].choices) == ("sys_user", None)
    assert columns["escalation"].read_only is True
    category = columns["category"].choices
    assert category is not None
    assert Choice("network", "Network") in category
    assert all(choice.value for choice in category)
    # The table's own list replaces that of its parent.
    state = columns["state"].choices
    assert state is not None
    assert [choice.label for choice in state][:2] == ["New", "In Progress"]


@pytest.mark.parametrize("source", SOURCES, indirect=True)
async def test_choices_that_are_not_readable_are_not_known(
    source: str, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"simulator.acl.sys_choice_for_admin_only": True})
    columns = await client.columns.columns(connection, INCIDENT)
    assert columns is not None
    assert columns["category"].choices is None


@pytest.mark.parametrize("unreadable", ["forbidden", "empty"])
async def test_an_instance_that_says_nothing(
    unreadable: str, client: WholeClient, connection: Connection, control: ControlClient
) -> None:
    control.set_properties({"simulator.metadata_apis": False, "simulator.unreadable_table": unreadable})
    assert await client.columns.columns(connection, INCIDENT) is None


async def test_a_field_that_access_rules_protect_is_read_only(
    client: WholeClient, connection: Connection, control: ControlClient, instance: Instance
) -> None:
    instance.access.add(AccessRule("task", "write", ADMIN_ONLY, field="description"))
    columns = await client.columns.columns(connection, INCIDENT)
    assert columns is not None
    assert (columns["description"].read_only, columns["short_description"].read_only) == (True, False)


class TestSearching:
    """Records by what people call them."""

    @pytest.fixture(autouse=True)
    def people(self, instance: Instance, connection: Connection) -> None:
        plant_essentials(instance)
        records = instance.records
        for name in ("Mail gateway", "Mail relay", "Doe, John^ORactive=true"):
            records.insert("cmdb_ci", {"name": name})
        for name, active in (("Cloud Team", "true"), ("Cloud Team (old)", "false")):
            records.insert("sys_user_group", {"name": name, "active": active})

    async def labels(
        self, client: WholeClient, connection: Connection, table: str, text: str, *, exact: bool = False
    ) -> list[str] | None:
        found = await client.columns.search(connection, table, text, exact=exact)
        return None if found is None else [choice.label for choice in found]

    @pytest.mark.usefixtures("either_text_comparison")
    async def test_part_of_a_name_in_any_case(self, client: WholeClient, connection: Connection) -> None:
        assert await self.labels(client, connection, "cmdb_ci", "mail") == ["Mail gateway", "Mail relay"]
        assert await self.labels(client, connection, "cmdb_ci", "Mail relay", exact=True) == ["Mail relay"]
        assert await self.labels(client, connection, "cmdb_ci", "mail", exact=True) == []

    async def test_only_active_records(self, client: WholeClient, connection: Connection) -> None:
        assert await self.labels(client, connection, "sys_user_group", "cloud team") == ["Cloud Team"]

    async def test_people_by_name_user_name_and_address(
        self, client: WholeClient, connection: Connection, instance: Instance
    ) -> None:
        person = instance.records.first("sys_user", "user_name=agent.smith")
        assert person is not None
        label = f"{person['name']} (agent.smith)"
        for text in (person["name"], "agent.smith", person["email"], label):
            assert await self.labels(client, connection, "sys_user", text, exact=True) == [label]

    async def test_a_text_that_no_query_can_hold(
        self, client: WholeClient, connection: Connection, control: ControlClient
    ) -> None:
        hostile = "Doe, John^ORactive=true"
        assert await self.labels(client, connection, "cmdb_ci", hostile) == [hostile]
        assert await self.labels(client, connection, "cmdb_ci", "Doe^ORnameLIKEMail") == []
        for text in ("^", "", "  ", "javascript:gs.getUserID()"):
            assert await self.labels(client, connection, "cmdb_ci", text) == []
        assert await self.labels(client, connection, "cmdb_ci?x=/../", "mail") == []

    async def test_at_most_twenty(self, client: WholeClient, connection: Connection, instance: Instance) -> None:
        instance.records.insert_many("core_company", [{"name": f"Company {number}"} for number in range(30)])
        found = await client.columns.search(connection, "core_company", "company")
        assert found is not None
        assert len(found) == 20

    @pytest.mark.parametrize("unreadable", ["forbidden", "empty"])
    async def test_a_table_that_is_not_readable(
        self, client: WholeClient, connection: Connection, control: ControlClient, unreadable: str
    ) -> None:
        control.set_properties({"simulator.unreadable_table": unreadable})
        assert await client.columns.search(connection, "sys_db_object", "task") is None

    async def test_a_column_that_may_not_be_queried(
        self, client: WholeClient, connection: Connection, instance: Instance
    ) -> None:
        instance.access.add(AccessRule("sys_user", "read", ADMIN_ONLY, field="email"))
        found = await client.columns.search(connection, "sys_user", "smith")
        assert found
