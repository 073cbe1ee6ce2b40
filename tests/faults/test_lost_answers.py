"""At each step of a creation, Table Storage carries out a request but its answer is lost, or refuses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.azurite import StorageAccount
from sandbox.certificates import Certificates
from sandbox.world import ServiceNow
from shared.errors import StorageUnavailable, TryLater
from shared.storage.tables import RETRIES
from shared.tickets.model import Delivery
from shared.tickets.ports import TicketFilter
from tests.faults.conftest import Deploy
from tests.faults.gate import Gate, Mishap, What, serving
from tests.faults.in_process import CONNECTION_ID, InProcess, of_its_own

STEPS = 12
"""More steps than a creation has; extra ones have no effect."""


@pytest.fixture
def gated_tables(gate: Gate, storage_account: StorageAccount, certificates: Certificates) -> Iterator[str]:
    """The address of this test's tables, through the gate."""
    upstream = storage_account.tables_url.removesuffix(f"/{storage_account.name}")
    with serving(gate.in_front_of(upstream, authority=str(certificates.authority)), certificates) as url:
        yield f"{url}/{storage_account.name}"


@pytest.fixture
async def gated(gated_tables: str, deploy: Deploy, servicenow_process: ServiceNow) -> InProcess:
    made = await deploy(gated_tables)
    await made.connect(servicenow_process.url)
    return made


@pytest.mark.parametrize("what", ["refuse", "refuse_connection", "lose", "lose_connection"])
async def test_one_mishap_at_any_step_is_noticed_by_nobody(gated: InProcess, gate: Gate, what: What) -> None:
    met, waited = [], gated.clock()
    gated.hurry()
    for step in range(1, STEPS + 1):
        gate.begin({step: Mishap(what)})
        created = await gated.create(f"step {step}", **of_its_own(f"Step {step}"))
        met.append(gate.met == 1)
        assert created.ticket.delivery.status is Delivery.DELIVERED, gate.passed
        assert not created.replayed
    assert gated.clock() == waited, "no request waited for a twin that did not exist"
    assert met[:4] == [True] * 4, "a creation has at least four requests to tables"
    assert met[-1] is False, "every step had its mishap"


@pytest.mark.parametrize("what", ["lose", "refuse"])
async def test_an_answer_lost_at_any_step_neither_loses_nor_doubles(gated: InProcess, gate: Gate, what: What) -> None:
    met, ids = [], []
    gated.hurry()
    for step in range(1, STEPS + 1):
        gate.begin({step: Mishap(what)})
        key = f"step {step}"
        try:
            told = (await gated.create(key, **of_its_own(f"Step {step}"))).ticket.ticket_id
        except TryLater:
            told = None
        met.append(gate.met == 1)
        gate.begin()
        ids.append((await gated.create(key, **of_its_own(f"Step {step}"))).ticket.ticket_id)
        assert told in {None, ids[-1]}
    await gated.recover()
    for ticket_id in ids:
        assert (await gated.ticket(ticket_id)).delivery.status is Delivery.DELIVERED
        assert len(gated.records(ticket_id)) == 1
    assert met[:4] == [True] * 4, "a creation has at least four requests to tables"
    assert met[-1] is False, "every step had its mishap"
    tickets = await gated.app.tickets.list_tickets([CONNECTION_ID], TicketFilter(), limit=50)
    assert len(tickets) == STEPS
    summary = await gated.app.tickets.get_summary(CONNECTION_ID)
    assert sum(summary.phase_counts(tickets[0].content.kind).values()) == STEPS
    assert not await gated.app.tickets.list_pending(CONNECTION_ID, limit=50)


async def test_an_insert_whose_answers_all_break_off_ends_as_storage_that_does_not_answer(
    gated: InProcess, gate: Gate
) -> None:

    # The first request reads the connection, the second one is the insert.
    gate.begin({number: Mishap("cut") for number in range(2, RETRIES + 3)})
    with pytest.raises(StorageUnavailable):
        await gated.app.authorization.begin(CONNECTION_ID, started_by="administrator")
    assert gate.met == RETRIES + 1
