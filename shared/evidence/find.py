"""Answers questions from the stored events."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from shared.clock import Clock
from shared.evidence.population import Chosen, Collected
from shared.evidence.ports import EvidenceStore
from shared.evidence.requests import Basis, EvidenceQuestion
from shared.evidence.sample import sample_of
from shared.evidence.views import EvidenceView
from shared.service import service

STEP_BACK: Final = timedelta(days=31)
"""How much of the past is read at once, until the creation of each closed ticket is found."""
FINAL_AFTER: Final = timedelta(days=1)
"""An event is in the evidence this long after it happened; usually it takes a minute."""


@service
class EvidenceSearch:
    """Answers questions about a period.

    Attributes:
        retention: How long events are kept.
        turn: One question is answered at a time: a large answer takes seconds of processor time, and memory.
    """

    store: EvidenceStore
    retention: timedelta
    turn: asyncio.Semaphore
    clock: Clock

    async def answer(self, question: EvidenceQuestion) -> EvidenceView:
        """Return the population of a period, or a sample of it.

        Raises:
            FixRequest: 422 ``evidence_too_large``.
            StorageUnavailable: Storage does not answer.
        """
        async with self.turn:
            collected = await self._collected(question)
            # In a thread it holds up nobody else.
            return await asyncio.to_thread(self._view, collected, question)

    async def _collected(self, question: EvidenceQuestion) -> Collected:
        chosen = Chosen(question)
        async for events in self.store.list_events(question.begin_at, question.end_at):
            chosen.add(events)
        collected = Collected(chosen.tickets, chosen.recommendations)
        async for events in self.store.list_events(question.begin_at, question.end_at):
            collected.add(events)
        if question.basis is Basis.CLOSED:
            await self._add_what_was_before(question.begin_at, collected)
        return collected

    async def _add_what_was_before(self, until: datetime, collected: Collected) -> None:
        """Go back in time until the creation of every ticket is found, or nothing older is kept."""
        oldest = self.clock() - self.retention
        while collected.is_creation_missing and until > oldest:
            since = max(until - STEP_BACK, oldest)
            async for events in self.store.list_events(since, until):
                collected.add(events)
            until = since

    def _view(self, collected: Collected, question: EvidenceQuestion) -> EvidenceView:
        tickets = collected.items(question)
        population = [item for item in tickets if item.recommendations]
        size = question.sample
        return EvidenceView(
            since=question.first_day,
            until=question.last_day,
            basis=question.basis,
            tenant_id=question.tenant_id,
            final=self.clock() >= question.end_at + FINAL_AFTER,
            retention_days=self.retention.days,
            population=len(population),
            other_tickets=len(tickets) - len(population),
            excluded_connections=len(question.excluded_ids),
            sample=size,
            seed=None if size is None else question.seed,
            items=tuple(population if size is None else sample_of(population, question.seed, size)),
        )
