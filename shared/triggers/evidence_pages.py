"""Page: the evidence, for auditors."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import azure.functions as func

from shared.errors import FixRequest
from shared.evidence.items import EvidenceItem
from shared.evidence.requests import MOST_SAMPLE, SEED_MAX_LENGTH, Basis, EvidenceQuestion
from shared.triggers.evidence_api import Format
from shared.triggers.evidence_parameters import EVIDENCE_PARAMETERS, read_question, without_excluded
from shared.triggers.front_door import Call, page
from shared.triggers.principal import READERS
from shared.words.error_words import words_of

if TYPE_CHECKING:
    from shared.evidence.views import EvidenceView

blueprint = func.Blueprint()

SHOWN: Final = 100
"""Tickets that the page shows; the files have all of them."""
_FIELDS: Final = tuple(each.name for each in EVIDENCE_PARAMETERS)


@page(blueprint, "GET", "evidence", roles=READERS, kept=_FIELDS)
async def evidence_page(call: Call) -> func.HttpResponse:
    """Show the tickets of a period with what became of each, and offer the files."""
    # A field of a form that is left empty is sent as an empty text.
    asked = {name: call.query[name] for name in _FIELDS if call.query.get(name)}
    now = call.application.clock()
    tenants = {each.tenant_id: each.name for each in await call.application.tenants.list_tenants()}
    question: EvidenceQuestion | None = None
    view: EvidenceView | None = None
    fault: FixRequest | None = None
    try:
        question = await without_excluded(read_question(asked, now), asked, call.application.connection_store)
        view = await call.application.evidence_search.answer(question)
    except FixRequest as error:
        fault = error
    chosen = _chosen(question or read_question({}, now), asked)
    shown = () if view is None else view.items[:SHOWN]
    t = call.language
    return call.page(
        "evidence.html",
        status=200 if fault is None else fault.status,
        fault=None if fault is None else words_of(fault, t),
        chosen=chosen,
        view=view,
        shown=shown,
        titles=await _titles(call, shown, tenants.keys()),
        tenants=tenants,
        bases=[(each.value, t(f"evidence.basis.{each}")) for each in Basis],
        tenant_choices=sorted(tenants.items(), key=lambda each: each[1].casefold()),
        files=[(t(f"evidence.file.{each}"), _address(chosen, each)) for each in Format],
        retention_days=call.application.settings.evidence_retention_days,
        most_sample=MOST_SAMPLE,
        seed_max_length=SEED_MAX_LENGTH,
        today=now.date().isoformat(),
    )


async def _titles(
    call: Call, items: Sequence[EvidenceItem], tenant_ids: Collection[str]
) -> Mapping[tuple[str, str], str]:
    """Return the titles of the recommendations that the connector still has, by tenant and key.

    A list for each tenant takes fewer requests than asking for each recommendation.
    """
    wanted = {each.tenant_id for item in items for each in item.recommendations}.intersection(tenant_ids)
    lists = await asyncio.gather(*(call.application.recommendations.list_actions(each) for each in sorted(wanted)))
    return {(action.tenant_id, action.key): action.shown_title for actions in lists for action in actions}


def _chosen(question: EvidenceQuestion, asked: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the form shows: what was asked, and the period that is meant."""
    period = {"since": question.first_day.isoformat(), "until": question.last_day.isoformat()}
    seed = question.seed if question.sample is not None else ""
    return {**dict.fromkeys(_FIELDS, ""), "basis": question.basis.value, "seed": seed, **period, **asked}


def _address(chosen: Mapping[str, str], wanted: Format) -> str:
    """Return the address of a file with the same tickets as the page."""
    parameters = {name: value for name, value in chosen.items() if value}
    return f"/api/evidence?{urlencode({**parameters, 'format': wanted.value}, quote_via=quote)}"
