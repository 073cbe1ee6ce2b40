"""What callers see of the evidence."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from shared.evidence.items import EvidenceItem
from shared.evidence.requests import Basis
from shared.views import View


class EvidenceView(View):
    """The tickets of a period and what the evidence says about each."""

    since: date = Field(description="First day of the period, in UTC.")
    until: date = Field(description="Last day of the period, in UTC; nothing that happened later is said.")
    basis: Basis
    tenant_id: str | None
    final: bool = Field(description="false: the period is not over, or ended so lately that events can be missing.")
    retention_days: int = Field(description="How long the connector keeps evidence.")
    population: int = Field(description="Tickets for recommendations in the period.")
    other_tickets: int = Field(description="Tickets of the period that are for no stored recommendation.")
    excluded_connections: int = Field(
        description="Connections of excluded customers; none of their tickets is in the population."
    )
    sample: int | None = Field(description="How many tickets were to be drawn; null for all of them.")
    seed: str | None
    items: tuple[EvidenceItem, ...] = Field(
        description="The oldest first; a sample in the order in which it was drawn."
    )
