"""What the evidence's API and page are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.connections.lookup import excluded_ids
from shared.connections.ports import ConnectionStore
from shared.evidence.requests import (
    MOST_SAMPLE,
    SEED_MAX_LENGTH,
    Basis,
    EvidenceQuestion,
    evidence_question,
)
from shared.tenants.lookup import checked_tenant_id
from shared.triggers.parameters import PATH_PARAMETERS, Parameter, choice, count, day, flag, short_text

_SINCE: Final = day("since", "First day of the period, in UTC; 90 days in all if left out.")
_UNTIL: Final = day("until", "Last day of the period, in UTC; today if left out.")
_BASIS: Final = choice("basis", "Tickets that were created in the period, the default, or closed in it.", Basis)
_TENANT: Final = Parameter(
    "tenant_id",
    "Only tickets for recommendations of this tenant, also of one that was removed.",
    PATH_PARAMETERS["tenant_id"],
    convert=checked_tenant_id,
    default=None,
)
_SAMPLE: Final = Parameter(
    "sample",
    "How many tickets to draw; all if left out.",
    {"type": "integer", "minimum": 1, "maximum": MOST_SAMPLE},
    convert=count("sample", "", maximum=MOST_SAMPLE, default=1).convert,
    default=None,
)
_SEED: Final = short_text(
    "seed", "Any text; the same one draws the same sample. The period if left out.", max_length=SEED_MAX_LENGTH
)
EXCLUDED: Final = flag(
    "excluded", "true: with the tickets of excluded customers, which are left out if no tenant is named."
)
EVIDENCE_PARAMETERS: Final = (_SINCE, _UNTIL, _BASIS, _TENANT, _SAMPLE, _SEED, EXCLUDED)


def read_question(query: Mapping[str, str], now: datetime) -> EvidenceQuestion:
    """Return the question of a query.

    Raises:
        FixRequest: 400 ``invalid_parameter``, ``invalid_tenant_id`` or ``invalid_period``.
    """
    return evidence_question(
        since=_SINCE.read(query),
        until=_UNTIL.read(query),
        basis=_BASIS.read(query),
        tenant_id=_TENANT.read(query),
        sample=_SAMPLE.read(query),
        seed=_SEED.read(query),
        today=now.date(),
    )


async def without_excluded(
    question: EvidenceQuestion, query: Mapping[str, str], connections: ConnectionStore
) -> EvidenceQuestion:
    """Return the question without excluded customers, unless the query asks for them or names a tenant.

    Raises:
        FixRequest: 400 ``invalid_parameter``.
        StorageUnavailable: Nobody knows which they are.
    """
    if EXCLUDED.read(query) or question.tenant_id is not None:
        return question
    return replace(question, excluded_ids=await excluded_ids(connections))
