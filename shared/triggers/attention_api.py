"""HTTP API: what needs attention."""

from __future__ import annotations

from datetime import datetime

import azure.functions as func
from pydantic import Field

from shared.attention.model import Action, AttentionItem, Cause, Severity, SubjectKind
from shared.triggers.answers import JsonAnswer
from shared.triggers.attention import exact_items, item_words, may_act, visible_items
from shared.triggers.front_door import Call, route
from shared.triggers.principal import ANY_ROLE
from shared.views import View

blueprint = func.Blueprint()


class AttentionItemView(View):
    """Something that needs a person."""

    severity: Severity
    cause: Cause
    message: str = Field(description="What it is, in words.")
    connection_id: str | None = Field(description="The connection that it is about.")
    tenant_id: str | None = Field(description="The tenant that it is about.")
    name: str | None = Field(description="The name of that connection or tenant.")
    since_at: datetime | None = Field(description="Since when; null if nobody knows.")
    count: int | None = Field(description="How many tickets, changes or rows; null if it is not about several.")
    action: Action | None = Field(description="What to do next; null if the caller may not do it.")
    url: str | None = Field(description="The page where that begins; null if the caller may not do it.")


class AttentionListView(View):
    """What needs attention, the worst first, and of that the oldest first."""

    checked_at: datetime
    items: tuple[AttentionItemView, ...]


@route(
    blueprint,
    "GET",
    "api/attention",
    summary="List what needs a person's attention",
    roles=ANY_ROLE,
    answers={200: AttentionListView},
)
async def list_attention(call: Call) -> JsonAnswer:
    """Answer with what only a person can put right, as far as the caller may see it."""
    board = call.application.attention
    around = await board.surroundings()
    items = visible_items(await exact_items(board, around, call.principal), call.principal)
    view = AttentionListView(checked_at=around.read_at, items=tuple(_item_view(call, each) for each in items))
    return JsonAnswer(view, language=call.language)


def _item_view(call: Call, item: AttentionItem) -> AttentionItemView:
    about, acts, count = item.about, may_act(item, call.principal), item.values.get("count")
    return AttentionItemView(
        severity=item.severity,
        cause=item.cause,
        message=item_words(item, call.language),
        connection_id=about.id if about is not None and about.kind is SubjectKind.CONNECTION else None,
        tenant_id=about.id if about is not None and about.kind is SubjectKind.TENANT else None,
        name=None if about is None else about.name,
        since_at=item.since_at,
        count=count if isinstance(count, int) else None,
        action=item.action if acts else None,
        url=f"{call.application.settings.public_base_url}{item.address}" if acts else None,
    )
