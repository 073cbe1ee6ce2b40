"""The pre-flight and the test ticket against an instance that customers have changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.access import ADMIN_ONLY, AccessRule
from sandbox.servicenow.stage.control.client import ControlClient
from shared.check.preflight.model import Fate, KindOutlook, Source, TrialOutcome
from shared.check.preflight.run import TEST_TICKETS, Preflight
from shared.connections.fixed_fields import FixedField
from shared.connections.grant.lease import Lease
from shared.connections.model import Connection, KindSettings, TicketKind
from shared.servicenow.fields import record_fields
from shared.servicenow.probes import MARK
from shared.servicenow.queries import OURS
from shared.tenants.companies import TenantCompanies
from shared.tickets.model import Requester
from tests.contract.servicenow.conftest import USER
from tests.fixtures.servicenow import WholeClient
from tests.memory.clock import START, ManualClock
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.trial_store import MemoryTrialStore

PERSON = Requester(id="object-id", name="Adele Vance", email="adele@contoso.example")


class Trying:
    """A connection to the simulated instance, and its pre-flight."""

    def __init__(self, connection: Connection, client: WholeClient, control: ControlClient) -> None:
        self.connection = replace(
            connection,
            consented_at=START,
            kinds={TicketKind.INCIDENT: KindSettings(), TicketKind.CHANGE: KindSettings(enabled=False)},
        )
        self.client, self.control = client, control
        self.trials = MemoryTrialStore()
        self.preflight = Preflight(
            columns=client.columns,
            tickets=MemoryTicketStore(),
            requesters=MemoryRequesterDirectory(),
            trials=self.trials,
            record_fields=record_fields,
            companies=TenantCompanies(MemoryTenantStore(), ManualClock()),
            lease=Lease(MemoryLeaseStore(ManualClock()), TEST_TICKETS),
            clock=ManualClock(),
        )

    def settings(self, **values: object) -> None:
        kinds = {**self.connection.kinds, TicketKind.INCIDENT: KindSettings(**values)}  # type: ignore[arg-type]
        self.connection = replace(self.connection, kinds=kinds)

    async def look(self) -> KindOutlook:
        [outlook] = await self.preflight.look(self.connection, self.client.probe, PERSON)
        return outlook

    async def try_out(self) -> KindOutlook:
        await self.preflight.try_out_unless_just_done(self.connection, [TicketKind.INCIDENT], self.client.probe, PERSON)
        return await self.look()

    async def fates(self) -> dict[str, tuple[Fate, Source]]:
        return {each.column: (each.fate, each.source) for each in (await self.look()).fields}


@pytest.fixture
def trying(connection: Connection, client: WholeClient, control: ControlClient, instance: Instance) -> Trying:
    instance.choices.plant()
    return Trying(connection, client, control)


async def test_an_instance_that_keeps_everything(trying: Trying, control: ControlClient) -> None:
    before = await trying.look()
    assert {each.fate for each in before.fields} == {Fate.FINE}
    assert (before.columns_readable, before.policies_readable, before.trial) == (True, False, None)
    after = await trying.try_out()
    assert after.trial is not None
    assert (after.trial.outcome, after.trial.is_canceled) == (TrialOutcome.ACCEPTED, True)
    assert {each.fate for each in after.fields} == {Fate.FINE}
    assert {each.source for each in after.fields} == {Source.TEST_TICKET}
    [record] = control.records("incident", "")
    assert (record["number"], record["active"]) == (after.trial.number, "false")
    # The synchronisation never asks for it.
    assert control.records("incident", OURS) == []


async def test_it_has_the_fields_of_a_real_ticket(trying: Trying, control: ControlClient) -> None:
    control.define_column("incident", "u_cost_center", column_label="Cost center")
    trying.settings(category="network", fixed_fields=(FixedField("u_cost_center", "4711"),))
    await trying.try_out()
    [record] = control.records("incident", "")
    assert (record["category"], record["u_cost_center"]) == ("network", "4711")
    assert "Adele Vance" in record["description"]
    assert record["due_date"]


async def test_a_data_policy_that_nobody_may_read_shows_in_the_test_ticket(
    trying: Trying, control: ControlClient
) -> None:
    control.define_column("incident", "u_cost_center", column_label="Cost center")
    control.add_data_policy("incident", mandatory=["u_cost_center"])
    assert "u_cost_center" not in await trying.fates()
    outlook = await trying.try_out()
    assert outlook.trial is not None
    assert (outlook.trial.outcome, outlook.trial.number) == (TrialOutcome.REFUSED, "")
    assert (await trying.fates())["u_cost_center"] == (Fate.REFUSED, Source.TEST_TICKET)
    assert control.records("incident", "") == []
    hint = await trying.preflight.hint(trying.connection, TicketKind.INCIDENT)
    assert hint is not None
    assert (hint.hint, hint.names) == ("refused", ["Cost center (u_cost_center)"])
    # The named setting fixes it.
    trying.settings(fixed_fields=(FixedField("u_cost_center", "4711"),))
    assert (await trying.look()).is_trial_older
    assert (await trying.try_out()).trial.outcome is TrialOutcome.ACCEPTED  # type: ignore[union-attr]
    assert await trying.preflight.hint(trying.connection, TicketKind.INCIDENT) is None


async def test_a_data_policy_that_may_be_read_is_foreseen(trying: Trying, control: ControlClient) -> None:
    control.change_user(USER, roles=["itil", "data_policy_admin"])
    control.add_data_policy("task", mandatory=["cmdb_ci"], conditions="urgency=3^EQ", short_description="CI needed")
    control.add_data_policy("incident", mandatory=["business_service"], conditions="company.nameISNOTEMPTY")
    control.add_data_policy("incident", mandatory=["location"], conditions="urgency=1^EQ")
    control.add_data_policy("task", mandatory=["parent"], inherit=False)
    outlook = await trying.look()
    assert outlook.policies_readable
    found = {each.column: (each.fate, each.policy) for each in outlook.fields if each.source is Source.POLICY}
    assert found == {"cmdb_ci": (Fate.REFUSED, "CI needed"), "business_service": (Fate.MAY_BE_REFUSED, "")}
    assert (await trying.try_out()).trial.outcome is TrialOutcome.REFUSED  # type: ignore[union-attr]


async def test_what_an_instance_makes_of_the_values(trying: Trying, control: ControlClient, instance: Instance) -> None:
    trying.settings(category="no such category")
    control.set_column_length("task", "description", 40)
    control.add_business_rule("incident", {"urgency": "1", "impact": "1"})
    instance.access.add(AccessRule("task", "write", ADMIN_ONLY, field="due_date"))
    foreseen = await trying.fates()
    assert foreseen["category"] == (Fate.NOT_A_CHOICE, Source.COLUMNS)
    assert foreseen["description"] == (Fate.SHORTENED, Source.COLUMNS)
    assert foreseen["due_date"] == (Fate.READ_ONLY, Source.COLUMNS)
    assert foreseen["urgency"] == (Fate.FINE, Source.COLUMNS)
    seen = {each.column: each for each in (await trying.try_out()).fields}
    assert (seen["description"].fate, seen["description"].limit) == (Fate.SHORTENED, 40)
    assert seen["due_date"].fate is Fate.DROPPED
    assert (seen["urgency"].fate, seen["urgency"].value) == (Fate.CHANGED, "1")


async def test_what_only_forms_insist_on_refuses_nothing(trying: Trying, control: ControlClient) -> None:
    control.define_column("incident", "u_cost_center", mandatory=True)
    control.add_ui_policy("incident", mandatory=["cmdb_ci"])
    fates = await trying.fates()
    assert fates["u_cost_center"] == fates["cmdb_ci"] == (Fate.FORMS_ONLY, Source.COLUMNS)
    assert (await trying.try_out()).trial.outcome is TrialOutcome.ACCEPTED  # type: ignore[union-attr]


@pytest.mark.parametrize("supplied_sys_id", ["honoured", "replaced"])
async def test_a_lost_answer_does_not_leave_the_ticket_open(
    trying: Trying, control: ControlClient, supplied_sys_id: str
) -> None:
    control.set_properties({"simulator.supplied_sys_id": supplied_sys_id})
    control.set_fault("reset_after_commit", method="POST")
    outlook = await trying.try_out()
    assert outlook.trial is not None
    assert (outlook.trial.outcome, outlook.trial.is_canceled) == (TrialOutcome.ACCEPTED, True)
    [record] = control.records("incident", "")
    assert record["active"] == "false"


async def test_a_ticket_that_cannot_be_canceled_is_named(trying: Trying, control: ControlClient) -> None:
    control.set_properties({"simulator.acl.fields_not_updatable": "state,incident_state"})
    outlook = await trying.try_out()
    assert outlook.trial is not None
    assert outlook.trial.is_left_open
    [record] = control.records("incident", "")
    assert outlook.trial.number == record["number"]


async def test_an_instance_that_says_nothing(trying: Trying, control: ControlClient) -> None:
    control.set_properties({"simulator.metadata_apis": False})
    outlook = await trying.look()
    assert not outlook.columns_readable
    assert {each.fate for each in outlook.fields} == {Fate.NOT_KNOWN}
    control.add_data_policy("incident", mandatory=["cmdb_ci"])
    refused = (await trying.try_out()).with_fate({Fate.REFUSED})
    assert [(each.column, each.label) for each in refused] == [("cmdb_ci", "Configuration item")]


async def test_labels_of_another_language_are_mapped_to_columns(trying: Trying, control: ControlClient) -> None:
    control.translate_label("task", "cmdb_ci", "ja", "構成アイテム")
    control.change_user(USER, preferred_language="ja")
    control.add_data_policy("incident", mandatory=["cmdb_ci"])
    refused = (await trying.try_out()).with_fate({Fate.REFUSED})
    assert [(each.column, each.label) for each in refused] == [("cmdb_ci", "構成アイテム")]


async def test_read_only_fields_of_a_data_policy_are_named(trying: Trying, control: ControlClient) -> None:
    trying.settings(category="network")
    control.add_data_policy("incident", read_only=["category"])
    refused = (await trying.try_out()).with_fate({Fate.REFUSED})
    assert [(each.column, each.is_sent) for each in refused] == [("category", True)]


async def test_a_test_ticket_is_found_by_either_of_its_ids(trying: Trying, control: ControlClient) -> None:
    """Rules of the instance can replace either of them, and then it must still be canceled."""
    texts = {"short_description": "Test ticket"}
    proposed = "a" * 32
    own_id = control.insert_record("incident", texts | {"correlation_id": f"{MARK}{proposed}"})["sys_id"]
    own_mark = control.insert_record("incident", texts | {"correlation_id": "replaced"})["sys_id"]
    for sys_id, wanted in ((proposed, own_id), (own_mark, own_mark)):
        found = await trying.client.probe.find_marked(trying.connection, TicketKind.INCIDENT, sys_id, ("active",))
        assert found is not None
        assert (found.sys_id, found.values) == (wanted, {"active": "true"})
        assert await trying.client.probe.cancel_marked(trying.connection, TicketKind.INCIDENT, found)
