"""Page: what needs attention."""

from __future__ import annotations

import azure.functions as func

from shared.triggers.attention import exact_items, shown_items
from shared.triggers.front_door import Call, page
from shared.triggers.principal import ANY_ROLE
from shared.web.freshness import freshness

blueprint = func.Blueprint()


@page(blueprint, "GET", "attention", roles=ANY_ROLE)
async def attention_page(call: Call) -> func.HttpResponse:
    """List what only a person can put right, as far as the caller may see it."""
    board = call.application.attention
    around = await board.surroundings()
    items = shown_items(await exact_items(board, around, call.principal), call.principal, call.language)
    return call.page(
        "attention.html",
        items=items,
        attention_count=len(items),
        freshness=freshness(around.counted, around.read_at, can_refresh=around.connections is not None),
        now=around.read_at,
    )
