"""Many tickets for many recommendations change at once: no row and no transaction is too large."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from shared.evidence.model import EvidenceBatch, EvidenceEvent
from shared.storage.evidence import AzureEvidenceStore
from shared.storage.members import members_text
from shared.storage.tables import Tables
from shared.storage.ticket_rows import ticket_row
from shared.storage.tickets import AzureTicketStore
from shared.tickets.model import MOST_REFERENCES, RecommendationReference, Ticket
from shared.tickets.outcome_events import with_verification
from shared.tickets.outcomes import (
    Closing,
    Measurement,
    Outcome,
    OutcomeReason,
    RecommendationOutcome,
    Verification,
)
from tests.memory.clock import START
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket

TENANT = "11111111-aaaa-4bbb-8ccc-000000000001"
TICKETS = 40
COLUMN_CHARACTERS = 32_768
MEASURED = Measurement(
    Decimal("3.3333333333333335"),
    Decimal("10.00"),
    1_234_567,
    2_345_678,
    START + timedelta(microseconds=1),
    START.date(),
    f"{TENANT}_2026-03-02",
)


def for_many(number: int) -> Ticket:
    references = tuple(
        RecommendationReference(TENANT, "secure_score", f"{place:02}{'x' * 100}") for place in range(MOST_REFERENCES)
    )
    items = tuple(RecommendationOutcome(TENANT, each.key, outcome=Outcome.WAITING) for each in references)
    ticket = delivered_ticket(START + timedelta(seconds=number))
    ticket = replace(ticket, content=replace(ticket.content, references=references))
    return replace(ticket, verification=Verification(START, items, Closing(START)))


def all_not_done(ticket: Ticket) -> Ticket:
    assert ticket.verification is not None
    items = tuple(replace(each, outcome=Outcome.NOT_DONE) for each in ticket.verification.items)
    closing = Closing(START, START, "Not solved", is_read=True, claims_fix=False)
    return with_verification(ticket, replace(ticket.verification, items=items, closing=closing), START)


async def test_many_closings_that_claim_no_fix_are_stored_and_reach_the_evidence(bare_tables: Tables) -> None:
    await bare_tables.tickets.create_table()
    await bare_tables.evidence.create_table()
    store = AzureTicketStore(bare_tables.tickets, bare_tables.transactions)
    evidence = AzureEvidenceStore(bare_tables.evidence, bare_tables.transactions)
    made = await store.create_tickets([for_many(number) for number in range(TICKETS)])
    assert not await store.update_tickets([(each, all_not_done(each)) for each in made])
    batches = await store.list_unrecorded(CONNECTION_ID, limit=100)
    for batch in batches:
        assert len(members_text({"events": [{**each.details, "keys": each.keys} for each in batch.events]})) < 300_000
    assert sum(len(each.events) for each in batches) == TICKETS * (2 + 2 * MOST_REFERENCES)
    await evidence.record(batches)
    days = [START - timedelta(days=1), START + timedelta(days=1)]
    kept = [event async for page in evidence.list_events(*days) for event in page]
    assert len(kept) == sum(len(each.events) for each in batches)


async def test_large_batches_are_copied_in_several_transactions(bare_tables: Tables) -> None:
    await bare_tables.evidence.create_table()
    evidence = AzureEvidenceStore(bare_tables.evidence, bare_tables.transactions)
    event = EvidenceEvent("state_changed", START, "contoso", "1" * 32, details={"to_label": "x" * 400_000})
    batches = [EvidenceBatch(f"{number:032x}", START, (event,)) for number in range(12)]
    await evidence.record(batches)
    found = [each async for page in evidence.list_events(START, START + timedelta(days=1)) for each in page]
    assert len(found) == len(batches)


def test_the_longest_verification_fits_into_its_column() -> None:
    ticket = for_many(1)
    assert ticket.verification is not None
    items = tuple(
        replace(
            each,
            outcome=Outcome.MAXIMUM_CHANGED,
            reason=OutcomeReason.NO_MEASUREMENT_BEFORE,
            before=MEASURED,
            deciding=MEASURED,
            proof=MEASURED,
            lower=MEASURED,
            decided_at=MEASURED.measured_at,
            trusted_from=START.date(),
        )
        for each in ticket.verification.items
    )
    row = ticket_row(replace(ticket, verification=replace(ticket.verification, items=items)))
    assert len(row["verification"]) < COLUMN_CHARACTERS
