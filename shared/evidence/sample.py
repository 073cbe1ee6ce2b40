"""A sample that anybody can draw again: the seed and the tickets' ids decide it, on every host and in every release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from shared.evidence.items import EvidenceItem


def sample_of(items: Iterable[EvidenceItem], seed: str, size: int) -> Sequence[EvidenceItem]:
    """Return up to ``size`` items in the order in which they are drawn; a larger sample begins with a smaller one."""
    return sorted(items, key=lambda item: rank_of(item.ticket_id, seed))[:size]


def rank_of(ticket_id: str, seed: str) -> str:
    """Return a ticket's place in the draw: SHA-256 of the seed, a line break and its id. The lowest is drawn first."""
    return hashlib.sha256(f"{seed}\n{ticket_id}".encode("utf-8", "surrogatepass")).hexdigest()
