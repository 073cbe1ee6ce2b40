"""Idempotency reservations in memory."""

from __future__ import annotations

from datetime import datetime

from shared.tickets.ports import IdempotencyReservation
from tests.memory.steps import Step, at_once


class MemoryIdempotencyStore:
    """Implements :class:`shared.tickets.ports.IdempotencyStore`."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self.reservations: dict[str, IdempotencyReservation] = {}

    async def reserve(self, reservation: IdempotencyReservation) -> IdempotencyReservation:
        """See the port."""
        await self._step("reserve")
        stored = self.reservations.setdefault(reservation.key_hash, reservation)
        await self._step("reserve answers")
        return stored

    async def delete_expired_reservations(self, before: datetime) -> int:
        """See the port."""
        await self._step("delete_expired_reservations")
        expired = [key for key, reservation in self.reservations.items() if reservation.reserved_at < before]
        for key in expired:
            del self.reservations[key]
        return len(expired)
